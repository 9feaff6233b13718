//! Indicators in memory: compact, immutable, looked up by the kind of a field.
//!
//! Values are not kept as such where a table does not need them; a match is the number of an
//! indicator, which leads to its feed and its event. `entries <= 2^32 - 2`.

pub mod addresses;
mod builder;
mod fingerprints;
pub mod texts;
mod user_agents;

use std::{net::IpAddr, sync::Arc};

pub use self::builder::{MAX_INDICATORS, MAX_SOURCES, StoreBuilder, StoreOptions};

use self::{
    addresses::Addresses,
    fingerprints::Fingerprints,
    texts::{TextTable, suffixes},
    user_agents::UserAgents,
};
use super::{
    decay::Decay,
    indicator::{JA4_BYTES, Kind},
    value,
};
use crate::security::uuid::Uuid;

/// Indicators, ready to be looked up.
pub struct Store {
    decay: Decay,
    facts: Box<[Facts]>,
    sources: Box<[Arc<str>]>,
    events: Box<[Uuid]>,
    addresses: Addresses,
    /// Both domains and hostnames.
    hosts: TextTable,
    /// No name in `hosts` has more: what is looked up for a hostile name is bounded by it.
    most_labels: usize,
    urls: TextTable,
    paths: TextTable,
    user_agents: UserAgents,
    ja3: Fingerprints<16>,
    ja4: Fingerprints<JA4_BYTES>,
    sha1: Fingerprints<20>,
    sha256: Fingerprints<32>,
    counts: StoreCounts,
}

/// What became of the indicators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Taken in.
    pub taken: usize,
    /// Of these, on a warninglist.
    pub warned: usize,
    /// More than the store holds.
    pub refused: usize,
}

/// Number of an indicator in one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndicatorId(u32);

/// An indicator that a field has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which.
    pub id: IndicatorId,
    /// What sort of thing it is.
    pub kind: Kind,
    /// How sure at the time of the lookup, from 1 to 100.
    pub confidence: u8,
}

/// Where an indicator is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'t> {
    /// Its feed.
    pub source: &'t str,
    /// Its event.
    pub event: Option<Uuid>,
    /// What sort of thing it is.
    pub kind: Kind,
}

/// All that is kept beside the tables: 16 bytes.
#[derive(Clone, Copy)]
struct Facts {
    /// Place in `events`, or [`NONE`].
    event: u32,
    /// Seconds since 1970.
    last_seen: u32,
    /// Seconds since 1970, or [`NONE`].
    expires: u32,
    source: u16,
    confidence: u8,
    kind: Kind,
}

impl Store {
    /// Indicators that an address is or is in.
    #[must_use]
    pub fn address(&self, address: IpAddr, now: i64) -> Vec<Match> {
        self.matches(now, |found| self.addresses.find(address, found))
    }

    /// Indicators that a name is, or is below. A port may follow it.
    #[must_use]
    pub fn host(&self, host: &str, now: i64) -> Vec<Match> {
        let host = host.split(':').next().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > MAX_HOST_BYTES {
            return Vec::new();
        }
        let host = host.to_ascii_lowercase();
        let mut matches = Vec::new();
        for (suffix, labels) in suffixes(&host) {
            // A name of one label is in no table.
            if labels > self.most_labels || labels < 2 {
                continue;
            }
            let is_whole = suffix.len() == host.len();
            self.hosts.find(suffix, |number| {
                let found = self.judge(number, now);
                matches.extend(found.filter(|it| is_whole || it.kind == Kind::Domain));
            });
        }
        matches
    }

    /// Indicators that a request is for: authority (`Host`) and request target, as sent.
    #[must_use]
    pub fn url(&self, authority: &str, target: &str, now: i64) -> Vec<Match> {
        if authority.len().saturating_add(target.len()) > value::MAX_VALUE_BYTES
            || self.urls.is_empty()
        {
            return Vec::new();
        }
        let Some(url) = value::url(&format!("{authority}{target}")) else { return Vec::new() };
        self.matches(now, |found| self.urls.find(&url, found))
    }

    /// Indicators that a request target is, with its query or without.
    #[must_use]
    pub fn path(&self, target: &str, now: i64) -> Vec<Match> {
        if target.len() > value::MAX_VALUE_BYTES {
            return Vec::new();
        }
        self.matches(now, |found| {
            self.paths.find(target, &mut *found);
            if let Some((path, _)) = target.split_once('?') {
                self.paths.find(path, found);
            }
        })
    }

    /// Indicators that a user agent is or holds.
    #[must_use]
    pub fn user_agent(&self, field: &str, now: i64) -> Vec<Match> {
        self.matches(now, |found| self.user_agents.find(field, found))
    }

    /// Indicators that a JA3 is.
    #[must_use]
    pub fn ja3(&self, md5: &[u8; 16], now: i64) -> Vec<Match> {
        self.matches(now, |found| self.ja3.find(md5, found))
    }

    /// Indicators that a JA4 is, as ASCII in lower case.
    #[must_use]
    pub fn ja4(&self, text: &[u8; JA4_BYTES], now: i64) -> Vec<Match> {
        self.matches(now, |found| self.ja4.find(text, found))
    }

    /// Indicators that the SHA-1 of a certificate is.
    #[must_use]
    pub fn certificate_sha1(&self, digest: &[u8; 20], now: i64) -> Vec<Match> {
        self.matches(now, |found| self.sha1.find(digest, found))
    }

    /// Indicators that the SHA-256 of a certificate is.
    #[must_use]
    pub fn certificate_sha256(&self, digest: &[u8; 32], now: i64) -> Vec<Match> {
        self.matches(now, |found| self.sha256.find(digest, found))
    }

    /// Where an indicator is from.
    #[must_use]
    pub fn origin(&self, id: IndicatorId) -> Option<Origin<'_>> {
        let facts = self.facts.get(usize::try_from(id.0).ok()?)?;
        let event = usize::try_from(facts.event).ok().and_then(|it| self.events.get(it)).copied();
        let source = self.sources.get(usize::from(facts.source))?;
        Some(Origin { source, event, kind: facts.kind })
    }

    /// What became of the indicators that it was built of.
    #[must_use]
    pub fn counts(&self) -> StoreCounts {
        self.counts
    }

    /// How many bytes its tables have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = self.hosts.bytes() + self.urls.bytes() + self.paths.bytes();
        let fingerprints =
            self.ja3.bytes() + self.ja4.bytes() + self.sha1.bytes() + self.sha256.bytes();
        let own = size_of_val(&*self.facts) + size_of_val(&*self.events);
        own + texts + fingerprints + self.addresses.bytes() + self.user_agents.bytes()
    }

    fn entries(&self) -> usize {
        let texts = self.hosts.len() + self.urls.len() + self.paths.len() + self.user_agents.len();
        let fingerprints = self.ja3.len() + self.ja4.len() + self.sha1.len() + self.sha256.len();
        texts + fingerprints + self.addresses.len()
    }

    fn matches(&self, now: i64, find: impl FnOnce(&mut dyn FnMut(u32))) -> Vec<Match> {
        let mut matches = Vec::new();
        find(&mut |number| matches.extend(self.judge(number, now)));
        matches
    }

    /// The indicator, unless it is past its time or no more believed.
    fn judge(&self, number: u32, now: i64) -> Option<Match> {
        let facts = self.facts.get(usize::try_from(number).ok()?)?;
        if facts.expires != NONE && now >= i64::from(facts.expires) {
            return None;
        }
        let age = now.saturating_sub(facts.last_seen.into());
        let confidence = self.decay.score(facts.confidence, age)?;
        Some(Match { id: IndicatorId(number), kind: facts.kind, confidence })
    }
}

/// No place, no time.
const NONE: u32 = u32::MAX;
/// Of one value: more feeds than that say nothing more, and a feed that repeats itself must not
/// make lookups slow.
pub const MAX_EQUAL: usize = 8;
/// Of one lookup: a finding names a few.
pub const MAX_MATCHES: usize = 64;
/// RFC 1035, section 2.3.4: 253 characters; no longer host is looked up.
const MAX_HOST_BYTES: usize = 253;
