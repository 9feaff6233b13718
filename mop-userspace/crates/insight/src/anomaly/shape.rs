//! Whether the last values make a shape that this series seldom had.
//!
//! A value is one of nine heights around the level, a shape is three values in a row. Each shape has
//! a count; the novelty of a value is one over one more than the count of its shape, until that is
//! familiar. What is judged
//! is the mean novelty of the last values against that of the long run.

use serde::{Deserialize, Serialize};

use super::{bits, tail::Tail};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// The heights of the last values, in base [`HEIGHTS`].
    recent: usize,
    #[serde(with = "bits::counts")]
    counts: [u8; SHAPES],
    #[serde(with = "bits")]
    short: f64,
    #[serde(with = "bits")]
    long: f64,
    tail: Tail,
}

impl Shape {
    pub(super) const NEW: Self =
        Self { recent: 0, counts: [0; SHAPES], short: 0.0, long: 0.0, tail: Tail::NEW };

    /// How surprising the shape is that ends with a value, in votes. `units` is how far it is from
    /// the level in units of the scale; `seen` are the values before it.
    pub(super) fn surprise(&mut self, units: f64, seen: u64) -> f64 {
        let most = (HEIGHTS / 2) as f64;
        let height = (units.round().clamp(-most, most) + most) as usize;
        self.recent = (self.recent % SHAPES * HEIGHTS + height) % SHAPES;
        let Some(count) = self.counts.get_mut(self.recent) else { return 0.0 };
        let novelty = if *count < FAMILIAR { 1.0 / (1.0 + f64::from(*count)) } else { 0.0 };
        *count = count.saturating_add(1);
        if seen < LEARNING {
            return 0.0;
        }
        self.short += (novelty - self.short) / SHORT_VALUES;
        self.long += (novelty - self.long) / LONG_VALUES.min((seen - LEARNING) as f64 + 1.0);
        self.tail.surprise(self.short / (self.long + LEAST))
    }
}

/// Heights of a value: one scale each, around the level.
const HEIGHTS: usize = 9;
/// Shapes of three values: 729 bytes.
const SHAPES: usize = HEIGHTS * HEIGHTS * HEIGHTS;
/// Values of the two means.
const SHORT_VALUES: f64 = 40.0;
const LONG_VALUES: f64 = 1000.0;
/// Until there were so many values, every shape is new.
const LEARNING: u64 = 100;
/// A shape that was seen so often is not new at all.
const FAMILIAR: u8 = 32;
/// Novelty in the long run of a series that always has the same shapes.
const LEAST: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_in_another_order_are_a_new_shape() {
        let mut shape = Shape::NEW;
        for at in 0..3000_u64 {
            assert!(at < 200 || shape.surprise((at % 4) as f64, at) < 0.5);
        }
        let surprise = (3000..3020).map(|at| shape.surprise(((at * at) % 5) as f64, at));
        assert!(surprise.fold(0.0, f64::max) > 0.5);
    }
}
