//! The feed: a folder of events that another MISP pulls over HTTPS, and its index.
//!
//! A puller asks for `manifest.json` with the entity tag that it has, then for each event whose
//! `timestamp` is newer than its own. So identifiers are stable, a timestamp grows with every change
//! and with nothing else, and equal states are equal bytes.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use thiserror::Error;

use super::{
    attribute::{AttributeError, Seen},
    contents,
    event::{Event, Organisation},
    index::{self, Index},
    marking::Marking,
    object::{ObjectError, Templates},
    restore::{self, RestoreError},
    scalar::{Analysis, Distribution, Info, InfoError, Instant, Seconds, ThreatLevel},
    tag::{Pap, Tag, Tlp},
    vocabulary::Vocabulary,
};
pub use super::{
    contents::Network,
    index::{Changes, FeedFile, HASHES, MANIFEST, etag},
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
    /// Who may see it. What is for the own organisation by its TLP is for no other.
    pub distribution: Distribution,
}

/// Events of a feed.
pub struct Feed {
    options: FeedOptions,
    vocabulary: Vocabulary,
    templates: Templates,
    events: BTreeMap<Uuid, Event>,
    index: Index,
    left_out: u64,
}

/// Why a finding gets into no event.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FeedError {
    /// An attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// Its title cannot be the `info` of an event.
    #[error("the title is no info of an event")]
    Info(#[from] InfoError),
    /// An object.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl Feed {
    /// An empty feed.
    #[must_use]
    pub fn new(options: FeedOptions, vocabulary: Vocabulary, templates: Templates) -> Self {
        let (events, index) = (BTreeMap::new(), Index::default());
        Self { options, vocabulary, templates, events, index, left_out: 0 }
    }

    /// Takes a finding into the event of its rule, client and day (UTC, of its first call), and
    /// gives the event's identifier. `now` in seconds since 1970. A finding is to be given once:
    /// its calls are counted again otherwise. One event too many costs the oldest.
    ///
    /// # Errors
    ///
    /// Every [`FeedError`]; nothing was changed then.
    pub fn add(
        &mut self,
        finding: &Finding,
        network: &Network<'_>,
        marking: &Marking,
        now: i64,
    ) -> Result<Uuid, FeedError> {
        let facts = &finding.facts;
        let day = facts.first_seen.to_zoned(TimeZone::UTC).date().to_string();
        let uuid = self.identifier(facts, &day);
        let (mut event, is_new) = match self.events.get(&uuid) {
            Some(event) => (event.clone(), false),
            None => (self.event(uuid, facts, marking, day, now)?, true),
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
        let objects = contents::objects(tables, uuid, facts, (network, marking), seen)?;
        let owasp = facts.owasp.iter().map(|it| Tag::from(*it));
        let tags = marking.rsit.map(Tag::from).into_iter().chain(owasp).collect();
        let level = contents::threat_level(facts.severity);
        let (is_changed, left_out) = event.merge((attributes, objects, tags), level);
        self.left_out = self.left_out.saturating_add(left_out as u64);
        if is_changed || is_new {
            event.timestamp = Seconds(at);
            event.publish_timestamp = Seconds(at);
            if is_new && self.events.len() >= MAX_EVENTS {
                self.forget_oldest();
            }
            self.events.insert(uuid, event);
            self.index.has_changed(uuid);
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
        self.index.has_changed(uuid);
        Ok(uuid)
    }

    /// Forgets events of days before one (`YYYY-MM-DD`).
    pub fn forget_before(&mut self, day: &str) {
        let Self { events, index, .. } = self;
        events.retain(|uuid, event| {
            let is_kept = event.date.as_str() >= day;
            if !is_kept {
                index.is_gone(*uuid);
            }
            is_kept
        });
    }

    /// What is to be done for a folder to be as the feed is, if it was after the last call. After a
    /// failure [`Feed::files`] says all of it again.
    #[must_use]
    pub fn changes(&mut self) -> Changes {
        self.index.changes(&self.events)
    }

    /// Whether [`Feed::changes`] would have any.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.index.is_behind()
    }

    /// All files: events first and the index last, so that it never names one that is not written.
    #[must_use]
    pub fn files(&self) -> Vec<FeedFile> {
        index::files(&self.events)
    }

    /// Its events.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.values()
    }

    /// How many events it has.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.events.len()
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

    fn forget_oldest(&mut self) {
        let oldest = self.events.values().min_by_key(|it| (&it.date, it.timestamp));
        if let Some(uuid) = oldest.map(Event::uuid) {
            self.events.remove(&uuid);
            self.index.is_gone(uuid);
        }
    }

    fn event(
        &self,
        uuid: Uuid,
        facts: &FindingFacts,
        marking: &Marking,
        day: String,
        now: i64,
    ) -> Result<Event, FeedError> {
        let FeedOptions { organisation, tlp, pap, distribution } = &self.options;
        // A rule can narrow what the participant allows, and not widen it.
        let tlp = marking.tlp.map_or(*tlp, |it| it.min(*tlp));
        let pap = marking.pap.map_or(*pap, |it| it.min(*pap));
        let is_own = tlp <= Tlp::AmberStrict;
        let distribution = if is_own { Distribution::Organisation } else { *distribution };
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
            distribution,
            extends_uuid: String::new(),
            organisation: organisation.clone(),
            tags: vec![Tag::from(tlp), Tag::from(pap)],
            attributes: Vec::new(),
            objects: Vec::new(),
        })
    }
}

/// A rule and a client have one a day: some hundred clients, some hundred rules, most of them calm.
pub const MAX_EVENTS: usize = 10_000;
