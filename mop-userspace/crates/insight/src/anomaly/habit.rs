//! What was alarming a moment ago is no news.
//!
//! The strongest evidence so far is remembered, and fades. Only what goes beyond it counts, so that
//! one incident is one alarm, and a greater one is not hidden by it.

use serde::{Deserialize, Serialize};

use super::bits;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Habit {
    #[serde(with = "bits")]
    remembered: f64,
}

impl Habit {
    pub(super) const NEW: Self = Self { remembered: 0.0 };

    /// What is new of some evidence, both in votes.
    pub(super) fn news(&mut self, evidence: f64) -> f64 {
        let news = (evidence - self.remembered).max(0.0);
        self.remembered = (self.remembered * (1.0 - 1.0 / FADING_VALUES)).max(evidence);
        news
    }
}

/// Evidence fades to a third in so many values: ten hours of minutes, two days of five minutes.
const FADING_VALUES: f64 = 600.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_news_once_unless_it_grows_or_is_forgotten() {
        let mut habit = Habit::NEW;
        assert!(habit.news(5.0) == 5.0);
        assert!(habit.news(5.0) < 0.1);
        assert!(habit.news(8.0) > 2.9);
        for _ in 0..2000 {
            assert!(habit.news(0.0) == 0.0);
        }
        assert!(habit.news(5.0) > 4.5);
    }
}
