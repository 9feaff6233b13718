//! Organisations that call: who was never seen before.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::SeenCall;

/// Why a snapshot of clients is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClientsSnapshotError {
    /// Not a snapshot, or longer than one may be.
    #[error("it is no snapshot of clients")]
    Syntax,
    /// Of another version.
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    version: u32,
    since: Option<Timestamp>,
    /// Identifiers of organisations, as the directory has them.
    known: Vec<String>,
}

/// Organisations that were seen.
#[derive(Debug, Default)]
pub(super) struct Clients {
    known: HashSet<String>,
    since: Option<Timestamp>,
    counts: ClientsCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientsCounts {
    /// Organisations that are known.
    pub known: u64,
    /// Organisations that had no room.
    pub refused: u64,
}

impl Clients {
    /// Calls are watched since this time, at the latest.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// Notes who called. Gives for how many days was watched, when it is the first time and enough
    /// was watched for that to mean something.
    pub(super) fn see(&mut self, call: &SeenCall) -> Option<u64> {
        let since = *self.since.get_or_insert(call.start);
        let organisation = call.parties.client_organisation.as_ref()?;
        if self.known.contains(organisation) {
            return None;
        }
        if self.known.len() >= MAX_ORGANISATIONS {
            self.counts.refused += 1;
            return None;
        }
        self.known.insert(organisation.clone());
        self.counts.known += 1;
        let hours = u64::try_from(call.start.duration_since(since).as_hours()).ok()?;
        (hours >= LEARNING_HOURS).then_some(hours / 24)
    }

    /// Who was seen and since when, as bytes: so a restart neither begins a day of learning anew, nor
    /// tells everybody as new.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut known: Vec<_> = self.known.iter().cloned().collect();
        known.sort_unstable();
        let snapshot = Snapshot { version: VERSION, since: self.since, known };
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// Takes in what another one knew; what has no room is left out.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), ClientsSnapshotError> {
        if bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(ClientsSnapshotError::Syntax);
        }
        let Snapshot { version, since, known } =
            serde_json::from_slice(bytes).map_err(|_its_text| ClientsSnapshotError::Syntax)?;
        if version != VERSION {
            return Err(ClientsSnapshotError::Version(version));
        }
        self.since = self.since.into_iter().chain(since).min();
        self.known.extend(known.into_iter().take(MAX_ORGANISATIONS));
        self.counts.known = u64::try_from(self.known.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    pub(super) fn counts(&self) -> ClientsCounts {
        self.counts
    }
}

/// The directory has some hundred.
const MAX_ORGANISATIONS: usize = 1 << 14;

const VERSION: u32 = 1;

/// Identifiers of the directory have 36 characters, and certificates may have others.
const MAX_SNAPSHOT_BYTES: usize = MAX_ORGANISATIONS * 256;

/// Whoever calls at all calls within a day.
const LEARNING_HOURS: u64 = 24;
