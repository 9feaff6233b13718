//! How rare a statistic of a series is, in this series.
//!
//! [`Tail`] follows a high quantile of a statistic that is not negative, in the logarithm, by
//! stochastic approximation (Robbins and Monro, 1951), and the mean excess over it, which is Hill's
//! estimator (1975) of a Pareto tail. So the surprise of a value means the same in a series of light
//! and in one of heavy tail: it is the logarithm of one over the chance of such a value.

use serde::{Deserialize, Serialize};

use super::bits;

/// The upper tail of a statistic. 32 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// The quantile.
    #[serde(with = "bits")]
    quantile: f64,
    /// Mean of the excess of the logarithm over it: the reciprocal of the Pareto exponent.
    #[serde(with = "bits")]
    excess: f64,
    /// Values seen.
    seen: u64,
    /// Values seen above the quantile.
    above: u64,
}

impl Tail {
    pub(super) const NEW: Self = Self { quantile: 0.0, excess: PRIOR_EXCESS, seen: 0, above: 0 };

    /// The surprise of a value, in votes: nothing below the quantile, about one at it, and more
    /// beyond. Then learns the value.
    pub(super) fn surprise(&mut self, statistic: f64) -> f64 {
        let statistic = statistic + FLOOR;
        self.seen = self.seen.saturating_add(1);
        if self.seen <= FIRST {
            self.quantile = self.quantile.max(statistic);
            return 0.0;
        }
        let step = if self.seen < STEADY {
            (FIRST as f64 / self.seen as f64).min(MOST_STEP)
        } else {
            LEAST_STEP
        };
        // The logarithm is taken of the few values that need it.
        if statistic <= self.quantile {
            self.quantile *= 1.0 - step * RARE;
            return 0.0;
        }
        let beyond = (statistic / self.quantile).ln();
        let surprise = self.surprise_beyond(beyond);
        let step = step * (1.0 - RARE);
        self.quantile *= step.exp();
        self.above = self.above.saturating_add(1);
        // Not `clamp`, which panics when a damaged state has a negative excess.
        let excess = (beyond - step).max(0.0).min(MOST_EXCESS * self.excess);
        let weight = 1.0 / (self.above as f64 + PRIOR_WEIGHT).min(MOST_WEIGHT);
        self.excess += weight * (excess - self.excess);
        surprise / VOTE
    }

    fn surprise_beyond(&self, beyond: f64) -> f64 {
        if beyond <= LEAST_BEYOND {
            return 0.0;
        }
        let surprise = VOTE + beyond / self.excess.max(LEAST_EXCESS);
        // A history of n values says little about chances below one in n.
        let known = ((self.seen - 1) as f64).ln();
        surprise.min(known + BEYOND_HISTORY * (surprise - known))
    }
}

/// The chance at which a value begins to count. Values between 0.0001 and 0.001 score alike on every
/// labelled series that was tried.
const RARE: f64 = 0.0003;
/// Surprise of a value at the quantile: the logarithm of one over [`RARE`].
const VOTE: f64 = 8.1;
/// Values from which the quantile begins: their greatest.
const FIRST: u64 = 20;
/// Steps of the quantile, as part of the statistic: wide at first, so that it is found; never
/// nothing, so that it follows.
const LEAST_STEP: f64 = 0.02;
/// Values from which steps are the least.
const STEADY: u64 = 1000;
const MOST_STEP: f64 = 0.5;
/// Added to a statistic, whose logarithm is wanted.
const FLOOR: f64 = 1e-12;
/// What the mean excess is before any was seen, and how many values that weighs.
const PRIOR_EXCESS: f64 = 0.3;
const PRIOR_WEIGHT: f64 = 10.0;
/// The excess follows the last values beyond the quantile, no fewer than these.
const MOST_WEIGHT: f64 = 100.0;
/// An excess of more than these means is cut, so that an incident does not become the norm.
const MOST_EXCESS: f64 = 6.0;
/// The quantile of a statistic that never changes sinks a little below it: no surprise.
const LEAST_BEYOND: f64 = 0.001;
/// Tails lighter than this are not believed.
const LEAST_EXCESS: f64 = 0.05;
/// What part of a surprise counts that is beyond what the history can know.
const BEYOND_HISTORY: f64 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_about_where_it_should_be() {
        // Uniform numbers: about RARE of them must have a surprise.
        let (mut tail, mut state) = (Tail::NEW, 7_u64);
        let mut surprising = 0;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            surprising += u32::from(tail.surprise((state >> 40) as f64) > 0.0);
        }
        assert!((20..400).contains(&surprising), "{surprising}");
    }

    #[test]
    fn farther_is_more_surprising_and_the_ordinary_is_not() {
        let mut tail = Tail::NEW;
        for at in 0..2000 {
            tail.surprise(f64::from(at % 10));
        }
        let (far, near) = (tail.clone().surprise(1e6), tail.clone().surprise(20.0));
        assert!(far > near && near > 0.5, "{far} {near}");
        assert!(tail.surprise(5.0) == 0.0);
    }
}
