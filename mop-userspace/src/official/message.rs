//! The message of the official client (its `MessageDTO`), made from one side of a call.
//!
//! The client is told a request by who sends it and a response by who sends it, and nothing else: a
//! node in the role of a client makes messages of requests, one in the role of a server of
//! responses. A message is made where the call is judged and holds no value that may not leave: it
//! can lie in the outbox as it is. What is added when it is sent (`orgId`, `iat`, `exp`) and the
//! signature are the sink's.
//!
//! Differences to the client, all on the side of caution:
//! - `request.header` has the names of all fields, and the values of [`SHOWN_FIELDS`] only. The
//!   client copies all values.
//! - `trace.path` has no query, and segments that look like a document or an address are masked.
//! - `clientSSId` and `serverASId` are empty where they are not known. The client writes the word
//!   `client` or `server` instead.
//! - `request.method` is the method of the call. The client writes `POST` unless it is told.
//! - A body that cannot be read makes no message. The client sends an empty one.
//! - `mopReportId` follows from the call, so that a message that is made again has the same.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::{Timestamp, ToSpan as _};
use mop_contract::{
    Judgement, json::Reader, route::path_of, rules::RuleViolation, violation::Direction,
};
use mop_outbox::Lane;
use mop_wire::{
    Body, Ending, Exchange, Headers, Role,
    content::{self, DecodeLimits},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    anonymizer,
    field_policy::{FieldPolicies, FieldPolicy},
    validations::Validations,
};
use crate::{drafts::Envelope, mask, output::Record, pretty::Style, record::timestamp};

/// Makes the messages of one worker.
pub(crate) struct OfficialMessages {
    shared: Arc<OfficialSource>,
    reader: Reader,
}

/// What all workers share: whose messages they are, which values may leave, and what was made.
pub(crate) struct OfficialSource {
    pub(crate) identity: Identity,
    pub(crate) policies: Arc<FieldPolicies>,
    made: AtomicU64,
    not_made: [AtomicU64; NotMade::ALL.len()],
}

/// What every message says about its sender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) version: String,
    pub(crate) environment: String,
    pub(crate) organisation_id: String,
    /// Of this participant as a receiver of data; empty when unknown.
    pub(crate) software_statement_id: String,
    /// Of this participant as a transmitter of data; empty when unknown.
    pub(crate) authorisation_server_id: String,
}

/// A call of which a message is made.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) id: &'a str,
    pub(crate) ts: Timestamp,
    /// What an application said that handed the message over; `None` for one that was observed.
    pub(crate) told: Option<&'a Told>,
}

/// What comes with a copy of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) correlation_id: String,
    pub(crate) report_id: Option<String>,
    pub(crate) client_ss_id: Option<String>,
    pub(crate) server_as_id: Option<String>,
    pub(crate) trace_origin: Option<String>,
    pub(crate) status_code: Option<String>,
}

/// Why no message was made of a call that should have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NotMade {
    /// Some bytes of the message were not seen.
    Incomplete,
    /// It was never known which values may leave.
    NoFieldPolicy,
    /// The body was seen and not kept.
    NotKept,
    /// The message would be too large.
    TooLarge,
    /// The body is no JSON, or JSON that two readers would understand differently.
    Unreadable,
}

/// The record of a message.
#[derive(Debug, Serialize)]
pub(crate) struct OfficialMessage<'a> {
    kind: &'static str,
    schema_version: u32,
    /// Deterministic: the exchange and the kind.
    id: String,
    exchange: &'a str,
    #[serde(serialize_with = "timestamp")]
    ts: Timestamp,
    message: Message<'a>,
}

/// The claims of the message, but for those that the sink adds. In the order of the client.
#[derive(Debug, Serialize)]
struct Message<'a> {
    metadata: Metadata<'a>,
    trace: Trace<'a>,
    request: RequestInfo<'a>,
    privacy: Privacy,
    payload: Payload,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    version: &'a str,
    environment: &'a str,
    module: &'static str,
    initiated_by: &'static str,
    purpose: &'static str,
    #[serde(serialize_with = "instant")]
    timestamp: Timestamp,
    content_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    correlation_id: String,
    mop_report_id: String,
    trace_id: String,
    path: String,
    operation: &'a str,
    http_type: &'static str,
    status_code: String,
    #[serde(rename = "clientSSId")]
    client_ss_id: &'a str,
    #[serde(rename = "serverASId")]
    server_as_id: &'a str,
    origin: &'static str,
    trace_origin: &'a str,
    org_id: &'a str,
}

#[derive(Debug, Serialize)]
struct RequestInfo<'a> {
    method: &'a str,
    host: String,
    url: String,
    header: ShownHeaders<'a>,
    validations: Validations,
}

#[derive(Debug)]
struct Privacy(Arc<FieldPolicy>);

#[derive(Debug, Serialize)]
struct Payload {
    data: Box<RawValue>,
}

impl OfficialMessages {
    /// One worker's.
    pub(crate) fn new(shared: Arc<OfficialSource>) -> Self {
        Self { shared, reader: Reader::default() }
    }

    /// Makes the message of a call, if it should have one. What could not be made is counted.
    pub(crate) fn make<'a>(
        &'a mut self,
        source: Source<'a>,
        judgement: &Judgement,
        findings: &[RuleViolation<'_>],
    ) -> Result<Option<OfficialMessage<'a>>, NotMade> {
        let Self { shared, reader } = self;
        let made = build(shared, reader, source, judgement, findings);
        match &made {
            Ok(Some(_)) => {
                shared.made.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => {}
            Err(reason) => {
                if let Some(count) = shared.not_made.get(*reason as usize) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        made
    }

    /// Gives up what a panic may have left half done.
    pub(crate) fn reset(&mut self) {
        self.reader = Reader::default();
    }
}

impl OfficialSource {
    pub(crate) fn new(identity: Identity, policies: Arc<FieldPolicies>) -> Arc<Self> {
        Arc::new(Self {
            identity,
            policies,
            made: AtomicU64::new(0),
            not_made: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    /// Messages made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Calls without a message, by cause.
    pub(crate) fn not_made(&self) -> impl Iterator<Item = (NotMade, u64)> {
        let counts = self.not_made.iter().map(|count| count.load(Ordering::Relaxed));
        NotMade::ALL.into_iter().zip(counts)
    }
}

impl NotMade {
    /// All causes, in the order of their declaration.
    pub(crate) const ALL: [Self; 5] =
        [Self::Incomplete, Self::NoFieldPolicy, Self::NotKept, Self::TooLarge, Self::Unreadable];

    /// Its name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::NoFieldPolicy => "no_field_policy",
            Self::NotKept => "not_kept",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
        }
    }
}

fn build<'a>(
    shared: &'a OfficialSource,
    reader: &'a mut Reader,
    source: Source<'a>,
    judgement: &Judgement,
    findings: &[RuleViolation<'_>],
) -> Result<Option<OfficialMessage<'a>>, NotMade> {
    let Source { exchange, id, ts, told } = source;
    let Some(request) = &exchange.request else { return Ok(None) };
    let direction = match exchange.role {
        Role::Client => Direction::Request,
        Role::Server => Direction::Response,
    };
    let (headers, body) = match (direction, &exchange.response) {
        (Direction::Request, _) => (&request.headers, &request.body),
        (Direction::Response, Some(response)) => (&response.headers, &response.body),
        // Nobody answered, or the answer was not seen.
        (Direction::Response, None) => return Err(NotMade::Incomplete),
    };
    if !is_whole(exchange, direction) {
        return Err(NotMade::Incomplete);
    }
    let policy = shared.policies.current().ok_or(NotMade::NoFieldPolicy)?;
    let data = data(reader, headers, body, &policy)?;
    let identity = &shared.identity;
    let derived = |what: &str| derived_id(what, &identity.organisation_id, id, ts);
    let report_id = told.and_then(|told| told.report_id.clone());
    let report_id = report_id.unwrap_or_else(|| derived("report"));
    let correlation_id = match told {
        Some(told) => told.correlation_id.clone(),
        None => interaction_id(exchange).unwrap_or_else(|| report_id.clone()),
    };
    let path = mask::target(path_of(&request.target)).into_owned();
    let (own_client, own_server) = match exchange.role {
        Role::Client => (identity.software_statement_id.as_str(), ""),
        Role::Server => ("", identity.authorisation_server_id.as_str()),
    };
    let said = |pick: fn(&Told) -> &Option<String>| told.and_then(|told| pick(told).as_deref());
    let status_code = match (direction, &exchange.response) {
        (Direction::Response, Some(response)) => response.status.to_string(),
        _ => said(|told| &told.status_code).unwrap_or_default().to_owned(),
    };
    Ok(Some(OfficialMessage {
        kind: KIND,
        schema_version: 1,
        id: format!("{id}/official"),
        exchange: id,
        ts,
        message: Message {
            metadata: Metadata {
                version: &identity.version,
                environment: &identity.environment,
                module: "MOP",
                initiated_by: "mop-client-gateway",
                purpose: "Data anonymization and routing",
                timestamp: moment(exchange, direction, ts),
                content_type: "application/json",
            },
            trace: Trace {
                correlation_id,
                mop_report_id: report_id,
                trace_id: derived("trace"),
                path: path.clone(),
                operation: &request.method,
                http_type: direction.name(),
                status_code,
                client_ss_id: said(|told| &told.client_ss_id).unwrap_or(own_client),
                server_as_id: said(|told| &told.server_as_id).unwrap_or(own_server),
                origin: match exchange.role {
                    Role::Client => "client",
                    Role::Server => "server",
                },
                trace_origin: said(|told| &told.trace_origin).unwrap_or_default(),
                org_id: &identity.organisation_id,
            },
            request: RequestInfo {
                method: &request.method,
                host: shown(HOST, request.headers.first(HOST).unwrap_or_default()),
                url: path,
                header: ShownHeaders(headers),
                validations: Validations::of(judgement, findings, direction),
            },
            privacy: Privacy(policy),
            payload: Payload { data },
        },
    }))
}

/// Whether all of one message was seen; the other one does not matter.
fn is_whole(exchange: &Exchange, direction: Direction) -> bool {
    let completeness = &exchange.completeness;
    match direction {
        Direction::Request => {
            completeness.request.missing_bytes == 0
                && matches!(
                    completeness.ending,
                    Ending::Complete | Ending::Upgraded | Ending::ResponseCut
                )
        }
        Direction::Response => {
            completeness.response.missing_bytes == 0
                && matches!(completeness.ending, Ending::Complete | Ending::Upgraded)
        }
    }
}

/// What may leave of a body.
fn data(
    reader: &mut Reader,
    headers: &Headers,
    body: &Body,
    policy: &FieldPolicy,
) -> Result<Box<RawValue>, NotMade> {
    if body.missing > 0 {
        return Err(NotMade::Incomplete);
    }
    if !body.is_whole() {
        return Err(NotMade::NotKept);
    }
    let limits = DecodeLimits { max_plain_bytes: MAX_BODY_BYTES, ..DecodeLimits::default() };
    let plain = content::codings(headers)
        .and_then(|codings| content::decode(&codings, &body.bytes, limits))
        .map_err(|_| NotMade::Unreadable)?;
    let json = if plain.trim_ascii().is_empty() {
        None
    } else {
        Some(reader.read(&plain).map_err(|_| NotMade::Unreadable)?)
    };
    let root = json.as_ref().map(mop_contract::json::Json::root);
    let data = anonymizer::payload_data(root, policy).map_err(|_| NotMade::TooLarge)?;
    // What was written is JSON; were it not, nothing of it may leave.
    RawValue::from_string(data).map_err(|_| NotMade::Unreadable)
}

/// When the message was there: for a response, when its head began.
fn moment(exchange: &Exchange, direction: Direction, ts: Timestamp) -> Timestamp {
    let timing = &exchange.timing;
    let later = match direction {
        Direction::Request => 0,
        Direction::Response => timing.response_start_ns.saturating_sub(timing.request_start_ns),
    };
    let later = i64::try_from(later).unwrap_or_default();
    if timing.request_start_ns == 0 {
        return ts;
    }
    ts.checked_add(later.nanoseconds()).unwrap_or(ts)
}

/// What the ecosystem correlates the reports of both sides by. Of any other form than the contracts
/// have for it, it may be anything.
fn interaction_id(exchange: &Exchange) -> Option<String> {
    let request = exchange.request.as_ref().and_then(|request| request.headers.first(INTERACTION));
    let response = exchange.response.as_ref();
    let value =
        request.or_else(|| response.and_then(|response| response.headers.first(INTERACTION)))?;
    let text = std::str::from_utf8(value).ok()?;
    mask::is_uuid(text).then(|| text.to_owned())
}

/// An identifier in the form of a UUID (version 8, RFC 9562) that follows from the call.
fn derived_id(what: &str, organisation: &str, exchange: &str, ts: Timestamp) -> String {
    let digest = Sha256::new()
        .chain_update(what)
        .chain_update([0])
        .chain_update(organisation)
        .chain_update([0])
        .chain_update(exchange)
        .chain_update([0])
        .chain_update(ts.as_nanosecond().to_be_bytes())
        .finalize();
    let mut text = String::with_capacity(36);
    for (place, byte) in digest.iter().take(16).enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let byte = match place {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The value of a field as it may leave, else nothing.
fn shown(name: &str, value: &[u8]) -> String {
    let is_shown = SHOWN_FIELDS.iter().any(|shown| shown.eq_ignore_ascii_case(name))
        && value.len() <= MAX_VALUE_BYTES
        && value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    match std::str::from_utf8(value) {
        // An identifier is shown in the form of one only.
        Ok(text)
            if is_shown && (!name.eq_ignore_ascii_case(INTERACTION) || mask::is_uuid(text)) =>
        {
            text.to_owned()
        }
        _ => String::new(),
    }
}

/// Field lines as they may leave: names in lower case, each once.
#[derive(Debug)]
struct ShownHeaders<'a>(&'a Headers);

impl Serialize for ShownHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut written: Vec<String> = Vec::new();
        for (name, value) in self.0.iter().take(MAX_FIELDS) {
            let name = name.to_ascii_lowercase();
            if written.contains(&name) {
                continue;
            }
            map.serialize_entry(&name, &shown(&name, value))?;
            written.push(name);
        }
        map.end()
    }
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn instant<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{timestamp:.3}"))
}

/// Kind of the record.
pub(crate) const KIND: &str = "official.message";

const HOST: &str = "host";
const INTERACTION: &str = "x-fapi-interaction-id";

/// Fields that say how a message is sent, and nothing about a person or a credential. Values of all
/// others stay.
const SHOWN_FIELDS: [&str; 22] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    HOST,
    "pragma",
    "retry-after",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
    INTERACTION,
    "x-frame-options",
    "x-min-v",
    "x-v",
];

/// Longer values of these fields are not what the fields are for.
const MAX_VALUE_BYTES: usize = 512;

/// Field lines that are listed; what is decoded has no more than twice as many.
const MAX_FIELDS: usize = 64;

/// Plain bytes of one body: what the reader of JSON takes.
const MAX_BODY_BYTES: usize = mop_contract::json::MAX_BYTES;

#[cfg(test)]
mod tests;
