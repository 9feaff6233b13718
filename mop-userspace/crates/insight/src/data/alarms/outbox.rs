//! When the outbox is full: then records are dropped to make room.

use serde::{Deserialize, Serialize};

use super::{Severity, incidents::Finding, objectives::words};
use crate::anomaly::forecast::FillForecast;

/// How full the outbox is, and how fast it fills.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutboxFill {
    forecast: FillForecast,
    used: u64,
    limit: u64,
    /// Samples in a row by which it is full soon.
    pressing: u8,
}

impl OutboxFill {
    /// Takes how many bytes of how many are used at a time, in seconds since 1970.
    pub(super) fn sample(&mut self, time: i64, used: u64, limit: u64) {
        (self.used, self.limit) = (used, limit);
        self.forecast.observe(time, used as f64);
        let is_pressing = self.seconds_left().is_some_and(|left| left <= SOON);
        self.pressing = if is_pressing { self.pressing.saturating_add(1) } else { 0 };
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        if self.pressing < PRESSING_SAMPLES {
            return None;
        }
        let left = self.seconds_left()?;
        let (severity, degree) =
            if left <= VERY_SOON { (Severity::Page, 2) } else { (Severity::Ticket, 1) };
        let percent = self.used.saturating_mul(100) / self.limit.max(1);
        Some(Finding {
            severity,
            degree,
            score: 1.0 - left as f64 / (2 * SOON) as f64,
            expected: SOON as f64,
            seen: left as f64,
            reason: format!(
                "the outbox is {percent} % full, and full in {} if it goes on like that: look at \
                 what its sinks wait for, or raise outbox.max_mib",
                words(left)
            ),
        })
    }

    /// Nothing while it is far from full: a new outbox fills fast and means nothing.
    fn seconds_left(&self) -> Option<i64> {
        let is_far = self.used < self.limit / FAR_PART;
        if self.limit == 0 || is_far {
            return None;
        }
        self.forecast.seconds_until(self.limit as f64).map(|seconds| seconds as i64)
    }
}

/// Below a quarter nothing is said.
const FAR_PART: u64 = 4;
/// A trend of so many minutes is one.
const PRESSING_SAMPLES: u8 = 5;
const SOON: i64 = 24 * 3600;
/// Nobody may be there before.
const VERY_SOON: i64 = 4 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outbox_that_fills_is_told_in_time_and_one_that_is_emptied_is_not() {
        let mut fill = OutboxFill::default();
        let mut told = None;
        for minute in 0..600_i64 {
            fill.sample(minute * 60, 1_000_000 * minute.unsigned_abs(), 1_000_000_000);
            if let Some(finding) = fill.finding() {
                told.get_or_insert((minute, finding.severity, finding.seen));
            }
        }
        let (minute, severity, seen) = told.unwrap();
        assert!((250..260).contains(&minute), "{minute}");
        assert_eq!(severity, Severity::Ticket);
        assert!((seen - (1000 - minute) as f64 * 60.0).abs() < 120.0, "{seen}");
        let mut emptied = OutboxFill::default();
        for minute in 0..600_i64 {
            let used = 400_000_000 + 16_000_000 * (minute % 7).unsigned_abs();
            emptied.sample(minute * 60, used, 1_000_000_000);
            assert!(minute < 60 || emptied.finding().is_none(), "{minute}");
        }
    }

    #[test]
    fn an_outbox_without_a_limit_is_never_full() {
        let mut fill = OutboxFill::default();
        for minute in 0..100 {
            fill.sample(minute * 60, u64::MAX, 0);
        }
        assert_eq!(fill.finding(), None);
    }
}
