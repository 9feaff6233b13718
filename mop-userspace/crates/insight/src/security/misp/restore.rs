//! A feed's own events read again after a restart, so that a day's event goes on as it was.
//!
//! The folder is the state. What stands in it is made anew through vocabulary and templates: a file
//! that was changed by others, or has a type that is no more let out, is refused.

use serde::Deserialize;
use thiserror::Error;

use super::{
    attribute::{Attribute, AttributeError, NewAttribute, Seen},
    event::{Event, MAX_ATTRIBUTES, Organisation},
    object::{Object, ObjectError, Templates},
    scalar::{Analysis, Distribution, Info, InfoError, Instant, Seconds, ThreatLevel},
    tag::Tag,
    vocabulary::Vocabulary,
};
use crate::security::uuid::Uuid;

/// Why a file is no event of this feed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RestoreError {
    /// An attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// The feed has as many events as it may have.
    #[error("the feed is full")]
    Full,
    /// An identifier is not the one that follows from what it stands for.
    #[error("an identifier does not follow from its values")]
    Identity,
    /// Its info.
    #[error(transparent)]
    Info(#[from] InfoError),
    /// An object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Another organisation made it.
    #[error("it is of another organisation")]
    Organisation,
    /// Not the JSON that is wanted.
    #[error("line {line}, column {column}: not an event")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
    /// Longer than [`MAX_EVENT_BYTES`].
    #[error("it is longer than {MAX_EVENT_BYTES} bytes")]
    TooLong,
    /// More attributes than an event may have.
    #[error("it has more than {MAX_ATTRIBUTES} attributes")]
    TooMany,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "Event")]
    event: StoredEvent,
}

#[derive(Deserialize)]
struct StoredEvent {
    uuid: Uuid,
    info: String,
    date: String,
    timestamp: Seconds,
    publish_timestamp: Seconds,
    threat_level_id: ThreatLevel,
    analysis: Analysis,
    distribution: Distribution,
    #[serde(rename = "Orgc")]
    organisation: Organisation,
    #[serde(rename = "Tag")]
    tags: Vec<Tag>,
    #[serde(rename = "Attribute")]
    attributes: Vec<StoredAttribute>,
    #[serde(rename = "Object")]
    objects: Vec<StoredObject>,
}

#[derive(Deserialize)]
struct StoredAttribute {
    uuid: Uuid,
    r#type: String,
    category: String,
    value: String,
    comment: String,
    timestamp: Seconds,
    first_seen: Instant,
    last_seen: Instant,
    object_relation: Option<String>,
}

#[derive(Deserialize)]
struct StoredObject {
    uuid: Uuid,
    name: String,
    timestamp: Seconds,
    first_seen: Instant,
    last_seen: Instant,
    #[serde(rename = "ObjectReference")]
    references: Vec<StoredReference>,
    #[serde(rename = "Attribute")]
    attributes: Vec<StoredAttribute>,
}

#[derive(Deserialize)]
struct StoredReference {
    referenced_uuid: Uuid,
    timestamp: Seconds,
}

/// Reads `<uuid>.json` as the feed wrote it.
pub(super) fn event(
    bytes: &[u8],
    organisation: &Organisation,
    vocabulary: &Vocabulary,
    templates: &Templates,
) -> Result<Event, RestoreError> {
    if bytes.len() > MAX_EVENT_BYTES {
        return Err(RestoreError::TooLong);
    }
    let File { event } = serde_json::from_slice(bytes)
        .map_err(|error| RestoreError::Syntax { line: error.line(), column: error.column() })?;
    if event.organisation != *organisation {
        return Err(RestoreError::Organisation);
    }
    let of_objects: usize = event.objects.iter().map(|it| it.attributes.len()).sum();
    if event.attributes.len().saturating_add(of_objects) > MAX_ATTRIBUTES {
        return Err(RestoreError::TooMany);
    }
    let attributes = event.attributes.iter().map(|it| attribute(vocabulary, event.uuid, it));
    let objects = event.objects.iter().map(|it| object(vocabulary, templates, event.uuid, it));
    Ok(Event {
        uuid: event.uuid,
        info: Info::new(&event.info)?,
        attributes: attributes.collect::<Result<_, _>>()?,
        objects: objects.collect::<Result<_, _>>()?,
        date: event.date,
        timestamp: event.timestamp,
        publish_timestamp: event.publish_timestamp,
        published: true,
        threat_level_id: event.threat_level_id,
        analysis: event.analysis,
        distribution: event.distribution,
        extends_uuid: String::new(),
        organisation: event.organisation,
        tags: event.tags,
    })
}

fn attribute(
    vocabulary: &Vocabulary,
    parent: Uuid,
    stored: &StoredAttribute,
) -> Result<Attribute, RestoreError> {
    let new = NewAttribute {
        r#type: &stored.r#type,
        category: Some(&stored.category),
        value: &stored.value,
        comment: &stored.comment,
        relation: stored.object_relation.as_deref(),
    };
    let seen = Seen { first: stored.first_seen, last: stored.last_seen, at: stored.timestamp };
    let made = Attribute::new(vocabulary, parent, new, seen)?;
    (made.uuid() == stored.uuid).then_some(made).ok_or(RestoreError::Identity)
}

fn object(
    vocabulary: &Vocabulary,
    templates: &Templates,
    event: Uuid,
    stored: &StoredObject,
) -> Result<Object, RestoreError> {
    let relation = |it: &StoredAttribute| it.object_relation.clone().unwrap_or_default();
    let relations: Vec<_> = stored.attributes.iter().map(relation).collect();
    let texts = stored.attributes.iter().map(|it| it.value.as_str());
    let values: Vec<_> = relations.iter().map(String::as_str).zip(texts).collect();
    let seen = Seen { first: stored.first_seen, last: stored.last_seen, at: stored.timestamp };
    let made = templates.object(vocabulary, event, &stored.name, &values, seen)?;
    if made.uuid() != stored.uuid {
        return Err(RestoreError::Identity);
    }
    let attributes = stored.attributes.iter().map(|it| attribute(vocabulary, stored.uuid, it));
    let mut object = made.with_attributes(attributes.collect::<Result<_, _>>()?);
    for StoredReference { referenced_uuid, timestamp } in &stored.references {
        object.refer_to(*referenced_uuid, *timestamp);
    }
    Ok(object)
}

/// An event of [`MAX_ATTRIBUTES`] has some 150 kB.
const MAX_EVENT_BYTES: usize = 1 << 20;
