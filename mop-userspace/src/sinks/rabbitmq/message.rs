//! How a record becomes a message.
//!
//! The routing key is `mop.KIND`. Headers tell which node put it into its outbox and in which place,
//! so that a gap is provable downstream: sequences of a node and stream count up by one.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use mop_outbox::Entry;
use serde::Deserialize;

/// A record that is ready to be published.
pub(super) struct Message {
    pub(super) id: Box<str>,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Makes it, or says why the broker will never take it.
    pub(super) fn new(entry: Entry, node: &str, max_bytes: usize) -> Result<Self, &'static str> {
        let Entry { lane, epoch, sequence, time_ms, kind, id, note: _, payload } = entry;
        if payload.len() > max_bytes {
            return Err("too_large");
        }
        let short = |text: &str| ShortString::try_new(text).map_err(|_length| "name_too_long");
        let mut headers = FieldTable::default();
        let mut text = |name: &str, value: &str| {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        text("x-mop-node", node);
        text("x-mop-stream", lane.name());
        if let Some(version) = schema_version(&payload) {
            text("x-mop-schema", &format!("{kind}/{version}"));
        }
        let mut number = |name: &str, value: u64| {
            // AMQP as RabbitMQ speaks it has no unsigned numbers; neither count gets that far.
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            headers.insert(name.into(), AMQPValue::LongLongInt(value));
        };
        number("x-mop-epoch", epoch);
        number("x-mop-sequence", sequence);
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short(&id)?)
            .with_type(short(&kind)?)
            .with_app_id("mop".into())
            .with_timestamp(time_ms / 1_000)
            .with_headers(headers);
        let routing_key = short(&format!("mop.{kind}"))?;
        Ok(Self { id, routing_key, properties, body: payload })
    }
}

/// The version that a record gives the form it has.
fn schema_version(payload: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    serde_json::from_slice(payload).ok().map(|Versioned { schema_version }| schema_version)
}

/// Delivery mode: kept on disk.
const PERSISTENT: u8 = 2;

#[cfg(test)]
mod tests {
    use mop_outbox::{Entry, Lane};

    use super::Message;

    #[test]
    fn what_a_broker_would_never_take_is_told_before_it_is_sent() {
        let entry = |id: &str, kind: &str, bytes: usize| Entry {
            lane: Lane::Data,
            epoch: 1,
            sequence: 2,
            time_ms: 3,
            kind: kind.into(),
            id: id.into(),
            note: "".into(),
            payload: vec![b' '; bytes],
        };
        let long = "x".repeat(256);
        for (entry, reason) in [
            (entry("a", "data.call", 11), Some("too_large")),
            (entry(&long, "data.call", 1), Some("name_too_long")),
            (entry("a", &long, 1), Some("name_too_long")),
            (entry("a", "data.call", 10), None),
        ] {
            assert_eq!(Message::new(entry, "node", 10).err(), reason);
        }
    }
}
