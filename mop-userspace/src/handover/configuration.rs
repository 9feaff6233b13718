//! The section `[handover]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::configuration::{Problem, duration};

/// How one observer follows another.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HandoverConfiguration {
    /// An observer that runs with the same outbox is followed, and is no error.
    pub(crate) take_over: bool,
    /// How long the one that goes waits for the ends of calls.
    #[serde(with = "duration")]
    pub(crate) grace: Duration,
    /// What it does then.
    pub(crate) then: Then,
}

/// What an observer does that has handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// It ends.
    #[default]
    Exit,
    /// It does nothing until it is told to end: for what would start it again at once.
    Wait,
}

impl Default for HandoverConfiguration {
    fn default() -> Self {
        Self { take_over: false, grace: GRACE, then: Then::Exit }
    }
}

impl HandoverConfiguration {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { take_over: _, grace, then: _ } = self;
        if *grace > MAX_GRACE {
            let text =
                "at most 60s are possible: the observer that comes keeps all traffic meanwhile";
            problems.push(Problem::new("handover.grace", text));
        }
    }
}

/// Nearly every call of an API is over by then, and what comes meanwhile at 5,000 calls a second has
/// room in the queue of a worker three times over.
const GRACE: Duration = Duration::from_secs(5);
const MAX_GRACE: Duration = Duration::from_secs(60);
