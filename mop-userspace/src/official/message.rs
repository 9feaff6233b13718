//! The message of the official client (its `MessageDTO`), made from one side of a call.
//!
//! The client is told a request by who sends it and a response by who sends it, and nothing else: a
//! node in the role of a client makes messages of requests, one in the role of a server of
//! responses. A message is made where the call is judged and holds no value that may not leave: it
//! can lie in the outbox as it is. What is added when it is sent (`orgId`, `iat`, `exp`) and the
//! signature are the sink's.
//!
//! Differences to the client, all on the side of caution:
//! - `request.header` has the names of all fields, and the values of those in `shown.rs` only. The
//!   client copies all values.
//! - `trace.path` has no query, and segments that look like a document or an address are masked.
//! - `clientSSId` and `serverASId` are empty where they are not known. The client writes the word
//!   `client` or `server` instead.
//! - `request.method` is the method of the call. The client writes `POST` unless it is told.
//! - A body that cannot be read makes no message. The client sends an empty one.
//! - `mopReportId` follows from the call, so that a message that is made again has the same.

mod record;
mod shown;

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
use mop_wire::{
    Body, Ending, Exchange, Headers, Role,
    content::{self, DecodeLimits},
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    anonymizer,
    field_policy::{FieldPolicies, FieldPolicy},
    validations::Validations,
};
use crate::{mask, vitals::Family};

use record::{Message, Metadata, Payload, Privacy, RequestInfo, Trace};
use shown::{HOST, INTERACTION, ShownHeaders, shown};

pub(crate) use record::OfficialMessage;

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
    /// Made of further sightings of calls, and not sent.
    passed_over: AtomicU64,
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
#[derive(Clone, Default, PartialEq, Eq)]
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

    /// What all workers share.
    pub(crate) fn source(&self) -> Arc<OfficialSource> {
        Arc::clone(&self.shared)
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
            passed_over: AtomicU64::new(0),
        })
    }

    /// A message is not sent: it is of a further sighting of a call.
    pub(crate) fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(test)]
    fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    fn not_made(&self) -> impl Iterator<Item = (NotMade, u64)> {
        let counts = self.not_made.iter().map(|count| count.load(Ordering::Relaxed));
        NotMade::ALL.into_iter().zip(counts)
    }

    /// Messages made, and calls without one by cause, as metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let counts = self.not_made.iter().map(|count| count.load(Ordering::Relaxed));
        vec![
            Family::counter("mop_official_messages", "Messages made for the official server")
                .is(self.made.load(Ordering::Relaxed)),
            Family::counter(
                "mop_official_messages_of_hops",
                "Messages of these that are not sent, since the call was seen further outside too",
            )
            .is(self.passed_over.load(Ordering::Relaxed)),
            Family::counter(
                "mop_official_messages_not_made",
                "Calls of which no message for the official server could be made",
            )
            .by("cause", NotMade::ALL.into_iter().map(NotMade::name).zip(counts)),
        ]
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
        .map_err(|_coding| NotMade::Unreadable)?;
    let json = if plain.trim_ascii().is_empty() {
        None
    } else {
        Some(reader.read(&plain).map_err(|_says_where| NotMade::Unreadable)?)
    };
    let root = json.as_ref().map(mop_contract::json::Json::root);
    let data = anonymizer::payload_data(root, policy).map_err(|_one_cause| NotMade::TooLarge)?;
    // What was written is JSON; were it not, nothing of it may leave.
    RawValue::from_string(data).map_err(|_quotes_the_body| NotMade::Unreadable)
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

/// Kind of the record.
pub(crate) const KIND: &str = "official.message";

/// Plain bytes of one body: what the reader of JSON takes.
const MAX_BODY_BYTES: usize = mop_contract::json::MAX_BYTES;

#[cfg(test)]
mod tests;
