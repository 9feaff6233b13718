//! The record of an alarm: `data.anomaly` (`rules/schemas/data.anomaly.schema.json`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{AlarmSignal, Subject};
use crate::hexadecimal::hexadecimal;

/// An alarm that opens or closes. Equal ones are equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyRecord {
    /// Always [`RECORD_KIND`].
    pub kind: String,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The incident, then `/opened` or `/closed`.
    pub id: String,
    /// What the two records of an incident have in common: follows from the node, the signal, the
    /// subject, the degree and the begin.
    pub incident: String,
    /// End of the window that it was seen in.
    pub ts: Timestamp,
    /// Whether it opens or closes.
    pub state: AlarmState,
    /// What is unlike itself.
    pub signal: AlarmSignal,
    /// What it is about.
    pub subject: Subject,
    /// How fast it is to be looked at.
    pub severity: Severity,
    /// How sure, from 0 to 1.
    pub score: f64,
    /// What was expected; its limit where there is one.
    pub expected: f64,
    /// What was seen.
    pub seen: f64,
    /// What both are in.
    pub unit: String,
    /// A sentence that says why.
    pub reason: String,
    /// Begin of the window in which it opened.
    pub since: Timestamp,
    /// The window that was judged.
    pub window: WindowRecord,
}

/// Whether an alarm opens or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// It opens.
    Opened,
    /// It closes.
    Closed,
}

/// How fast it is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// In working hours.
    Ticket,
    /// Now.
    Page,
}

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRecord {
    /// Its begin.
    pub start: Timestamp,
    /// Its length.
    pub seconds: i64,
}

/// A window, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) seconds: i64,
}

impl AlarmState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
        }
    }
}

impl Span {
    pub(super) fn end(self) -> i64 {
        self.start.saturating_add(self.seconds)
    }

    pub(super) fn record(self) -> WindowRecord {
        WindowRecord { start: timestamp(self.start), seconds: self.seconds }
    }
}

/// A time; one that cannot be is the nearest that can.
pub(super) fn timestamp(second: i64) -> Timestamp {
    let (least, most) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(second.clamp(least, most)).unwrap_or_default()
}

/// Names an incident: nothing else has the same, on this node or another.
pub(super) fn incident(
    node: &str,
    signal: AlarmSignal,
    subject: &Subject,
    degree: u8,
    since: i64,
) -> String {
    let mut digest = Sha256::new();
    let side = subject.side.map(|side| format!("{side:?}"));
    let scope = format!("{:?}", subject.scope);
    let parts = [
        Some(node),
        Some(signal.name()),
        Some(scope.as_str()),
        subject.organisation.as_deref(),
        subject.client_organisation.as_deref(),
        subject.endpoint.as_deref(),
        side.as_deref(),
        subject.name.as_deref(),
    ];
    for part in parts {
        // With its length, so that no two lists of parts are the same bytes.
        let (is_there, part) = (part.is_some(), part.unwrap_or_default());
        digest.update([u8::from(is_there)]);
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.update([degree]);
    digest.update(since.to_be_bytes());
    hexadecimal(digest.finalize().get(..INCIDENT_BYTES).unwrap_or_default())
}

/// A number as it is told: six decimals say more than is known of it.
pub(super) fn rounded(number: f64) -> f64 {
    let rounded = (number * DECIMALS).round() / DECIMALS;
    if rounded.is_finite() { rounded + 0.0 } else { 0.0 }
}

/// Name of the record's kind.
pub const RECORD_KIND: &str = "data.anomaly";
/// Of the form of the record.
pub const RECORD_SCHEMA_VERSION: u32 = 1;
/// Enough for every incident there will ever be.
const INCIDENT_BYTES: usize = 16;
const DECIMALS: f64 = 1e6;
