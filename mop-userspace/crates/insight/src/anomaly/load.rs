//! Counts of calls against what is usual at their time, where chance alone explains some difference.

use serde::{Deserialize, Serialize};

use super::{Against, Assessment, Cause, Change, bits, counts::count_surprise};

/// What chance explains of a count, and what it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// How much more counts vary around the usual than chance would have it; 1 when no more.
    #[serde(with = "bits")]
    dispersion: f64,
    /// Surprise of the last windows in a row that were above the usual, or of those below it.
    #[serde(with = "bits")]
    run: f64,
    is_run_above: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self { dispersion: 1.0, run: 0.0, is_run_above: false }
    }
}

impl Load {
    /// Weighs a count, of which so many are usual at its time, with what the detector of the series
    /// says of it: a difference that may be chance
    /// opens no alarm; one that cannot be chance does, and so do some in a row, such as silence.
    pub(super) fn weigh(
        &mut self,
        calls: f64,
        (least, most): (f64, f64),
        is_learning: bool,
        of_series: Assessment,
    ) -> Assessment {
        let (least, most) = (least.max(0.0), most.max(0.0));
        // The one that is nearer: whoever is usual by one of them is usual.
        let usual = calls.max(least).min(most);
        let spread = (calls - usual).powi(2) / usual.max(LEAST_USUAL);
        let spread = spread.min(MOST_SPREAD * self.dispersion);
        self.dispersion += DISPERSION_WEIGHT * (spread - self.dispersion);
        self.dispersion = self.dispersion.max(1.0);
        let mut assessment = of_series;
        if count_surprise(calls, assessment.expected) < LEAST_SURPRISE && !assessment.pressing {
            assessment.urgency = assessment.urgency.min(CHANCE_URGENCY);
        }
        if is_learning {
            return assessment;
        }
        let (change, surprise) = if calls > usual * LEAST_FACTOR {
            (Change::Above, count_surprise(calls, usual * LEAST_FACTOR))
        } else if calls < usual / LEAST_FACTOR {
            (Change::Below, count_surprise(calls, usual / LEAST_FACTOR))
        } else {
            self.run = 0.0;
            return assessment;
        };
        let is_above = change == Change::Above;
        if is_above != self.is_run_above {
            self.run = 0.0;
        }
        self.is_run_above = is_above;
        self.run = (self.run + surprise).min(MOST_RUN);
        let beyond_chance = (self.run / self.dispersion - FREE).max(0.0);
        let urgency = 1.0 - (-beyond_chance / SURPRISE_OF_SCORE).exp();
        if urgency > assessment.urgency {
            assessment.urgency = urgency;
            assessment.expected = usual;
            assessment.pressing = true;
            assessment.cause = Some(Cause { against: Against::Time, change });
        }
        assessment
    }
}

/// What is less than so many times the usual, or more than such a part of it, is no incident.
const LEAST_FACTOR: f64 = 1.5;
/// A run is surprising enough then, whatever comes.
const MOST_RUN: f64 = 1e6;
/// Surprise that is free, and what it takes beyond for an urgency of 1 - 1/e: an alarm opens at 14,
/// one in a million.
const FREE: f64 = 6.0;
const SURPRISE_OF_SCORE: f64 = 11.5;
/// Surprise of a count below which it is chance: one in a thousand.
const LEAST_SURPRISE: f64 = 6.9;
const CHANCE_URGENCY: f64 = 0.25;
/// The last five hundred windows weigh most in the dispersion, none with more than so many times of
/// it.
const DISPERSION_WEIGHT: f64 = 0.002;
const MOST_SPREAD: f64 = 4.0;
/// A usual count below this is taken as this.
const LEAST_USUAL: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::OPENING_URGENCY;

    fn of_series(seen: f64) -> Assessment {
        Assessment { urgency: 0.9, expected: 3.0, ..Assessment::nothing(seen, 3.0) }
    }

    #[test]
    fn chance_opens_no_alarm_and_what_is_none_does() {
        let mut load = Load::default();
        assert!(load.weigh(6.0, (3.0, 3.0), false, of_series(6.0)).urgency < OPENING_URGENCY);
        let quiet = Assessment::nothing(30.0, 3.0);
        let surge = load.weigh(30.0, (3.0, 3.0), false, quiet);
        assert!(surge.urgency >= OPENING_URGENCY && surge.expected == 3.0, "{surge:?}");
        assert!(load.weigh(30.0, (3.0, 3.0), true, quiet).urgency < OPENING_URGENCY);
    }

    #[test]
    fn silence_adds_up() {
        let mut load = Load::default();
        let quiet = Assessment::nothing(0.0, 3.0);
        let windows = (1..)
            .find(|_| load.weigh(0.0, (3.0, 3.0), false, quiet).urgency >= OPENING_URGENCY)
            .unwrap();
        assert!((5..20).contains(&windows), "{windows}");
        assert!(load.weigh(3.0, (3.0, 3.0), false, quiet).urgency < OPENING_URGENCY);
    }
}
