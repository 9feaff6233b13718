//! The files of a feed: its events, and what a puller and a searcher read instead of them.
//!
//! What an event gives to both is kept, so that a change costs the event that changed and not all of
//! them again.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    attribute::Attribute,
    event::{Event, Organisation},
    scalar::{Analysis, Info, Seconds, ThreatLevel},
    tag::Tag,
};
use crate::{hexadecimal::hexadecimal, security::uuid::Uuid};

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

/// What is to be done for the folder to be as the feed is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be written in this order: the index, which is last, never names what is not there.
    pub files: Vec<FeedFile>,
    /// Names of files to be removed after that.
    pub removed: Vec<String>,
}

/// Of each event, what the index says of it.
#[derive(Default)]
pub(super) struct Index {
    events: BTreeMap<Uuid, Indexed>,
    changed: BTreeSet<Uuid>,
    removed: BTreeSet<Uuid>,
}

struct Indexed {
    sha256: [u8; 32],
    /// MD5 of each value.
    hashes: Box<[[u8; 16]]>,
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

impl Index {
    /// An event is new or another.
    pub(super) fn has_changed(&mut self, event: Uuid) {
        self.removed.remove(&event);
        self.changed.insert(event);
    }

    /// An event is no more.
    pub(super) fn is_gone(&mut self, event: Uuid) {
        self.changed.remove(&event);
        self.events.remove(&event);
        self.removed.insert(event);
    }

    /// Whether [`Index::changes`] would have any.
    pub(super) fn is_behind(&self) -> bool {
        !(self.changed.is_empty() && self.removed.is_empty())
    }

    /// What has changed since the last call.
    pub(super) fn changes(&mut self, events: &BTreeMap<Uuid, Event>) -> Changes {
        if !self.is_behind() {
            return Changes::default();
        }
        let mut files = Vec::new();
        for uuid in std::mem::take(&mut self.changed) {
            let Some(event) = events.get(&uuid) else { continue };
            let file = FeedFile::of_event(event);
            self.events.insert(uuid, Indexed::of(event, &file.content));
            files.push(file);
        }
        files.extend(listings(events, &self.events));
        let removed = std::mem::take(&mut self.removed);
        Changes { files, removed: removed.into_iter().map(name).collect() }
    }
}

/// All files of events.
pub(super) fn files(events: &BTreeMap<Uuid, Event>) -> Vec<FeedFile> {
    let mut files: Vec<_> = events.values().map(FeedFile::of_event).collect();
    let indexed = events.values().zip(&files);
    let indexed = indexed.map(|(event, file)| (event.uuid, Indexed::of(event, &file.content)));
    let listings = listings(events, &indexed.collect());
    files.extend(listings);
    files
}

/// List of hashes and index; what was not indexed is not in them.
fn listings(events: &BTreeMap<Uuid, Event>, indexed: &BTreeMap<Uuid, Indexed>) -> [FeedFile; 2] {
    let mut manifest = BTreeMap::new();
    let mut hashes = BTreeSet::new();
    for (uuid, Indexed { sha256, hashes: of_event }) in indexed {
        let Some(event) = events.get(uuid) else { continue };
        let described = Described {
            organisation: &event.organisation,
            tags: &event.tags,
            info: &event.info,
            date: &event.date,
            analysis: event.analysis,
            threat_level_id: event.threat_level_id,
            timestamp: event.timestamp,
            sha256: hexadecimal(sha256),
        };
        manifest.insert(uuid.to_string(), described);
        hashes.extend(of_event.iter().map(|hash| (*hash, *uuid)));
    }
    let mut lines = String::new();
    for (hash, uuid) in hashes {
        lines.push_str(&hexadecimal(&hash));
        lines.push(',');
        lines.push_str(&uuid.to_string());
        lines.push('\n');
    }
    [
        FeedFile::new(HASHES.to_owned(), lines.into_bytes()),
        FeedFile::new(MANIFEST.to_owned(), json(&manifest)),
    ]
}

impl Indexed {
    fn of(event: &Event, content: &[u8]) -> Self {
        let hashes: BTreeSet<[u8; 16]> = event
            .all_attributes()
            .flat_map(Attribute::parts)
            .map(|value| Md5::digest(value).into())
            .collect();
        Self { sha256: Sha256::digest(content).into(), hashes: hashes.into_iter().collect() }
    }
}

impl FeedFile {
    fn of_event(event: &Event) -> Self {
        Self::new(name(event.uuid), json(&Wrapped { event }))
    }

    fn new(name: String, content: Vec<u8>) -> Self {
        let etag = etag(&content);
        Self { name, content, etag }
    }
}

/// Strong entity tag of a content: equal contents have equal ones, others have others.
#[must_use]
pub fn etag(content: &[u8]) -> String {
    format!("\"{}\"", hexadecimal(&Sha256::digest(content)))
}

/// Name of an event's file.
fn name(event: Uuid) -> String {
    format!("{event}.json")
}

/// JSON of a value; none of ours has a map with keys that are no texts, or fails otherwise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Name of the list of hashes.
pub const HASHES: &str = "hashes.csv";
/// Name of the index.
pub const MANIFEST: &str = "manifest.json";
