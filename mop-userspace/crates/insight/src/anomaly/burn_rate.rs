//! How fast the error budget of a service level objective is spent: multi-window, multi-burn-rate
//! alerts as in Google's Site Reliability Workbook (2018), chapter 5, table 5-8.
//!
//! A burn rate of 1 spends the budget of 30 days in 30 days. An alert needs the rate in a long window,
//! so that it matters, and in a short one, so that it is still going on.

use serde::{Deserialize, Serialize};

use super::bits;

/// Calls that met an objective and calls that did not, by time, for the last three days. 2.7 KiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BurnRate {
    /// Part of the calls that must be good, such as 0.995.
    #[serde(with = "bits")]
    objective: f64,
    minutes: Ring<60>,
    tens: Ring<36>,
    hours: Ring<72>,
}

/// An objective is a part of all calls, and leaves some budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an objective is above 0 and below 1")]
pub struct ObjectiveError;

/// How fast an alert is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// In working hours.
    Ticket,
    /// Now.
    Page,
}

/// A budget that is spent too fast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BurnAlert {
    /// How fast it is to be looked at.
    pub urgency: Urgency,
    /// The rate at which the alert is given.
    pub limit: f64,
    /// Seconds of the long window, and the rate in it.
    pub long_seconds: i64,
    /// The rate in the long window.
    pub long_rate: f64,
    /// Seconds of the short window.
    pub short_seconds: i64,
    /// The rate in the short window.
    pub short_rate: f64,
    /// Part of the budget of 30 days that the long window spent.
    pub spent: f64,
}

/// Counts of the last `SLOTS` stretches of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Slot>", into = "Vec<Slot>")]
struct Ring<const SLOTS: usize> {
    slots: [Slot; SLOTS],
}

/// Counts of one stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    /// Number of the stretch since 1970.
    number: i64,
    bad: u32,
    all: u32,
}

impl BurnRate {
    /// # Errors
    ///
    /// When the objective is not above 0 and below 1.
    pub fn new(objective: f64) -> Result<Self, ObjectiveError> {
        if objective > 0.0 && objective < 1.0 {
            Ok(Self { objective, minutes: Ring::NEW, tens: Ring::NEW, hours: Ring::NEW })
        } else {
            Err(ObjectiveError)
        }
    }

    /// Counts calls; `time` is in seconds since 1970. What is older than a window is not counted in it.
    pub fn count(&mut self, time: i64, bad: u64, all: u64) {
        let bad = bad.min(all);
        self.minutes.count(time.div_euclid(MINUTE), bad, all);
        self.tens.count(time.div_euclid(10 * MINUTE), bad, all);
        self.hours.count(time.div_euclid(HOUR), bad, all);
    }

    /// The burn rate in the last seconds before a time, the stretch of that time included. Longer
    /// than three days is three days.
    #[must_use]
    pub fn rate(&self, time: i64, seconds: i64) -> f64 {
        let (bad, all) = self.sums(time, seconds);
        if all == 0 { 0.0 } else { bad as f64 / all as f64 / (1.0 - self.objective) }
    }

    /// The most urgent alert, when there is one.
    #[must_use]
    pub fn alert(&self, time: i64) -> Option<BurnAlert> {
        ALERTS.iter().find_map(|(urgency, limit, long_seconds, short_seconds)| {
            let long_rate = self.rate(time, *long_seconds);
            let short_rate = self.rate(time, *short_seconds);
            let (bad, _) = self.sums(time, *long_seconds);
            let alarming = long_rate >= *limit && short_rate >= *limit && bad >= LEAST_BAD;
            alarming.then(|| BurnAlert {
                urgency: *urgency,
                limit: *limit,
                long_seconds: *long_seconds,
                long_rate,
                short_seconds: *short_seconds,
                short_rate,
                spent: long_rate * *long_seconds as f64 / PERIOD as f64,
            })
        })
    }

    /// Seconds until a budget is gone of which a part is left, at the rate of the last hour; nothing
    /// when it is not being spent.
    #[must_use]
    pub fn exhaustion(&self, time: i64, left: f64) -> Option<f64> {
        let rate = self.rate(time, HOUR);
        (rate > 0.0).then(|| left.max(0.0) * PERIOD as f64 / rate)
    }

    /// Bad calls and all in the last seconds before a time.
    #[must_use]
    pub fn sums(&self, time: i64, seconds: i64) -> (u64, u64) {
        if seconds <= HOUR {
            self.minutes.sums(time.div_euclid(MINUTE), seconds / MINUTE)
        } else if seconds <= 6 * HOUR {
            self.tens.sums(time.div_euclid(10 * MINUTE), seconds / (10 * MINUTE))
        } else {
            self.hours.sums(time.div_euclid(HOUR), seconds / HOUR)
        }
    }
}

impl<const SLOTS: usize> Ring<SLOTS> {
    const NEW: Self = Self { slots: [Slot { number: i64::MIN, bad: 0, all: 0 }; SLOTS] };

    fn count(&mut self, number: i64, bad: u64, all: u64) {
        let place = number.rem_euclid(SLOTS as i64) as usize;
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.number > number {
            return;
        }
        if slot.number < number {
            *slot = Slot { number, bad: 0, all: 0 };
        }
        slot.bad = slot.bad.saturating_add(u32::try_from(bad).unwrap_or(u32::MAX));
        slot.all = slot.all.saturating_add(u32::try_from(all).unwrap_or(u32::MAX));
    }

    fn sums(&self, last: i64, count: i64) -> (u64, u64) {
        let first = last.saturating_sub(count.max(1) - 1);
        let wanted = self.slots.iter().filter(|slot| (first..=last).contains(&slot.number));
        wanted
            .fold((0, 0), |(bad, all), slot| (bad + u64::from(slot.bad), all + u64::from(slot.all)))
    }
}

impl<const SLOTS: usize> TryFrom<Vec<Slot>> for Ring<SLOTS> {
    type Error = String;

    fn try_from(slots: Vec<Slot>) -> Result<Self, String> {
        let slots = slots
            .try_into()
            .map_err(|slots: Vec<Slot>| format!("{} stretches, not {SLOTS}", slots.len()))?;
        Ok(Self { slots })
    }
}

impl<const SLOTS: usize> From<Ring<SLOTS>> for Vec<Slot> {
    fn from(ring: Ring<SLOTS>) -> Self {
        ring.slots.to_vec()
    }
}

/// Seconds.
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// What budgets are of.
const PERIOD: i64 = 30 * DAY;
/// Urgency, burn rate, long and short window. They spend 2 %, 5 % and 10 % of the budget.
const ALERTS: [(Urgency, f64, i64, i64); 3] = [
    (Urgency::Page, 14.4, HOUR, 5 * MINUTE),
    (Urgency::Page, 6.0, 6 * HOUR, 30 * MINUTE),
    (Urgency::Ticket, 1.0, 3 * DAY, 6 * HOUR),
];
/// The workbook's advice for low traffic: a single bad call of a few is no burn rate.
const LEAST_BAD: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_400_000_400;

    fn steady(minutes: i64, bad: u64) -> BurnRate {
        let mut burn = BurnRate::new(0.999).unwrap();
        for minute in 0..minutes {
            burn.count(START + minute * MINUTE, bad, 10_000);
        }
        burn
    }

    #[test]
    fn the_alerts_are_those_of_the_workbook() {
        for (bad, urgency) in [
            (9, None),
            (11, Some((Urgency::Ticket, 1.0))),
            (61, Some((Urgency::Page, 6.0))),
            (145, Some((Urgency::Page, 14.4))),
        ] {
            let (minutes, end) = (3 * 24 * 60, START + (3 * 24 * 60 - 1) * MINUTE);
            let alert = steady(minutes, bad).alert(end);
            assert_eq!(alert.map(|alert| (alert.urgency, alert.limit)), urgency, "{bad}");
        }
    }

    #[test]
    fn an_outage_pages_soon_and_stops_soon_after_it() {
        let mut burn = steady(120, 0);
        let begin = START + 120 * MINUTE;
        let mut paged = None;
        for minute in 0..60 {
            burn.count(begin + minute * MINUTE, 10_000, 10_000);
            if burn.alert(begin + minute * MINUTE).is_some() {
                paged = Some(minute);
                break;
            }
        }
        assert_eq!(paged, Some(0));
        let end = begin + MINUTE;
        let quiet = (0..120).find(|minute| {
            burn.count(end + minute * MINUTE, 0, 10_000);
            burn.alert(end + minute * MINUTE).is_none_or(|alert| alert.limit < 14.0)
        });
        assert!(quiet.unwrap() <= 5, "{quiet:?}");
    }

    #[test]
    fn a_budget_is_gone_when_it_is_said_to_be() {
        let burn = steady(60, 20);
        let end = START + 59 * MINUTE;
        assert!((burn.rate(end, HOUR) - 2.0).abs() < 1e-9);
        let seconds = burn.exhaustion(end, 0.5).unwrap();
        assert!((seconds - 7.5 * DAY as f64).abs() < 1.0);
        assert_eq!(steady(60, 0).exhaustion(end, 0.5), None);
        // One bad call of few is no alert.
        let mut few = BurnRate::new(0.999).unwrap();
        few.count(START, 1, 2);
        assert_eq!(few.alert(START), None);
    }

    #[test]
    fn old_and_absurd_times_are_harmless_and_states_come_back() {
        assert_eq!(BurnRate::new(1.0), Err(ObjectiveError));
        assert_eq!(BurnRate::new(f64::NAN), Err(ObjectiveError));
        let mut burn = steady(10, 5);
        for time in [0, i64::MIN, i64::MAX, START - DAY] {
            burn.count(time, u64::MAX, u64::MAX);
            assert!(burn.rate(time, i64::MAX) >= 0.0 && burn.rate(START, i64::MIN) >= 0.0);
        }
        let written = serde_json::to_string(&burn).unwrap();
        assert_eq!(serde_json::from_str::<BurnRate>(&written).unwrap(), burn);
        assert!(serde_json::from_str::<BurnRate>(&written.replacen('{', "[", 1)).is_err());
    }
}
