//! Durations as text: `"30s"`, `"7d"`. For `#[serde(with = "…")]`.

use std::{fmt, time::Duration};

use serde::{Deserializer, Serializer, de};

use crate::cli::parse_duration;

/// The text of a duration, in the largest unit that says it exactly.
pub(crate) fn text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, length)| milliseconds > 0 && milliseconds.is_multiple_of(*length))
    {
        Some((unit, length)) => format!("{}{unit}", milliseconds / length),
        None => format!("{milliseconds}ms"),
    }
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*duration))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_str(Text { zero: None })
}

/// The same, where no time at all means something: `"0ms"`.
pub(crate) mod or_zero {
    use super::{Deserializer, Duration, Text};

    pub(crate) use super::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        from.deserialize_str(Text { zero: Some(Duration::ZERO) })
    }
}

struct Text {
    /// What no time at all is taken for.
    zero: Option<Duration>,
}

impl de::Visitor<'_> for Text {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration in quotes, such as \"30s\",")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        match self.zero {
            Some(zero) if matches!(text, "0" | "0ms" | "0s" | "0m" | "0h" | "0d") => Ok(zero),
            _ => parse_duration(text).map_err(E::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for shown in ["1ms", "1500ms", "30s", "90s", "5m", "12h", "7d"] {
            assert_eq!(text(parse_duration(shown).expect("valid")), shown);
        }
        assert_eq!(text(Duration::ZERO), "0ms");
    }
}
