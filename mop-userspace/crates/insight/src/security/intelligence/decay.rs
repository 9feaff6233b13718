//! How confidence in an indicator fades: the polynomial of MISP's decaying models,
//! `score = base · (1 - (t / τ)^(1 / δ))`.

use thiserror::Error;

/// A decaying model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    lifetime_seconds: f64,
    speed: f64,
    threshold: u8,
}

/// Why numbers make no model.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecayError {
    /// τ is zero.
    #[error("the lifetime is zero")]
    Lifetime,
    /// δ is not a positive number.
    #[error("the speed is not a positive number")]
    Speed,
    /// The threshold is more than any score.
    #[error("the threshold is above 100")]
    Threshold,
}

impl Decay {
    /// From τ (seconds until the score is 0), δ (above 1 the score falls late, below 1 early) and
    /// the score below which an indicator counts no more.
    ///
    /// # Errors
    ///
    /// Every [`DecayError`].
    pub fn new(lifetime_seconds: u32, speed: f64, threshold: u8) -> Result<Self, DecayError> {
        if lifetime_seconds == 0 {
            return Err(DecayError::Lifetime);
        }
        if !(speed.is_finite() && speed > 0.0) {
            return Err(DecayError::Speed);
        }
        if threshold > 100 {
            return Err(DecayError::Threshold);
        }
        Ok(Self { lifetime_seconds: f64::from(lifetime_seconds), speed, threshold })
    }

    /// The score at an age, from 0 to `base`; none below the threshold. What was seen in the future
    /// was seen now: clocks differ.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 <= score <= base <= 255, and an age of 2^53 seconds is past every lifetime"
    )]
    pub fn score(&self, base: u8, age_seconds: i64) -> Option<u8> {
        let share = (age_seconds.max(0) as f64 / self.lifetime_seconds).min(1.0);
        let score = f64::from(base) * (1.0 - share.powf(self.speed.recip()));
        let counts = score >= f64::from(self.threshold);
        let score = score.round() as u8;
        (counts && score > 0).then_some(score)
    }
}

/// 90 days, falling slowly at first, no more below 20.
impl Default for Decay {
    fn default() -> Self {
        Self { lifetime_seconds: 90.0 * 86_400.0, speed: 2.0, threshold: 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_polynomial() {
        let decay = Decay::new(100, 1.0, 10).unwrap();
        let at = |age| decay.score(80, age);
        assert_eq!([at(-5), at(0), at(25), at(50)], [Some(80), Some(80), Some(60), Some(40)]);
        assert_eq!([at(87), at(88), at(100), at(i64::MAX)], [Some(10), None, None, None]);
        // 1 - 0.25^(1/2) = 0.5 and 1 - 0.25^2 = 0.9375.
        assert_eq!(Decay::new(100, 2.0, 0).unwrap().score(80, 25), Some(40));
        assert_eq!(Decay::new(100, 0.5, 0).unwrap().score(80, 25), Some(75));
    }

    #[test]
    fn numbers_without_sense_are_refused() {
        assert_eq!(Decay::new(0, 1.0, 0), Err(DecayError::Lifetime));
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Decay::new(1, speed, 0), Err(DecayError::Speed));
        }
        assert_eq!(Decay::new(1, 1.0, 101), Err(DecayError::Threshold));
    }
}
