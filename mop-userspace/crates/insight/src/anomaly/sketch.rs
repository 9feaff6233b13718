//! Quantiles of latencies: DDSketch (Masson, Rim and Lee, VLDB 2019).
//!
//! Values are counted in bins whose bounds grow by a factor, so that every quantile is right within
//! 1 %. Sketches of several windows or nodes add up to the very sketch of all their values. When
//! the values span more than the bins hold, the lowest bins become one.

use serde::{Deserialize, Serialize};

/// A sketch of values that are not negative. Heap: 8 bytes for each bin between the least and the
/// greatest, at most [`MAX_BINS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Sketch {
    /// Number of the first bin.
    first: i32,
    bins: Vec<u64>,
    /// Values below [`LEAST`].
    zeros: u64,
    count: u64,
}

/// A sketch as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Parts {
    first: i32,
    bins: Vec<u64>,
    zeros: u64,
}

/// Why a written sketch is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sketch has at most {MAX_BINS} bins of latencies, with a sum that can be counted")]
pub struct SketchError;

impl Sketch {
    /// Counts a value. What is no number is not counted.
    pub fn add(&mut self, value: f64) {
        self.add_times(value, 1);
    }

    /// Counts a value several times.
    pub fn add_times(&mut self, value: f64, times: u64) {
        if value.is_nan() || times == 0 {
            return;
        }
        self.count = self.count.saturating_add(times);
        if value < LEAST {
            self.zeros = self.zeros.saturating_add(times);
        } else {
            self.add_to_bin(bin(value.min(GREATEST)), times);
        }
    }

    /// Adds the values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.zeros = self.zeros.saturating_add(other.zeros);
        // From the greatest: what is collapsed is collapsed once.
        for (place, times) in other.bins.iter().enumerate().rev() {
            if *times > 0 {
                self.add_to_bin(other.first + place as i32, *times);
            }
        }
    }

    /// Values counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value that so large a part of all is not above, from 0 to 1; nothing when there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = (part.clamp(0.0, 1.0) * (self.count - 1) as f64) as u64;
        let mut below = self.zeros;
        if rank < below {
            return Some(0.0);
        }
        let mut last = None;
        for (number, times) in (self.first..).zip(&self.bins) {
            if *times > 0 {
                last = Some(number);
                below = below.saturating_add(*times);
                if rank < below {
                    break;
                }
            }
        }
        last.map(middle)
    }

    fn add_to_bin(&mut self, number: i32, times: u64) {
        if self.bins.is_empty() {
            self.first = number;
        }
        let end = self.first + self.bins.len() as i32;
        if number >= end {
            self.bins.resize(self.bins.len() + (number - end + 1) as usize, 0);
            self.collapse();
        } else if number < self.first {
            // The lowest bin takes what does not fit below it.
            let room = MAX_BINS.saturating_sub(self.bins.len());
            let wanted = (self.first - number) as usize;
            let new = wanted.min(room);
            self.bins.splice(0..0, std::iter::repeat_n(0, new));
            self.first -= new as i32;
        }
        let place = (number - self.first).max(0) as usize;
        if let Some(bin) = self.bins.get_mut(place) {
            *bin = bin.saturating_add(times);
        }
    }

    /// Makes the lowest bins one, when there are too many.
    fn collapse(&mut self) {
        let excess = self.bins.len().saturating_sub(MAX_BINS);
        if excess == 0 {
            return;
        }
        let lost: u64 = self.bins.drain(..excess).fold(0, u64::saturating_add);
        self.first += excess as i32;
        if let Some(lowest) = self.bins.first_mut() {
            *lowest = lowest.saturating_add(lost);
        }
    }
}

impl TryFrom<Parts> for Sketch {
    type Error = SketchError;

    fn try_from(parts: Parts) -> Result<Self, SketchError> {
        let Parts { first, bins, zeros } = parts;
        let sum = bins.iter().try_fold(zeros, |sum, times| sum.checked_add(*times));
        let last = i64::from(first) + bins.len() as i64;
        let in_bounds =
            bins.is_empty() || (first >= bin(LEAST) - 1 && last <= i64::from(bin(GREATEST)) + 1);
        match sum {
            Some(count) if in_bounds && bins.len() <= MAX_BINS => {
                Ok(Self { first, bins, zeros, count })
            }
            _ => Err(SketchError),
        }
    }
}

impl From<Sketch> for Parts {
    fn from(sketch: Sketch) -> Self {
        let Sketch { first, bins, zeros, .. } = sketch;
        Self { first, bins, zeros }
    }
}

/// The bin of a value: bounds are powers of [`FACTOR`].
fn bin(value: f64) -> i32 {
    (value.ln() / FACTOR.ln()).ceil() as i32
}

/// The value of a bin that is within [`ACCURACY`] of all its values.
fn middle(number: i32) -> f64 {
    2.0 * FACTOR.powi(number) / (FACTOR + 1.0)
}

/// Relative error of quantiles.
pub const ACCURACY: f64 = 0.01;
const FACTOR: f64 = (1.0 + ACCURACY) / (1.0 - ACCURACY);
/// Bins of a sketch: from a microsecond to a quarter of an hour without collapse, in 8 KiB.
pub const MAX_BINS: usize = 1024;
/// Seconds: values below are counted as zero, values above as this.
const LEAST: f64 = 1e-9;
const GREATEST: f64 = 1e9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    proptest! {
        #[test]
        fn quantiles_are_right_within_the_accuracy(
            values in prop::collection::vec(1e-4..1e3, 1..300), part in 0.0..=1.0,
        ) {
            let sketch = sketch(&values);
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let exact = sorted[(part * (values.len() - 1) as f64) as usize];
            let found = sketch.quantile(part).unwrap();
            prop_assert!((found - exact).abs() <= exact * ACCURACY * 1.0001, "{found} {exact}");
        }

        #[test]
        fn sketches_add_up_and_come_back(
            one in prop::collection::vec(1e-10..1e10, 0..100),
            other in prop::collection::vec(1e-3..10.0, 0..100),
        ) {
            let mut merged = sketch(&one);
            merged.merge(&sketch(&other));
            let whole = sketch(&[one, other].concat());
            prop_assert!(merged.bins.len() <= MAX_BINS);
            prop_assert_eq!(merged.count(), whole.count());
            for part in [0.5, 0.95, 1.0] {
                prop_assert_eq!(merged.quantile(part), whole.quantile(part));
            }
            let written = serde_json::to_string(&merged).unwrap();
            prop_assert_eq!(serde_json::from_str::<Sketch>(&written).unwrap(), merged);
        }
    }

    #[test]
    fn what_is_collapsed_is_the_low_end() {
        let sketch = sketch(&[1e-9, 1e-8, 1.0, 2.0, 1e9, f64::INFINITY, f64::NAN, -1.0]);
        assert_eq!((sketch.count(), sketch.bins.len() <= MAX_BINS), (7, true));
        assert!(sketch.quantile(1.0).unwrap() > 0.98e9);
        assert_eq!(sketch.quantile(0.0), Some(0.0));
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn a_written_sketch_is_checked() {
        for bad in [
            r#"{"first":2000000000,"bins":[1],"zeros":0}"#,
            r#"{"first":-2147483648,"bins":[1],"zeros":0}"#,
            r#"{"first":0,"bins":[18446744073709551615,1],"zeros":0}"#,
        ] {
            assert!(serde_json::from_str::<Sketch>(bad).is_err(), "{bad}");
        }
    }
}
