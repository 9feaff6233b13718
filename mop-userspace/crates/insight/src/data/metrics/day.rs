//! Figures of one day, and where a day begins.

use serde::{Deserialize, Serialize};

use super::{
    histogram::Histogram,
    priority::{Priority, PriorityClass, ServiceLevel},
};

/// Where a day begins.
///
/// No document says it. All times in the ecosystem's interfaces are UTC, so that is the default;
/// the other choice is for a participant whose own figures, with which these are compared, follow
/// the clock on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayBoundary {
    /// 00:00 in Brasilia: UTC-3 all year since Decreto 9.772/2019.
    Brasilia,
    /// 00:00 UTC.
    #[default]
    Utc,
}

impl DayBoundary {
    /// Number of the day that a second of the epoch is in.
    #[must_use]
    pub const fn day_of(self, second: i64) -> i64 {
        second.saturating_add(self.offset()).div_euclid(DAY_SECONDS)
    }

    /// First second of a day.
    #[must_use]
    pub const fn begin_of(self, day: i64) -> i64 {
        day.saturating_mul(DAY_SECONDS).saturating_sub(self.offset())
    }

    const fn offset(self) -> i64 {
        match self {
            Self::Brasilia => -3 * 3600,
            Self::Utc => 0,
        }
    }
}

/// Figures of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Day {
    /// Number of the day.
    pub(super) day: i64,
    /// In the order of [`PriorityClass::ALL`].
    pub(super) classes: [ClassFigures; 4],
    /// In the order of [`ServiceLevel::ALL`].
    pub(super) levels: [LevelFigures; 3],
    /// Answers of class 5xx.
    pub(super) errors: u64,
    /// Answers 429.
    pub(super) rejections: u64,
    /// Most calls in one second.
    pub(super) peak: u64,
    /// 30-second slots.
    pub(super) general: Slots,
    /// Slots that an announced outage took.
    pub(super) scheduled: Slots,
    /// Polls of `/discovery/status` that were seen.
    pub(super) polls: u64,
}

/// Figures of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassFigures {
    pub(super) invocations: u64,
    /// Calls whose time counts.
    pub(super) timed: u64,
    pub(super) microseconds: u64,
}

/// Response times of one level of service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelFigures {
    /// Calls within the limit: exact, whatever the error of the histogram is.
    pub(super) within: u64,
    pub(super) times: Histogram,
}

/// Slots of 30 seconds of one day, each counted once, whatever the order within the last
/// [`WINDOW_SLOTS`]; what is earlier is not counted any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slots {
    count: u16,
    /// The latest slot that was counted.
    newest: u16,
    /// Bit `n`: the slot `newest - n` was counted.
    window: u64,
}

impl Day {
    pub(super) fn new(day: i64) -> Self {
        Self { day, ..Self::default() }
    }

    /// Counts a call. A time is none when it does not count; the limit is that of its level.
    pub(super) fn add(
        &mut self,
        priority: Priority,
        status: Option<u16>,
        microseconds: Option<u64>,
        limit_milliseconds: Option<u32>,
    ) {
        let Priority { class, level } = priority;
        let rejected = status == Some(429);
        self.errors += u64::from(status.is_some_and(|it| (500..600).contains(&it)));
        self.rejections += u64::from(rejected);
        let position = PriorityClass::ALL.iter().position(|it| *it == class);
        let Some(figures) = position.and_then(|it| self.classes.get_mut(it)) else { return };
        figures.invocations += 1;
        // Portal, non-functional requirements: calls beyond the limits of traffic are left out of
        // the times.
        let Some(microseconds) = microseconds.filter(|_| !rejected) else { return };
        figures.timed += 1;
        figures.microseconds = figures.microseconds.saturating_add(microseconds);
        let position = ServiceLevel::ALL.iter().position(|it| Some(*it) == level);
        let Some(level) = position.and_then(|it| self.levels.get_mut(it)) else { return };
        level.times.add(microseconds);
        let limit = limit_milliseconds.map(|it| u64::from(it) * 1000);
        level.within += u64::from(limit.is_some_and(|limit| microseconds <= limit));
    }

    pub(super) fn calls(&self) -> u64 {
        self.classes.iter().map(|it| it.invocations).sum()
    }
}

impl ClassFigures {
    /// Mean time in milliseconds, rounded to the nearest; 0 without calls.
    pub(super) fn mean_milliseconds(&self) -> u64 {
        let half = self.timed.saturating_mul(500);
        let sum = self.microseconds.saturating_add(half);
        sum.checked_div(self.timed.saturating_mul(1000)).unwrap_or(0)
    }
}

impl Slots {
    /// Counts a slot.
    pub(super) fn mark(&mut self, slot: u16) {
        if slot > self.newest {
            self.window = self.window.checked_shl(u32::from(slot - self.newest)).unwrap_or(0);
            self.newest = slot;
        }
        let bit = self.bit(slot);
        if self.window & bit == 0 && bit != 0 {
            self.window |= bit;
            self.count = self.count.saturating_add(1);
        }
    }

    /// Takes a slot back.
    pub(super) fn unmark(&mut self, slot: u16) {
        if self.has(slot) {
            self.window &= !self.bit(slot);
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Whether a slot was counted.
    pub(super) fn has(&self, slot: u16) -> bool {
        self.window & self.bit(slot) != 0
    }

    pub(super) fn seconds(&self) -> u64 {
        u64::from(self.count) * SLOT_SECONDS
    }

    /// Its place in the window; 0 outside.
    fn bit(&self, slot: u16) -> u64 {
        let back = self.newest.checked_sub(slot).map(u32::from);
        back.filter(|back| *back < WINDOW_SLOTS).map_or(0, |back| 1 << back)
    }
}

/// A day without leap seconds, as the epoch has it.
pub(super) const DAY_SECONDS: i64 = 86_400;
/// The directory polls `/discovery/status` every 30 s (admin_metrics.docx).
pub(super) const SLOT_SECONDS: u64 = 30;
/// 32 minutes: far longer than any call lasts.
const WINDOW_SLOTS: u32 = u64::BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_where_it_is_said_to() {
        // 2026-01-05T02:59:59Z
        let second = 1_767_581_999;
        assert_eq!(DayBoundary::Utc.day_of(second), 20_458);
        assert_eq!(DayBoundary::Brasilia.day_of(second), 20_457);
        assert_eq!(DayBoundary::Brasilia.day_of(second + 1), 20_458);
        assert_eq!(DayBoundary::Brasilia.begin_of(20_458), second + 1);
    }

    #[test]
    fn a_slot_counts_once_in_any_order() {
        let mut slots = Slots::default();
        for slot in [0, 5, 3, 5, 3, 0, 60, 5] {
            slots.mark(slot);
        }
        assert_eq!(slots.seconds(), 4 * 30);
        assert!(slots.has(3) && !slots.has(4) && !slots.has(61));
        slots.unmark(3);
        slots.unmark(4);
        assert_eq!(slots.seconds(), 3 * 30);
        slots.mark(2000);
        slots.mark(60);
        assert_eq!(slots.seconds(), 4 * 30, "60 is too long ago to be told apart");
    }

    #[test]
    fn a_rejected_call_is_counted_and_not_timed() {
        let mut day = Day::new(0);
        let priority =
            Priority { class: PriorityClass::MediumPriority, level: Some(ServiceLevel::Medium) };
        day.add(priority, Some(200), Some(1_500_000), Some(1500));
        day.add(priority, Some(200), Some(1_500_001), Some(1500));
        day.add(priority, Some(429), Some(9_000_000), Some(1500));
        day.add(priority, Some(503), None, Some(1500));
        let figures = day.classes[2];
        assert_eq!((figures.invocations, figures.timed), (4, 2));
        assert_eq!(figures.mean_milliseconds(), 1500);
        assert_eq!((day.errors, day.rejections), (1, 1));
        assert_eq!((day.levels[1].within, day.levels[1].times.total()), (1, 2));
    }
}
