//! Sightings: an indicator of others was seen here.
//!
//! The identifier follows from attribute, organisation and window, and a server ignores one that it
//! has: what is sent again is counted once.

use serde::Serialize;

use super::scalar::Seconds;
use crate::security::uuid::Uuid;

/// A sighting of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sighting {
    uuid: Uuid,
    r#type: SightingType,
    source: String,
    date_sighting: Seconds,
}

/// What a sighting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SightingType {
    /// It was seen.
    #[serde(rename = "0")]
    Seen,
    /// It was seen and is harmless.
    #[serde(rename = "1")]
    FalsePositive,
    /// It is no more.
    #[serde(rename = "2")]
    Expiration,
}

impl Sighting {
    /// One for each window of an attribute and an organisation; `window_seconds` of 0 is 1.
    #[must_use]
    pub fn new(
        attribute: Uuid,
        organisation: &str,
        r#type: SightingType,
        date: i64,
        window_seconds: u32,
    ) -> Self {
        let window = date.div_euclid(i64::from(window_seconds.max(1))).to_string();
        let kind = match r#type {
            SightingType::Seen => "seen",
            SightingType::FalsePositive => "false positive",
            SightingType::Expiration => "expiration",
        };
        Self {
            uuid: Uuid::of(attribute, &["sighting", organisation, kind, &window]),
            r#type,
            source: format!("mop/{organisation}"),
            date_sighting: Seconds(date),
        }
    }

    /// Its identifier.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_of_a_window_is_one() {
        let attribute = Uuid::from_bytes([7; 16]);
        let at = |date| Sighting::new(attribute, "org", SightingType::Seen, date, 3600);
        assert_eq!(at(7200).uuid(), at(10_799).uuid());
        assert_ne!(at(7200).uuid(), at(10_800).uuid());
        let other = Sighting::new(attribute, "other", SightingType::Seen, 7200, 3600);
        assert_ne!(at(7200).uuid(), other.uuid());
        let written = serde_json::to_value(at(7200)).unwrap();
        assert_eq!(written["type"], "0");
        assert_eq!(written["date_sighting"], "7200");
    }
}
