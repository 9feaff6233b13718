//! Events of findings: what MISP is told, and what is kept of it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use mop_insight::security::{
    finding::Finding,
    misp::{
        attribute::Attribute,
        feed::{Feed, FeedOptions, Network},
        object::Templates,
        sighting::{Sighting, SightingType},
        vocabulary::Vocabulary,
    },
    uuid::Uuid,
};
use serde_json::{Value, json};

use super::{markings::Markings, queue::Key};
use crate::failure::Failure;

/// Makes events.
pub(super) struct Builder {
    options: FeedOptions,
    vocabulary: Vocabulary,
    templates: Templates,
    markings: Markings,
}

/// An event with more findings in it.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) uuid: Uuid,
    /// To be kept, and given to the next call.
    pub(super) content: String,
    /// To be sent: an event that is not published.
    pub(super) body: Vec<u8>,
    pub(super) sightings: Vec<Value>,
    /// Findings that are in it now.
    pub(super) taken: usize,
    /// Findings that can be in no event.
    pub(super) unspeakable: usize,
}

impl Builder {
    pub(super) fn new(options: FeedOptions, markings: Markings) -> Result<Self, Failure> {
        let vocabulary = Vocabulary::published().map_err(Failure::runtime)?;
        let templates = Templates::published(&vocabulary).map_err(Failure::runtime)?;
        Ok(Self { options, vocabulary, templates, markings })
    }

    /// Adds findings to an event as it was kept, if it was. Its time is `now`, in seconds since
    /// 1970, or later where the event's own is not before that. An event that was kept for another
    /// organisation, or by other tables, begins anew. None when no finding can be in it.
    pub(super) fn build(
        &self,
        key: &Key,
        kept: Option<&str>,
        bodies: &[Option<&str>],
        now: i64,
    ) -> Option<Draft> {
        let Self { options, vocabulary, templates, markings } = self;
        let mut feed = Feed::new(options.clone(), vocabulary.clone(), templates.clone());
        let _begins_anew = kept.map(|kept| feed.restore(kept.as_bytes()));
        let (mut uuid, mut taken, mut unspeakable) = (None, 0, 0);
        let mut windows = BTreeMap::new();
        for body in bodies {
            let finding = body.and_then(|body| read(key, body));
            let added = finding.as_ref().and_then(|finding| {
                let marking = markings.of(&finding.facts);
                feed.add(finding, &Network::default(), &marking, now).ok()
            });
            match (added, finding) {
                (Some(event), Some(finding)) => {
                    uuid = Some(event);
                    taken += 1;
                    let at = finding.facts.first_seen.as_second();
                    let first = windows.entry(at.div_euclid(i64::from(WINDOW))).or_insert(at);
                    *first = at.min(*first);
                }
                _ => unspeakable += 1,
            }
        }
        let uuid = uuid?;
        let name = format!("{uuid}.json");
        let content = feed.files().into_iter().find(|file| file.name == name)?.content;
        let event = feed.events().find(|event| event.uuid() == uuid)?;
        let attribute = event.all_attributes().find(|it| it.value() == key.rule);
        let sightings = attribute.map(|it| self.sightings(it, windows.into_values()));
        Some(Draft {
            uuid,
            body: unpublished(&content)?,
            content: String::from_utf8(content).ok()?,
            sightings: sightings.unwrap_or_default(),
            taken,
            unspeakable,
        })
    }

    /// One for each window, whose identifier follows from attribute, organisation and window.
    fn sightings(&self, attribute: &Attribute, dates: impl Iterator<Item = i64>) -> Vec<Value> {
        let organisation = self.options.organisation.uuid.to_string();
        let attribute = attribute.uuid();
        dates
            .filter_map(|at| {
                let kind = SightingType::Seen;
                let sighting = Sighting::new(attribute, &organisation, kind, at, WINDOW);
                let mut sighting = serde_json::to_value(sighting).ok()?;
                sighting.as_object_mut()?.insert("attribute_uuid".to_owned(), json!(attribute));
                Some(sighting)
            })
            .collect()
    }
}

/// A finding of this event, with everything checked that a node checks.
fn read(key: &Key, body: &str) -> Option<Finding> {
    let read: Finding = serde_json::from_str(body).ok()?;
    let finding = Finding::new(read.facts).ok()?;
    let facts = &finding.facts;
    let is_of_it = facts.rule == key.rule
        && facts.client_organisation.as_deref().unwrap_or_default() == key.client
        && TimeZone::UTC.to_datetime(facts.first_seen).date() == key.day;
    is_of_it.then_some(finding)
}

/// An event of a feed is published; one that is added or edited is published by a request of its own,
/// and not when the configuration does not want it.
fn unpublished(content: &[u8]) -> Option<Vec<u8>> {
    let mut file: Value = serde_json::from_slice(content).ok()?;
    let event = file.get_mut("Event")?.as_object_mut()?;
    event.insert("published".to_owned(), json!(false));
    event.insert("publish_timestamp".to_owned(), json!("0"));
    serde_json::to_vec(&file).ok()
}

/// Sightings within an hour are one: who looks at them wants to know when, not how often.
const WINDOW: u32 = 3600;
