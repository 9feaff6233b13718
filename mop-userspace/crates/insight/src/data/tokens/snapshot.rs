//! The store as bytes, so that a restart does not cost what was learnt: JSON with a version.
//!
//! Tokens are in it as digests, consents as they are, since that is what is reported. A snapshot
//! made under another key is refused: none of its digests would ever be found again.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Belonging, ConsentId, Digest, Handle, Need, REFRESH_SECONDS, Source, TokenStore};
use crate::data::digest::{Key, Subject};

/// Why a snapshot is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// Longer than [`MAX_SNAPSHOT_BYTES`].
    #[error("it is longer than {MAX_SNAPSHOT_BYTES} bytes")]
    TooLong,
    /// Not a snapshot.
    #[error("it is no snapshot")]
    Syntax,
    /// Of another version.
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
    /// Made under another key.
    #[error("it was made under another key")]
    OtherKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    version: u32,
    /// Digest of nothing, which marks the key.
    key: String,
    consents: Vec<String>,
    entries: Vec<Row>,
}

/// Digest, need, end, what it belongs to.
#[derive(Serialize, Deserialize)]
struct Row(String, Need, i64, RowBelonging);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RowBelonging {
    Ambiguous,
    Client,
    /// Place among the consents.
    Consent(usize, Source),
}

impl TokenStore {
    /// The store as bytes.
    #[must_use]
    pub fn snapshot(&self, key: &Key) -> Vec<u8> {
        let mut places: HashMap<&ConsentId, usize> = HashMap::new();
        let mut consents = Vec::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        // Least needed first, so that the bytes are the same for the same content.
        for (need, expires_s, digest) in &self.order {
            let Some(entry) = self.entries.get(digest) else { continue };
            let belonging = match &entry.belonging {
                None => RowBelonging::Ambiguous,
                Some(Belonging::Client) => RowBelonging::Client,
                Some(Belonging::Consent(consent, source)) => {
                    let next = consents.len();
                    let place = *places.entry(consent).or_insert(next);
                    if place == next {
                        consents.push(consent.as_str().to_owned());
                    }
                    RowBelonging::Consent(place, *source)
                }
            };
            entries.push(Row(digest.to_hex(), *need, *expires_s, belonging));
        }
        let snapshot = Snapshot { version: VERSION, key: mark(key), consents, entries };
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// A store from the bytes of another, without what is over by now.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn restore(
        bytes: &[u8],
        key: &Key,
        limit: usize,
        now: Timestamp,
    ) -> Result<Self, SnapshotError> {
        if bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotError::TooLong);
        }
        let Snapshot { version, key: made_under, consents, entries } =
            serde_json::from_slice(bytes).map_err(|_not_one| SnapshotError::Syntax)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        if made_under != mark(key) {
            return Err(SnapshotError::OtherKey);
        }
        let consents: Option<Vec<ConsentId>> =
            consents.iter().map(|consent| ConsentId::parse(consent)).collect();
        let consents = consents.ok_or(SnapshotError::Syntax)?;
        let mut store = Self::new(limit);
        for Row(digest, need, expires_s, belonging) in entries {
            let digest = Digest::from_hex(&digest).ok_or(SnapshotError::Syntax)?;
            let belonging = match belonging {
                RowBelonging::Ambiguous => None,
                RowBelonging::Client => Some(Belonging::Client),
                RowBelonging::Consent(place, source) => {
                    let consent = consents.get(place).ok_or(SnapshotError::Syntax)?;
                    Some(Belonging::Consent(consent.clone(), source))
                }
            };
            // Nothing that is learnt stays longer, and what is damaged must not.
            let expires_s = expires_s.min(now.as_second().saturating_add(REFRESH_SECONDS));
            if expires_s <= now.as_second() {
                continue;
            }
            store.insert(Handle { digest, need, expires_s }, belonging.as_ref());
        }
        store.counts = super::StoreCounts::default();
        Ok(store)
    }
}

fn mark(key: &Key) -> String {
    key.digest(Subject::Key, b"").to_hex()
}

const VERSION: u32 = 1;

/// 65,536 digests of 80 bytes, and as many consents of 260.
pub const MAX_SNAPSHOT_BYTES: usize = 64 << 20;
