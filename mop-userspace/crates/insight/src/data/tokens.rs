//! Which consent a token stands for: learnt from the authorization flow, kept as digests.
//!
//! Calls for data carry a token and no consent, and the metrics platform wants the consent. The
//! flow tells it, step by step:
//!
//! ```text
//! pushed request (RFC 9126)  consent in its scope  -> request_uri, state, code_challenge
//! redirect with a code       state or request_uri  -> code
//! token endpoint             code or code_verifier -> access token, refresh token
//! token endpoint             refresh token         -> access token, the refresh token that follows
//! introspection (RFC 7662)   consent in its scope  -> token
//! ```
//!
//! A [`Lesson`] is one of these lines. It says which digests it needs to know, or the consent
//! itself, and which digests belong to the same consent from then on. `code_challenge` is the
//! SHA-256 of `code_verifier` (RFC 7636), so a pushed request and its token are joined even where
//! no browser is seen. A digest that two different consents claim, such as a `state` that is used
//! twice, belongs to none: it is *ambiguous*, and joins nothing.
//!
//! Limits: `entries <= limit`. Where one must go, it is one that is needed least: what belongs to
//! a flow under way first, then access tokens, refresh tokens last; of each the one that expires
//! first.

mod snapshot;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::snapshot::{MAX_SNAPSHOT_BYTES, SnapshotError};
use super::{consent::ConsentId, digest::Digest};

/// What one call teaches about tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// Digests that belong to the same consent; whichever is known says which.
    pub from: Vec<Digest>,
    /// What the call itself says; wins over `from`.
    pub says: Option<Belonging>,
    /// Digests that belong to it too.
    pub handles: Vec<Handle>,
    /// Digests that are no longer of use: revoked tokens.
    pub revoked: Vec<Digest>,
}

/// A digest to be learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The digest.
    pub digest: Digest,
    /// What it is of.
    pub need: Need,
    /// When it may be forgotten, in seconds since 1970.
    pub expires_s: i64,
}

/// What a digest is of, least needed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A `request_uri`, `state`, `code_challenge` or code.
    Flow,
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

/// To what a token belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// A consent.
    Consent(ConsentId, Source),
    /// The client itself (`client_credentials`): there is no consent.
    Client,
}

/// How the consent of a token was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Claims of a token whose signature was not checked: a hint.
    Claims,
    /// The authorization flow.
    Flow,
    /// An introspection answer.
    Introspection,
}

/// What became of a lesson.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taught {
    /// These digests are known now.
    Learnt(Vec<Digest>),
    /// Nothing that it builds on is known yet.
    Waits,
    /// What it builds on belongs to different consents.
    Contradicts,
}

/// What is known of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<'s> {
    /// It belongs to this.
    Belongs(&'s Belonging),
    /// Different consents claim it.
    Ambiguous,
    /// Nothing.
    Unknown,
}

/// Digests and what they belong to.
#[derive(Debug)]
pub struct TokenStore {
    entries: HashMap<Digest, Entry>,
    /// The same, least needed first.
    order: BTreeSet<(Need, i64, Digest)>,
    limit: usize,
    /// What happened to entries and lessons.
    pub counts: StoreCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Digests learnt.
    pub learnt: u64,
    /// Forgotten because their time was over.
    pub expired: u64,
    /// Forgotten because there was no room.
    pub evicted: u64,
    /// Forgotten because they were revoked.
    pub revoked: u64,
    /// Digests that a second consent claimed, and lessons that contradict themselves.
    pub contradictions: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// `None`: different consents claim it.
    belonging: Option<Belonging>,
    need: Need,
    expires_s: i64,
}

impl TokenStore {
    /// An empty store of at most this many digests.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
            limit: limit.max(1),
            counts: StoreCounts::default(),
        }
    }

    /// Takes a lesson in.
    pub fn learn(&mut self, lesson: &Lesson, now: Timestamp) -> Taught {
        let Lesson { from, says, handles, revoked } = lesson;
        for digest in revoked {
            if self.remove(*digest) {
                self.counts.revoked += 1;
            }
        }
        let belonging = match (says, self.common(from, now)) {
            (Some(says), _) => says.clone(),
            (None, Ok(Some(common))) => common,
            (None, Ok(None)) if handles.is_empty() => return Taught::Learnt(Vec::new()),
            (None, Ok(None)) => return Taught::Waits,
            (None, Err(())) => {
                self.counts.contradictions += 1;
                return Taught::Contradicts;
            }
        };
        for handle in handles {
            self.insert(*handle, Some(&belonging));
        }
        Taught::Learnt(handles.iter().map(|handle| handle.digest).collect())
    }

    /// Takes in what another store knows; the digests that it told of.
    pub fn absorb(&mut self, other: Self) -> Vec<Digest> {
        let Self { entries, order, limit: _, counts: _ } = other;
        // The most needed last, so that they are the ones that stay where there is no room.
        for (need, expires_s, digest) in &order {
            let Some(entry) = entries.get(digest) else { continue };
            let handle = Handle { digest: *digest, need: *need, expires_s: *expires_s };
            self.insert(handle, entry.belonging.as_ref());
        }
        order.into_iter().map(|(_, _, digest)| digest).collect()
    }

    /// Forgets what is over.
    pub fn advance(&mut self, now: Timestamp) {
        for need in [Need::Flow, Need::Access, Need::Refresh] {
            while let Some(first) = self.first_of(need)
                && first.1 <= now.as_second()
            {
                self.remove(first.2);
                self.counts.expired += 1;
            }
        }
    }

    /// What is known of a digest.
    #[must_use]
    pub fn find(&self, digest: Digest, now: Timestamp) -> Known<'_> {
        match self.entries.get(&digest).filter(|entry| entry.expires_s > now.as_second()) {
            Some(Entry { belonging: Some(belonging), .. }) => Known::Belongs(belonging),
            Some(Entry { belonging: None, .. }) => Known::Ambiguous,
            None => Known::Unknown,
        }
    }

    /// Number of digests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// To what all that is known of these digests belongs; an error when they differ.
    fn common(&self, digests: &[Digest], now: Timestamp) -> Result<Option<Belonging>, ()> {
        let mut common: Option<&Belonging> = None;
        for digest in digests {
            let Known::Belongs(belonging) = self.find(*digest, now) else { continue };
            match common {
                Some(other) if !other.is_same(belonging) => return Err(()),
                Some(_) => {}
                None => common = Some(belonging),
            }
        }
        Ok(common.cloned())
    }

    /// `None`: different consents claim it.
    fn insert(&mut self, handle: Handle, belonging: Option<&Belonging>) {
        let Handle { digest, need, expires_s } = handle;
        let mut entry = Entry { belonging: belonging.cloned(), need, expires_s };
        if let Some(known) = self.entries.get(&digest) {
            entry.expires_s = entry.expires_s.max(known.expires_s);
            entry.need = entry.need.max(known.need);
            entry.belonging = match (&known.belonging, belonging) {
                (None, _) | (_, None) => None,
                // What was only a hint gives way; a hint never overrules.
                (Some(old), Some(new)) if old.is_hint() => Some(new.clone()),
                (Some(old), Some(new)) if old.is_same(new) || new.is_hint() => Some(old.clone()),
                (Some(_), Some(_)) => {
                    self.counts.contradictions += 1;
                    None
                }
            };
            self.remove(digest);
        } else {
            self.counts.learnt += 1;
        }
        while self.entries.len() >= self.limit {
            let Some((_, _, least)) = self.order.first().copied() else { break };
            self.remove(least);
            self.counts.evicted += 1;
        }
        self.order.insert((entry.need, entry.expires_s, digest));
        self.entries.insert(digest, entry);
    }

    fn remove(&mut self, digest: Digest) -> bool {
        let Some(entry) = self.entries.remove(&digest) else { return false };
        self.order.remove(&(entry.need, entry.expires_s, digest))
    }

    fn first_of(&self, need: Need) -> Option<(Need, i64, Digest)> {
        let start = (need, i64::MIN, Digest::MIN);
        self.order.range(start..).next().copied().filter(|first| first.0 == need)
    }
}

impl Belonging {
    /// Whether both are the same consent, or both are the client itself.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Consent(one, _), Self::Consent(two, _)) => one == two,
            (Self::Client, Self::Client) => true,
            (Self::Consent(..), Self::Client) | (Self::Client, Self::Consent(..)) => false,
        }
    }

    fn is_hint(&self) -> bool {
        matches!(self, Self::Consent(_, Source::Claims))
    }
}

/// Digests of one node: a flow has seven, and tokens live for minutes, so this is some ten
/// thousand flows an hour; 16 MB.
pub const DEFAULT_LIMIT: usize = 65_536;

/// How long a flow may take: the user has an hour to decide, and clocks differ.
pub const FLOW_SECONDS: i64 = 2 * 3600;

/// Tokens live for 300 to 900 s; an answer that says more is believed up to here.
pub const MAX_ACCESS_SECONDS: i64 = 24 * 3600;

/// Of an access token whose answer does not say.
pub const DEFAULT_ACCESS_SECONDS: i64 = 900;

/// Refresh tokens live as long as their consent: twelve months at most.
pub const REFRESH_SECONDS: i64 = 366 * 24 * 3600;
