//! Counts since the process began, for those who watch levels of service by the minute.

use super::{
    CallFigures,
    priority::{PriorityClass, ServiceLevel},
};

/// Counts of one organisation since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls, in the order of [`PriorityClass::ALL`].
    pub classes: [u64; 4],
    /// In the order of [`ServiceLevel::ALL`].
    pub levels: [LevelTotals; 3],
    /// Polls of `/discovery/status` that said something.
    pub polls: u64,
}

/// Calls of one level of service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelTotals {
    /// Calls whose time counts.
    pub timed: u64,
    /// Of these, beyond the limit.
    pub slow: u64,
}

/// An organisation as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationTotals {
    /// Which.
    pub organisation: String,
    /// Since the process began.
    pub totals: Totals,
    /// Seconds of today that something was down.
    pub down_seconds: u64,
    /// Seconds of today of announced outages.
    pub scheduled_seconds: u64,
}

impl Totals {
    /// Counts a call. A time is none when it does not count.
    pub(super) fn add(&mut self, call: &CallFigures<'_>, limit_milliseconds: Option<u32>) {
        let class = PriorityClass::ALL.iter().position(|it| *it == call.priority.class);
        if let Some(count) = class.and_then(|it| self.classes.get_mut(it)) {
            *count += 1;
        }
        // As in the figures of a day: what is rejected is not timed.
        let time = call.microseconds.filter(|_| call.status != Some(429));
        let (Some(limit), Some(time)) = (limit_milliseconds, time) else { return };
        let level = ServiceLevel::ALL.iter().position(|it| Some(*it) == call.priority.level);
        if let Some(level) = level.and_then(|it| self.levels.get_mut(it)) {
            level.timed += 1;
            level.slow += u64::from(time > u64::from(limit) * 1000);
        }
    }
}
