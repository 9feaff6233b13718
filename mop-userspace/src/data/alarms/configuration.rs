//! The section `[data.alarms]`.

use std::{collections::BTreeSet, time::Duration};

use mop_insight::data::{
    alarms::{AlarmSettings, AlarmSignal, MAX_WINDOW_SECONDS},
    metrics::Priorities,
};
use serde::{Deserialize, Serialize};

use crate::{
    configuration::{Problem, duration},
    failure::Failure,
};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AlarmsSection {
    pub(crate) enabled: bool,
    /// Stretch of time that is judged as one.
    #[serde(with = "duration")]
    pub(crate) window: Duration,
    /// Pairs of client and endpoint that are watched, at most.
    pub(crate) most_keys: usize,
    /// Signals that are not told.
    pub(crate) silenced: Vec<AlarmSignal>,
}

impl Default for AlarmsSection {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_secs(60),
            most_keys: DEFAULT_KEYS,
            silenced: Vec::new(),
        }
    }
}

impl AlarmsSection {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let window = self.seconds();
        let is_whole = self.window.subsec_nanos() == 0;
        if !is_whole || !(LEAST_WINDOW_SECONDS..=MAX_WINDOW_SECONDS).contains(&window) {
            let text = "whole seconds from \"10s\" to \"1h\" are wanted";
            problems.push(Problem::new("data.alarms.window", text));
        }
        if !(LEAST_KEYS..=MOST_KEYS).contains(&self.most_keys) {
            let text = format!("a number from {LEAST_KEYS} to {MOST_KEYS} is wanted");
            problems.push(Problem::new("data.alarms.most_keys", text));
        }
    }

    /// What the engine works with.
    pub(super) fn settings(&self, node: String) -> Result<AlarmSettings, Failure> {
        Ok(AlarmSettings {
            window_seconds: self.seconds(),
            most_keys: self.most_keys,
            silenced: self.silenced.iter().copied().collect::<BTreeSet<_>>(),
            priorities: Priorities::published().map_err(Failure::runtime)?,
            node,
        })
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.window.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Some thirty clients that use some thirty endpoints: 4 MB in memory, 6 MB on disk.
const DEFAULT_KEYS: usize = 1_000;
const LEAST_KEYS: usize = 10;
/// They are written down every minute: 60 MB.
const MOST_KEYS: usize = 10_000;
/// Fewer calls than come in ten seconds say nothing.
const LEAST_WINDOW_SECONDS: i64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_said() {
        let problems = |section: AlarmsSection| {
            let mut problems = Vec::new();
            section.check(&mut problems);
            problems.iter().map(Problem::to_string).collect::<Vec<_>>()
        };
        assert_eq!(problems(AlarmsSection::default()), Vec::<String>::new());
        for window in [Duration::from_secs(9), Duration::from_millis(60_500), Duration::MAX] {
            let said = problems(AlarmsSection { window, ..AlarmsSection::default() });
            assert!(said.len() == 1 && said[0].contains("data.alarms.window"), "{said:?}");
        }
        for most_keys in [0, 10_001] {
            let said = problems(AlarmsSection { most_keys, ..AlarmsSection::default() });
            assert!(said.len() == 1 && said[0].contains("data.alarms.most_keys"), "{said:?}");
        }
    }
}
