//! The detector of one series.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::{
    bits,
    extent::Extent,
    habit::Habit,
    profile::Profile,
    reason::{Against, Cause, Change},
    residual::{Residuals, Statistic, Surprise},
    shape::Shape,
    shift::Shift,
};

/// The detector of one series: values go in, in the order of time, scores come out.
///
/// Its state is of one size, below 4 KiB, without heap. Serialized and read again it goes on exactly
/// as if it had not been interrupted; a state of another version of the model is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    #[serde(deserialize_with = "current_version")]
    version: u32,
    /// Values seen.
    seen: u64,
    extent: Extent,
    /// Means of the last few values, and of the last few hundred.
    #[serde(with = "bits")]
    recent: f64,
    #[serde(with = "bits")]
    level: f64,
    day: Profile<DAY_SLOTS>,
    week: Profile<WEEK_SLOTS>,
    from_recent: Residuals,
    from_level: Residuals,
    from_day: Residuals,
    from_week: Residuals,
    shift: Shift,
    shape: Shape,
    habit: Habit,
}

/// What a detector says of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// How unlike its series the value is and no recent value told already, from 0 to 1;
    /// see [`crate::anomaly`] for the scale.
    pub score: f64,
    /// The same with what the last few values told: at one half, an alarm opens.
    pub urgency: f64,
    /// The value.
    pub seen: f64,
    /// What was expected in its place.
    pub expected: f64,
    /// What speaks most against the value, when anything does.
    pub cause: Option<Cause>,
    /// Whether the last values together are still far from what was expected.
    pub pressing: bool,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            version: VERSION,
            seen: 0,
            extent: Extent::of(0.0),
            recent: 0.0,
            level: 0.0,
            day: Profile::NEW,
            week: Profile::NEW,
            from_recent: Residuals::NEW,
            from_level: Residuals::NEW,
            from_day: Residuals::NEW,
            from_week: Residuals::NEW,
            shift: Shift::NEW,
            shape: Shape::NEW,
            habit: Habit::NEW,
        }
    }
}

impl Detector {
    /// Judges a value and learns it. `time` is in seconds since 1970, local or not, but the same for
    /// the whole series. A value that is not a number is as one that is missing; one that is too
    /// large counts as [`GREATEST`].
    pub fn observe(&mut self, time: i64, value: f64) -> Assessment {
        if value.is_nan() {
            return Assessment::nothing(value, self.level);
        }
        let value = value.clamp(-GREATEST, GREATEST);
        if self.seen == 0 {
            self.extent = Extent::of(value);
            self.recent = value;
            self.level = value;
        }
        let seen = self.seen;
        let grain =
            GRAIN_OF_WIDTH * self.extent.width() + GRAIN_OF_LEVEL * self.level.abs() + GRAIN;
        let (day, week) = (slot(time, DAY, DAY_SLOTS), slot(time, WEEK, WEEK_SLOTS));
        let expectations = [
            (Against::Recent, Some(self.recent)),
            (Against::Level, Some(self.level)),
            (Against::Day, self.day.expected(day, LEAST_DAYS)),
            (Against::Week, self.week.expected(week, LEAST_VISITS_IN_WEEK)),
        ];
        let from_level = value - self.level;
        let units = from_level / (self.from_level.scale() + grain);
        let mut weighing =
            Weighing { votes: 0.0, greatest: 0.0, cause: None, expected: self.level };
        let all =
            [&mut self.from_recent, &mut self.from_level, &mut self.from_day, &mut self.from_week];
        for (residuals, (against, expected)) in all.into_iter().zip(expectations) {
            if let Some(expected) = expected {
                let surprise = residuals.surprise(value - expected, grain, seen);
                weighing.add(against, expected, surprise);
            }
        }
        let clipped = units.clamp(-super::residual::CLIP, super::residual::CLIP);
        let (votes, upwards) = self.shift.surprise(clipped);
        let change = if upwards { Change::DriftingUp } else { Change::DriftingDown };
        weighing.add_votes(votes, Cause { against: Against::Level, change }, self.level);
        let votes = self.shape.surprise(units, seen);
        weighing.add_votes(
            votes,
            Cause { against: Against::Shape, change: Change::Restless },
            self.level,
        );
        self.weigh_extent(value, &mut weighing);
        self.learn(value, day, week, expectations.map(|(_, expected)| expected));
        let known = if seen < SETTLING { 0.0 } else { (seen as f64 / LEARNING).min(1.0) };
        let news = self.habit.news(weighing.votes * known);
        Assessment {
            score: 1.0 - (-news.of_value / VOTES_OF_SCORE).exp(),
            urgency: 1.0 - (-news.of_incident / VOTES_OF_SCORE).exp(),
            seen: value,
            expected: weighing.expected,
            cause: weighing.cause.filter(|_| weighing.votes > 0.0),
            pressing: self.best_fitting().drift().abs() >= PRESSING,
        }
    }

    /// What is usual at a time: the least and the most of what this hour of the week and this time of
    /// the day have; the level instead of what is not known yet.
    #[must_use]
    pub fn usual_at(&self, time: i64) -> (f64, f64) {
        let of_week = self.week.expected(slot(time, WEEK, WEEK_SLOTS), LEAST_VISITS_IN_WEEK);
        let of_day = self.day.expected(slot(time, DAY, DAY_SLOTS), LEAST_DAYS);
        let (of_week, of_day) = (of_week.unwrap_or(self.level), of_day.unwrap_or(self.level));
        (of_week.min(of_day), of_week.max(of_day))
    }

    /// Whether so few values were seen that scores are held back.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        (self.seen as f64) < LEARNING
    }

    /// Values seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// A value beyond everything so far is as much evidence as many votes; the longer the history,
    /// the more so.
    fn weigh_extent(&self, value: f64, weighing: &mut Weighing) {
        if let Some(end) = self.extent.left_by(value) {
            let change = if value > end { Change::Above } else { Change::Below };
            let votes = (self.seen.max(1) as f64).ln();
            weighing.votes = weighing.votes.max(votes);
            weighing.cause = Some(Cause { against: Against::Range, change });
            weighing.expected = end;
        }
    }

    fn learn(&mut self, value: f64, day: usize, week: usize, expectations: [Option<f64>; 4]) {
        self.seen = self.seen.saturating_add(1);
        let first = 1.0 / self.seen as f64;
        self.recent += first.max(RECENT_WEIGHT) * (value - self.recent);
        self.level += first.max(LEVEL_WEIGHT) * (value - self.level);
        let [_, _, of_day, of_week] = expectations.map(|expected| Some(value - expected?));
        self.day.learn(day, value, of_day);
        self.week.learn(week, value, of_week);
        self.extent.learn(value);
    }

    /// Of the slow expectations, the one whose residuals are smallest.
    fn best_fitting(&self) -> &Residuals {
        let mut best = &self.from_level;
        for other in [&self.from_day, &self.from_week] {
            if other.scale() > 0.0 && other.scale() < best.scale() {
                best = other;
            }
        }
        best
    }
}

/// What all statistics say together.
struct Weighing {
    votes: f64,
    greatest: f64,
    cause: Option<Cause>,
    expected: f64,
}

impl Weighing {
    fn add(&mut self, against: Against, expected: f64, surprise: Surprise) {
        let change = match surprise.statistic {
            Statistic::Above => Change::Above,
            Statistic::Below => Change::Below,
            Statistic::DriftingUp => Change::DriftingUp,
            Statistic::DriftingDown => Change::DriftingDown,
            Statistic::Restless => Change::Restless,
        };
        if surprise.greatest > self.greatest {
            self.greatest = surprise.greatest;
            self.cause = Some(Cause { against, change });
            self.expected = expected;
        }
        self.votes += surprise.votes;
    }

    fn add_votes(&mut self, votes: f64, cause: Cause, expected: f64) {
        if votes > self.greatest {
            self.greatest = votes;
            self.cause = Some(cause);
            self.expected = expected;
        }
        self.votes += votes;
    }
}

impl Assessment {
    pub(super) fn nothing(seen: f64, expected: f64) -> Self {
        Self { score: 0.0, urgency: 0.0, seen, expected, cause: None, pressing: false }
    }
}

/// Where in a cycle a time is.
fn slot(time: i64, cycle: i64, slots: usize) -> usize {
    let at = time.rem_euclid(cycle);
    (at.unsigned_abs() as usize * slots) / cycle.unsigned_abs() as usize
}

fn current_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == VERSION {
        Ok(version)
    } else {
        Err(D::Error::custom(format_args!(
            "a state of version {version} of the model; this is {VERSION}"
        )))
    }
}

/// Changes when a state of before cannot go on: a field, a slot, or the meaning of one.
const VERSION: u32 = 1;
/// Seconds.
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// A quarter of an hour each.
const DAY_SLOTS: usize = 96;
/// An hour each.
const WEEK_SLOTS: usize = 168;
/// Visits of a slot before it is an expectation: one day, and two values in a week.
const LEAST_DAYS: u8 = 1;
const LEAST_VISITS_IN_WEEK: u8 = 2;
/// Five values weigh most in the mean of the last few, two hundred and fifty in the level.
const RECENT_WEIGHT: f64 = 0.2;
const LEVEL_WEIGHT: f64 = 0.004;
/// Differences that mean nothing: this part of the range and of the level, and rounding.
const GRAIN_OF_WIDTH: f64 = 1e-4;
const GRAIN_OF_LEVEL: f64 = 1e-9;
const GRAIN: f64 = 1e-12;
/// Scores grow to full strength over so many values, and are nothing before the first few.
const LEARNING: f64 = 200.0;
const SETTLING: u64 = 20;
/// A score of one half is this times ln 2: some three and a half votes.
const VOTES_OF_SCORE: f64 = 5.0;
/// A short mean this far from the expectation, in mean absolute residuals, is still away from it.
const PRESSING: f64 = 1.75;
/// Values are finite and fit into the profile.
pub const GREATEST: f64 = 1e37;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_small() {
        assert!(size_of::<Detector>() < 4096, "{}", size_of::<Detector>());
    }

    #[test]
    fn slots_are_of_one_length() {
        assert_eq!(slot(0, DAY, DAY_SLOTS), 0);
        assert_eq!(slot(899, DAY, DAY_SLOTS), 0);
        assert_eq!(slot(900, DAY, DAY_SLOTS), 1);
        assert_eq!(slot(-1, DAY, DAY_SLOTS), 95);
        assert_eq!(slot(i64::MIN, WEEK, WEEK_SLOTS), slot(i64::MIN + WEEK, WEEK, WEEK_SLOTS));
    }

    #[test]
    fn a_constant_series_scores_nothing_until_it_changes() {
        let mut detector = Detector::default();
        for at in 0..5000 {
            assert_eq!(detector.observe(at * 300, 45.0).score, 0.0);
        }
        let changed = detector.observe(5000 * 300, 46.0);
        assert!(changed.score > 0.5, "{changed:?}");
        assert_eq!(changed.expected, 45.0);
    }

    #[test]
    fn a_missing_peak_of_the_day_is_seen_although_every_value_is_usual() {
        let usual = |time: i64| {
            let noise = (time / 300 * 7919 % 101) as f64 / 50.0;
            let hour = time % DAY / 3600;
            noise + if (9..18).contains(&hour) { 80.0 } else { 20.0 }
        };
        let mut detector = Detector::default();
        let mut time = 0;
        while time < 10 * DAY {
            detector.observe(time, usual(time));
            time += 300;
        }
        let quiet = |time: i64| usual(time).min(20.0 + (time / 300 * 7919 % 101) as f64 / 50.0);
        let mut greatest = 0.0_f64;
        while time < 11 * DAY {
            greatest = greatest.max(detector.observe(time, quiet(time)).score);
            time += 300;
        }
        assert!(greatest > 0.3, "{greatest}");
    }

    #[test]
    fn what_is_no_number_is_missing() {
        let mut detector = Detector::default();
        detector.observe(0, 1.0);
        let before = detector.clone();
        assert_eq!(detector.observe(60, f64::NAN).score, 0.0);
        assert_eq!(detector, before);
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE] {
            for at in 0..300 {
                let score = detector.observe(at * 60, value).score;
                assert!((0.0..1.0).contains(&score), "{score}");
            }
        }
    }
}
