//! From urgencies to alarms that open once and close once.

use serde::{Deserialize, Serialize};

/// Whether an alarm is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hysteresis {
    open: bool,
    /// Values without pressure, one after the other.
    calm: u16,
    /// Values since it opened.
    held: u16,
}

/// An alarm opens or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// It opens.
    Opened,
    /// It closes: what was seen is usual again, or has become usual.
    Closed,
}

impl Hysteresis {
    /// Takes the urgency of a value, and whether the last values are still away from what is expected.
    pub fn step(&mut self, urgency: f64, pressing: bool) -> Option<Transition> {
        if !self.open {
            if urgency < OPENING_URGENCY {
                return None;
            }
            *self = Self { open: true, calm: 0, held: 0 };
            return Some(Transition::Opened);
        }
        self.held = self.held.saturating_add(1);
        let calm = !pressing && urgency < CLOSING_URGENCY;
        self.calm = if calm { self.calm.saturating_add(1) } else { 0 };
        if self.calm < CALM_VALUES && self.held < MOST_VALUES {
            return None;
        }
        *self = Self::default();
        Some(Transition::Closed)
    }

    /// Whether an alarm is open.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.open
    }
}

/// An alarm opens at this urgency: some three and a half votes.
pub const OPENING_URGENCY: f64 = 0.5;
/// It stays open above this one.
const CLOSING_URGENCY: f64 = 0.25;
/// It closes after so many values that are usual, so that it does not flutter.
const CALM_VALUES: u16 = 5;
/// What lasts longer is the new normal: a day of five minutes.
const MOST_VALUES: u16 = 288;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_opens_once_and_closes_when_it_was_calm_for_a_while() {
        let mut state = Hysteresis::default();
        assert_eq!(state.step(0.49, true), None);
        assert_eq!(state.step(0.5, false), Some(Transition::Opened));
        for _ in 0..20 {
            assert_eq!(state.step(0.9, true), None);
            assert_eq!(state.step(0.0, false), None);
        }
        for _ in 0..3 {
            assert_eq!(state.step(0.0, false), None);
        }
        assert_eq!(state.step(0.0, false), Some(Transition::Closed));
        assert!(!state.is_open());
    }

    #[test]
    fn what_lasts_is_the_new_normal() {
        let mut state = Hysteresis::default();
        assert_eq!(state.step(0.9, true), Some(Transition::Opened));
        let steps = (1..).find(|_| state.step(0.3, true).is_some()).unwrap();
        assert_eq!(steps, MOST_VALUES);
    }
}
