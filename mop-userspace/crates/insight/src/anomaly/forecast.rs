//! When something will run out: a disk, a queue, a certificate.

use serde::{Deserialize, Serialize};

use super::bits;

/// The trend of something that fills up: a line through the last values, by least squares in which
/// older values weigh less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FillForecast {
    /// Time of the last value.
    last: i64,
    /// Sums over all values, of their weight and of times relative to the last one.
    #[serde(with = "bits")]
    weight: f64,
    #[serde(with = "bits")]
    times: f64,
    #[serde(with = "bits")]
    squares: f64,
    #[serde(with = "bits")]
    values: f64,
    #[serde(with = "bits")]
    products: f64,
    /// Values so far.
    seen: u64,
}

impl FillForecast {
    /// Takes how much is used at a time, in seconds since 1970. What is not later than the last value
    /// or no number is passed over.
    pub fn observe(&mut self, time: i64, used: f64) {
        if !used.is_finite() || (self.seen > 0 && time <= self.last) {
            return;
        }
        if self.seen > 0 {
            let passed = time.saturating_sub(self.last) as f64;
            // All times move into the past before they fade.
            self.squares += passed * passed * self.weight - 2.0 * passed * self.times;
            self.products -= passed * self.values;
            self.times -= passed * self.weight;
            let kept = (-passed / MEMORY_SECONDS).exp();
            for sum in [
                &mut self.weight,
                &mut self.times,
                &mut self.squares,
                &mut self.values,
                &mut self.products,
            ] {
                *sum *= kept;
            }
        }
        self.last = time;
        self.weight += 1.0;
        self.values += used;
        self.seen = self.seen.saturating_add(1);
    }

    /// How much is used more in a second; nothing while that cannot be said.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        let spread = self.weight * self.squares - self.times * self.times;
        if self.seen < LEAST_VALUES || spread <= 0.0 {
            return None;
        }
        let slope = (self.weight * self.products - self.times * self.values) / spread;
        slope.is_finite().then_some(slope)
    }

    /// Seconds from the last value until all is used; nothing when it does not fill, or not within
    /// a year.
    #[must_use]
    pub fn seconds_until(&self, capacity: f64) -> Option<f64> {
        let slope = self.slope()?;
        let now = (self.values - slope * self.times) / self.weight;
        if now >= capacity {
            return Some(0.0);
        }
        let seconds = (capacity - now) / slope;
        (slope > 0.0 && seconds <= FARTHEST_SECONDS).then_some(seconds)
    }
}

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// More than a month.
    Far,
    /// Within 30 days: order a new one.
    Month,
    /// Within a week.
    Week,
    /// Within a day.
    Day,
    /// It is over.
    Expired,
}

impl Expiry {
    /// How near the end is; both times are in seconds since 1970.
    #[must_use]
    pub fn of(not_after: i64, now: i64) -> Self {
        let left = not_after.saturating_sub(now);
        if left < 0 {
            Self::Expired
        } else if left <= DAY {
            Self::Day
        } else if left <= WEEK {
            Self::Week
        } else if left <= MONTH {
            Self::Month
        } else {
            Self::Far
        }
    }
}

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const MONTH: i64 = 30 * DAY;
/// Values fade to a third in six hours: a backup of the night is not the trend of the day.
const MEMORY_SECONDS: f64 = 6.0 * 3600.0;
/// A line through fewer is none.
const LEAST_VALUES: u64 = 10;
/// Farther is not worth a word.
const FARTHEST_SECONDS: f64 = 365.0 * DAY as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_when_it_is_said_to_be() {
        let mut disk = FillForecast::default();
        for minute in 0..600_i64 {
            let noise = (minute * 7919 % 11) as f64 - 5.0;
            disk.observe(1_400_000_000 + minute * 60, 1000.0 + minute as f64 * 6.0 + noise);
        }
        // 0.1 a second; 4594 used at the last minute.
        assert!((disk.slope().unwrap() - 0.1).abs() < 1e-3);
        let seconds = disk.seconds_until(10_000.0).unwrap();
        assert!((seconds - 54_060.0).abs() < 600.0, "{seconds}");
        assert_eq!(disk.seconds_until(100.0), Some(0.0));
    }

    #[test]
    fn what_does_not_fill_has_no_end() {
        let mut disk = FillForecast::default();
        assert_eq!(disk.seconds_until(10.0), None);
        for minute in 0..100_i64 {
            disk.observe(minute * 60, 500.0 - minute as f64);
        }
        assert_eq!(disk.seconds_until(1000.0), None);
        let before = disk.clone();
        disk.observe(5, 1.0);
        disk.observe(1_000_000, f64::NAN);
        assert_eq!(disk, before);
        disk.observe(i64::MAX, 1.0);
        assert_eq!(disk.seconds_until(1000.0), None);
    }

    #[test]
    fn certificates_come_near_their_end() {
        let now = 1_400_000_000;
        for (seconds, expiry) in [
            (-1, Expiry::Expired),
            (0, Expiry::Day),
            (DAY + 1, Expiry::Week),
            (WEEK + 1, Expiry::Month),
            (MONTH + 1, Expiry::Far),
        ] {
            assert_eq!(Expiry::of(now + seconds, now), expiry);
        }
        assert_eq!(Expiry::of(i64::MIN, i64::MAX), Expiry::Expired);
        assert!(Expiry::Expired > Expiry::Day);
    }
}
