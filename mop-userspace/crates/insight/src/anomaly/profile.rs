//! What is usual at a time of the day or of the week.

use serde::{Deserialize, Serialize};

use super::bits;

/// Means of the slots of a cycle, and how far the whole is from them now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile<const SLOTS: usize> {
    #[serde(with = "bits::array")]
    means: [f32; SLOTS],
    /// Values seen in each slot, up to 255.
    #[serde(with = "bits::counts")]
    visits: [u8; SLOTS],
    /// How far recent values are from their slots: growth moves all of them.
    #[serde(with = "bits")]
    offset: f64,
}

impl<const SLOTS: usize> Profile<SLOTS> {
    pub(super) const NEW: Self = Self { means: [0.0; SLOTS], visits: [0; SLOTS], offset: 0.0 };

    /// What is expected in a slot, when it was visited at least so many times.
    pub(super) fn expected(&self, slot: usize, least_visits: u8) -> Option<f64> {
        let visits = *self.visits.get(slot)?;
        let mean = f64::from(*self.means.get(slot)?);
        (visits >= least_visits).then_some(mean + self.offset)
    }

    /// Learns a value, and how far it was from what was expected.
    pub(super) fn learn(&mut self, slot: usize, value: f64, residual: Option<f64>) {
        let (Some(mean), Some(visits)) = (self.means.get_mut(slot), self.visits.get_mut(slot))
        else {
            return;
        };
        *visits = visits.saturating_add(1);
        let weight = (1.0 / f64::from(*visits)).max(LEAST_WEIGHT);
        let old = f64::from(*mean);
        *mean = bounded(old + weight * (value - self.offset - old));
        if let Some(residual) = residual {
            self.offset += OFFSET_WEIGHT * residual;
        }
    }
}

fn bounded(number: f64) -> f32 {
    number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// A new value weighs at least this much in its slot: the last twenty weigh most.
const LEAST_WEIGHT: f64 = 0.05;
/// A new residual in the offset: the last two hundred weigh most.
const OFFSET_WEIGHT: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_its_own_mean_and_follows_growth() {
        let mut profile = Profile::<24>::NEW;
        let usual = |hour: usize| if (9..18).contains(&hour) { 100.0 } else { 10.0 };
        assert_eq!(profile.expected(3, 1), None);
        for at in 0..24 * 30 {
            let hour = at % 24;
            let residual = profile.expected(hour, 1).map(|expected| usual(hour) - expected);
            profile.learn(hour, usual(hour), residual);
        }
        assert!((profile.expected(12, 1).unwrap() - 100.0).abs() < 1.0);
        assert!((profile.expected(2, 1).unwrap() - 10.0).abs() < 1.0);
        for at in 0..24 * 60 {
            let (hour, value) = (at % 24, usual(at % 24) + 50.0);
            let residual = profile.expected(hour, 1).map(|expected| value - expected);
            profile.learn(hour, value, residual);
        }
        assert!((profile.expected(2, 1).unwrap() - 60.0).abs() < 3.0);
        assert_eq!(profile.expected(24, 1), None);
    }
}
