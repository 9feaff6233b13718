//! Numbers that follow from a seed, so that a plan of faults can be made again.

use std::time::Duration;

/// SplitMix64: small, and good enough to choose faults by.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another source that follows from this seed and a name for what it is used for.
    pub(crate) fn of(seed: u64, use_of_it: u64) -> Self {
        Self(Self(seed ^ use_of_it.rotate_left(32)).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit, which is at least one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // The bias is far below what a choice of faults could show.
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// From the first to below the second.
    pub(crate) fn ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from).max(1))
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them, by weight; there is at least one, and a weight above zero.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(T, usize)]) -> T {
        let sum = choices.iter().map(|(_, weight)| weight).sum();
        let mut left = self.below(sum);
        let found = choices.iter().find(|(_, weight)| {
            let is_here = left < *weight;
            left = left.saturating_sub(*weight);
            is_here
        });
        found.or(choices.last()).expect("invariant: a scenario has faults").0
    }
}
