//! From indicators to a store: warninglists, limits, and what is counted of both.

use std::{collections::HashMap, sync::Arc};

use super::{
    Facts, NONE, Store, StoreCounts,
    addresses::AddressesBuilder,
    fingerprints::Fingerprints,
    texts::{HashKey, TextTableBuilder},
    user_agents::UserAgentsBuilder,
};
use crate::security::{
    intelligence::{
        decay::Decay,
        indicator::{Indicator, JA4_BYTES, Value},
        warninglist::Warninglists,
    },
    uuid::Uuid,
};

/// What a store is built with.
#[derive(Clone, Copy)]
pub struct StoreOptions {
    /// How confidence fades.
    pub decay: Decay,
    /// What is left of the confidence in an indicator on a warninglist, percent.
    pub warned_percent: u8,
    /// Key of its hashes.
    pub key: HashKey,
}

/// Indicators that are being collected.
pub struct StoreBuilder {
    options: StoreOptions,
    warninglists: Warninglists,
    facts: Vec<Facts>,
    sources: Vec<Arc<str>>,
    events: Vec<Uuid>,
    event_places: HashMap<Uuid, u32>,
    addresses: AddressesBuilder,
    hosts: TextTableBuilder,
    most_labels: usize,
    urls: TextTableBuilder,
    paths: TextTableBuilder,
    user_agents: UserAgentsBuilder,
    ja3: Vec<([u8; 16], u32)>,
    ja4: Vec<([u8; JA4_BYTES], u32)>,
    sha1: Vec<([u8; 20], u32)>,
    sha256: Vec<([u8; 32], u32)>,
    counts: StoreCounts,
}

impl StoreBuilder {
    /// Begins an empty store.
    #[must_use]
    pub fn new(options: StoreOptions, warninglists: Warninglists) -> Self {
        Self {
            options,
            warninglists,
            facts: Vec::new(),
            sources: Vec::new(),
            events: Vec::new(),
            event_places: HashMap::new(),
            addresses: AddressesBuilder::default(),
            hosts: TextTableBuilder::default(),
            most_labels: 0,
            urls: TextTableBuilder::default(),
            paths: TextTableBuilder::default(),
            user_agents: UserAgentsBuilder::default(),
            ja3: Vec::new(),
            ja4: Vec::new(),
            sha1: Vec::new(),
            sha256: Vec::new(),
            counts: StoreCounts::default(),
        }
    }

    /// Takes an indicator in; one beyond a limit is counted as refused.
    pub fn add(&mut self, indicator: &Indicator) {
        let is_warned = self.warninglists.warn_of(&indicator.value);
        match self.try_add(indicator, is_warned) {
            Some(()) => {
                self.counts.taken += 1;
                self.counts.warned += usize::from(is_warned);
            }
            None => self.counts.refused += 1,
        }
    }

    /// Makes the store.
    #[must_use]
    pub fn build(self) -> Store {
        let key = self.options.key;
        let (hosts, hosts_left_out) = self.hosts.build(key);
        let (urls, urls_left_out) = self.urls.build(key);
        let (paths, paths_left_out) = self.paths.build(key);
        let (user_agents, agents_left_out) = self.user_agents.build(key);
        let mut store = Store {
            decay: self.options.decay,
            facts: self.facts.into(),
            sources: self.sources.into(),
            events: self.events.into(),
            addresses: self.addresses.build(),
            hosts,
            most_labels: self.most_labels,
            urls,
            paths,
            user_agents,
            ja3: Fingerprints::new(self.ja3),
            ja4: Fingerprints::new(self.ja4),
            sha1: Fingerprints::new(self.sha1),
            sha256: Fingerprints::new(self.sha256),
            counts: self.counts,
        };
        let texts_left_out = hosts_left_out + urls_left_out + paths_left_out + agents_left_out;
        let kept = store.entries().saturating_sub(texts_left_out);
        let left_out = store.counts.taken.saturating_sub(kept);
        store.counts.taken -= left_out;
        store.counts.refused += left_out;
        store
    }

    fn try_add(&mut self, indicator: &Indicator, is_warned: bool) -> Option<()> {
        let Indicator { value, source, event, confidence, last_seen, expires } = indicator;
        if self.facts.len() >= MAX_INDICATORS {
            return None;
        }
        let number = u32::try_from(self.facts.len()).ok()?;
        let percent = if is_warned { self.options.warned_percent.min(100) } else { 100 };
        let confidence = u16::from((*confidence).min(100)) * u16::from(percent) / 100;
        let facts = Facts {
            event: event.map_or(Some(NONE), |event| self.event_place(event))?,
            last_seen: seconds(*last_seen),
            expires: expires.map_or(NONE, seconds),
            source: self.source_place(source)?,
            confidence: u8::try_from(confidence).ok()?,
            kind: value.kind(),
        };
        match value {
            Value::Domain(name) | Value::Hostname(name) => {
                self.hosts.add(name, number)?;
                self.most_labels = self.most_labels.max(name.split('.').count());
            }
            Value::Ja3(bytes) => self.ja3.push((*bytes, number)),
            Value::Ja4(bytes) => self.ja4.push((*bytes, number)),
            Value::Network(network) => self.addresses.add(*network, number),
            Value::Path(path) => self.paths.add(path, number)?,
            Value::Url(url) => self.urls.add(url, number)?,
            Value::UserAgent(text) => self.user_agents.add(text, number)?,
            Value::X509Sha1(bytes) => self.sha1.push((*bytes, number)),
            Value::X509Sha256(bytes) => self.sha256.push((*bytes, number)),
        }
        self.facts.push(facts);
        Some(())
    }

    fn event_place(&mut self, event: Uuid) -> Option<u32> {
        let next = u32::try_from(self.events.len()).ok()?;
        let place = *self.event_places.entry(event).or_insert(next);
        if place == next {
            self.events.push(event);
        }
        Some(place)
    }

    fn source_place(&mut self, source: &Arc<str>) -> Option<u16> {
        let known = self.sources.iter().rposition(|it| it == source);
        let place = known.unwrap_or(self.sources.len());
        if place == MAX_SOURCES {
            return None;
        }
        if known.is_none() {
            self.sources.push(Arc::clone(source));
        }
        u16::try_from(place).ok()
    }
}

/// Seconds since 1970 in 32 bits; what does not fit is the nearest that does.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.clamp(0, i64::from(NONE - 1))).unwrap_or_default()
}

/// Ten times what the largest public feeds have together.
pub const MAX_INDICATORS: usize = 10_000_000;
/// Feeds of one configuration.
pub const MAX_SOURCES: usize = 1024;
