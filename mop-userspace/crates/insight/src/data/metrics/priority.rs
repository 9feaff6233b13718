//! The class in which a call is counted, and the level of service that it must have.
//!
//! Kept in `rules/opin/pcm/priorities.json`, with its sources.

use serde::{Deserialize, Serialize};

/// Classes of `GET /open-insurance/admin/v1/metrics`, in the order of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PriorityClass {
    /// Calls that need no token.
    Unauthenticated,
    /// The state of the environment.
    HighPriority,
    /// Data and services.
    MediumPriority,
    /// All others.
    Unattended,
}

/// Levels of service, by which the time of a response is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceLevel {
    /// High priority.
    High,
    /// Medium priority.
    Medium,
    /// Administrative.
    Administrative,
}

/// How a call is counted and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority {
    /// The class in which it is counted.
    pub class: PriorityClass,
    /// The level that it must have; none when no document demands one.
    pub level: Option<ServiceLevel>,
}

/// Which path is of which priority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priorities {
    /// Where this is said.
    pub source: Vec<String>,
    /// Limits of response times.
    pub levels: Vec<LevelLimit>,
    /// Availability that is demanded, over how many days.
    pub availability: Vec<AvailabilityTarget>,
    /// The longest prefix that fits decides.
    pub paths: Vec<PathPriority>,
    /// Class of all other paths.
    pub other: PriorityClass,
}

/// Limit of the 95th percentile of response times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelLimit {
    /// The level.
    pub level: ServiceLevel,
    /// The limit.
    pub p95_milliseconds: u32,
}

/// Availability that is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvailabilityTarget {
    /// Over this many days.
    pub days: u32,
    /// Share of the time.
    pub millionths: u32,
}

/// Priority of the paths that begin in some way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPriority {
    /// The beginning.
    pub prefix: String,
    /// Their class.
    pub class: PriorityClass,
    /// Their level.
    pub level: Option<ServiceLevel>,
}

impl PriorityClass {
    /// All, in the order of the document.
    pub const ALL: [Self; 4] =
        [Self::Unauthenticated, Self::HighPriority, Self::MediumPriority, Self::Unattended];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::HighPriority => "high_priority",
            Self::MediumPriority => "medium_priority",
            Self::Unattended => "unattended",
        }
    }
}

impl ServiceLevel {
    /// All.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Administrative];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Administrative => "administrative",
        }
    }
}

impl Priorities {
    /// Reads the table.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The table that comes with the program.
    pub fn published() -> Result<Self, serde_json::Error> {
        Self::parse(PUBLISHED)
    }

    /// Priority of a path or path template.
    #[must_use]
    pub fn of(&self, path: &str) -> Priority {
        let fitting = self.paths.iter().filter(|it| path.starts_with(&it.prefix));
        match fitting.max_by_key(|it| it.prefix.len()) {
            Some(PathPriority { class, level, .. }) => Priority { class: *class, level: *level },
            None => Priority { class: self.other, level: None },
        }
    }

    /// Limit of a level.
    #[must_use]
    pub fn limit_milliseconds(&self, level: ServiceLevel) -> Option<u32> {
        let limit = self.levels.iter().find(|limit| limit.level == level)?;
        Some(limit.p95_milliseconds)
    }
}

const PUBLISHED: &str = include_str!("../../../../../../rules/opin/pcm/priorities.json");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let priorities = Priorities::published().unwrap();
        let of = |path| {
            let Priority { class, level } = priorities.of(path);
            (class, level.and_then(|level| priorities.limit_milliseconds(level)))
        };
        assert_eq!(
            of("/open-insurance/discovery/v1/status"),
            (PriorityClass::HighPriority, Some(1000))
        );
        let medium = (PriorityClass::MediumPriority, Some(1500));
        assert_eq!(of("/open-insurance/insurance-auto/v2/insurance-auto"), medium);
        let admin = (PriorityClass::Unattended, Some(4000));
        assert_eq!(of("/open-insurance/admin/v1/metrics"), admin);
        let open = (PriorityClass::Unauthenticated, None);
        assert_eq!(of("/.well-known/openid-configuration"), open);
        assert_eq!(of("/token"), (PriorityClass::Unattended, None));
    }
}
