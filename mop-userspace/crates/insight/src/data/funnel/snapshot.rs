//! The funnel's state as JSON, so that a restart changes nothing.
//!
//! It holds identifiers of consents and organisations and times, no personal data; digests are
//! made anew from the identifiers. What exceeds a limit of [`super`] refuses the whole snapshot.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    DigestOf, Funnel, FunnelCounts, FunnelOptions, MAX_HELD_IN_ALL, MAX_HELD_STEPS,
    consent::{Consent, Permissions, Timers},
    hook::is_consent,
    rules::FunnelRules,
    step::{Journey, Step},
    track::Track,
};
use crate::data::signal::{MAX_PERMISSIONS, Parties};

/// Everything that outlives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`].
    version: u32,
    /// What the numbers of permissions mean.
    permission_names: Vec<String>,
    /// By identifier.
    consents: Vec<ConsentState>,
    counts: FunnelCounts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentState {
    id: String,
    permissions: PermissionsState,
    /// Client organisation and software statement, server organisation and authorisation server.
    parties: [Option<String>; 4],
    created: Option<i64>,
    expires: Option<i64>,
    was_given: bool,
    timers_fired: Timers,
    tracks: [Option<Track>; 2],
    touched: i64,
    due: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PermissionsState {
    Unknown,
    /// Places in [`Snapshot::permission_names`].
    Known(Journey, Vec<u16>),
    Mixed,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not of the form of a snapshot.
    #[error("the funnel's state cannot be read")]
    Form(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the funnel's state is of version {0}, not {SNAPSHOT_VERSION}")]
    Version(u32),
    /// More than is kept, the same consent twice, or an identifier that is none.
    #[error("the funnel's state contradicts the limits under which it is written")]
    Limits,
}

impl Funnel {
    /// The state, always the same for the same state.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut consents: Vec<_> =
            self.consents.values().map(|consent| self.state_of(consent)).collect();
        consents.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        Snapshot {
            version: SNAPSHOT_VERSION,
            permission_names: self.rules.permission_names().to_vec(),
            consents,
            counts: self.counts.clone(),
        }
    }

    /// Goes on from a state.
    pub fn restore(
        rules: Arc<FunnelRules>,
        options: FunnelOptions,
        digest: Box<DigestOf>,
        snapshot: Snapshot,
    ) -> Result<Self, SnapshotError> {
        let Snapshot { version, permission_names, consents, counts } = snapshot;
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(version));
        }
        if consents.len() > options.max_consents {
            return Err(SnapshotError::Limits);
        }
        let mut funnel = Self::new(rules, options, digest);
        let mut seen = HashSet::new();
        for state in consents {
            let consent = Box::new(funnel.consent_of(state, &permission_names)?);
            let digest = funnel.digest(&consent.id);
            if !seen.insert(digest) || funnel.held + consent.held() > MAX_HELD_IN_ALL {
                return Err(SnapshotError::Limits);
            }
            funnel.insert(digest, consent);
        }
        funnel.counts = counts;
        Ok(funnel)
    }

    fn state_of(&self, consent: &Consent) -> ConsentState {
        let Consent {
            id,
            permissions,
            parties,
            created,
            expires,
            was_given,
            timers_fired,
            tracks,
            touched,
            due,
        } = consent;
        let permissions = match permissions {
            Permissions::Unknown => PermissionsState::Unknown,
            Permissions::Mixed => PermissionsState::Mixed,
            Permissions::Known(journey, ids) => {
                PermissionsState::Known(*journey, ids.iter().map(|id| id.0).collect())
            }
        };
        let Parties {
            client_organisation,
            client_software_statement,
            server_organisation,
            server_authorisation_server,
        } = parties.clone();
        ConsentState {
            id: id.clone(),
            permissions,
            parties: [
                client_organisation,
                client_software_statement,
                server_organisation,
                server_authorisation_server,
            ],
            created: *created,
            expires: *expires,
            was_given: *was_given,
            timers_fired: *timers_fired,
            tracks: tracks.clone(),
            touched: *touched,
            due: *due,
        }
    }

    fn consent_of(
        &self,
        state: ConsentState,
        permission_names: &[String],
    ) -> Result<Consent, SnapshotError> {
        let ConsentState {
            id,
            permissions,
            parties,
            created,
            expires,
            was_given,
            timers_fired,
            tracks,
            touched,
            due,
        } = state;
        let too_much = |track: &Track| {
            track.held.len() > MAX_HELD_STEPS || track.reported.len() > Step::ALL.len() + 1
        };
        if !is_consent(&id) || tracks.iter().flatten().any(too_much) {
            return Err(SnapshotError::Limits);
        }
        let permissions = match permissions {
            PermissionsState::Unknown => Permissions::Unknown,
            PermissionsState::Mixed => Permissions::Mixed,
            PermissionsState::Known(journey, places) => {
                let names = places.iter().map(|it| permission_names.get(usize::from(*it)));
                let names: Option<Vec<&String>> = names.collect();
                // What the rules no longer have is not reported any more.
                let known = names.ok_or(SnapshotError::Limits)?;
                let known = known.into_iter().filter_map(|name| self.rules.permission(name));
                let ids: Vec<_> = known.take(MAX_PERMISSIONS).map(|(id, _)| id).collect();
                if ids.is_empty() { Permissions::Unknown } else { Permissions::Known(journey, ids) }
            }
        };
        let [
            client_organisation,
            client_software_statement,
            server_organisation,
            server_authorisation_server,
        ] = parties;
        let parties = Parties {
            client_organisation,
            client_software_statement,
            server_organisation,
            server_authorisation_server,
        };
        Ok(Consent {
            id,
            permissions,
            parties,
            created,
            expires,
            was_given,
            timers_fired,
            tracks,
            touched,
            due,
        })
    }
}

impl Snapshot {
    /// Reads what [`Self::write`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        serde_json::from_slice(bytes).map_err(SnapshotError::Form)
    }

    /// As JSON.
    pub fn write(&self) -> Result<Vec<u8>, SnapshotError> {
        serde_json::to_vec(self).map_err(SnapshotError::Form)
    }
}

/// Version of the form.
pub const SNAPSHOT_VERSION: u32 = 1;
