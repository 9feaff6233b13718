//! Durations in buckets that grow with them: a percentile of any number of calls in little memory.
//!
//! Each power of two of microseconds is cut into 16 buckets of equal width, so a bucket is
//! at most 1/16 of its lower bound wide. What is told is the middle of a bucket: the relative error
//! is at most 1/32 (3.2 %), for durations of 64 us to 134 s; shorter and longer ones are counted
//! at these bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of durations. Empty ones take no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    /// Bucket and count. A day has few different ones: fewer than [`BUCKETS`] in any case.
    counts: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, microseconds: u64) {
        let count = self.counts.entry(bucket(microseconds)).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds all counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.counts {
            let mine = self.counts.entry(*bucket).or_default();
            *mine = mine.saturating_add(*count);
        }
    }

    /// Number of durations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration in microseconds below or at which this many of a hundred are; none when empty.
    #[must_use]
    pub fn percentile(&self, of_hundred: u32) -> Option<u64> {
        let total = u128::from(self.total());
        let rank = (total * u128::from(of_hundred)).div_ceil(100).max(1);
        let mut before = 0_u128;
        for (bucket, count) in &self.counts {
            before += u128::from(*count);
            if before >= rank {
                return Some(middle(*bucket));
            }
        }
        None
    }

    /// Whether it is one that this module can have made.
    pub(super) fn is_sound(&self) -> bool {
        self.counts.keys().all(|bucket| *bucket < BUCKETS)
    }
}

fn bucket(microseconds: u64) -> u16 {
    let value = microseconds.clamp(SHORTEST, LONGEST);
    let octave = value.ilog2();
    let part = (value - (1 << octave)) >> (octave - PARTS.ilog2());
    // Both are small by the clamp: an octave of at most 26, a part below 16.
    u16::try_from(u64::from(octave - SHORTEST.ilog2()) * u64::from(PARTS) + part).unwrap_or(0)
}

fn middle(bucket: u16) -> u64 {
    let octave = SHORTEST.ilog2() + u32::from(bucket) / PARTS;
    let width = 1_u64 << (octave - PARTS.ilog2()).min(63);
    (1_u64 << octave.min(63)) + u64::from(u32::from(bucket) % PARTS) * width + width / 2
}

/// Buckets of one power of two.
const PARTS: u32 = 16;
/// 2^6 us.
const SHORTEST: u64 = 64;
/// 2^27 us, less one: 134 s, twice what any client waits.
const LONGEST: u64 = (1 << 27) - 1;
/// 21 powers of two.
const BUCKETS: u16 = 21 * 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_has_no_percentile_and_one_duration_is_every_percentile() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(95), None);
        histogram.add(1_000_000);
        assert_eq!(histogram.percentile(1), histogram.percentile(100));
    }

    #[test]
    fn bounds_are_kept() {
        for value in [0, 63, 64, LONGEST, LONGEST + 1, u64::MAX] {
            assert!(bucket(value) < BUCKETS, "{value}");
        }
        assert_eq!(bucket(LONGEST), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_the_error(
            mut values in prop::collection::vec(64..134_000_000_u64, 1..400),
            of_hundred in 1..=100_u32,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.add(*value));
            values.sort_unstable();
            let rank = (values.len() * of_hundred as usize).div_ceil(100);
            let exact = values[rank - 1] as f64;
            let told = histogram.percentile(of_hundred).unwrap() as f64;
            prop_assert!((told - exact).abs() / exact <= 1.0 / 32.0 + 1e-9, "{} for {}", told, exact);
        }
    }
}
