//! The event of one step, as the platform takes it, and the record that carries it.
//!
//! Source: `consent-funnel-ingestion` 1.0.5, `eventBodyV2` and `eventBodyCotacaoContratacao`, which
//! have the same members. The same step of the same consent is the same bytes whenever it is made:
//! `correlationId` is a UUID of RFC 9562, section 5.8 (version 8), taken from a SHA-256 of what
//! identifies the step, and times are whole seconds in UTC (`maxLength` 20).

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    info::AdditionalInfo,
    step::{FunnelKind, Side, Step},
};

/// Body of an event. Members are in the order of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepEvent {
    /// The consent, `urn:…`.
    pub consent_id: String,
    /// What happened.
    pub step: Step,
    /// Identifies this step.
    pub correlation_id: String,
    /// What is known beyond it.
    #[serde(default, skip_serializing_if = "AdditionalInfo::is_empty")]
    pub additional_info: AdditionalInfo,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub timestamp: String,
    /// Organisation that asked for the consent.
    pub client_org_id: String,
    /// Its software statement.
    #[serde(rename = "clientSSId")]
    pub client_ss_id: String,
    /// Organisation that holds the data.
    pub server_org_id: String,
    /// Its authorisation server.
    #[serde(rename = "serverASId")]
    pub server_as_id: String,
    /// What the consent allows, under the names that the platform takes; at least one.
    pub permissions: Vec<String>,
}

/// A step to be reported. Its schema is `rules/schemas/data.funnel.schema.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunnelRecord {
    /// Always [`RECORD_KIND`].
    pub kind: String,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The event's `correlationId`.
    pub id: String,
    /// The interface that takes it.
    pub funnel: FunnelKind,
    /// The side that it is reported for.
    pub side: Side,
    /// What is to be posted.
    pub event: StepEvent,
    /// Whether the step was concluded from another, and neither seen nor told.
    pub inferred: bool,
}

impl FunnelRecord {
    /// Wraps an event.
    #[must_use]
    pub fn new(funnel: FunnelKind, side: Side, event: StepEvent, inferred: bool) -> Self {
        Self {
            kind: RECORD_KIND.to_owned(),
            schema_version: RECORD_SCHEMA_VERSION,
            id: event.correlation_id.clone(),
            funnel,
            side,
            event,
            inferred,
        }
    }
}

/// What identifies a step: equal parts give equal identifiers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) consent: &'a str,
    pub(crate) side: Side,
    pub(crate) step: Step,
    pub(crate) is_failure: bool,
    /// Second of the event.
    pub(crate) at: i64,
    /// Tells repetitions of a step within a second apart; 0 for steps that do not repeat.
    pub(crate) occurrence: u64,
}

impl Identity<'_> {
    /// The UUID of the step.
    pub(crate) fn correlation(&self) -> String {
        let Self { consent, side, step, is_failure, at, occurrence } = self;
        let mut digest = Sha256::new();
        // The URN is last: it is the only part of variable length that others could be mistaken in.
        digest.update(NAMESPACE);
        digest.update([u8::from(*side == Side::Server), u8::from(*is_failure)]);
        digest.update(step.name().as_bytes());
        digest.update([0]);
        digest.update(at.to_be_bytes());
        digest.update(occurrence.to_be_bytes());
        digest.update(consent.as_bytes());
        uuid(&digest.finalize())
    }
}

/// First eight bytes of a digest of a name: tells repetitions apart.
#[must_use]
pub fn occurrence_of(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// A second in UTC as the platform takes it, 20 characters; `None` outside the years 0 to 9999.
pub(crate) fn whole_seconds(at: i64) -> Option<String> {
    let time = Timestamp::from_second(at).ok()?;
    let text = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    (text.len() == TIMESTAMP_CHARACTERS).then_some(text)
}

/// RFC 9562, figure 12: version 8 in the 7th byte, variant 10 in the 9th.
fn uuid(digest: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (position, byte) in digest.iter().take(16).enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match position {
            6 => (byte & 0x0f) | 0x80,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// `kind` of the record.
pub const RECORD_KIND: &str = "data.funnel";
/// Version of the record's schema.
pub const RECORD_SCHEMA_VERSION: u32 = 1;
/// `maxLength` of `timestamp`.
const TIMESTAMP_CHARACTERS: usize = 20;
/// Keeps these identifiers apart from all other digests; a change would make resent steps new ones.
const NAMESPACE: &[u8] = b"mop funnel step 1\0";

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(at: i64) -> String {
        let (side, step) = (Side::Server, Step::ConsentCreated);
        Identity { consent: "urn:a:b", side, step, is_failure: false, at, occurrence: 0 }
            .correlation()
    }

    #[test]
    fn an_identifier_is_a_uuid_of_version_8_and_stays_the_same() {
        let id = identity(1_700_000_000);
        assert_eq!(id, identity(1_700_000_000));
        assert_ne!(id, identity(1_700_000_001));
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'8');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn times_have_twenty_characters_or_are_none() {
        assert_eq!(whole_seconds(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(whole_seconds(1_668_101_192).as_deref(), Some("2022-11-10T17:26:32Z"));
        assert_eq!(whole_seconds(i64::MAX), None);
        assert_eq!(whole_seconds(-100_000_000_000), None, "before the year 0");
    }
}
