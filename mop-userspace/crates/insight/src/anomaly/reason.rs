//! Why a value is alarming, in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a value was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The last few values.
    Recent,
    /// The level of the last few hundred.
    Level,
    /// The same time of other days.
    Day,
    /// The same hour of other weeks.
    Week,
    /// What both of them make of the time.
    Time,
    /// All values so far.
    Range,
    /// The shapes that values made so far.
    Shape,
    /// The share of calls that usually fail.
    Share,
}

/// How it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is higher.
    Above,
    /// It is lower.
    Below,
    /// The last values together are higher.
    DriftingUp,
    /// The last values together are lower.
    DriftingDown,
    /// The last values vary more.
    Restless,
}

/// What speaks against a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// What it was compared with.
    pub against: Against,
    /// How it differs.
    pub change: Change,
}

/// A sentence: what is unlike itself, what was expected, and what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What speaks against the value.
    pub cause: Cause,
    /// What was expected.
    pub expected: f64,
    /// What was seen.
    pub seen: f64,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = match self.against {
            Against::Recent => "just before",
            Against::Level => "in the long run",
            Against::Day => "usual at this time of the day",
            Against::Week => "usual at this hour of the week",
            Against::Time => "usual at such a time",
            Against::Range => return formatter.write_str(self.beyond()),
            Against::Shape => {
                return formatter.write_str("values follow each other as they seldom did before");
            }
            Against::Share => "usual among calls",
        };
        let differs = match self.change {
            Change::Above => "higher than",
            Change::Below => "lower than",
            Change::DriftingUp => "for some time higher than",
            Change::DriftingDown => "for some time lower than",
            Change::Restless => "varies more than",
        };
        write!(formatter, "{differs} {usual}")
    }
}

impl Cause {
    fn beyond(self) -> &'static str {
        match self.change {
            Change::Below | Change::DriftingDown => "lower than ever before",
            Change::Above | Change::DriftingUp | Change::Restless => "higher than ever before",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, expected, seen } = self;
        let bound =
            if cause.against == Against::Range { "the limit was" } else { "expected about" };
        write!(formatter, "{cause}: {bound} {}, seen {}", Figure(*expected), Figure(*seen))
    }
}

/// A number for people: four digits, no more than it has.
pub(super) struct Figure(pub(super) f64);

impl fmt::Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if number == 0.0 || !number.is_finite() {
            return write!(formatter, "{}", if number == 0.0 { 0.0 } else { number });
        }
        let magnitude = number.abs().log10().floor();
        if !(-4.0..15.0).contains(&magnitude) {
            return write!(formatter, "{number:.3e}");
        }
        let decimals = (DIGITS - 1.0 - magnitude).max(0.0) as usize;
        let text = format!("{number:.decimals$}");
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.'),
            false => &text,
        };
        formatter.write_str(text)
    }
}

const DIGITS: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence() {
        let cause = Cause { against: Against::Week, change: Change::Above };
        let reason = Reason { cause, expected: 120.0, seen: 480.126 };
        let sentence = "higher than usual at this hour of the week: expected about 120, seen 480.1";
        assert_eq!(reason.to_string(), sentence);
        let cause = Cause { against: Against::Range, change: Change::Below };
        let reason = Reason { cause, expected: 2.0, seen: -7.0 };
        assert_eq!(reason.to_string(), "lower than ever before: the limit was 2, seen -7");
    }

    #[test]
    fn figures_have_four_digits() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.001_234_56, "0.001235"),
            (1.0, "1"),
            (99.999, "100"),
            (12_345.6, "12346"),
            (1e20, "1.000e20"),
            (-3.5, "-3.5"),
            (1e-9, "1.000e-9"),
        ] {
            assert_eq!(Figure(number).to_string(), text);
        }
    }
}
