//! A shift of the level, by cumulated sums (Page, 1954), in both directions.

use serde::{Deserialize, Serialize};

use super::{bits, tail::Tail};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shift {
    #[serde(with = "bits")]
    up: f64,
    #[serde(with = "bits")]
    down: f64,
    tail: Tail,
}

impl Shift {
    pub(super) const NEW: Self = Self { up: 0.0, down: 0.0, tail: Tail::NEW };

    /// How surprising the greater sum is, in votes, and whether it is the one upwards. `units` is the
    /// residual in units of its scale.
    pub(super) fn surprise(&mut self, units: f64) -> (f64, bool) {
        self.up = (self.up + units - ALLOWANCE).max(0.0);
        self.down = (self.down - units - ALLOWANCE).max(0.0);
        (self.tail.surprise(self.up.max(self.down) + LEAST_SUM), self.up >= self.down)
    }
}

/// What a value may be away without adding to the sum, in mean absolute residuals: half of the
/// shift that is to be found soonest, of two of them.
const ALLOWANCE: f64 = 1.0;
/// Sums below this are none.
const LEAST_SUM: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_grow_with_a_shift_and_say_its_direction() {
        let mut shift = Shift::NEW;
        for at in 0..2000 {
            shift.surprise(f64::from(at % 5) - 2.0);
        }
        let mut seen = (0.0_f64, true);
        for at in 0..20 {
            let surprise = shift.surprise(f64::from(at % 5) - 4.0);
            if surprise.0 > seen.0 {
                seen = surprise;
            }
        }
        assert!(seen.0 > 0.5 && !seen.1, "{seen:?}");
    }
}
