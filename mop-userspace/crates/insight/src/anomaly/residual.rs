//! What the residuals of one expectation say.

use serde::{Deserialize, Serialize};

use super::{bits, tail::Tail};

/// The residuals of one expectation: their scale, and four statistics with the tail of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Residuals {
    /// Mean absolute residual, of residuals cut at [`CUT`] times of it.
    #[serde(with = "bits")]
    scale: f64,
    /// Short mean of the cut residual in units of the scale.
    #[serde(with = "bits")]
    drift: f64,
    /// Longer mean of its absolute value.
    #[serde(with = "bits")]
    unrest: f64,
    above: Tail,
    below: Tail,
    drifting: Tail,
    restless: Tail,
}

/// What a statistic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    Above,
    Below,
    DriftingUp,
    DriftingDown,
    Restless,
}

/// Surprises of one residual.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surprise {
    /// All four together, in votes.
    pub(super) votes: f64,
    /// The greatest of them, and what it is of.
    pub(super) greatest: f64,
    pub(super) statistic: Statistic,
}

impl Residuals {
    pub(super) const NEW: Self = Self {
        scale: 0.0,
        drift: 0.0,
        unrest: 0.0,
        above: Tail::NEW,
        below: Tail::NEW,
        drifting: Tail::NEW,
        restless: Tail::NEW,
    };

    /// How surprising a residual is; learns it. `grain` is a difference that means nothing; `seen`
    /// are the values before this one.
    pub(super) fn surprise(&mut self, residual: f64, grain: f64, seen: u64) -> Surprise {
        let units = (residual / (self.scale + grain)).clamp(-CLIP, CLIP);
        self.drift += (units - self.drift) / DRIFT_VALUES;
        self.unrest += (units.abs() - self.unrest) / UNREST_VALUES;
        let base = GRAIN_PART * grain;
        let drifting =
            if self.drift >= 0.0 { Statistic::DriftingUp } else { Statistic::DriftingDown };
        let surprises = [
            (self.above.surprise(residual.max(0.0) + base), Statistic::Above),
            (self.below.surprise((-residual).max(0.0) + base), Statistic::Below),
            (self.drifting.surprise(self.drift.abs() + LEAST_UNITS), drifting),
            (self.restless.surprise(self.unrest + LEAST_UNITS), Statistic::Restless),
        ];
        let cut = if seen < SETTLING { f64::MAX } else { CUT * self.scale + grain };
        let weight = (1.0 / (seen as f64 + 1.0)).max(SCALE_WEIGHT);
        self.scale += weight * (residual.abs().min(cut) - self.scale);
        let mut whole = Surprise { votes: 0.0, greatest: 0.0, statistic: Statistic::Above };
        for (surprise, statistic) in surprises {
            whole.votes += surprise;
            if surprise > whole.greatest {
                whole.greatest = surprise;
                whole.statistic = statistic;
            }
        }
        whole
    }

    pub(super) fn scale(&self) -> f64 {
        self.scale
    }

    /// Short mean of the residual in units of the scale, within [`CLIP`].
    pub(super) fn drift(&self) -> f64 {
        self.drift
    }
}

/// A residual counts in means up to this many scales: a spike is not a drift.
pub(super) const CLIP: f64 = 3.0;
/// A residual counts in the scale up to this many scales: an attack does not become the norm.
const CUT: f64 = 5.0;
/// Values of the short mean: a few, so that a shift is seen soon.
const DRIFT_VALUES: f64 = 10.0;
/// Values of the longer mean.
const UNREST_VALUES: f64 = 40.0;
/// The last two hundred values weigh most in the scale.
const SCALE_WEIGHT: f64 = 0.005;
/// Until there were so many values, a scale is not trusted to cut.
const SETTLING: u64 = 20;
/// Part of the grain below which a residual is as good as none.
const GRAIN_PART: f64 = 0.1;
/// The same for means in units of the scale.
const LEAST_UNITS: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_a_drop_and_a_drift_are_told_apart() {
        let mut residuals = Residuals::NEW;
        for at in 0..3000_u64 {
            let noise = (at * 7919 % 101) as f64 / 50.0 - 1.0;
            residuals.surprise(noise, 1e-6, at);
        }
        let spike = residuals.clone().surprise(30.0, 1e-6, 3000);
        assert_eq!(spike.statistic, Statistic::Above);
        assert!(spike.votes >= 0.9);
        assert_eq!(residuals.clone().surprise(-30.0, 1e-6, 3000).statistic, Statistic::Below);
        let drifts = (0..20).any(|at| {
            let noise = (at * 7919 % 101) as f64 / 50.0;
            let surprise = residuals.surprise(noise, 1e-6, 3000 + at);
            surprise.greatest > 0.0 && surprise.statistic == Statistic::DriftingUp
        });
        assert!(drifts);
    }
}
