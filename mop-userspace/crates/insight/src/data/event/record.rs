//! The record of an event: `data.call`, as it leaves the node (`rules/schemas/data.call.schema.json`).

use mop_wire::Role;
use serde::{Serialize, Serializer};

use super::EventBody;
use crate::data::{call::Call, consent_join::JoinedBy};

/// One event, ready for the outbox. Its bytes are the same whenever it is made of the same call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataEvent {
    kind: &'static str,
    schema_version: u32,
    /// The identifier of the exchange, then `/call`.
    pub id: String,
    /// Identifier of the exchange.
    pub exchange: String,
    /// First byte of the request, with the precision of the clock.
    pub ts: jiff::Timestamp,
    /// As which side it is reported: `client-event` or `server-event` of the interface.
    #[serde(serialize_with = "side")]
    pub side: Role,
    /// The body of the event.
    pub event: EventBody,
    /// Where its consent was found; `None` when it has none.
    #[serde(serialize_with = "joined")]
    pub joined: Option<JoinedBy>,
    /// How much of the call was seen.
    pub completeness: CompletenessRecord,
    /// How often the same call was seen again, further inside.
    pub hops: u32,
}

/// How much of a call was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CompletenessRecord {
    /// Every byte of both messages was seen.
    pub complete: bool,
    /// Bytes that were not.
    pub missing_bytes: u64,
    /// `processTimespan` ends with the answer; if not, with what was seen of it.
    pub duration_exact: bool,
    /// A body that would have told something could not be read.
    pub body_unread: bool,
}

impl DataEvent {
    /// `data.call`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The record of an event.
    #[must_use]
    pub fn new(call: &Call, event: EventBody, joined: Option<JoinedBy>, hops: u32) -> Self {
        Self {
            kind: "data.call",
            schema_version: SCHEMA_VERSION,
            id: format!("{}/call", call.exchange),
            exchange: call.exchange.as_ref().to_owned(),
            ts: call.start,
            side: call.role,
            event,
            joined,
            completeness: CompletenessRecord {
                complete: call.seen.is_complete,
                missing_bytes: call.seen.missing_bytes,
                duration_exact: call.is_span_exact,
                body_unread: call.seen.is_body_unread,
            },
            hops,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn side<S: Serializer>(side: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match side {
        Role::Client => "client",
        Role::Server => "server",
    })
}

#[expect(clippy::ref_option, reason = "serde asks for a reference")]
fn joined<S: Serializer>(joined: &Option<JoinedBy>, serializer: S) -> Result<S::Ok, S::Error> {
    joined.map(JoinedBy::name).serialize(serializer)
}

/// Of the form of the record.
pub const SCHEMA_VERSION: u32 = 1;
