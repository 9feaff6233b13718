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
    /// The same of the last few windows, and of some more for keys with few calls.
    recent: Counts,
    lately: Counts,
    /// How much more the share varies than chance would have it; 1 when no more.
    #[serde(with = "bits")]
    dispersion: f64,
}

/// Events, and the calls they are of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Counts {
    #[serde(with = "bits")]
    events: f64,
    #[serde(with = "bits")]
    of: f64,
}

impl Default for ShareDetector {
    fn default() -> Self {
        Self {
            events: PRIOR_EVENTS,
            calls: PRIOR_CALLS,
            recent: Counts { events: 0.0, of: 0.0 },
            lately: Counts { events: 0.0, of: 0.0 },
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
            return Assessment::nothing(usual, usual);
        }
        // A short history is given the benefit of the doubt.
        let (_, most) = wilson_interval(self.events, self.calls, DOUBT_UNITS);
        let now = Counts { events, of };
        self.recent.fade_and_add(RECENT_KEPT, now);
        self.lately.fade_and_add(LATELY_KEPT, now);
        let mut strongest = (now, now.surprise(most));
        // What is over is not alarming because the longer of the two still holds it.
        let still = self.recent.events > self.recent.of * most;
        for (counts, counts_now) in [(self.recent, true), (self.lately, still)] {
            let surprise = if counts_now { counts.surprise(most) } else { 0.0 };
            if surprise > strongest.1 {
                strongest = (counts, surprise);
            }
        }
        let (counts, surprise) = strongest;
        let news = (surprise / self.dispersion - FREE).max(0.0);
        self.learn(events, of, usual, most);
        let (least, _) = wilson_interval(self.recent.events, self.recent.of, DOUBT_UNITS);
        let change = if counts == now { Change::Above } else { Change::DriftingUp };
        let score = 1.0 - (-news / SURPRISE_OF_SCORE).exp();
        Assessment {
            score,
            urgency: score,
            seen: counts.events / counts.of,
            expected: usual,
            cause: (news > 0.0).then_some(Cause { against: Against::Share, change }),
            pressing: self.recent.events >= LEAST_EVENTS && least > most,
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

impl Counts {
    fn fade_and_add(&mut self, kept: f64, new: Self) {
        self.events = self.events * kept + new.events;
        self.of = self.of * kept + new.of;
    }

    fn surprise(self, usual: f64) -> f64 {
        if self.events < LEAST_EVENTS { 0.0 } else { share_surprise(self.events, self.of, usual) }
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
/// And this one of some more: twenty-five windows.
const LATELY_KEPT: f64 = 0.96;
/// Two failures are no incident, whatever the share.
const LEAST_EVENTS: f64 = 3.0;
/// Surprise that is free, and what it takes beyond that for a score of 1 - 1/e. An alarm opens at
/// a surprise of 14: one in a million.
const FREE: f64 = 6.0;
const SURPRISE_OF_SCORE: f64 = 11.5;
/// Times the expected number of events that a window may teach.
const MOST_EVENTS: f64 = 3.0;
/// The last five hundred windows weigh most in the dispersion, none with more than so many times of
/// it: an incident is no dispersion.
const DISPERSION_WEIGHT: f64 = 0.002;
const MOST_SPREAD: f64 = 4.0;
const LEAST_VARIANCE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::OPENING_URGENCY;

    #[test]
    fn five_times_the_failures_open_an_alarm_within_a_window_when_calls_are_many() {
        let mut share = ShareDetector::default();
        for at in 0..1440 {
            let score = share.observe(8 + at % 5, 1000).urgency;
            assert!(score < OPENING_URGENCY, "{at}: {score}");
        }
        let assessment = share.observe(50, 1000);
        assert!(assessment.score >= OPENING_URGENCY && assessment.pressing, "{assessment:?}");
        assert!((assessment.expected - 0.01).abs() < 0.002);
        assert_eq!(assessment.seen, 0.05);
    }

    #[test]
    fn a_few_failures_at_night_are_none_and_all_failing_is() {
        let mut share = ShareDetector::default();
        for at in 0..1440 {
            let score = share.observe(u64::from(at % 50 == 0), 4).score;
            assert!(score < OPENING_URGENCY, "{at}: {score}");
        }
        let score = share.observe(2, 4).score;
        assert!(score < OPENING_URGENCY, "{score}");
        let windows = (1..).find(|_| share.observe(4, 4).score >= OPENING_URGENCY).unwrap();
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
        assert!(share.observe(100, 100).score > OPENING_URGENCY);
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
