//! One copy: what its header fields say, and the exchange that it is taken for.

use axum::http::HeaderMap;
use jiff::Timestamp;
use mop_contract::json::{Kind, Reader};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};

use super::super::message::Told;

/// What a copy says about itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) role: Role,
    pub(super) path: String,
    pub(super) operation: String,
    /// Of responses.
    pub(super) status: Option<u16>,
    pub(super) told: Told,
}

/// A copy as it is judged.
pub(super) struct Copy {
    pub(super) exchange: Exchange,
    pub(super) ts: Timestamp,
    pub(super) told: Told,
}

/// Why a call of the door does not get 202.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The door does not take any more.
    Closed,
    /// No place.
    Full,
    /// A header field has a value that it cannot have.
    InvalidHeader(String),
    /// A header field is not there.
    MissingHeader(&'static str),
    /// It is not known yet which attributes may leave.
    NoFieldPolicy,
    /// The body is JSON but no object.
    NotAnObject,
    /// The body is no JSON.
    NotJson,
    /// The body did not come in time.
    Slow,
    /// The body is too large.
    TooLarge,
}

impl Head {
    /// In the order in which the official client looks: whether all fields are there, then at each.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        for name in [CORRELATION_ID, ORIGIN, PATH, OPERATION, HTTP_TYPE] {
            if !headers.contains_key(name) {
                return Err(Refusal::MissingHeader(name));
            }
        }
        let correlation_id = text(headers, CORRELATION_ID)?.unwrap_or_default();
        if correlation_id.is_empty() {
            return invalid("Header 'X-Correlation-Id' (correlationId) must not be empty");
        }
        let origin = text(headers, ORIGIN)?.unwrap_or_default();
        let role = match origin.to_ascii_lowercase().as_str() {
            "" => return invalid("Header 'origin' must not be empty"),
            "client" => Role::Client,
            "server" => Role::Server,
            _ => return invalid("Header 'origin' must be either 'client' or 'server'"),
        };
        let path = text(headers, PATH)?.unwrap_or_default();
        if path.is_empty() {
            return invalid("Header 'path' must not be empty");
        }
        let operation = text(headers, OPERATION)?.unwrap_or_default().to_ascii_uppercase();
        if operation.is_empty() {
            return invalid("Header 'operation' must not be empty");
        }
        if !METHODS.contains(&operation.as_str()) {
            return invalid(&format!(
                "Header 'operation' must be one of the following values: {}",
                METHODS.join(", ")
            ));
        }
        let http_type = text(headers, HTTP_TYPE)?.unwrap_or_default();
        match (role, http_type.to_ascii_lowercase().as_str()) {
            (Role::Client, "request") | (Role::Server, "response") => {}
            (Role::Client, "response") => {
                return invalid("Header 'httpType' must be 'Request' when 'origin' is 'client'");
            }
            (Role::Server, "request") => {
                return invalid("Header 'httpType' must be 'Response' when 'origin' is 'server'");
            }
            _ => {
                return invalid(
                    "Header 'httpType' must be one of the following values: Request, Response",
                );
            }
        }
        let status_code = text(headers, STATUS_CODE)?;
        let status = status_code.as_deref().map(parse_status).transpose()?;
        if role == Role::Server && status.is_none() {
            return invalid("Header 'statusCode' is required when 'httpType' is 'Response'");
        }
        Ok(Self {
            role,
            path: normalized(&path).to_owned(),
            operation,
            status: if role == Role::Server { status } else { None },
            told: Told {
                correlation_id,
                report_id: text(headers, REPORT_ID)?,
                client_ss_id: text(headers, CLIENT_SS_ID)?,
                server_as_id: text(headers, SERVER_AS_ID)?,
                trace_origin: text(headers, TRACE_ORIGIN)?,
                status_code,
            },
        })
    }
}

impl Copy {
    /// The exchange of which one message is known.
    pub(super) fn new(head: Head, body: Vec<u8>) -> Result<Self, Refusal> {
        if !body.trim_ascii().is_empty() {
            let mut reader = Reader::default();
            let json = reader.read(&body).map_err(|_says_where| Refusal::NotJson)?;
            if json.root().kind() != Kind::Object {
                return Err(Refusal::NotAnObject);
            }
        }
        let Head { role, path, operation, status, told } = head;
        let body = Body::whole(body, false);
        let (of_request, of_response) = match role {
            Role::Client => (body, Body::default()),
            Role::Server => (Body::default(), body),
        };
        let request = Request {
            method: operation.into(),
            target: path,
            version: Version::Http11,
            headers: Headers::default(),
            body: of_request,
            anomalies: Anomalies::default(),
        };
        let response = status.map(|status| Response {
            status,
            version: Version::Http11,
            headers: Headers::default(),
            body: of_response,
            anomalies: Anomalies::default(),
        });
        let exchange = Exchange {
            connection: 0,
            sequence: 0,
            role,
            timing: Timing::default(),
            completeness: Completeness {
                request: Seen::default(),
                response: Seen::default(),
                ending: Ending::Complete,
                resynchronised: false,
            },
            request: Some(request),
            response,
            interim: Vec::new(),
        };
        Ok(Self { exchange, ts: Timestamp::now(), told })
    }
}

/// The text of a field without blanks at its ends; `None` when it is not there or has none.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let value = value.to_str().unwrap_or_default().trim();
    if value.len() > MAX_FIELD_BYTES {
        return invalid(&format!("Header '{name}' is longer than {MAX_FIELD_BYTES} characters"));
    }
    if value.is_empty() {
        let required = [CORRELATION_ID, ORIGIN, PATH, OPERATION, HTTP_TYPE].contains(&name);
        return Ok(required.then(String::new));
    }
    Ok(Some(value.to_owned()))
}

/// What the official client makes of a path: a URL, or a path with something before the regulated
/// part, is cut to that part.
fn normalized(path: &str) -> &str {
    path.find(REGULATED).and_then(|at| path.get(at..)).unwrap_or(path)
}

fn parse_status(text: &str) -> Result<u16, Refusal> {
    match text.parse() {
        Ok(status @ 100..=599) => Ok(status),
        _ => invalid("Header 'statusCode' must be a valid HTTP status code (100-599)"),
    }
}

fn invalid<T>(details: &str) -> Result<T, Refusal> {
    Err(Refusal::InvalidHeader(details.to_owned()))
}

pub(super) const CORRELATION_ID: &str = "X-Correlation-Id";
pub(super) const ORIGIN: &str = "origin";
pub(super) const PATH: &str = "path";
pub(super) const OPERATION: &str = "operation";
pub(super) const HTTP_TYPE: &str = "httpType";
pub(super) const STATUS_CODE: &str = "statusCode";
pub(super) const CLIENT_SS_ID: &str = "clientSSId";
pub(super) const SERVER_AS_ID: &str = "serverASId";
pub(super) const TRACE_ORIGIN: &str = "traceOrigin";
pub(super) const REPORT_ID: &str = "X-Mop-Reportid";

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
const REGULATED: &str = "/open-insurance/";
/// A path with a consent id has some 300 characters.
const MAX_FIELD_BYTES: usize = 2048;
