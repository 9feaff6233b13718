//! What is kept of one exchange: the facts that reports are made of, and nothing that may not be
//! kept.
//!
//! A [`Call`] is made once, by an [`Extractor`], where the exchange still has its bytes. It holds no
//! token, code, `request_uri` or body, only keyed digests of them; the path of a call that the
//! ecosystem regulates, since the metrics platform wants it; and what the call did to a consent.
//! What would come of a body that was not seen whole is unknown, never guessed.

mod acts;
pub(crate) mod answered;
mod bearer;
pub(crate) mod body;
mod extract;
mod flow;
mod identity;
mod names;
mod redirect;
mod self_report;
mod token_endpoint;

use std::{net::SocketAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use mop_wire::Role;

pub(crate) use self::{
    bearer::bearer,
    names::{INTERACTION, WEBHOOK_INTERACTION, host_of, interaction_id},
};
pub use self::{
    extract::{DEFAULT_SHORTEST_TIME_OUT_MS, Extractor, ExtractorSettings, Observed, Passed},
    self_report::{PublishedFigures, SelfReport, StatusReport},
};
use super::{
    consent::ConsentId,
    consent_join::JoinedBy,
    digest::Digest,
    endpoint::{Endpoint, NotListed},
    event::rules::Exclusion,
    identity::Gap,
    signal::Act,
    tokens::Lesson,
};

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Identifier of the exchange.
    pub exchange: Arc<str>,
    /// Connection that carried it.
    pub connection: u64,
    /// Part of the observed process.
    pub role: Role,
    /// For which side its acts speak: a browser that comes back to a receiver's own web server
    /// shows what the receiving side did, though the observed process was a server.
    pub side: Role,
    /// First byte of the request.
    pub start: Timestamp,
    /// The same and its end, by the kernel's clock.
    pub span: Span,
    /// Whether the end is that of the answer, and not just of what was seen of it.
    pub is_span_exact: bool,
    /// Method.
    pub method: Method,
    /// Host that was called: no port, small letters.
    pub host: Option<String>,
    /// Path before `/open-insurance/`; mostly empty.
    pub prefix: Unprinted,
    /// Path from there on, without query; empty when the call is not regulated.
    pub path: Unprinted,
    /// Digest of the same; of the whole path when the call is not regulated.
    pub path_digest: Digest,
    /// The endpoint of the metrics platform.
    pub endpoint: Result<Arc<Endpoint>, NotListed>,
    /// What came back.
    pub answer: Answer,
    /// Identifier of the interaction.
    pub interaction: Option<Interaction>,
    /// Who called, by certificate.
    pub client: Result<ClientIdentity, Gap>,
    /// The token that it carried.
    pub token: Option<Token>,
    /// The consent that the call itself names.
    pub named: Option<(ConsentId, JoinedBy)>,
    /// Digests that lead to its consent.
    pub keys: Vec<Digest>,
    /// What it teaches about tokens.
    pub lesson: Option<Lesson>,
    /// What it did to its consent; at most [`MAX_ACTS`].
    pub acts: Vec<Act>,
    /// When.
    pub acts_at: Timestamp,
    /// What the server said of its own operation.
    pub report: Option<SelfReport>,
    /// Both ends of its connection.
    pub ends: Ends,
    /// The observed process.
    pub process: Option<u32>,
    /// Why it is none that is reported.
    pub exclusion: Option<Exclusion>,
    /// How much of it was seen.
    pub seen: Completeness,
    /// Reports are made of it: it is regulated, or a step of the authorization flow.
    pub is_of_use: bool,
}

/// Received text that is worked with and never printed: identifiers in paths may be of persons.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Unprinted(String);

/// A stretch of `CLOCK_MONOTONIC`, in nanoseconds: `start_ns <= end_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte of the request.
    pub start_ns: u64,
    /// Last byte of the answer, as far as it was seen.
    pub end_ns: u64,
}

/// Methods that the metrics platform knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// Any other.
    Other,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// An answer of this status.
    Status(u16),
    /// Nothing: the observed client waited and gave up. Reported as 408.
    TimedOut,
    /// Nothing that was seen.
    Unseen,
}

/// An identifier of an interaction that has the form of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// As sent.
    pub id: String,
    /// Its digest.
    pub digest: Digest,
}

/// Who called, as a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Organisation of the directory.
    pub organisation: String,
    /// Software statement; its absence is one of [`Gap`].
    pub software_statement: Option<String>,
    /// End of the certificate.
    pub not_after: Option<Timestamp>,
}

/// A token that a call carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its digest.
    pub digest: Digest,
    /// The consent that its claims name. Nobody checked its signature here, so it is a hint.
    pub hint: Option<ConsentId>,
}

/// Ends of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Of the observed process.
    pub local: Option<SocketAddr>,
    /// The other one.
    pub remote: Option<SocketAddr>,
}

/// How much of a call was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// Every byte of both messages.
    pub is_complete: bool,
    /// Bytes that were not.
    pub missing_bytes: u64,
    /// A body that would have told something could not be read.
    pub is_body_unread: bool,
}

impl Call {
    /// How long it took, rounded down to milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.span.duration_ms()
    }

    /// When the last byte was seen.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        later(self.start, self.span)
    }

    /// The status that is reported.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.answer.status()
    }

    /// Whether it was answered with success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.answer, Answer::Status(200..=299))
    }

    /// Whether a report of it must name its consent: success, and not of open data.
    #[must_use]
    pub fn needs_consent(&self) -> bool {
        let is_open = self.endpoint.as_ref().map_or(true, |endpoint| endpoint.group.is_open_data());
        !is_open && self.is_success()
    }
}

impl Answer {
    /// The status that is reported.
    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status),
            Self::TimedOut => Some(REQUEST_TIMEOUT),
            Self::Unseen => None,
        }
    }
}

impl Unprinted {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Unprinted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Its length only.
impl std::fmt::Debug for Unprinted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "({} bytes)", self.0.len())
    }
}

impl Span {
    fn duration_ms(self) -> u64 {
        self.microseconds() / 1_000
    }

    /// How long it is, rounded down.
    pub(super) fn microseconds(self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns) / 1_000
    }
}

/// The end of a span that starts at this time.
fn later(start: Timestamp, span: Span) -> Timestamp {
    let nanoseconds = span.end_ns.saturating_sub(span.start_ns);
    let duration = SignedDuration::from_nanos(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
    start.checked_add(duration).unwrap_or(start)
}

impl Method {
    /// From the request line; methods are case-sensitive (RFC 9110, section 9.1).
    #[must_use]
    pub fn parse(method: &str) -> Self {
        match method {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// As reported; `None` for methods that are not.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Get => Some("GET"),
            Self::Post => Some("POST"),
            Self::Put => Some("PUT"),
            Self::Delete => Some("DELETE"),
            Self::Patch => Some("PATCH"),
            Self::Other => None,
        }
    }
}

/// A call does at most two things to a consent: an authorization request that is answered at once
/// with a code.
pub const MAX_ACTS: usize = 2;

/// What a client's time-out is reported as (guidance of the ingestion interface).
const REQUEST_TIMEOUT: u16 = 408;
