//! Error budgets of an organisation: what is demanded of its availability and of its response times,
//! and how fast the difference to everything is spent.
//!
//! An answer of 500 to 599 and a call without one in time are bad for the availability; an answer
//! above the limit of its level of service is for the response times, of which 95 of 100 must keep
//! it. Answers of 429 count in neither.

use serde::{Deserialize, Serialize};

use super::{
    AlarmSignal, Severity,
    incidents::Finding,
    spent::{Share, Spent},
};
use crate::{
    anomaly::{
        burn_rate::{BurnAlert, BurnRate, ObjectiveError, Urgency},
        counts::share_surprise,
    },
    data::metrics::{Priorities, ServiceLevel},
};

/// What is demanded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Demands {
    /// Share of the calls that must be answered.
    availability: f64,
    pub(super) priorities: Priorities,
}

/// The budgets of one organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Objectives {
    availability: Budget,
    /// By [`ServiceLevel::ALL`].
    levels: [Budget; ServiceLevel::ALL.len()],
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    /// In millionths, so that it comes back as it was.
    objective: u32,
    rate: BurnRate,
    /// Day since 1970, bad calls and all; oldest first.
    days: Vec<(i64, u64, u64)>,
}

impl Demands {
    /// The strictest availability: whoever keeps it keeps all of them.
    pub(super) fn new(priorities: Priorities) -> Self {
        let targets = priorities.availability.iter().map(|target| target.millionths);
        let strictest = targets.max().unwrap_or(DEFAULT_AVAILABILITY).clamp(1, WHOLE - 1);
        Self { availability: f64::from(strictest) / f64::from(WHOLE), priorities }
    }
}

impl Objectives {
    pub(super) fn new(demands: &Demands) -> Result<Self, ObjectiveError> {
        let within = Budget::new(WITHIN_LIMIT)?;
        let levels = [within.clone(), within.clone(), within];
        Ok(Self { availability: Budget::new(demands.availability)?, levels })
    }

    /// Whether they are those that are demanded now.
    pub(super) fn fit(&self, demands: &Demands) -> bool {
        let fits = |budget: &Budget, objective: f64| {
            budget.objective == millionths(objective) && budget.days.len() <= BUDGET_DAYS
        };
        fits(&self.availability, demands.availability)
            && self.levels.iter().all(|budget| fits(budget, WITHIN_LIMIT))
    }

    /// Takes what was spent at a time.
    pub(super) fn count(&mut self, time: i64, spent: &Spent) {
        self.availability.count(time, spent.availability);
        for (budget, share) in self.levels.iter_mut().zip(spent.levels) {
            budget.count(time, share);
        }
    }

    /// Each budget: how its spending is called, its level, and itself.
    pub(super) fn budgets(
        &self,
    ) -> impl Iterator<Item = (AlarmSignal, Option<ServiceLevel>, &Budget)> {
        let levels = ServiceLevel::ALL.into_iter().zip(&self.levels);
        std::iter::once((AlarmSignal::AvailabilityBurn, None, &self.availability))
            .chain(levels.map(|(level, budget)| (AlarmSignal::LatencyBurn, Some(level), budget)))
    }
}

impl Budget {
    fn new(objective: f64) -> Result<Self, ObjectiveError> {
        let rate = BurnRate::new(objective)?;
        Ok(Self { objective: millionths(objective), rate, days: Vec::new() })
    }

    fn count(&mut self, time: i64, Share { bad, all }: Share) {
        if all == 0 {
            return;
        }
        self.rate.count(time, bad, all);
        let day = time.div_euclid(DAY);
        match self.days.last_mut() {
            Some((last, bads, alls)) if *last >= day => {
                *bads = bads.saturating_add(bad);
                *alls = alls.saturating_add(all);
            }
            _ => {
                self.days.push((day, bad, all));
                let first = day.saturating_sub(BUDGET_DAYS as i64 - 1);
                self.days.retain(|(day, _, _)| *day >= first);
            }
        }
    }

    /// How many times too fast it was spent in the last hour; nothing when there were no calls that
    /// it is of for three days.
    pub(super) fn hourly_rate(&self, time: i64) -> Option<f64> {
        let (_, all) = self.rate.sums(time, 3 * DAY);
        (all > 0).then(|| self.rate.rate(time, HOUR))
    }

    /// Whether it is spent too fast.
    pub(super) fn burn(&self, time: i64) -> Option<Finding> {
        let alert = self
            .rate
            .alert(time)
            .filter(|alert| self.is_more_than_chance(time, alert.long_seconds, alert.limit))?;
        let BurnAlert { urgency, limit, long_seconds, long_rate, short_rate, .. } = alert;
        let (severity, degree) = match urgency {
            Urgency::Page => (Severity::Page, 2),
            Urgency::Ticket => (Severity::Ticket, 1),
        };
        let mut reason = format!(
            "the error budget of {} % was spent {long_rate:.1} times too fast in the last {}, and is \
             still",
            self.percent(),
            words(long_seconds)
        );
        if let Some(left) = self.run_out(time) {
            reason += &format!("; if it goes on like that it is gone in {}", words(left));
        }
        Some(Finding {
            severity,
            degree,
            score: (1.0 - 0.5 * limit / long_rate.max(limit)).clamp(0.0, 1.0),
            expected: limit,
            seen: short_rate.min(long_rate),
            reason,
        })
    }

    /// Whether what is left of it is gone soon.
    pub(super) fn runs_out(&self, time: i64) -> Option<Finding> {
        let left = self.run_out(time).filter(|left| *left <= SOON)?;
        let part = self.left(time);
        // What it takes for the rest to be gone that soon.
        let rate = (part * (30 * DAY) as f64 / SOON as f64).max(1.0);
        self.is_more_than_chance(time, 6 * HOUR, rate).then(|| Finding {
            severity: Severity::Ticket,
            degree: 1,
            score: 1.0 - left as f64 / (2 * SOON) as f64,
            expected: SOON as f64,
            seen: left as f64,
            reason: format!(
                "of the error budget of {} % over 30 days {:.0} % is left, which is gone in {} if it \
                 goes on like that",
                self.percent(),
                part * 100.0,
                words(left)
            ),
        })
    }

    /// Seconds until it is gone, at the rate that holds in the last hour and in the last six; nothing
    /// when it is kept, or gone in more than a month.
    fn run_out(&self, time: i64) -> Option<i64> {
        let rate = self.rate.rate(time, HOUR).min(self.rate.rate(time, 6 * HOUR));
        let seconds = self.left(time) * (30 * DAY) as f64 / rate;
        (rate >= 1.0 && seconds <= (30 * DAY) as f64).then_some(seconds as i64)
    }

    /// Whether a rate that was seen in the last seconds is more than what chance makes of half of it:
    /// of few calls a single bad one is a great share.
    fn is_more_than_chance(&self, time: i64, seconds: i64, rate: f64) -> bool {
        let (bad, all) = self.rate.sums(time, seconds);
        let allowed = 1.0 - f64::from(self.objective) / f64::from(WHOLE);
        share_surprise(bad as f64, all as f64, allowed * rate / 2.0) >= LEAST_SURPRISE
    }

    /// Part of the budget of 30 days that is left, 0 to 1. What the days that are not known will
    /// have of calls is taken to be as on those that are.
    fn left(&self, time: i64) -> f64 {
        let last = time.div_euclid(DAY);
        let first = last.saturating_sub(BUDGET_DAYS as i64 - 1);
        let days = || self.days.iter().filter(|(day, _, _)| (first..=last).contains(day));
        let known = days().map(|(day, _, _)| last - day + 1).max().unwrap_or(1);
        let (bad, all) =
            days().fold((0, 0), |(bads, alls), (_, bad, all)| (bads + bad, alls + all));
        let calls = all as f64 * BUDGET_DAYS as f64 / known as f64;
        let allowed = calls * (1.0 - f64::from(self.objective) / f64::from(WHOLE));
        if allowed > 0.0 { (1.0 - bad as f64 / allowed).clamp(0.0, 1.0) } else { 1.0 }
    }

    /// What it is of, such as 99.5.
    fn percent(&self) -> f64 {
        f64::from(self.objective) / (f64::from(WHOLE) / 100.0)
    }
}

/// A length of time for people, in the unit that fits.
pub(super) fn words(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..=119 => (seconds.max(0), "seconds"),
        120..=7_199 => (seconds / 60, "minutes"),
        7_200..=172_799 => (seconds / HOUR, "hours"),
        _ => (seconds / DAY, "days"),
    };
    if count == 1 { format!("1 {}", unit.trim_end_matches('s')) } else { format!("{count} {unit}") }
}

/// A share as a whole number.
fn millionths(share: f64) -> u32 {
    (share * f64::from(WHOLE)).round().clamp(0.0, f64::from(WHOLE)) as u32
}

/// Millionths of a whole.
const WHOLE: u32 = 1_000_000;
/// What the portal demands of three months, if the table demands nothing.
const DEFAULT_AVAILABILITY: u32 = 995_000;
/// The limits are of the 95th percentile.
const WITHIN_LIMIT: f64 = 0.95;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// What budgets are of.
const BUDGET_DAYS: usize = 30;
/// The natural logarithm of one over a chance: one in ten thousand.
const LEAST_SURPRISE: f64 = 9.2;
/// A budget that is gone within three days is worth a word today.
const SOON: i64 = 3 * DAY;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(is_bad: bool) -> Share {
        Share { bad: u64::from(is_bad), all: 1 }
    }

    const START: i64 = 1_400_025_600;

    fn budget(hours: i64, bad_of_thousand: i64) -> (Budget, i64) {
        let mut budget = Budget::new(0.995).unwrap();
        for call in 0..hours * 1000 {
            budget.count(START + call * 3600 / 1000, one(call * 617 % 1000 < bad_of_thousand));
        }
        (budget, START + hours * HOUR - 1)
    }

    #[test]
    fn a_budget_that_is_kept_is_silent_and_one_that_is_not_is_told() {
        let (kept, end) = budget(80, 4);
        assert_eq!((kept.burn(end), kept.runs_out(end)), (None, None));
        let (spent, end) = budget(2, 300);
        let finding = spent.burn(end).unwrap();
        assert_eq!((finding.severity, finding.degree), (Severity::Page, 2));
        assert!(
            finding.reason.contains("99.5 %") && finding.reason.contains("is gone in"),
            "{finding:?}"
        );
        assert!((0.5..=1.0).contains(&finding.score));
    }

    #[test]
    fn little_that_is_left_runs_out_at_a_rate_that_alone_is_no_alarm() {
        // Nine tenths of what 30 days allow was spent on one day.
        let mut budget = Budget::new(0.995).unwrap();
        for day in 0..28_i64 {
            for call in 0..1000_i64 {
                let is_bad = day == 20 && call < 130;
                budget.count(START + day * DAY + call * 86, one(is_bad));
            }
        }
        let begin = START + 28 * DAY;
        for call in 0..3000_i64 {
            budget.count(begin + call * 7, one(call % 100 == 0));
        }
        let end = begin + 3000 * 7;
        let finding = budget.runs_out(end).unwrap();
        assert!(finding.seen <= SOON as f64 && finding.reason.contains("% is left"), "{finding:?}");
    }

    #[test]
    fn a_few_bad_calls_of_few_are_no_alarm_and_nothing_but_bad_ones_are() {
        let mut few = Budget::new(0.995).unwrap();
        for call in 0..50 {
            few.count(START + call * 420, one(call % 16 == 8));
            let time = START + call * 420;
            assert_eq!((few.burn(time), few.runs_out(time)), (None, None), "{call}");
        }
        let mut out = Budget::new(0.995).unwrap();
        for call in 0..10 {
            out.count(START + call * 20, one(true));
        }
        assert!(out.burn(START + 200).is_some_and(|it| it.severity == Severity::Page));
    }

    #[test]
    fn lengths_of_time_have_the_unit_that_fits() {
        for (seconds, text) in [
            (-1, "0 seconds"),
            (1, "1 second"),
            (300, "5 minutes"),
            (21_600, "6 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(words(seconds), text);
        }
    }
}
