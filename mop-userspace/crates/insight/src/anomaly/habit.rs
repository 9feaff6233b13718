//! What was alarming a moment ago is no news.
//!
//! The strongest evidence so far is remembered, and fades. Only what goes beyond it counts, so that
//! one incident is one alarm, and a greater one is not hidden by it.

use serde::{Deserialize, Serialize};

use super::bits;

/// What is remembered of the last few values counts less for alarms than for scores: the statistics
/// of one incident do not speak all at once, and an alarm may open when they agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Habit {
    #[serde(with = "bits")]
    remembered: f64,
    /// The same without most of the last few values.
    #[serde(with = "bits")]
    settled: f64,
}

/// What is new of some evidence, in votes.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// Beyond all that is remembered.
    pub(super) of_value: f64,
    /// Beyond what was remembered before the last few values.
    pub(super) of_incident: f64,
}

impl Habit {
    pub(super) const NEW: Self = Self { remembered: 0.0, settled: 0.0 };

    /// What is new of some evidence, in votes.
    pub(super) fn news(&mut self, evidence: f64) -> News {
        let of_value = (evidence - self.remembered).max(0.0);
        let of_incident = (evidence - self.settled).max(0.0);
        self.remembered = (self.remembered * (1.0 - 1.0 / FADING_VALUES)).max(evidence);
        self.settled += (self.remembered - self.settled) / SETTLING_VALUES;
        News { of_value, of_incident }
    }
}

/// Evidence fades to a third in so many values: ten hours of minutes, two days of five minutes.
const FADING_VALUES: f64 = 600.0;
/// Values of an incident whose evidence counts together.
const SETTLING_VALUES: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_news_once_unless_it_grows_or_is_forgotten() {
        let mut habit = Habit::NEW;
        assert!(habit.news(5.0).of_value == 5.0);
        let second = habit.news(5.0);
        assert!(second.of_value < 0.1 && second.of_incident > 4.0);
        assert!(habit.news(8.0).of_value > 2.9);
        for _ in 0..2000 {
            assert!(habit.news(0.0).of_value == 0.0);
        }
        assert!(habit.news(5.0).of_value > 4.5);
        for _ in 0..50 {
            habit.news(5.0);
        }
        assert!(habit.news(5.0).of_incident < 0.2);
    }
}
