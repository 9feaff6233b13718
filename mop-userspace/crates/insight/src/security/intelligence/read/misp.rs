//! MISP's JSON: an event of a feed (`{"Event": …}`), answers of `restSearch` with attributes
//! (`{"response": {"Attribute": […]}}`) or events (`{"response": [{"Event": …}]}`).
//!
//! Each attribute is read for itself, so that one that is broken costs no other. MISP writes
//! numbers as texts and as numbers, and flags as both.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Batch, Entry, FeedReader, ReadError, text};
use crate::security::uuid::Uuid;

#[derive(Deserialize)]
struct File<'t> {
    #[serde(rename = "Event", borrow)]
    event: Option<Event<'t>>,
    /// An object of attributes, or a list of events.
    #[serde(borrow)]
    response: Option<&'t RawValue>,
}

#[derive(Deserialize)]
struct Attributes<'t> {
    #[serde(rename = "Attribute", borrow)]
    attributes: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct Wrapped<'t> {
    #[serde(rename = "Event", borrow)]
    event: Event<'t>,
}

#[derive(Deserialize)]
struct Event<'t> {
    uuid: Option<String>,
    timestamp: Option<Time>,
    #[serde(rename = "Attribute", borrow, default)]
    attributes: Vec<&'t RawValue>,
    #[serde(rename = "Object", borrow, default)]
    objects: Vec<Object<'t>>,
}

#[derive(Deserialize)]
struct Object<'t> {
    #[serde(default)]
    deleted: Flag,
    #[serde(rename = "Attribute", borrow, default)]
    attributes: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    value: String,
    #[serde(default)]
    to_ids: Flag,
    #[serde(default)]
    deleted: Flag,
    object_relation: Option<String>,
    timestamp: Option<Time>,
    last_seen: Option<Time>,
    #[serde(rename = "Event")]
    event: Option<AttributeEvent>,
}

#[derive(Deserialize)]
struct AttributeEvent {
    uuid: Option<String>,
}

/// A flag as MISP writes it.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Flag {
    Is(bool),
    Number(u64),
    Text(String),
    #[default]
    None,
}

/// A time as MISP writes it: seconds, or ISO 8601.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Time {
    Number(i64),
    Text(String),
}

impl FeedReader<'_> {
    /// Reads an event or an answer of `restSearch`. Places are of attributes, in their order.
    ///
    /// # Errors
    ///
    /// Every [`ReadError`].
    pub fn misp(&self, bytes: &[u8]) -> Result<Batch, ReadError> {
        let text = text(bytes)?;
        let File { event, response } =
            serde_json::from_str(text).map_err(|error| ReadError::of_json(&error))?;
        let (events, attributes) = match (event, response) {
            (Some(event), None) => (vec![event], Vec::new()),
            (None, Some(response)) if response.get().starts_with('[') => {
                let events: Vec<Wrapped<'_>> = part(response)?;
                (events.into_iter().map(|it| it.event).collect(), Vec::new())
            }
            (None, Some(response)) => (Vec::new(), part::<Attributes<'_>>(response)?.attributes),
            (None, None) | (Some(_), Some(_)) => {
                return Err(ReadError::Format { line: 1, column: 1 });
            }
        };
        let (mut batch, mut place) = (Batch::default(), 0);
        for attribute in attributes {
            place += 1;
            self.attribute(&mut batch, place, attribute, (None, None));
        }
        for event in events {
            let Event { uuid, timestamp, attributes, objects } = event;
            let uuid = uuid.as_deref().and_then(Uuid::parse);
            let of_event = (uuid, timestamp.and_then(|it| it.seconds()));
            for attribute in attributes {
                place += 1;
                self.attribute(&mut batch, place, attribute, of_event);
            }
            for Object { deleted, attributes } in objects {
                if deleted.is_set() {
                    batch.deleted += attributes.len();
                    place += attributes.len();
                    continue;
                }
                for attribute in attributes {
                    place += 1;
                    self.attribute(&mut batch, place, attribute, of_event);
                }
            }
        }
        Ok(batch)
    }

    fn attribute(
        &self,
        batch: &mut Batch,
        place: usize,
        attribute: &RawValue,
        (event, event_time): (Option<Uuid>, Option<i64>),
    ) {
        let Ok(attribute) = serde_json::from_str::<Attribute>(attribute.get()) else {
            return batch.unreadable(place);
        };
        if attribute.deleted.is_set() {
            batch.deleted += 1;
            return;
        }
        let relation = attribute.object_relation.as_deref();
        let Some(accepted) = self.types.of(&attribute.r#type, relation) else {
            batch.unknown_types += 1;
            return;
        };
        let confidence = if attribute.to_ids.is_set() {
            accepted.confidence
        } else {
            // Its author would not have it detected.
            accepted.confidence / 2
        };
        let of_attribute = attribute.event.and_then(|it| it.uuid).and_then(|it| Uuid::parse(&it));
        let told = |time: Option<Time>| time.and_then(|it| it.seconds());
        let last_seen = told(attribute.last_seen).or_else(|| told(attribute.timestamp));
        let entry = Entry {
            event: of_attribute.or(event),
            confidence,
            last_seen: last_seen.or(event_time).unwrap_or(self.read_at),
            expires: None,
        };
        self.take(batch, place, (&attribute.value, &accepted.forms), entry);
    }
}

impl Flag {
    fn is_set(&self) -> bool {
        match self {
            Self::Is(is) => *is,
            Self::Number(number) => *number != 0,
            Self::Text(text) => matches!(text.as_str(), "1" | "true"),
            Self::None => false,
        }
    }
}

impl Time {
    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> Option<i64> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => time(text),
        }
    }
}

/// Reads a part of the file; the place in an error is that in the part.
fn part<'t, T: Deserialize<'t>>(raw: &'t RawValue) -> Result<T, ReadError> {
    serde_json::from_str(raw.get()).map_err(|error| ReadError::of_json(&error))
}

/// Seconds since 1970 of a number or a time of ISO 8601.
pub(super) fn time(text: &str) -> Option<i64> {
    let as_time = || text.parse().ok().map(Timestamp::as_second);
    text.parse().ok().or_else(as_time)
}
