//! The range of all values so far, and whether a value leaves it.

use serde::{Deserialize, Serialize};

use super::bits;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Extent {
    #[serde(with = "bits")]
    least: f64,
    #[serde(with = "bits")]
    most: f64,
}

impl Extent {
    pub(super) fn of(value: f64) -> Self {
        Self { least: value, most: value }
    }

    pub(super) fn width(&self) -> f64 {
        self.most - self.least
    }

    /// The end that a value is clearly beyond.
    pub(super) fn left_by(&self, value: f64) -> Option<f64> {
        let margin = MARGIN * self.width();
        if value > self.most + margin {
            Some(self.most)
        } else {
            (value < self.least - margin).then_some(self.least)
        }
    }

    pub(super) fn learn(&mut self, value: f64) {
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }
}

/// A value is beyond the range by more than this part of it, as in the detector that the authors of
/// the Numenta Anomaly Benchmark run ("spatial tolerance").
const MARGIN: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_leaves_the_range_by_more_than_a_margin() {
        let mut extent = Extent::of(10.0);
        extent.learn(20.0);
        assert_eq!(extent.left_by(20.4), None);
        assert_eq!(extent.left_by(20.6), Some(20.0));
        assert_eq!(extent.left_by(9.4), Some(10.0));
    }
}
