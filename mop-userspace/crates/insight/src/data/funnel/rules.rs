//! What the ingestion document says of steps, permissions and `additionalInfo`, as data.
//!
//! Kept in `rules/opin/pcm/funnel.json`, which `cargo run -p mop-insight --example pcm_funnel`
//! makes from `consent-funnel-ingestion` and the two versions of the consents' document: the
//! platform has extended its enumerations without a new version before, so they are no code.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::step::{FunnelKind, Journey, Side, Step};

/// The rules, indexed.
#[derive(Clone, Debug)]
pub struct FunnelRules {
    tables: FunnelTables,
    permissions: HashMap<String, (PermissionId, Journey)>,
    /// By [`PermissionId`].
    names: Vec<String>,
}

/// The rules as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelTables {
    /// What they were read from.
    pub source: Source,
    /// Steps and permissions of each journey.
    pub journeys: Vec<JourneyTable>,
    /// Members of `additionalInfo`.
    pub additional_info: Vec<InfoTable>,
    /// Names in version 2 of the consents' interface that have become others in version 3, whose
    /// names the platform takes.
    pub renamed_permissions: BTreeMap<String, String>,
}

/// What rules were read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the document.
    pub document: String,
    /// Its version.
    pub version: String,
    /// Versions of the consents' interface that renamed permissions were compared between.
    pub consents: Vec<String>,
}

/// Steps and permissions of a journey, in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JourneyTable {
    /// The journey.
    pub journey: Journey,
    /// Steps that the receiving side reports.
    pub client: Vec<Step>,
    /// Steps that the transmitting side reports.
    pub server: Vec<Step>,
    /// Permissions that make a consent one of this journey.
    pub permissions: Vec<String>,
}

/// A member of `additionalInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoTable {
    /// Interface that has it.
    pub funnel: FunnelKind,
    /// Its name.
    pub name: String,
    /// Values that are allowed; empty when any text is.
    pub values: Vec<String>,
    /// Steps that demand it.
    pub steps: Vec<Step>,
}

/// A permission among the rules'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionId(pub(super) u16);

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not of the form of [`FunnelTables`].
    #[error("the funnel's rules cannot be read: {0}")]
    Form(#[from] serde_json::Error),
    /// A permission belongs to two journeys, or there are too many.
    #[error("the permission {0} is listed twice")]
    PermissionTwice(String),
    /// A journey is missing or listed twice.
    #[error("the funnel's rules must have each journey once")]
    Journeys,
}

impl FunnelRules {
    /// Reads rules from JSON.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        Self::new(serde_json::from_str(text)?)
    }

    /// The rules that come with the program.
    pub fn published() -> Result<Self, RulesError> {
        Self::parse(PUBLISHED)
    }

    /// Indexes rules.
    pub fn new(tables: FunnelTables) -> Result<Self, RulesError> {
        let mut journeys: Vec<_> = tables.journeys.iter().map(|table| table.journey).collect();
        journeys.sort_unstable();
        if journeys != Journey::ALL {
            return Err(RulesError::Journeys);
        }
        let (mut permissions, mut names) = (HashMap::new(), Vec::new());
        for table in &tables.journeys {
            for name in &table.permissions {
                let twice = || RulesError::PermissionTwice(name.clone());
                let id = u16::try_from(permissions.len()).map_err(|_too_many| twice())?;
                if permissions.insert(name.clone(), (PermissionId(id), table.journey)).is_some() {
                    return Err(twice());
                }
                names.push(name.clone());
            }
        }
        Ok(Self { tables, permissions, names })
    }

    /// The rules as they are kept.
    #[must_use]
    pub fn tables(&self) -> &FunnelTables {
        &self.tables
    }

    /// Steps of a journey on one side, in the order of the document.
    #[must_use]
    pub fn steps(&self, journey: Journey, side: Side) -> &[Step] {
        let table = self.tables.journeys.iter().find(|table| table.journey == journey);
        match (table, side) {
            (Some(table), Side::Client) => &table.client,
            (Some(table), Side::Server) => &table.server,
            (None, _) => &[],
        }
    }

    /// Whether a step belongs to a journey on one side.
    #[must_use]
    pub fn has_step(&self, journey: Journey, side: Side, step: Step) -> bool {
        self.steps(journey, side).contains(&step)
    }

    /// A permission under either of its names, and the journey that it makes.
    #[must_use]
    pub fn permission(&self, name: &str) -> Option<(PermissionId, Journey)> {
        let current = self.tables.renamed_permissions.get(name).map_or(name, String::as_str);
        self.permissions.get(current).copied()
    }

    /// Name of a permission.
    #[must_use]
    pub fn permission_name(&self, id: PermissionId) -> Option<&str> {
        self.names.get(usize::from(id.0)).map(String::as_str)
    }

    /// Names of all permissions, each at the place of its identifier.
    #[must_use]
    pub fn permission_names(&self) -> &[String] {
        &self.names
    }

    /// A member of `additionalInfo`.
    #[must_use]
    pub fn info(&self, funnel: FunnelKind, name: &str) -> Option<&InfoTable> {
        self.tables.additional_info.iter().find(|info| info.funnel == funnel && info.name == name)
    }

    /// Members that an event of a step must have.
    pub fn demanded(&self, funnel: FunnelKind, step: Step) -> impl Iterator<Item = &str> {
        let tables = self.tables.additional_info.iter();
        tables
            .filter(move |info| info.funnel == funnel && info.steps.contains(&step))
            .map(|info| info.name.as_str())
    }
}

const PUBLISHED: &str = include_str!("../../../../../../rules/opin/pcm/funnel.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_permission_are_one() {
        let rules = FunnelRules::published().unwrap();
        let old = rules.permission("LIFE_PENSION_CLAIM").unwrap();
        assert_eq!(rules.permission("LIFE_PENSION_CLAIM_READ"), Some(old));
        assert_eq!(rules.permission_name(old.0), Some("LIFE_PENSION_CLAIM_READ"));
        let raffle = rules.permission("QUOTE_CAPITALIZATION_TITLE_RAFFLE_CREATE").unwrap();
        assert_eq!(raffle.1, Journey::PostSale, "a raffle is no quote, whatever its old name says");
        assert_eq!(rules.permission("OF_ANOTHER_COUNTRY"), None);
    }

    #[test]
    fn every_step_belongs_somewhere() {
        let rules = FunnelRules::published().unwrap();
        for step in Step::ALL {
            let known = Journey::ALL
                .into_iter()
                .any(|it| Side::ALL.into_iter().any(|side| rules.has_step(it, side, step)));
            assert!(known, "{} is in no journey", step.name());
        }
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        let mut tables = FunnelRules::published().unwrap().tables().clone();
        let name = tables.journeys[0].permissions[0].clone();
        tables.journeys[1].permissions.push(name);
        assert!(matches!(FunnelRules::new(tables.clone()), Err(RulesError::PermissionTwice(_))));
        tables.journeys.pop();
        assert!(matches!(FunnelRules::new(tables), Err(RulesError::Journeys)));
    }
}
