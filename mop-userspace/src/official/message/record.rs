//! The form of the record, and of the message in it.

use std::sync::Arc;

use jiff::Timestamp;
use mop_outbox::Lane;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

use super::{
    super::{field_policy::FieldPolicy, validations::Validations},
    shown::ShownHeaders,
};
use crate::{drafts::Envelope, output::Record, pretty::Style, record::timestamp};

/// The record of a message.
#[derive(Serialize)]
pub(crate) struct OfficialMessage<'a> {
    pub(super) kind: &'static str,
    pub(super) schema_version: u32,
    /// Deterministic: the exchange and the kind.
    pub(super) id: String,
    pub(super) exchange: &'a str,
    #[serde(serialize_with = "timestamp")]
    pub(super) ts: Timestamp,
    pub(super) message: Message<'a>,
}

/// The claims of the message, but for those that the sink adds. In the order of the client.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) metadata: Metadata<'a>,
    pub(super) trace: Trace<'a>,
    pub(super) request: RequestInfo<'a>,
    pub(super) privacy: Privacy,
    pub(super) payload: Payload,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    pub(super) version: &'a str,
    pub(super) environment: &'a str,
    pub(super) module: &'static str,
    pub(super) initiated_by: &'static str,
    pub(super) purpose: &'static str,
    #[serde(serialize_with = "instant")]
    pub(super) timestamp: Timestamp,
    pub(super) content_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trace<'a> {
    pub(super) correlation_id: String,
    pub(super) mop_report_id: String,
    pub(super) trace_id: String,
    pub(super) path: String,
    pub(super) operation: &'a str,
    pub(super) http_type: &'static str,
    pub(super) status_code: String,
    #[serde(rename = "clientSSId")]
    pub(super) client_ss_id: &'a str,
    #[serde(rename = "serverASId")]
    pub(super) server_as_id: &'a str,
    pub(super) origin: &'static str,
    pub(super) trace_origin: &'a str,
    pub(super) org_id: &'a str,
}

#[derive(Serialize)]
pub(super) struct RequestInfo<'a> {
    pub(super) method: &'a str,
    pub(super) host: String,
    pub(super) url: String,
    pub(super) header: ShownHeaders<'a>,
    pub(super) validations: Validations,
}

pub(super) struct Privacy(pub(super) Arc<FieldPolicy>);

#[derive(Serialize)]
pub(super) struct Payload {
    pub(super) data: Box<RawValue>,
}

impl Serialize for Privacy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lists = &self.0.lists;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("anonymizedFields", &lists.anonymized)?;
        map.serialize_entry("exposedFields", &lists.exposed)?;
        map.end()
    }
}

impl Record for OfficialMessage<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: self.kind, id: &self.id }
    }

    /// For the server only.
    fn write_pretty(&self, _out: &mut String, _style: Style) {}
}

fn instant<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{timestamp:.3}"))
}
