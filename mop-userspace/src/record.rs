//! The record of an exchange: what is printed and journalled.
//!
//! Built from an exchange and the facts of its connection, masked as it is built: a record never
//! holds a value that may not be shown, unless payload was asked for.

use std::{net::SocketAddr, path::Path, sync::Arc};

use jiff::Timestamp;
use mop_common::Layer;
use mop_wire::{Anomalies, Body, Exchange, Headers, Hole, Role, Seen, Version, content};
use serde::{Serialize, Serializer, ser::SerializeSeq as _};

use crate::{clock::Clock, connections::Facts, mask, workloads::Whereabouts};

pub(crate) use self::tls::TlsRecord;

mod tls;

/// How much of a message a record shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Names, sizes and protocol fields only.
    Masked,
    /// Everything, bodies with their content coding removed.
    Shown,
}

/// One exchange, as it is reported.
#[derive(Debug, Serialize)]
pub(crate) struct ExchangeRecord<'a> {
    pub(crate) kind: &'static str,
    /// Identifier in this run, or the one of the replayed file.
    pub(crate) exchange: Arc<str>,
    /// When the first byte was seen.
    #[serde(serialize_with = "timestamp")]
    pub(crate) ts: Timestamp,
    /// From the first byte of the request to the last of the response; `null` when a side is
    /// missing.
    pub(crate) duration_ms: Option<f64>,
    /// `server` or `client`: the part of the observed process.
    pub(crate) role: &'static str,
    pub(crate) process: Option<ProcessRecord<'a>>,
    /// The pod of the process; absent when it is in none, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workload: Option<&'a Whereabouts>,
    pub(crate) transport: Option<TransportRecord<'a>>,
    /// What both sides of the connection said in clear text; absent when it was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<TlsRecord<'a>>,
    pub(crate) client: Option<EndRecord>,
    pub(crate) server: Option<EndRecord>,
    pub(crate) request: Option<RequestRecord<'a>>,
    pub(crate) response: Option<ResponseRecord<'a>>,
    /// Status codes of interim responses.
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    interim: &'a [u16],
    pub(crate) completeness: CompletenessRecord<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProcessRecord<'a> {
    pub(crate) pid: u32,
    pub(crate) command: &'a str,
    pub(crate) container: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct TransportRecord<'a> {
    /// `tls` or `socket`.
    pub(crate) layer: &'static str,
    /// Path of the TLS library.
    pub(crate) library: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct EndRecord {
    pub(crate) ip: String,
    pub(crate) port: u16,
}

#[derive(Debug, Serialize)]
pub(crate) struct RequestRecord<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: std::borrow::Cow<'a, str>,
    version: &'static str,
    #[serde(flatten)]
    pub(crate) message: MessageRecord<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ResponseRecord<'a> {
    pub(crate) status: Option<u16>,
    version: &'static str,
    #[serde(flatten)]
    pub(crate) message: MessageRecord<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct MessageRecord<'a> {
    pub(crate) headers: HeaderRecord<'a>,
    #[serde(skip_serializing_if = "HeaderRecord::is_empty")]
    trailers: HeaderRecord<'a>,
    pub(crate) body: BodyRecord,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anomalies: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BodyRecord {
    /// Length of the content before its content coding is removed, holes included.
    pub(crate) bytes: u64,
    /// Of these, not seen.
    pub(crate) missing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The content, when payload is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// Field lines, masked while they are written.
#[derive(Debug)]
pub(crate) struct HeaderRecord<'a> {
    lines: &'a Headers,
    payload: Payload,
}

#[derive(Debug, Serialize)]
pub(crate) struct CompletenessRecord<'a> {
    pub(crate) complete: bool,
    pub(crate) ending: &'static str,
    pub(crate) resynchronised: bool,
    pub(crate) request: SeenRecord<'a>,
    pub(crate) response: SeenRecord<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SeenRecord<'a> {
    pub(crate) framed_bytes: u64,
    pub(crate) missing_bytes: u64,
    #[serde(serialize_with = "holes", skip_serializing_if = "<[Hole]>::is_empty")]
    pub(crate) holes: &'a [Hole],
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unknown_fields: u32,
}

impl<'a> ExchangeRecord<'a> {
    /// The record of an exchange that was seen on this node.
    pub(crate) fn new(
        id: Arc<str>,
        exchange: &'a Exchange,
        facts: Option<&'a Facts>,
        clock: Clock,
        payload: Payload,
    ) -> Self {
        let Exchange {
            connection: _,
            sequence: _,
            role,
            request,
            response,
            interim,
            timing,
            completeness,
        } = exchange;
        let duration_ms = (request.is_some() && response.is_some())
            .then(|| milliseconds(timing.response_end_ns.saturating_sub(timing.request_start_ns)));
        let (local, remote) = match facts.and_then(|facts| facts.ends) {
            Some((local, remote)) => (Some(local), Some(remote)),
            None => (None, None),
        };
        let (client, server) = match role {
            Role::Client => (local, remote),
            Role::Server => (remote, local),
        };
        Self {
            kind: "exchange",
            exchange: id,
            ts: started(exchange, clock),
            duration_ms,
            role: role_name(*role),
            process: facts.map(|facts| ProcessRecord {
                pid: facts.process.tgid,
                command: &facts.process.command,
                container: facts.process.whereabouts.container(),
            }),
            workload: facts
                .map(|facts| &facts.process.whereabouts)
                .filter(|whereabouts| whereabouts.is_pod()),
            transport: facts.map(|facts| TransportRecord {
                layer: match facts.layer {
                    Layer::Socket => "socket",
                    Layer::Tls => "tls",
                },
                library: facts.library.as_deref(),
            }),
            tls: facts.and_then(|facts| facts.tls.as_deref()).map(TlsRecord::from),
            client: client.map(EndRecord::from),
            server: server.map(EndRecord::from),
            request: request.as_ref().map(|request| RequestRecord {
                method: &request.method,
                target: match payload {
                    Payload::Masked => mask::target(&request.target),
                    Payload::Shown => request.target.as_str().into(),
                },
                version: version(request.version),
                message: message(&request.headers, &request.body, request.anomalies, payload),
            }),
            response: response.as_ref().map(|response| ResponseRecord {
                status: (response.status != 0).then_some(response.status),
                version: version(response.version),
                message: message(&response.headers, &response.body, response.anomalies, payload),
            }),
            interim,
            completeness: CompletenessRecord {
                complete: completeness.is_complete(),
                ending: completeness.ending.name(),
                resynchronised: completeness.resynchronised,
                request: seen(&completeness.request),
                response: seen(&completeness.response),
            },
        }
    }
}

/// When the first byte of an exchange was seen.
pub(crate) fn started(exchange: &Exchange, clock: Clock) -> Timestamp {
    let Exchange { request, timing, .. } = exchange;
    let began_ns =
        if request.is_some() { timing.request_start_ns } else { timing.response_start_ns };
    clock.timestamp(began_ns)
}

impl From<SocketAddr> for EndRecord {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_string(), port: address.port() }
    }
}

impl HeaderRecord<'_> {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Names and values as they may be shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, std::borrow::Cow<'_, str>)> {
        self.lines.iter().map(|(name, value)| {
            let shown = match self.payload {
                Payload::Masked => mask::header(name, value),
                Payload::Shown => String::from_utf8_lossy(value),
            };
            (name, shown)
        })
    }
}

impl Serialize for HeaderRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut lines = serializer.serialize_seq(Some(self.lines.len()))?;
        for line in self.iter() {
            lines.serialize_element(&line)?;
        }
        lines.end()
    }
}

impl MessageRecord<'_> {
    /// True when values are shown in clear.
    pub(crate) fn shows_payload(&self) -> bool {
        self.headers.payload == Payload::Shown
    }
}

/// Short name of the file of a library, for people.
pub(crate) fn library_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// Name of a role in records.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

fn message<'a>(
    headers: &'a Headers,
    body: &'a Body,
    anomalies: Anomalies,
    payload: Payload,
) -> MessageRecord<'a> {
    MessageRecord {
        headers: HeaderRecord { lines: headers, payload },
        trailers: HeaderRecord { lines: &body.trailers, payload },
        body: BodyRecord {
            bytes: body.length,
            missing: body.missing,
            sha256: body.sha256.map(|digest| hexadecimal(&digest)),
            text: match payload {
                Payload::Masked => None,
                Payload::Shown => body_text(headers, body),
            },
        },
        anomalies: anomalies.iter().map(|anomaly| anomaly.name()).collect(),
    }
}

/// The content as text, its content coding removed; cut at [`SHOWN_BODY_BYTES`].
fn body_text(headers: &Headers, body: &Body) -> Option<String> {
    if body.length == 0 {
        return None;
    }
    if !body.is_whole() {
        return Some(format!("({} bytes, {} kept)", body.length, body.bytes.len()));
    }
    let decoded = content::codings(headers).and_then(|codings| {
        content::decode(&codings, &body.bytes, content::DecodeLimits::default())
    });
    let plain = match decoded {
        Ok(plain) => plain,
        Err(error) => return Some(format!("({} bytes: {error})", body.length)),
    };
    let shown = plain.get(..SHOWN_BODY_BYTES).unwrap_or(&plain);
    let mut text = String::from_utf8_lossy(shown).into_owned();
    if shown.len() < plain.len() {
        text.push('…');
    }
    Some(text)
}

fn seen(seen: &Seen) -> SeenRecord<'_> {
    let Seen { framed_bytes, missing_bytes, holes, unknown_fields } = seen;
    let (framed_bytes, missing_bytes) = (*framed_bytes, *missing_bytes);
    SeenRecord { framed_bytes, missing_bytes, holes, unknown_fields: *unknown_fields }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn holes<S: Serializer>(holes: &&[Hole], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct HoleRecord {
        position: u64,
        bytes: u64,
        cause: &'static str,
    }
    let mut list = serializer.serialize_seq(Some(holes.len()))?;
    for Hole { position, bytes, cause } in *holes {
        list.serialize_element(&HoleRecord {
            position: *position,
            bytes: *bytes,
            cause: cause.name(),
        })?;
    }
    list.end()
}

/// RFC 3339 with microseconds.
pub(crate) fn timestamp<S: Serializer>(
    timestamp: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{timestamp:.6}"))
}

fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2",
    }
}

/// Nanoseconds as milliseconds with three decimals.
#[expect(clippy::cast_precision_loss, reason = "a duration of months keeps its microseconds")]
fn milliseconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000) as f64 / 1_000.0
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a person reads on a terminal.
const SHOWN_BODY_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::{net::Ipv6Addr, sync::Arc};

    use mop_common::HoleCause;
    use mop_wire::{Completeness, Ending, Request, Response, Timing};
    use serde_json::Value;

    use super::*;
    use crate::connections::ProcessFacts;

    fn exchange() -> Exchange {
        let mut headers = Headers::default();
        headers.push("Authorization", b"Bearer secret");
        headers.push("Content-Type", b"application/json");
        let hole = Hole { position: 1, bytes: 2, cause: HoleCause::ZeroCopy };
        let holey =
            Seen { framed_bytes: 9, missing_bytes: 2, holes: vec![hole], unknown_fields: 0 };
        Exchange {
            connection: 1,
            sequence: 0,
            role: Role::Server,
            request: Some(Request {
                method: "POST".into(),
                target: "/a?cpf=secret".to_owned(),
                version: Version::Http11,
                headers: headers.clone(),
                body: Body { trailers: headers.clone(), ..Body::whole(b"secret".to_vec(), true) },
                anomalies: Anomalies::default(),
            }),
            response: Some(Response {
                status: 201,
                version: Version::Http10,
                headers,
                body: Body::whole(b"secret".to_vec(), false),
                anomalies: Anomalies::default(),
            }),
            interim: vec![100],
            timing: Timing { request_start_ns: 5, response_end_ns: 2_000_005, ..Timing::default() },
            completeness: Completeness {
                request: Seen::default(),
                response: holey,
                ending: Ending::Complete,
                resynchronised: false,
            },
        }
    }

    fn record(exchange: &Exchange, facts: Option<&Facts>) -> Value {
        let clock = Clock { offset_ns: 0 };
        let record = ExchangeRecord::new("e".into(), exchange, facts, clock, Payload::Masked);
        serde_json::to_value(&record).expect("serialisable")
    }

    fn facts() -> Facts {
        let end = |port| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port);
        Facts {
            process: ProcessFacts {
                tgid: 7,
                command: Arc::from("nginx"),
                whereabouts: Whereabouts::default(),
            },
            layer: Layer::Tls,
            library: Some(Arc::from("/usr/lib/libssl.so.3")),
            peer_certificate: None,
            tls: None,
            ends: Some((end(443), end(50_000))),
        }
    }

    #[test]
    fn a_record_holds_no_value_that_may_be_personal() {
        let text = record(&exchange(), Some(&facts())).to_string();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("application/json"));
    }

    #[test]
    fn the_ends_of_a_server_are_those_of_its_socket() {
        let record = record(&exchange(), Some(&facts()));
        assert_eq!(record["server"]["port"], 443);
        assert_eq!(record["client"]["port"], 50_000);
        assert_eq!(record["duration_ms"], 2.0);
        assert_eq!(record["completeness"]["complete"], false);
    }

    #[test]
    fn records_have_the_form_that_the_schema_says() {
        let schema: Value =
            serde_json::from_str(include_str!("../../rules/schemas/exchange.schema.json"))
                .expect("JSON");
        let full = exchange();
        check(&schema, &schema, &record(&full, Some(&facts())), "");
        let bare = Exchange { request: None, interim: Vec::new(), ..full };
        check(&schema, &schema, &record(&bare, None), "");
    }

    /// The parts of JSON Schema that the schema uses to say which fields there are.
    fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#')).expect("defined");
            return check(root, target, value, at);
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let declared = &schema["properties"][name];
                    assert!(!declared.is_null(), "{at}/{name} is not declared");
                    check(root, declared, value, &format!("{at}/{name}"));
                }
                for name in schema["required"].as_array().expect("listed") {
                    let name = name.as_str().expect("a name");
                    assert!(fields.contains_key(name), "{at}/{name} is required");
                }
            }
            Value::Array(items) => {
                for item in items {
                    check(root, &schema["items"], item, &format!("{at}/*"));
                }
            }
            Value::String(text) => {
                if let Some(allowed) = schema["enum"].as_array() {
                    assert!(allowed.contains(value), "{at}: {text}");
                }
            }
            Value::Null => {
                let types = schema["type"].as_array().expect("several types");
                assert!(types.contains(&Value::from("null")), "{at} must not be null");
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }
}
