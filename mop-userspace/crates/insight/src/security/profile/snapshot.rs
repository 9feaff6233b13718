//! The state as bytes, so that a restart forgets nothing: JSON with a version. It holds digests,
//! times, words of closed lists and identifiers of organisations. Counts of the last minutes are
//! not in it. A snapshot made under another key is refused: nothing in it would be found again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    assertion::Used, consents::Consent, idempotency::Sent, state::Profile, token_use::Token,
    when::Moment,
};
use crate::data::digest::{Digest, Key, Subject};

/// Why a snapshot is not taken.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProfileSnapshotError {
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
    /// Digest of the names of all permissions: of another list, what a consent lacks is unknown.
    permissions: String,
    tokens: Vec<(Hex, Token)>,
    links: Vec<(Hex, Option<Hex>)>,
    consents: Vec<(Hex, ConsentRow)>,
    assertions: Vec<(Used, Moment)>,
    idempotency_keys: Vec<(Hex, Hex, Sent)>,
}

#[derive(Serialize, Deserialize)]
struct Hex(#[serde(with = "hex")] Digest);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentRow {
    creator: Option<String>,
    /// By name, since their places change with the file.
    permissions: Option<Vec<String>>,
    ended: Option<Moment>,
    expires: Option<Timestamp>,
}

impl Profile {
    /// The state as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let permissions = &self.settings.permissions;
        let named = |consent: &Consent| ConsentRow {
            creator: consent.creator.clone(),
            permissions: consent.permissions.as_ref().map(|given| {
                let names = given.iter().filter_map(|given| permissions.name(*given));
                names.map(str::to_owned).collect()
            }),
            ended: consent.ended,
            expires: consent.expires,
        };
        let links = self.tokens.links.iter();
        let consents = self.consents.0.iter();
        let assertions = self.assertions.0.iter();
        let keys = self.idempotency.0.iter();
        let snapshot = Snapshot {
            version: VERSION,
            key: mark(&self.settings.key),
            permissions: self.permissions_mark(),
            tokens: self.tokens.tokens.iter().map(|(it, token)| (Hex(*it), *token)).collect(),
            links: links.map(|(it, consent)| (Hex(*it), consent.map(Hex))).collect(),
            consents: consents.map(|(it, consent)| (Hex(*it), named(consent))).collect(),
            assertions: assertions.map(|(used, end)| (*used, *end)).collect(),
            idempotency_keys: keys
                .map(|((party, key), it)| (Hex(*party), Hex(*key), *it))
                .collect(),
        };
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// Takes in what another profile knew; `self` should be a new one.
    ///
    /// # Errors
    ///
    /// Every [`ProfileSnapshotError`]; then nothing is taken in.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), ProfileSnapshotError> {
        if bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(ProfileSnapshotError::TooLong);
        }
        let Snapshot {
            version,
            key,
            permissions: made_with,
            tokens,
            links,
            consents,
            assertions,
            idempotency_keys,
        } = serde_json::from_slice(bytes).map_err(|_not_one| ProfileSnapshotError::Syntax)?;
        if version != VERSION {
            return Err(ProfileSnapshotError::Version(version));
        }
        if key != mark(&self.settings.key) {
            return Err(ProfileSnapshotError::OtherKey);
        }
        let is_same_list = made_with == self.permissions_mark();
        for (Hex(digest), token) in tokens {
            self.tokens.tokens.insert(digest, token);
        }
        for (Hex(digest), consent) in links {
            self.tokens.links.insert(digest, consent.map(|Hex(consent)| consent));
        }
        for (Hex(digest), row) in consents {
            let ConsentRow { creator, permissions: names, ended, expires } = row;
            let permissions = &self.settings.permissions;
            let known = |names: Vec<String>| {
                names.iter().filter_map(|name| permissions.named(name)).collect()
            };
            let permissions = names.filter(|_| is_same_list).map(known);
            self.consents.0.insert(digest, Consent { creator, permissions, ended, expires });
        }
        for (used, end) in assertions {
            self.assertions.0.insert(used, end);
        }
        for (Hex(party), Hex(key), sent) in idempotency_keys {
            self.idempotency.0.insert((party, key), sent);
        }
        Ok(())
    }

    fn permissions_mark(&self) -> String {
        let names: Vec<&str> = self.settings.permissions.names().collect();
        self.settings.key.digest(Subject::Key, names.join(" ").as_bytes()).to_hex()
    }
}

fn mark(key: &Key) -> String {
    key.digest(Subject::Key, b"").to_hex()
}

/// A digest as 32 hexadecimal digits.
pub(super) mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::data::digest::Digest;

    pub(in super::super) fn serialize<S: Serializer>(
        digest: &Digest,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest.to_hex())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::from_hex(&text).ok_or_else(|| D::Error::custom("not a digest"))
    }
}

/// The same, where there may be none.
pub(super) mod optional_hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::data::digest::Digest;

    #[expect(clippy::ref_option, reason = "serde hands out references to fields")]
    pub(in super::super) fn serialize<S: Serializer>(
        digest: &Option<Digest>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match digest {
            Some(digest) => serializer.serialize_some(&digest.to_hex()),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Digest>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read =
            |text: String| Digest::from_hex(&text).ok_or_else(|| D::Error::custom("not a digest"));
        text.map(read).transpose()
    }
}

const VERSION: u32 = 1;

/// Five memories of 65,536 rows of some 250 bytes.
pub const MAX_SNAPSHOT_BYTES: usize = 128 << 20;
