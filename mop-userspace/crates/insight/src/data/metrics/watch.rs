//! When the organisations were watched: which days were observed whole.
//!
//! While a process runs, its time is observed. What passes between the end of one and the start of the
//! next is not, and belongs to no share and no mean.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::day::{DAY_SECONDS, DayBoundary};

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    /// First second; `begun <= latest`.
    begun: Option<i64>,
    /// Latest second.
    latest: Option<i64>,
    /// What is missing of days, oldest first; at most [`MAX_GAPS`].
    gaps: VecDeque<Gap>,
    /// Whether another process began it, and this one has not gone on yet.
    #[serde(skip)]
    is_resumed: bool,
}

/// What is missing of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {
    day: i64,
    /// Seconds in which nobody watched.
    seconds: u64,
    /// Calls that were seen and given up.
    calls: u64,
}

impl Watch {
    /// Observed until here.
    pub(super) fn through(&mut self, second: i64, boundary: DayBoundary) {
        let Some(latest) = self.latest else {
            (self.begun, self.latest) = (Some(second), Some(second));
            return;
        };
        if second < latest {
            return;
        }
        if std::mem::take(&mut self.is_resumed) && second > latest {
            self.miss(latest, second, boundary);
        }
        self.latest = Some(second);
    }

    /// Calls were given up.
    pub(super) fn lose(&mut self, calls: u64, boundary: DayBoundary) {
        if let Some(latest) = self.latest {
            self.add(boundary.day_of(latest), 0, calls);
        }
    }

    /// As it is kept for another process.
    pub(super) fn kept(&self) -> Self {
        Self { is_resumed: false, ..self.clone() }
    }

    /// Another process goes on.
    pub(super) fn resumed(self) -> Self {
        Self { is_resumed: true, ..self }
    }

    /// Whether all of a day was observed, as far as it has passed.
    pub(super) fn is_whole(&self, day: i64, boundary: DayBoundary) -> bool {
        let gap = self.gaps.iter().find(|it| it.day == day).copied().unwrap_or_default();
        self.begun.is_some_and(|begun| begun <= boundary.begin_of(day))
            && gap.seconds <= MAX_MISSED_SECONDS
            && gap.calls == 0
    }

    /// Seconds of a day in which nobody watched, since the beginning.
    pub(super) fn missed_seconds(&self, day: i64) -> u64 {
        self.gaps.iter().find(|it| it.day == day).map_or(0, |gap| gap.seconds)
    }

    /// Whether it is one that this module can have made.
    pub(super) fn is_sound(&self) -> bool {
        let in_order = |(left, right): (&Gap, &Gap)| left.day < right.day;
        self.begun <= self.latest
            && self.gaps.len() <= MAX_GAPS
            && self.gaps.iter().zip(self.gaps.iter().skip(1)).all(in_order)
            && self.gaps.iter().all(|gap| gap.seconds <= DAY_SECONDS.unsigned_abs())
    }

    /// Nobody watched from one second to another; of long ago, only what is still asked for.
    fn miss(&mut self, from: i64, to: i64, boundary: DayBoundary) {
        let last = boundary.day_of(to);
        let first = boundary.day_of(from).max(last.saturating_sub(MAX_GAPS as i64 - 1));
        for day in first..=last {
            let begin = boundary.begin_of(day);
            let missed = to.min(begin.saturating_add(DAY_SECONDS)) - from.max(begin);
            self.add(day, u64::try_from(missed).unwrap_or(0), 0);
        }
    }

    /// This is missing of a day too.
    fn add(&mut self, day: i64, seconds: u64, calls: u64) {
        let known = self.gaps.binary_search_by_key(&day, |gap| gap.day);
        if let Err(place) = known {
            self.gaps.insert(place, Gap { day, ..Gap::default() });
        }
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.day == day) {
            gap.seconds = gap.seconds.saturating_add(seconds).min(DAY_SECONDS.unsigned_abs());
            gap.calls = gap.calls.saturating_add(calls);
        }
        while self.gaps.len() > MAX_GAPS {
            self.gaps.pop_front();
        }
    }
}

/// Today and the seven days before.
const MAX_GAPS: usize = 8;
/// A restart and an update take less; of a day it is less than a thousandth.
const MAX_MISSED_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    const UTC: DayBoundary = DayBoundary::Utc;

    fn watch(from: i64, to: i64) -> Watch {
        let mut watch = Watch::default();
        watch.through(from, UTC);
        watch.through(to, UTC);
        watch
    }

    #[test]
    fn the_day_of_the_beginning_is_not_whole_unless_it_began_with_it() {
        let begun = watch(DAY_SECONDS + 1, 4 * DAY_SECONDS);
        assert_eq!([1, 2, 3, 0].map(|day| begun.is_whole(day, UTC)), [false, true, true, false]);
        assert!(watch(DAY_SECONDS, DAY_SECONDS + 5).is_whole(1, UTC));
        assert!(!Watch::default().is_whole(0, UTC));
    }

    #[test]
    fn what_passes_between_two_processes_is_missing() {
        let mut again = watch(0, DAY_SECONDS * 2 - 100).resumed();
        again.through(DAY_SECONDS * 2 - 200, UTC);
        again.through(DAY_SECONDS * 4 + 30, UTC);
        again.through(DAY_SECONDS * 5, UTC);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|day| again.missed_seconds(day)),
            [0, 100, 86_400, 86_400, 30]
        );
        let whole = [0, 1, 2, 3, 4].map(|day| again.is_whole(day, UTC));
        assert_eq!(whole, [true, false, false, false, true]);
        assert!(again.is_sound());
        again = again.resumed();
        again.through(DAY_SECONDS * 400, UTC);
        assert!(again.is_sound() && again.missed_seconds(399) == 86_400);
    }

    #[test]
    fn a_day_with_a_call_that_was_given_up_is_not_whole() {
        let mut lossy = watch(0, DAY_SECONDS + 7);
        lossy.lose(1, UTC);
        lossy.through(DAY_SECONDS * 2, UTC);
        assert_eq!([0, 1, 2].map(|day| lossy.is_whole(day, UTC)), [true, false, true]);
        assert_eq!(lossy.missed_seconds(1), 0);
    }
}
