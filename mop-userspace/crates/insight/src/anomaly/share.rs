//! The share of calls that fail, at high and at low counts.

use serde::{Deserialize, Serialize};

use super::{
    Against, Assessment, Cause, Change, bits,
    counts::{share_surprise, wilson_interval},
};

/// The detector of a share of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareDetector {
    /// Events and calls of the long run; old ones fade.
    #[serde(with = "bits")]
    events: f64,
    #[serde(with = "bits")]
    calls: f64,
    /// The same of the last few windows.
    #[serde(with = "bits")]
    recent_events: f64,
    #[serde(with = "bits")]
    recent_calls: f64,
    /// How much more the share varies than chance would have it; 1 when no more.
    #[serde(with = "bits")]
    dispersion: f64,
}

impl Default for ShareDetector {
    fn default() -> Self {
        Self {
            events: PRIOR_EVENTS,
            calls: PRIOR_CALLS,
            recent_events: 0.0,
            recent_calls: 0.0,
            dispersion: 1.0,
        }
    }
}

impl ShareDetector {
    /// Judges a window, in which `events` of `of` calls failed, and learns it. Windows without calls
    /// say nothing. `expected` and `seen` of the answer are shares.
    pub fn observe(&mut self, events: u64, of: u64) -> Assessment {
        let (events, of) = (events.min(of) as f64, of as f64);
        let usual = self.events / self.calls;
        if of <= 0.0 {
            return Assessment {
                score: 0.0,
                seen: usual,
                expected: usual,
                cause: None,
                pressing: false,
            };
        }
        // A short history is given the benefit of the doubt.
        let (_, most) = wilson_interval(self.events, self.calls, DOUBT_UNITS);
        self.recent_events = self.recent_events * RECENT_KEPT + events;
        self.recent_calls = self.recent_calls * RECENT_KEPT + of;
        let recent = (self.recent_events, self.recent_calls);
        let surprise = |(events, of)| {
            if events < LEAST_EVENTS { 0.0 } else { share_surprise(events, of, most) }
        };
        let (now, lately) = (surprise((events, of)), surprise(recent));
        let (seen_events, seen_of) = if now >= lately { (events, of) } else { recent };
        let news = (now.max(lately) / self.dispersion - FREE).max(0.0);
        self.learn(events, of, usual, most);
        let (least, _) = wilson_interval(recent.0, recent.1, DOUBT_UNITS);
        let change = if now >= lately { Change::Above } else { Change::DriftingUp };
        Assessment {
            score: 1.0 - (-news / SURPRISE_OF_SCORE).exp(),
            seen: seen_events / seen_of,
            expected: usual,
            cause: (news > 0.0).then_some(Cause { against: Against::Share, change }),
            pressing: recent.0 >= LEAST_EVENTS && least > most,
        }
    }

    /// An outage must not become the norm within minutes: events count up to a few times of what was
    /// to be expected.
    fn learn(&mut self, events: f64, of: f64, usual: f64, most: f64) {
        let variance = (of * usual * (1.0 - usual)).max(LEAST_VARIANCE);
        let spread = ((events - of * usual).powi(2) / variance).min(MOST_SPREAD * self.dispersion);
        self.dispersion += DISPERSION_WEIGHT * (spread - self.dispersion);
        self.dispersion = self.dispersion.max(1.0);
        let counted = events.min(MOST_EVENTS * of * most + 1.0);
        self.events = self.events * KEPT + counted;
        self.calls = self.calls * KEPT + of;
        // Without this a silent key would forget that it ever failed.
        self.events = self.events.max(PRIOR_EVENTS * self.calls / (self.calls + MOST_PRIOR_CALLS));
        if self.calls < PRIOR_CALLS {
            let missing = PRIOR_CALLS - self.calls;
            self.events += missing * PRIOR_EVENTS / PRIOR_CALLS;
            self.calls = PRIOR_CALLS;
        }
    }
}

/// What is believed before anything was seen: one in two hundred, as much as a hundred calls say.
const PRIOR_EVENTS: f64 = 0.5;
const PRIOR_CALLS: f64 = 100.0;
/// A key without failures keeps about this doubt.
const MOST_PRIOR_CALLS: f64 = 10_000.0;
/// The usual share is taken at its upper bound, 95 % on one side.
const DOUBT_UNITS: f64 = 1.645;
/// A window keeps this part of the long run: a day of minutes.
const KEPT: f64 = 1.0 - 1.0 / 1440.0;
/// And this part of the last few: five windows.
const RECENT_KEPT: f64 = 0.8;
/// Two failures are no incident, whatever the share.
const LEAST_EVENTS: f64 = 3.0;
/// Surprise that is free, and what it takes beyond that for a score of 1 - 1/e. An alarm opens at
/// a surprise of 14: one in a million.
const FREE: f64 = 6.0;
const SURPRISE_OF_SCORE: f64 = 11.5;
/// Times the expected number of events that a window may teach.
const MOST_EVENTS: f64 = 3.0;
/// The last hundred windows weigh most in the dispersion, none with more than so many times of it.
const DISPERSION_WEIGHT: f64 = 0.01;
const MOST_SPREAD: f64 = 9.0;
const LEAST_VARIANCE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::OPENING_SCORE;

    #[test]
    fn five_times_the_failures_open_an_alarm_within_a_window_when_calls_are_many() {
        let mut share = ShareDetector::default();
        for at in 0..1440 {
            let score = share.observe(8 + at % 5, 1000).score;
            assert!(score < OPENING_SCORE, "{at}: {score}");
        }
        let assessment = share.observe(50, 1000);
        assert!(assessment.score >= OPENING_SCORE && assessment.pressing, "{assessment:?}");
        assert!((assessment.expected - 0.01).abs() < 0.002);
        assert_eq!(assessment.seen, 0.05);
    }

    #[test]
    fn a_few_failures_at_night_are_none_and_all_failing_is() {
        let mut share = ShareDetector::default();
        for at in 0..1440 {
            let score = share.observe(u64::from(at % 50 == 0), 4).score;
            assert!(score < OPENING_SCORE, "{at}: {score}");
        }
        let score = share.observe(2, 4).score;
        assert!(score < OPENING_SCORE, "{score}");
        let windows = (1..).find(|_| share.observe(4, 4).score >= OPENING_SCORE).unwrap();
        assert!(windows <= 2, "{windows}");
    }

    #[test]
    fn an_outage_does_not_become_the_norm_within_an_hour() {
        let mut share = ShareDetector::default();
        for _ in 0..1440 {
            share.observe(1, 100);
        }
        for _ in 0..30 {
            share.observe(100, 100);
        }
        assert!(share.observe(100, 100).score > OPENING_SCORE);
    }

    #[test]
    fn windows_without_calls_say_nothing() {
        let mut share = ShareDetector::default();
        let before = share.clone();
        assert_eq!(share.observe(0, 0).score, 0.0);
        assert_eq!(share, before);
        for (events, of) in [(u64::MAX, u64::MAX), (u64::MAX, 1), (0, u64::MAX)] {
            let score = share.observe(events, of).score;
            assert!((0.0..=1.0).contains(&score), "{score}");
        }
    }
}
