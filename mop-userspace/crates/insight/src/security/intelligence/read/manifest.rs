//! The index of a MISP feed: which events there are, and when each was changed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{ReadError, misp::Time, text};
use crate::security::uuid::Uuid;

/// Events of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// In the order of their identifiers.
    pub events: Vec<ManifestEntry>,
    /// Entries without an identifier or a time.
    pub unreadable: usize,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its identifier: its file is `<identifier>.json`.
    pub event: Uuid,
    /// Seconds since 1970 of its last change.
    pub timestamp: i64,
}

#[derive(serde::Deserialize)]
struct Described {
    timestamp: Time,
}

impl Manifest {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    ///
    /// Every [`ReadError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        let entries: BTreeMap<String, &RawValue> =
            serde_json::from_str(text(bytes)?).map_err(|error| ReadError::of_json(&error))?;
        let all = entries.len();
        let events: Vec<_> = entries
            .into_iter()
            .filter_map(|(event, described)| {
                let Described { timestamp } = serde_json::from_str(described.get()).ok()?;
                Some(ManifestEntry { event: Uuid::parse(&event)?, timestamp: timestamp.seconds()? })
            })
            .take(MAX_EVENTS)
            .collect();
        Ok(Self { unreadable: all - events.len(), events })
    }

    /// The events to fetch: those that are not known, or were changed since.
    pub fn wanted(&self, known: impl Fn(Uuid) -> Option<i64>) -> impl Iterator<Item = Uuid> {
        let is_wanted = move |entry: &&ManifestEntry| {
            known(entry.event).is_none_or(|since| since < entry.timestamp)
        };
        self.events.iter().filter(is_wanted).map(|entry| entry.event)
    }
}

/// Large public feeds have some thousand.
const MAX_EVENTS: usize = 200_000;
