//! The feed: a folder of events that another MISP pulls over HTTPS, and its index.
//!
//! A puller asks for `manifest.json` with the entity tag that it has, then for each event whose
//! `timestamp` is newer than its own. So identifiers are stable, a timestamp grows with every change
//! and with nothing else, and equal states are equal bytes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use md5::{Digest as _, Md5};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use super::contents::Network;
use super::{
    attribute::{Attribute, AttributeError, Seen},
    contents,
    event::{Event, Organisation},
    object::{ObjectError, Templates},
    restore::{self, RestoreError},
    scalar::{Analysis, Distribution, Info, InfoError, Instant, Seconds, ThreatLevel, hexadecimal},
    tag::{Pap, Rsit, Tag, Tlp},
    vocabulary::Vocabulary,
};
use crate::security::{
    finding::{Finding, FindingFacts},
    uuid::Uuid,
};

/// Who publishes, and to whom.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The participant, as MISP knows it.
    pub organisation: Organisation,
    /// To whom it may be told.
    pub tlp: Tlp,
    /// What may be done with it.
    pub pap: Pap,
    /// Who may see it.
    pub distribution: Distribution,
}

/// Events of a feed.
pub struct Feed {
    options: FeedOptions,
    vocabulary: Vocabulary,
    templates: Templates,
    events: BTreeMap<Uuid, Event>,
    left_out: u64,
}

/// A file of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFile {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Strong entity tag (RFC 9110, section 8.8.3), with its quotation marks.
    pub etag: String,
}

/// Why a finding gets into no event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FeedError {
    /// An attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// There are [`MAX_EVENTS`] others.
    #[error("the feed has {MAX_EVENTS} events")]
    Full,
    /// Its title cannot be the `info` of an event.
    #[error("the title is no info of an event")]
    Info(#[from] InfoError),
    /// An object.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// What a manifest says of an event.
#[derive(Serialize)]
struct Described<'t> {
    #[serde(rename = "Orgc")]
    organisation: &'t Organisation,
    #[serde(rename = "Tag")]
    tags: &'t [Tag],
    info: &'t Info,
    date: &'t str,
    analysis: Analysis,
    threat_level_id: ThreatLevel,
    timestamp: Seconds,
    #[serde(rename = "integrity:sha256")]
    sha256: String,
}

#[derive(Serialize)]
struct Wrapped<'t> {
    #[serde(rename = "Event")]
    event: &'t Event,
}

impl Feed {
    /// An empty feed.
    #[must_use]
    pub fn new(options: FeedOptions, vocabulary: Vocabulary, templates: Templates) -> Self {
        Self { options, vocabulary, templates, events: BTreeMap::new(), left_out: 0 }
    }

    /// Takes a finding into the event of its rule, client and day (UTC, of its first call), and
    /// gives the event's identifier. `now` in seconds since 1970. A finding is to be given once:
    /// its calls are counted again otherwise.
    ///
    /// # Errors
    ///
    /// Every [`FeedError`]; nothing was changed then.
    pub fn add(
        &mut self,
        finding: &Finding,
        network: &Network<'_>,
        rsit: Option<Rsit>,
        now: i64,
    ) -> Result<Uuid, FeedError> {
        let facts = &finding.facts;
        let day = facts.first_seen.to_zoned(TimeZone::UTC).date().to_string();
        let uuid = self.identifier(facts, &day);
        let known = self.events.get(&uuid);
        if known.is_none() && self.events.len() >= MAX_EVENTS {
            return Err(FeedError::Full);
        }
        let (mut event, is_new) = match known {
            Some(event) => (event.clone(), false),
            None => (self.event(uuid, facts, day, now)?, true),
        };
        // Strictly newer, also when the clock stands or goes back: a puller compares.
        let at = if is_new { now } else { now.max(event.timestamp.0.saturating_add(1)) };
        let seen = Seen {
            first: Instant(facts.first_seen),
            last: Instant(facts.last_seen),
            at: Seconds(at),
        };
        let attributes = contents::attributes(&self.vocabulary, uuid, facts, network, seen)?;
        let tables = (&self.vocabulary, &self.templates);
        let objects = contents::objects(tables, uuid, facts, (network, rsit), seen)?;
        let owasp = facts.owasp.iter().map(|it| Tag::from(*it));
        let tags = rsit.map(Tag::from).into_iter().chain(owasp).collect();
        let level = contents::threat_level(facts.severity);
        let (is_changed, left_out) = event.merge((attributes, objects, tags), level);
        self.left_out = self.left_out.saturating_add(left_out as u64);
        if is_changed || is_new {
            event.timestamp = Seconds(at);
            event.publish_timestamp = Seconds(at);
            self.events.insert(uuid, event);
        }
        Ok(uuid)
    }

    /// Takes an event in as this feed wrote it before a restart, and gives its identifier.
    ///
    /// # Errors
    ///
    /// Every [`RestoreError`]; nothing was changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<Uuid, RestoreError> {
        let Self { options, vocabulary, templates, .. } = self;
        let event = restore::event(bytes, &options.organisation, vocabulary, templates)?;
        let uuid = event.uuid;
        if self.events.len() >= MAX_EVENTS && !self.events.contains_key(&uuid) {
            return Err(RestoreError::Full);
        }
        self.events.insert(uuid, event);
        Ok(uuid)
    }

    /// Forgets events of days before one (`YYYY-MM-DD`).
    pub fn forget_before(&mut self, day: &str) {
        self.events.retain(|_, event| event.date.as_str() >= day);
    }

    /// All files: events first and the index last, so that it never names one that is not written.
    #[must_use]
    pub fn files(&self) -> Vec<FeedFile> {
        let mut files = Vec::with_capacity(self.events.len().saturating_add(2));
        let mut manifest = BTreeMap::new();
        let mut hashes = BTreeSet::new();
        for (uuid, event) in &self.events {
            let content = json(&Wrapped { event });
            let described = Described {
                organisation: &event.organisation,
                tags: &event.tags,
                info: &event.info,
                date: &event.date,
                analysis: event.analysis,
                threat_level_id: event.threat_level_id,
                timestamp: event.timestamp,
                sha256: hexadecimal(&Sha256::digest(&content)),
            };
            manifest.insert(uuid.to_string(), described);
            for value in event.all_attributes().flat_map(Attribute::parts) {
                hashes.insert(format!("{},{uuid}\n", hexadecimal(&Md5::digest(value))));
            }
            files.push(FeedFile::new(format!("{uuid}.json"), content));
        }
        let hashes: String = hashes.into_iter().collect();
        files.push(FeedFile::new("hashes.csv".to_owned(), hashes.into_bytes()));
        files.push(FeedFile::new("manifest.json".to_owned(), json(&manifest)));
        files
    }

    /// Its events.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.values()
    }

    /// Attributes that found no room in their events.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn identifier(&self, facts: &FindingFacts, day: &str) -> Uuid {
        let client = facts.client_organisation.as_deref();
        // Nobody and an organisation with an empty name are two.
        let (is_known, client) = (client.is_some(), client.unwrap_or_default());
        let known = if is_known { "client" } else { "unknown" };
        Uuid::of(self.options.organisation.uuid, &["event", &facts.rule, known, client, day])
    }

    fn event(
        &self,
        uuid: Uuid,
        facts: &FindingFacts,
        day: String,
        now: i64,
    ) -> Result<Event, FeedError> {
        let FeedOptions { organisation, tlp, pap, distribution } = &self.options;
        let info: String = facts.title.chars().take(super::scalar::MAX_INFO_CHARACTERS).collect();
        Ok(Event {
            uuid,
            info: Info::new(&info)?,
            date: day,
            timestamp: Seconds(now),
            publish_timestamp: Seconds(now),
            published: true,
            threat_level_id: ThreatLevel::Undefined,
            analysis: Analysis::Initial,
            distribution: *distribution,
            extends_uuid: String::new(),
            organisation: organisation.clone(),
            tags: vec![Tag::from(*tlp), Tag::from(*pap)],
            attributes: Vec::new(),
            objects: Vec::new(),
        })
    }
}

impl FeedFile {
    fn new(name: String, content: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", hexadecimal(&Sha256::digest(&content)));
        Self { name, content, etag }
    }
}

/// JSON of a value; none of ours has a map with keys that are no texts, or fails otherwise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// A rule and a client have one a day: some hundred clients, some hundred rules, most of them calm.
pub const MAX_EVENTS: usize = 10_000;
