//! Whether one moment was after another, without trust in the clock of the day.

use serde::{Deserialize, Serialize};

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// Seconds since 1970.
    pub(super) wall_s: i64,
    /// `CLOCK_MONOTONIC`; gone after a restart, since the machine may have started anew.
    #[serde(skip)]
    pub(super) kernel_ns: Option<u64>,
}

impl Moment {
    /// Whether it certainly lies more than so many seconds after another one. The kernel's clock
    /// says it exactly; by the clock of the day, a leeway is added.
    pub(super) fn is_after(self, other: Self, seconds: i64, leeway_s: i64) -> bool {
        if let (Some(this), Some(other)) = (self.kernel_ns, other.kernel_ns) {
            let elapsed = i128::from(this) - i128::from(other);
            return elapsed > i128::from(seconds) * NANOSECONDS;
        }
        let elapsed = self.wall_s.saturating_sub(other.wall_s);
        elapsed > seconds.saturating_add(leeway_s)
    }

    /// Whether it lies within so many seconds of another one, by the clock of the day.
    pub(super) fn is_near(self, other: Self, seconds: i64) -> bool {
        self.wall_s.abs_diff(other.wall_s) <= seconds.unsigned_abs()
    }
}

/// Clocks of machines of the ecosystem differ by seconds; a minute is what the profile's own
/// checks of tokens commonly allow.
pub const LEEWAY_SECONDS: i64 = 60;

const NANOSECONDS: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_clock_decides_where_it_is_known() {
        let at = |wall_s, kernel_ns| Moment { wall_s, kernel_ns };
        assert!(at(0, Some(2)).is_after(at(9_000, Some(1)), 0, 60));
        assert!(!at(9_000, Some(1)).is_after(at(0, Some(1)), 0, 60));
        assert!(!at(60, None).is_after(at(0, Some(1)), 0, 60));
        assert!(at(61, None).is_after(at(0, None), 0, 60));
        assert!(!at(i64::MIN, None).is_after(at(i64::MAX, None), i64::MAX, i64::MAX));
    }
}
