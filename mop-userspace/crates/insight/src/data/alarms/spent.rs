//! What the calls of one window spend of error budgets.

use crate::data::metrics::ServiceLevel;

/// What calls mean to the budgets of the one that answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) availability: Share,
    /// By [`ServiceLevel::ALL`].
    pub(super) levels: [Share; ServiceLevel::ALL.len()],
}

/// Bad calls, and all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) bad: u64,
    pub(super) all: u64,
}

impl Spent {
    /// Of one call. `is_failed` is none when it says nothing of the availability.
    pub(super) fn add(&mut self, is_failed: Option<bool>, is_slow: Option<(ServiceLevel, bool)>) {
        if let Some(is_failed) = is_failed {
            self.availability.add(is_failed);
        }
        let Some((level, is_slow)) = is_slow else { return };
        let place = ServiceLevel::ALL.iter().position(|it| *it == level);
        if let Some(share) = place.and_then(|place| self.levels.get_mut(place)) {
            share.add(is_slow);
        }
    }
}

impl Share {
    fn add(&mut self, is_bad: bool) {
        self.bad = self.bad.saturating_add(u64::from(is_bad));
        self.all = self.all.saturating_add(1);
    }
}
