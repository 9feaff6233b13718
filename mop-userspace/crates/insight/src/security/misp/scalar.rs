//! Numbers, times and short texts as the core format writes them: all as JSON strings.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// Seconds since 1970, written as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub i64);

/// A time, written in ISO 8601 with microseconds and offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub Timestamp);

/// What an event is about: one line of at most [`MAX_INFO_CHARACTERS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Info(String);

/// Why a text cannot be the `info` of an event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InfoError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// It has a line break or another control character.
    #[error("it has a control character")]
    Line,
    /// More than [`MAX_INFO_CHARACTERS`].
    #[error("it has more than {MAX_INFO_CHARACTERS} characters")]
    TooLong,
}

/// Who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distribution {
    /// The own organisation.
    #[serde(rename = "0")]
    Organisation,
    /// The own community.
    #[serde(rename = "1")]
    Community,
    /// Connected communities.
    #[serde(rename = "2")]
    Connected,
    /// All.
    #[serde(rename = "3")]
    All,
    /// As the event; never of an event.
    #[serde(rename = "5")]
    Inherit,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ThreatLevel {
    /// High.
    #[serde(rename = "1")]
    High,
    /// Medium.
    #[serde(rename = "2")]
    Medium,
    /// Low.
    #[serde(rename = "3")]
    Low,
    /// Not known.
    #[serde(rename = "4")]
    Undefined,
}

/// How far the analysis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Analysis {
    /// At its begin: a machine noticed it, nobody looked.
    #[serde(rename = "0")]
    Initial,
    /// Going on.
    #[serde(rename = "1")]
    Ongoing,
    /// Done.
    #[serde(rename = "2")]
    Completed,
}

impl Info {
    /// Takes a text.
    ///
    /// # Errors
    ///
    /// Every [`InfoError`].
    pub fn new(text: &str) -> Result<Self, InfoError> {
        if text.is_empty() {
            return Err(InfoError::Empty);
        }
        if text.chars().any(|it| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}')) {
            return Err(InfoError::Line);
        }
        if text.chars().count() > MAX_INFO_CHARACTERS {
            return Err(InfoError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = format!("{:.6}", self.0);
        serializer.collect_str(&format_args!("{}+00:00", text.trim_end_matches('Z')))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = String::deserialize(deserializer)?.parse();
        seconds.map(Self).map_err(|_not_a_number| D::Error::custom("not seconds"))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = String::deserialize(deserializer)?.parse();
        time.map(Self).map_err(|_not_a_time| D::Error::custom("not a time"))
    }
}

/// Of the core format.
pub const MAX_INFO_CHARACTERS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_texts_as_the_format_says() {
        let instant = Instant("2026-11-24T12:00:00.5Z".parse().unwrap());
        let written = serde_json::to_string(&(Seconds(1_795_520_690), instant, Analysis::Initial));
        assert_eq!(written.unwrap(), r#"["1795520690","2026-11-24T12:00:00.500000+00:00","0"]"#);
    }

    #[test]
    fn info_is_one_line_of_256_characters() {
        assert!(Info::new(&"é".repeat(256)).is_ok());
        assert_eq!(Info::new(&"é".repeat(257)), Err(InfoError::TooLong));
        assert_eq!(Info::new("a\nb"), Err(InfoError::Line));
        assert_eq!(Info::new(""), Err(InfoError::Empty));
    }
}
