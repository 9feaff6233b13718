//! What was judged, in numbers that add up.

use mop_contract::Judgement;
use serde::Serialize;

use super::inspector::Outcome;

/// What was judged.
///
/// `judged = conforming + violating + unjudged + unrouted + hops + lost`, once nothing waits any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InspectorCounts {
    pub(crate) conforming: u64,
    pub(crate) violating: u64,
    pub(crate) unjudged: u64,
    /// Calls below the regulated prefix that no contract has.
    pub(crate) unrouted: u64,
    /// Sightings that were judged.
    pub(crate) judged: u64,
    /// Of these, further sightings of calls.
    pub(crate) hops: u64,
    /// Of these, with something wrong that was not wrong at the edge.
    pub(crate) differing_hops: u64,
    /// Of the hops, those that could not be told with their call.
    pub(crate) lone_hops: u64,
    /// Calls that turned out to be hops when they had been reported.
    pub(crate) apart: u64,
    /// Calls that were reported before their time, since there was no room to wait.
    pub(crate) hurried: u64,
    /// Judged sightings that a panic cost.
    pub(crate) lost: u64,
}

impl InspectorCounts {
    /// Names of the verdicts, in the order of [`Self::verdicts`].
    pub(crate) const VERDICTS: [&'static str; 4] =
        ["conforming", "violating", "unjudged", "unrouted"];

    /// How many numbers there are.
    pub(crate) const NUMBERS: usize = 11;

    /// Counts a call.
    pub(super) fn call(&mut self, judgement: &Judgement, outcome: Outcome) {
        *match (judgement.operation, outcome) {
            (Err(_), _) => &mut self.unrouted,
            (Ok(_), Outcome::Conforming) => &mut self.conforming,
            (Ok(_), Outcome::Violating) => &mut self.violating,
            (Ok(_), Outcome::Unjudged) => &mut self.unjudged,
        } += 1;
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        let sums = self.numbers_mut();
        for (sum, number) in sums.into_iter().zip(other.numbers()) {
            *sum += number;
        }
    }

    /// Calls by verdict.
    pub(crate) fn verdicts(&self) -> [u64; Self::VERDICTS.len()] {
        [self.conforming, self.violating, self.unjudged, self.unrouted]
    }

    /// All numbers, in the order of [`Self::of`].
    pub(crate) fn numbers(mut self) -> [u64; Self::NUMBERS] {
        self.numbers_mut().map(|number| *number)
    }

    /// From its numbers.
    pub(crate) fn of(numbers: [u64; Self::NUMBERS]) -> Self {
        let mut counts = Self::default();
        for (place, number) in counts.numbers_mut().into_iter().zip(numbers) {
            *place = number;
        }
        counts
    }

    fn numbers_mut(&mut self) -> [&mut u64; Self::NUMBERS] {
        let Self {
            conforming,
            violating,
            unjudged,
            unrouted,
            judged,
            hops,
            differing_hops,
            lone_hops,
            apart,
            hurried,
            lost,
        } = self;
        [
            conforming,
            violating,
            unjudged,
            unrouted,
            judged,
            hops,
            differing_hops,
            lone_hops,
            apart,
            hurried,
            lost,
        ]
    }
}
