//! Latencies of a key: whether calls are slower than they usually are.

use serde::{Deserialize, Serialize};

use super::{
    Against, Assessment, Cause, Change, Sketch, bits,
    habit::Habit,
    residual::{Residuals, Statistic},
};

/// The detector of the 95th percentile of latencies, in the logarithm: twice as slow is the same
/// everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyDetector {
    seen: u64,
    #[serde(with = "bits")]
    level: f64,
    residuals: Residuals,
    habit: Habit,
}

impl Default for LatencyDetector {
    fn default() -> Self {
        Self { seen: 0, level: 0.0, residuals: Residuals::NEW, habit: Habit::NEW }
    }
}

impl LatencyDetector {
    /// Judges the latencies of a window and learns them; nothing when they are too few to say
    /// something about their slowest.
    pub fn observe(&mut self, latencies: &Sketch) -> Option<Assessment> {
        if latencies.count() < LEAST_CALLS {
            return None;
        }
        let percentile = latencies.quantile(PERCENTILE)?.max(LEAST_SECONDS);
        let logarithm = percentile.ln();
        if self.seen == 0 {
            self.level = logarithm;
        }
        let expected = self.level.exp();
        let surprise = self.residuals.surprise(logarithm - self.level, GRAIN, self.seen);
        self.seen = self.seen.saturating_add(1);
        let weight = (1.0 / self.seen as f64).max(LEVEL_WEIGHT);
        self.level += weight * (logarithm - self.level).clamp(-MOST_STEP, MOST_STEP);
        let slower = percentile >= expected * LEAST_RATIO;
        let votes = if slower && self.seen > LEARNING { surprise.votes } else { 0.0 };
        let news = self.habit.news(votes);
        let change = match surprise.statistic {
            Statistic::DriftingUp | Statistic::Restless => Change::DriftingUp,
            _ => Change::Above,
        };
        Some(Assessment {
            score: 1.0 - (-news.of_value / VOTES_OF_SCORE).exp(),
            urgency: 1.0 - (-news.of_incident / VOTES_OF_SCORE).exp(),
            seen: percentile,
            expected,
            cause: (votes > 0.0).then_some(Cause { against: Against::Level, change }),
            pressing: slower,
        })
    }
}

/// What is judged.
const PERCENTILE: f64 = 0.95;
/// The slowest of fewer calls are chance.
const LEAST_CALLS: u64 = 20;
/// Calls that are faster are all alike.
const LEAST_SECONDS: f64 = 1e-6;
/// Differences of the logarithm that mean nothing: 1 %, which is the accuracy of the sketch.
const GRAIN: f64 = 0.01;
/// Two hundred and fifty windows weigh most in the level; none moves it by more than this factor's
/// part: a stalled service is not the norm.
const LEVEL_WEIGHT: f64 = 0.004;
const MOST_STEP: f64 = 1.0;
/// Calls that are not half as slow again are no incident, however steady they were.
const LEAST_RATIO: f64 = 1.5;
/// Windows before anything is said.
const LEARNING: u64 = 60;
/// An alarm opens at this times ln 2: two statistics that agree.
const VOTES_OF_SCORE: f64 = 1.8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::OPENING_URGENCY;

    fn window(at: u64, factor: f64) -> Sketch {
        let mut sketch = Sketch::default();
        for call in 0..100_u64 {
            let noise = ((at * 31 + call * 7919) % 101) as f64 / 101.0;
            sketch.add(0.050 * (1.0 + noise) * factor);
        }
        sketch
    }

    #[test]
    fn slower_calls_open_an_alarm_and_faster_ones_do_not() {
        let mut detector = LatencyDetector::default();
        for at in 0..2000 {
            let score = detector.observe(&window(at, 1.0)).unwrap().urgency;
            assert!(score < OPENING_URGENCY, "{at}: {score}");
        }
        assert!(detector.clone().observe(&window(1, 0.2)).unwrap().score == 0.0);
        let slow = detector.observe(&window(1, 4.0)).unwrap();
        assert!(slow.urgency >= OPENING_URGENCY && slow.pressing, "{slow:?}");
        assert!((0.08..0.12).contains(&slow.expected));
        assert_eq!(detector.observe(&Sketch::default()), None);
    }
}
