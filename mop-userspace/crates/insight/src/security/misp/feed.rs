//! The feed: a folder of events that another MISP pulls over HTTPS, and its index.
//!
//! A puller asks for `manifest.json` with the entity tag that it has, then for each event whose
//! `timestamp` is newer than its own. So identifiers are stable, a timestamp grows with every change
//! and with nothing else, and equal states are equal bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::tz::TimeZone;
use md5::{Digest as _, Md5};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{
    attribute::{Attribute, AttributeError, NewAttribute, Seen},
    event::{Event, Organisation},
    object::{Object, ObjectError, Templates},
    restore::{self, RestoreError},
    scalar::{Analysis, Distribution, Info, InfoError, Instant, Seconds, ThreatLevel},
    tag::{Pap, Rsit, Tag, Tlp},
    vocabulary::Vocabulary,
};
use crate::security::{
    finding::{Finding, FindingFacts, Severity},
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

/// What was seen of the other end of the connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'t> {
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Port of the server.
    pub server_port: Option<u16>,
    /// MD5 of its offer.
    pub ja3: Option<[u8; 16]>,
    /// `a_b_c` of its offer.
    pub ja4: Option<&'t str>,
    /// SHA-256 of its certificate.
    pub certificate: Option<[u8; 32]>,
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
        let attributes = self.attributes(uuid, facts, network, seen)?;
        let objects = self.objects(uuid, facts, (network, rsit), seen)?;
        let owasp = facts.owasp.iter().map(|it| Tag::from(*it));
        let tags = rsit.map(Tag::from).into_iter().chain(owasp).collect();
        let level = threat_level(facts.severity);
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

    fn attributes(
        &self,
        event: Uuid,
        facts: &FindingFacts,
        network: &Network<'_>,
        seen: Seen,
    ) -> Result<Vec<Attribute>, FeedError> {
        let count = facts.count.to_string();
        let ja3 = network.ja3.map(|it| hexadecimal(&it));
        let reason = |comment| ("comment", Some("External analysis"), comment, "");
        let mut wanted = vec![
            ("text", Some("Internal reference"), facts.rule.as_str(), "rule"),
            ("counter", None, count.as_str(), "calls"),
            reason(facts.reason.en.as_str()),
            reason(facts.reason.pt.as_str()),
        ];
        wanted.extend(ja3.as_deref().map(|it| ("ja3-fingerprint-md5", None, it, "")));
        wanted.extend(facts.organisation.as_deref().map(|it| ("target-org", None, it, "")));
        let client = facts.client_organisation.as_deref();
        wanted.extend(client.map(|it| ("text", None, it, "client organisation")));
        let demands = facts.fapi.iter();
        wanted.extend(demands.map(|it| ("text", None, it.as_str(), "security profile")));
        let made = wanted.into_iter().map(|(r#type, category, value, comment)| {
            let new = NewAttribute { r#type, category, value, comment, relation: None };
            Attribute::new(&self.vocabulary, event, new, seen).map_err(FeedError::from)
        });
        made.collect()
    }

    fn objects(
        &self,
        event: Uuid,
        facts: &FindingFacts,
        (network, rsit): (&Network<'_>, Option<Rsit>),
        seen: Seen,
    ) -> Result<Vec<Object>, FeedError> {
        let make = |name, values: &[(&str, &str)]| {
            self.templates.object(&self.vocabulary, event, name, values, seen)
        };
        let count = facts.count.to_string();
        let address = network.client.map(|it| it.to_canonical().to_string());
        let mut objects = Vec::new();
        let mut request = None;
        if let Some(endpoint) = &facts.endpoint {
            let mut values = vec![("uri", endpoint.as_str())];
            values.extend(facts.method.as_deref().map(|it| ("method", it)));
            let object = make("http-request", &values)?;
            request = Some(object.uuid());
            objects.push(object);
        }
        if let Some(address) = &address {
            let port = network.server_port.map(|it| it.to_string());
            let mut values = vec![("ip-src", address.as_str()), ("count", count.as_str())];
            values.extend(port.as_deref().map(|it| ("dst-port", it)));
            objects.push(make("network-connection", &values)?);
            if rsit == Some(Rsit::BruteForce) {
                let values =
                    [("ip-src", address.as_str()), ("total", count.as_str()), ("type", "oauth")];
                objects.push(make("authentication-failure-report", &values)?);
            }
        }
        if let Some(fingerprint) = network.certificate {
            let fingerprint = hexadecimal(&fingerprint);
            objects.push(make("x509", &[("x509-fingerprint-sha256", &fingerprint)])?);
        }
        if let Some(fingerprint) = network.ja4 {
            let mut values = vec![("ja4-type", "JA4"), ("ja4-fingerprint", fingerprint)];
            values.extend(address.as_deref().map(|it| ("ip-src", it)));
            objects.push(make("ja4-plus", &values)?);
        }
        for object in &mut objects {
            if let Some(request) = request {
                object.refer_to(request, seen.at);
            }
        }
        Ok(objects)
    }
}

impl FeedFile {
    fn new(name: String, content: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", hexadecimal(&Sha256::digest(&content)));
        Self { name, content, etag }
    }
}

fn threat_level(severity: Severity) -> ThreatLevel {
    match severity {
        Severity::Informational => ThreatLevel::Undefined,
        Severity::Low => ThreatLevel::Low,
        Severity::Medium => ThreatLevel::Medium,
        Severity::High | Severity::Critical => ThreatLevel::High,
    }
}

/// JSON of a value; none of ours has a map with keys that are no texts, or fails otherwise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A rule and a client have one a day: some hundred clients, some hundred rules, most of them calm.
pub const MAX_EVENTS: usize = 10_000;
