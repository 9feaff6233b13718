//! The section `[coverage]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::configuration::Problem;

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CoverageConfiguration {
    /// False: nobody looks at sockets, and coverage is unknown.
    pub(crate) enabled: bool,
    /// From one look at the node's sockets to the next.
    pub(crate) interval_seconds: u32,
}

impl CoverageConfiguration {
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval_seconds))
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        if !(MIN_INTERVAL_SECONDS..=MAX_INTERVAL_SECONDS).contains(&self.interval_seconds) {
            let text =
                format!("a number from {MIN_INTERVAL_SECONDS} to {MAX_INTERVAL_SECONDS} is wanted");
            problems.push(Problem::new("coverage.interval_seconds", text));
        }
    }
}

impl Default for CoverageConfiguration {
    fn default() -> Self {
        Self { enabled: true, interval_seconds: 60 }
    }
}

/// A look at a large node takes a part of a second.
const MIN_INTERVAL_SECONDS: u32 = 2;

/// Later than an hour nobody would notice in time.
const MAX_INTERVAL_SECONDS: u32 = 3_600;
