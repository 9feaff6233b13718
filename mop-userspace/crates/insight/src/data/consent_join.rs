//! Waiting for what another connection is about to tell.
//!
//! Connections are read independently, so a call may be seen before the answer that gave its
//! token. A [`JoinQueue`] holds what waits for one of some digests: it is given out when one of
//! them is learnt, or when its time is over.
//!
//! Limits: `held <= limit`; where one more comes, the one that is due first is given out early.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::{digest::Digest, tokens::Source};

/// Things that wait for a digest.
#[derive(Debug)]
pub struct JoinQueue<T> {
    held: HashMap<u64, Held<T>>,
    by_due: BTreeSet<(Timestamp, u64)>,
    by_digest: BTreeSet<(Digest, u64)>,
    next: u64,
    limit: usize,
}

#[derive(Debug)]
struct Held<T> {
    item: T,
    digests: Vec<Digest>,
    due: Timestamp,
}

/// Where the consent of a call was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JoinedBy {
    /// A body of the call itself.
    Body,
    /// Claims of a token whose signature was not checked: a hint.
    Claims,
    /// Its token, by an introspection answer.
    Introspection,
    /// Its path.
    Path,
    /// Its token, by the authorization flow.
    Token,
}

/// Why the consent of a call that should have one is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unjoined {
    /// The token is of the client itself, and neither path nor body names a consent.
    ClientCredential,
    /// There was no room to wait for the token's consent.
    Overflow,
    /// It carries no token.
    TokenAbsent,
    /// Different consents claim its token.
    TokenAmbiguous,
    /// Nothing told of its token in time.
    TokenUnknown,
}

/// How calls that need a consent got one: the sum of all is the number of such calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinCounts {
    /// By where it was found.
    pub joined: BTreeMap<JoinedBy, u64>,
    /// By why it was not.
    pub unjoined: BTreeMap<Unjoined, u64>,
}

impl<T> JoinQueue<T> {
    /// An empty queue for at most this many things.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            held: HashMap::new(),
            by_due: BTreeSet::new(),
            by_digest: BTreeSet::new(),
            next: 0,
            limit: limit.max(1),
        }
    }

    /// Holds one. What it gives out had to make room.
    #[must_use]
    pub fn hold(&mut self, item: T, digests: Vec<Digest>, due: Timestamp) -> Option<T> {
        let displaced = if self.held.len() >= self.limit { self.take_first() } else { None };
        let number = self.next;
        self.next += 1;
        self.by_due.insert((due, number));
        self.by_digest.extend(digests.iter().map(|digest| (*digest, number)));
        self.held.insert(number, Held { item, digests, due });
        displaced
    }

    /// Everything that waits for this digest, in the order in which it came.
    pub fn release(&mut self, digest: Digest) -> Vec<T> {
        let waiting = self.by_digest.range((digest, 0)..=(digest, u64::MAX));
        let numbers: Vec<u64> = waiting.map(|(_, number)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// One whose time is over; call it until there is none.
    pub fn take_due(&mut self, now: Timestamp) -> Option<T> {
        self.by_due.first().filter(|(due, _)| *due <= now)?;
        self.take_first()
    }

    /// The one that is due first.
    pub fn take_first(&mut self) -> Option<T> {
        let (_, number) = self.by_due.first().copied()?;
        self.remove(number)
    }

    /// How many are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn remove(&mut self, number: u64) -> Option<T> {
        let Held { item, digests, due } = self.held.remove(&number)?;
        self.by_due.remove(&(due, number));
        for digest in digests {
            self.by_digest.remove(&(digest, number));
        }
        Some(item)
    }
}

impl JoinCounts {
    /// Share of the calls that need a consent and have one, 0 to 1; `None` when there was no call.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let joined: u64 = self.joined.values().sum();
        let all = joined + self.unjoined.values().sum::<u64>();
        (all > 0).then(|| joined as f64 / all as f64)
    }
}

impl JoinedBy {
    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Claims => "claims",
            Self::Introspection => "introspection",
            Self::Path => "path",
            Self::Token => "token",
        }
    }
}

impl From<Source> for JoinedBy {
    fn from(source: Source) -> Self {
        match source {
            Source::Claims => Self::Claims,
            Source::Flow => Self::Token,
            Source::Introspection => Self::Introspection,
        }
    }
}

impl Unjoined {
    /// Its name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredential => "client_credential",
            Self::Overflow => "overflow",
            Self::TokenAbsent => "token_absent",
            Self::TokenAmbiguous => "token_ambiguous",
            Self::TokenUnknown => "token_unknown",
        }
    }
}

/// Calls of five seconds at a hundred times the ecosystem's highest demand on one node.
pub const DEFAULT_HELD: usize = 16_384;
