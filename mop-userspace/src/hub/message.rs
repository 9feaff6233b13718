//! A message as it came from the broker, or a line of a journal, and what can be wrong with it.
//!
//! Everything that a store needs is read here, once, so that no store meets a message that it
//! cannot take: JSON that a database refuses, counts that overflow, a day that has no partition.
//! The day of a record follows from the record alone. It is part of its key, so that a copy of the
//! record, however late, meets the first one.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{refusal::Refusal, summary::Summary};

/// A record that has arrived and can be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrival {
    /// Where it came from: a queue, or a file.
    pub(crate) source: Arc<str>,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// Empty when it is not known, as for lines of a journal.
    pub(crate) node: String,
    pub(crate) ts: Timestamp,
    /// Of `ts`, in UTC.
    pub(crate) day: Date,
    /// None for lines of a journal that do not tell it.
    pub(crate) place: Option<Place>,
    /// Such as `quality.report/1`.
    pub(crate) schema: String,
    /// Valid JSON without NUL characters.
    pub(crate) body: String,
    /// What it counts, if it does.
    pub(crate) summary: Option<Summary>,
}

/// Where a record stands among those of its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) stream: String,
    pub(crate) epoch: i64,
    pub(crate) sequence: i64,
}

impl Arrival {
    /// Reads a message of the broker.
    pub(crate) fn from_message(
        source: &Arc<str>,
        properties: &BasicProperties,
        data: Vec<u8>,
        max_bytes: usize,
    ) -> Result<Self, Refusal> {
        if data.len() > max_bytes {
            return Err(Refusal::TooLarge);
        }
        if properties
            .content_encoding()
            .as_ref()
            .is_some_and(|coding| !matches!(coding.as_str(), "" | "identity" | "utf-8" | "UTF-8"))
        {
            return Err(Refusal::ContentEncoding);
        }
        let id = properties.message_id().as_ref().map(|id| id.as_str()).unwrap_or_default();
        let kind = properties.kind().as_ref().map(|kind| kind.as_str()).unwrap_or_default();
        let none = FieldTable::default();
        let headers = Headers(properties.headers().as_ref().unwrap_or(&none));
        let place = Place {
            stream: headers.text(STREAM, MAX_STREAM_BYTES)?,
            epoch: headers.count(EPOCH)?,
            sequence: headers.count(SEQUENCE)?,
        };
        let sent = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
        Draft {
            id: Some(id),
            kind: Some(kind),
            node: headers.text(NODE, MAX_NODE_BYTES)?,
            place: Some(place),
            schema: headers.text(SCHEMA, MAX_SCHEMA_BYTES).unwrap_or_default(),
            sent: sent.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        }
        .complete(source, data)
    }

    /// Reads a line of a journal: a record, alone or with where it stood.
    pub(crate) fn from_line(
        source: &Arc<str>,
        node: &str,
        line: &[u8],
        max_bytes: usize,
    ) -> Result<Self, Refusal> {
        if line.len() > max_bytes {
            return Err(Refusal::TooLarge);
        }
        let (place, record) = match Placed::read(line) {
            Some(Placed { place, record }) if !node.is_empty() => {
                (Some(place.checked()?), record.get().as_bytes())
            }
            // Places of an unknown node are those of nobody.
            Some(Placed { record, .. }) => (None, record.get().as_bytes()),
            None => (None, line),
        };
        Draft {
            id: None,
            kind: None,
            node: node.to_owned(),
            place,
            schema: String::new(),
            sent: None,
        }
        .complete(source, record.to_vec())
    }
}

/// A line that tells the record's place, too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed<'l> {
    place: Place,
    #[serde(borrow)]
    record: &'l RawValue,
}

impl<'l> Placed<'l> {
    /// No record has these two members and no other.
    fn read(line: &'l [u8]) -> Option<Self> {
        // Looking is cheap, and most lines are plain records.
        line.starts_with(b"{\"place\":").then(|| serde_json::from_slice(line).ok()).flatten()
    }
}

impl Place {
    fn checked(self) -> Result<Self, Refusal> {
        let is_count = |number| (0..MAX_COUNT).contains(&number);
        let is_place = is_name(&self.stream, MAX_STREAM_BYTES)
            && is_count(self.epoch)
            && is_count(self.sequence);
        if is_place { Ok(self) } else { Err(Refusal::Headers) }
    }
}

/// What is known of a record before it is read.
struct Draft<'m> {
    /// None: as in the record.
    id: Option<&'m str>,
    kind: Option<&'m str>,
    node: String,
    place: Option<Place>,
    schema: String,
    /// When the message was made, if it says so.
    sent: Option<Timestamp>,
}

impl Draft<'_> {
    fn complete(self, source: &Arc<str>, data: Vec<u8>) -> Result<Arrival, Refusal> {
        let Self { id, kind, node, place, mut schema, sent } = self;
        let body = String::from_utf8(data).map_err(|_no_text| Refusal::NotJson)?;
        let record: Value = serde_json::from_str(&body).map_err(|_no_json| Refusal::NotJson)?;
        // The escape is searched for first: hardly any record has it, and looking is cheap.
        if !record.is_object() || body.contains("\\u0000") && has_nul(&record) {
            return Err(Refusal::NotJson);
        }
        let id = agreed(id, record.get("id"), MAX_ID_BYTES).ok_or(Refusal::Id)?;
        let kind = agreed(kind, record.get("kind"), MAX_KIND_BYTES).ok_or(Refusal::Kind)?;
        let time = |value: Option<&Value>| value?.as_str()?.parse::<Timestamp>().ok();
        let ts = time(record.get("ts"))
            .or_else(|| time(record.pointer("/window/start")))
            .or_else(|| time(record.get("to")))
            // Findings: their day is that of their event.
            .or_else(|| time(record.get("first_seen")))
            // Steps of funnels: the day must not depend on when they were sent.
            .or_else(|| time(record.pointer("/event/timestamp")))
            .or(sent)
            .filter(|ts| *ts >= Timestamp::UNIX_EPOCH)
            .ok_or(Refusal::Time)?;
        if schema.is_empty()
            && let Some(version) = record.get("schema_version").and_then(Value::as_u64)
        {
            schema = format!("{kind}/{version}");
        }
        let summary = match &*kind {
            Summary::KIND => Some(Summary::read(&record).ok_or(Refusal::Shape)?),
            _ => None,
        };
        Ok(Arrival {
            source: Arc::clone(source),
            id,
            kind,
            node,
            ts,
            day: TimeZone::UTC.to_datetime(ts).date(),
            place,
            schema,
            body,
            summary,
        })
    }
}

/// Headers of a message.
struct Headers<'m>(&'m FieldTable);

impl Headers<'_> {
    fn text(&self, name: &str, max_bytes: usize) -> Result<String, Refusal> {
        let text = match self.0.inner().get(name) {
            Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).ok(),
            Some(AMQPValue::ShortString(text)) => Some(text.as_str()),
            _ => None,
        };
        text.filter(|text| is_name(text, max_bytes)).map(str::to_owned).ok_or(Refusal::Headers)
    }

    fn count(&self, name: &str) -> Result<i64, Refusal> {
        let number = match self.0.inner().get(name) {
            Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongInt(number)) => i64::from(*number),
            Some(AMQPValue::LongUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongLongInt(number)) => *number,
            _ => return Err(Refusal::Headers),
        };
        if (0..MAX_COUNT).contains(&number) { Ok(number) } else { Err(Refusal::Headers) }
    }
}

/// What the message and the record say, when both say the same or one says nothing.
fn agreed(message: Option<&str>, record: Option<&Value>, max_bytes: usize) -> Option<String> {
    let record = match record {
        Some(value) => Some(value.as_str()?),
        None => None,
    };
    let text = match (message, record) {
        (Some(message), Some(record)) if message == record => message,
        (Some(message), None) => message,
        (None, Some(record)) => record,
        _ => return None,
    };
    is_name(text, max_bytes).then(|| text.to_owned())
}

fn is_name(text: &str, max_bytes: usize) -> bool {
    !text.is_empty() && text.len() <= max_bytes && !text.chars().any(char::is_control)
}

/// PostgreSQL has no text with it.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Name of the node, as a text.
pub(crate) const NODE: &str = "x-mop-node";
/// Which opening of its outbox it is.
pub(crate) const EPOCH: &str = "x-mop-epoch";
/// Place in the stream.
pub(crate) const SEQUENCE: &str = "x-mop-sequence";
/// Lane of the outbox.
pub(crate) const STREAM: &str = "x-mop-stream";
/// Kind and version.
pub(crate) const SCHEMA: &str = "x-mop-schema";

/// An index entry of PostgreSQL has at most 2,704 bytes.
const MAX_ID_BYTES: usize = 512;
/// RFC 1035, section 2.3.4: names of hosts are not longer.
const MAX_NODE_BYTES: usize = 255;
/// Kinds are a few words.
const MAX_KIND_BYTES: usize = 100;
/// Names of lanes are one word.
const MAX_STREAM_BYTES: usize = 64;
/// Kind, slash and version.
const MAX_SCHEMA_BYTES: usize = 120;
/// Far from the end of 64 bits, so that sums and successors need no care.
const MAX_COUNT: i64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Arc<str> {
        Arc::from("mop.quality")
    }

    fn headers() -> FieldTable {
        let mut headers = FieldTable::default();
        headers.insert(NODE.into(), AMQPValue::LongString("node-1".into()));
        headers.insert(EPOCH.into(), AMQPValue::LongLongInt(3));
        headers.insert(SEQUENCE.into(), AMQPValue::LongLongInt(41));
        headers.insert(STREAM.into(), AMQPValue::LongString("samples".into()));
        headers.insert(SCHEMA.into(), AMQPValue::LongString("quality.report/1".into()));
        headers
    }

    fn properties() -> BasicProperties {
        BasicProperties::default()
            .with_message_id("e1/quality".into())
            .with_type("quality.report".into())
            .with_headers(headers())
    }

    fn read(properties: &BasicProperties, body: &str) -> Result<Arrival, Refusal> {
        Arrival::from_message(&source(), properties, body.as_bytes().to_vec(), 1000)
    }

    const BODY: &str =
        r#"{"kind":"quality.report","id":"e1/quality","ts":"2026-11-24T23:59:59.5Z"}"#;

    #[test]
    fn a_message_is_read_whole() {
        let arrival = read(&properties(), BODY).expect("a good message");
        assert_eq!(arrival.id, "e1/quality");
        assert_eq!(arrival.kind, "quality.report");
        assert_eq!(arrival.node, "node-1");
        assert_eq!(arrival.schema, "quality.report/1");
        assert_eq!(arrival.day, jiff::civil::date(2026, 11, 24));
        let place = Place { stream: "samples".to_owned(), epoch: 3, sequence: 41 };
        assert_eq!(arrival.place, Some(place));
        assert_eq!(arrival.body, BODY);
    }

    #[test]
    fn bodies_that_cannot_be_stored_are_refused() {
        let long = format!(r#"{{"ts":"2026-11-24T00:00:00Z","x":"{}"}}"#, "x".repeat(1000));
        for (body, reason) in [
            ("", Refusal::NotJson),
            ("not json", Refusal::NotJson),
            ("[]", Refusal::NotJson),
            (r#"{"ts":"2026-11-24T00:00:00Z","x":"\u0000"}"#, Refusal::NotJson),
            (r#"{"ts":"2026-11-24T00:00:00Z","x":"\ud800"}"#, Refusal::NotJson),
            (r#"{"ts":"2026-11-24T00:00:00Z","x":1e400}"#, Refusal::NotJson),
            (r#"{"ts":"2026-11-24T00:00:00Z","id":"other"}"#, Refusal::Id),
            (r#"{"ts":"2026-11-24T00:00:00Z","id":7}"#, Refusal::Id),
            (r#"{"ts":"2026-11-24T00:00:00Z","kind":"other"}"#, Refusal::Kind),
            (r#"{"id":"e1/quality"}"#, Refusal::Time),
            (r#"{"ts":"yesterday"}"#, Refusal::Time),
            (r#"{"ts":"1969-11-24T00:00:00Z"}"#, Refusal::Time),
            (&long, Refusal::TooLarge),
        ] {
            assert_eq!(read(&properties(), body).expect_err(body), reason, "{body}");
        }
    }

    #[test]
    fn text_that_only_looks_like_a_nul_is_no_nul() {
        let body = r#"{"ts":"2026-11-24T00:00:00Z","x":"\\u0000"}"#;
        assert!(read(&properties(), body).is_ok());
    }

    #[test]
    fn properties_that_say_nothing_useful_are_refused() {
        let without = |name: &str| {
            let mut kept = FieldTable::default();
            for (key, value) in headers().inner() {
                if key.as_str() != name {
                    kept.insert(key.clone(), value.clone());
                }
            }
            properties().with_headers(kept)
        };
        let with = |name: &str, value: AMQPValue| {
            let mut headers = headers();
            headers.insert(name.into(), value);
            properties().with_headers(headers)
        };
        for (properties, reason) in [
            (BasicProperties::default(), Refusal::Headers),
            (without(NODE), Refusal::Headers),
            (without(EPOCH), Refusal::Headers),
            (without(SEQUENCE), Refusal::Headers),
            (without(STREAM), Refusal::Headers),
            (with(EPOCH, AMQPValue::LongString("3".into())), Refusal::Headers),
            (with(SEQUENCE, AMQPValue::LongLongInt(-1)), Refusal::Headers),
            (with(SEQUENCE, AMQPValue::LongLongInt(i64::MAX)), Refusal::Headers),
            (with(NODE, AMQPValue::LongString(vec![0xff].into())), Refusal::Headers),
            (with(NODE, AMQPValue::LongString("a\0b".into())), Refusal::Headers),
            (properties().with_message_id("".into()), Refusal::Id),
            (properties().with_type("".into()), Refusal::Kind),
            (properties().with_content_encoding("gzip".into()), Refusal::ContentEncoding),
        ] {
            assert_eq!(read(&properties, BODY).expect_err("a refusal"), reason, "{properties:?}");
        }
        assert!(read(&without(SCHEMA), BODY).is_ok());
        assert!(read(&with(EPOCH, AMQPValue::LongInt(3)), BODY).is_ok());
    }

    #[test]
    fn the_time_may_be_that_of_the_window_or_the_ledger_or_the_message() {
        let window = r#"{"window":{"start":"2026-01-02T03:00:00Z"}}"#;
        assert_eq!(
            read(&properties(), window).map(|arrival| arrival.day),
            Ok(jiff::civil::date(2026, 1, 2))
        );
        let ledger = r#"{"from":"2026-01-01T03:00:00Z","to":"2026-01-03T03:00:00Z"}"#;
        assert_eq!(
            read(&properties(), ledger).map(|arrival| arrival.day),
            Ok(jiff::civil::date(2026, 1, 3))
        );
        let step = r#"{"event":{"timestamp":"2026-01-04T23:59:59Z"}}"#;
        assert_eq!(
            read(&properties().with_timestamp(86_400), step).map(|arrival| arrival.day),
            Ok(jiff::civil::date(2026, 1, 4))
        );
        let sent = properties().with_timestamp(86_400);
        assert_eq!(read(&sent, "{}").map(|arrival| arrival.day), Ok(jiff::civil::date(1970, 1, 2)));
    }

    #[test]
    fn lines_of_a_journal_say_who_they_are() {
        let line = |text: &str| Arrival::from_line(&source(), "", text.as_bytes(), 1000);
        let arrival = line(BODY).expect("a good line");
        assert_eq!((&*arrival.id, &*arrival.kind), ("e1/quality", "quality.report"));
        assert_eq!(arrival.place, None);
        let placed = |sequence: i64, node: &str| {
            let place = format!(r#"{{"stream":"samples","epoch":3,"sequence":{sequence}}}"#);
            let text = format!(r#"{{"place":{place},"record":{BODY}}}"#);
            Arrival::from_line(&source(), node, text.as_bytes(), 1000)
        };
        let arrival = placed(41, "node-1").expect("a good line");
        assert_eq!(arrival.body, BODY);
        let place = Place { stream: "samples".to_owned(), epoch: 3, sequence: 41 };
        assert_eq!(arrival.place, Some(place));
        assert_eq!(placed(41, "").map(|arrival| arrival.place), Ok(None));
        assert_eq!(placed(-1, "node-1"), Err(Refusal::Headers));
        assert_eq!(line(r#"{"kind":"x"}"#), Err(Refusal::Id));
        assert_eq!(line(r#"{"id":"x"}"#), Err(Refusal::Kind));
    }
}
