//! The exchange: one request and the response to it, with proof of how much of it was seen.

use std::borrow::Cow;

use mop_common::HoleCause;

use crate::{anomaly::Anomalies, body::Body, headers::Headers};

/// One HTTP call on one connection.
///
/// At least one of `request` and `response` is present. The exchange is *complete* exactly when
/// [`Completeness::is_complete`] says so; only then may it be judged against a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The connection that carried it, as minted by the kernel side.
    pub connection: u64,
    /// Place among the exchanges of its connection, from 0, in the order they ended.
    pub sequence: u64,
    /// Which part the observed process played.
    pub role: Role,
    /// The request, when its head was seen.
    pub request: Option<Request>,
    /// The final response, when its head was seen.
    pub response: Option<Response>,
    /// Status codes of interim (1xx) responses before the final one, in order; at most
    /// [`crate::limits::MAX_INTERIM_RESPONSES`].
    pub interim: Vec<u16>,
    /// When its parts were seen.
    pub timing: Timing,
    /// The completeness certificate.
    pub completeness: Completeness,
}

/// Which part the observed process played in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It sent the request.
    Client,
    /// It received the request.
    Server,
}

impl Role {
    /// Both roles, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];
}

/// A request as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method, as sent; the usual ones cost no allocation.
    pub method: Cow<'static, str>,
    /// Request target, as sent.
    pub target: String,
    /// HTTP version.
    pub version: Version,
    /// Field lines in order.
    pub headers: Headers,
    /// Content, after the transfer coding was removed.
    pub body: Body,
    /// What was unusual about its framing but still has one meaning.
    pub anomalies: Anomalies,
}

impl Request {
    /// A method, as [`Request::method`] has it.
    pub(crate) fn method_of(name: &str) -> Cow<'static, str> {
        match USUAL_METHODS.iter().find(|usual| **usual == name) {
            Some(usual) => Cow::Borrowed(usual),
            None => Cow::Owned(name.to_owned()),
        }
    }
}

/// Memory that a text occupies beside its own place.
#[expect(clippy::ptr_arg, reason = "whether it is borrowed is what is asked")]
pub(crate) fn text_bytes(text: &Cow<'static, str>) -> usize {
    match text {
        Cow::Borrowed(_) => 0,
        Cow::Owned(text) => text.capacity(),
    }
}

/// RFC 9110, section 9.3, and RFC 5789; those that are used most first.
const USUAL_METHODS: [&str; 9] =
    ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];

/// A response as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 999; 0 when it is not known, see [`Ending::FieldsUnknown`].
    pub status: u16,
    /// HTTP version.
    pub version: Version,
    /// Field lines in order.
    pub headers: Headers,
    /// Content, after the transfer coding was removed.
    pub body: Body,
    /// What was unusual about its framing but still has one meaning.
    pub anomalies: Anomalies,
}

/// Version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// When the parts of an exchange were seen, `CLOCK_MONOTONIC` nanoseconds; 0 when a part was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// First byte of the request.
    pub request_start_ns: u64,
    /// Last byte of the request.
    pub request_end_ns: u64,
    /// First byte of the final response's head.
    pub response_start_ns: u64,
    /// Last byte of the response.
    pub response_end_ns: u64,
}

/// Proof of how much of an exchange was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// The request side.
    pub request: Seen,
    /// The response side.
    pub response: Seen,
    /// How the exchange ended.
    pub ending: Ending,
    /// True when a message boundary was searched for, not known, before this exchange: the exchange
    /// itself is whole but calls before it may be missing.
    pub resynchronised: bool,
}

impl Completeness {
    /// True when every byte of both messages was seen and both ended as their framing says.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        matches!(self.ending, Ending::Complete | Ending::Upgraded)
            && self.request.missing_bytes == 0
            && self.response.missing_bytes == 0
    }
}

/// How much of one message was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Stream bytes that the message occupied as far as its framing could be followed: head,
    /// transfer coding, body and trailers, holes included.
    pub framed_bytes: u64,
    /// Of these, the bytes that never reached user space.
    pub missing_bytes: u64,
    /// The holes, in order; at most [`crate::limits::MAX_HOLES_LISTED`], the rest only counted.
    pub holes: Vec<Hole>,
    /// Field lines that were seen and could not be read, since they refer to what an HTTP/2
    /// connection defined before it was joined (RFC 7541, section 2.3.2).
    pub unknown_fields: u32,
}

/// A run of missing bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Offset in the direction's stream.
    pub position: u64,
    /// Length.
    pub bytes: u64,
    /// Why they are missing.
    pub cause: HoleCause,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Both messages ended as their framing says.
    Complete,
    /// The connection was handed to another protocol (101, or 2xx to CONNECT).
    Upgraded,
    /// The connection ended before the request did.
    RequestCut,
    /// The connection ended before the response did, or before it began.
    ResponseCut,
    /// A response without a request: the request was not seen.
    RequestUnseen,
    /// A hole swallowed the end of a message, so what followed could not be attributed.
    LostInHole,
    /// A message broke the rules of RFC 9112 or RFC 9113 and its end cannot be known.
    Malformed,
    /// A limit of [`crate::limits`] was reached and the rest was not followed.
    LimitReached,
    /// Either end gave up the stream (RFC 9113, section 5.4.2).
    Reset,
    /// Both messages ended as their framing says, and some of their field lines are not known; a
    /// method, target or status among them is empty or 0. See [`Seen::unknown_fields`].
    FieldsUnknown,
    /// The observer stopped, or forgot the connection, while the exchange was under way.
    ObserverStopped,
}

impl Ending {
    /// Every ending, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Complete,
        Self::Upgraded,
        Self::RequestCut,
        Self::ResponseCut,
        Self::RequestUnseen,
        Self::LostInHole,
        Self::Malformed,
        Self::LimitReached,
        Self::Reset,
        Self::FieldsUnknown,
        Self::ObserverStopped,
    ];

    /// The name that records and metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Upgraded => "upgraded",
            Self::RequestCut => "request_cut",
            Self::ResponseCut => "response_cut",
            Self::RequestUnseen => "request_unseen",
            Self::LostInHole => "lost_in_hole",
            Self::Malformed => "malformed",
            Self::LimitReached => "limit_reached",
            Self::Reset => "reset",
            Self::FieldsUnknown => "fields_unknown",
            Self::ObserverStopped => "observer_stopped",
        }
    }
}
