//! What a call showed: digests, times, numbers, and words of closed lists. No value of a message.

mod headers;
mod step;

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    headers::{HeaderFacts, InteractionId, RetryAfter},
    step::{Challenge, RequestUri, Step},
};
use super::operations::Permission;
use crate::data::{digest::Digest, endpoint::Endpoint, funnel::Side, tokens::Handle};

/// What a call showed.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Identifier of the exchange.
    pub exchange: Arc<str>,
    /// Part of the observed process.
    pub side: Side,
    /// First byte of the request.
    pub start: Timestamp,
    /// The same, `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// Last byte of the answer that was seen, `CLOCK_MONOTONIC` nanoseconds.
    pub end_ns: u64,
    /// Method.
    pub verb: Verb,
    /// Status, when an answer was seen.
    pub status: Option<u16>,
    /// Its endpoint, when it is one of the metrics platform's list.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Digest of the path.
    pub path: Option<Digest>,
    /// Digest of the host that was called.
    pub host: Option<Digest>,
    /// Address of the client, where the caller says that it is the client's.
    pub address: Option<IpAddr>,
    /// Protocol and cipher, where known.
    pub tls: Option<Tls>,
    /// Certificate of the client.
    pub certificate: ClientCertificate,
    /// Bearer token.
    pub token: Option<Digest>,
    /// Whether the query has an access token.
    pub is_token_in_url: bool,
    /// The consent that the call itself names.
    pub consent: Option<Digest>,
    /// What the call did to that consent.
    pub act: Option<ConsentAct>,
    /// What it teaches about tokens and consents.
    pub links: Option<Links>,
    /// Tokens that could be read.
    pub jwts: Vec<Jwt>,
    /// The step of the authorization flow that it is.
    pub step: Option<Step>,
    /// Field lines.
    pub headers: HeaderFacts,
    /// The request's body.
    pub sent: Content,
    /// The response's body.
    pub received: Content,
}

/// A method; RFC 9110 and RFC 5789.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// `CONNECT`
    Connect,
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// Any other.
    #[serde(skip)]
    Other,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `TRACE`
    Trace,
}

/// Protocol and cipher of a connection, by their numbers in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tls {
    /// `0x0303` is TLS 1.2.
    pub version: u16,
    /// `0xc02f` is `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    pub cipher: Option<u16>,
}

/// What is known of the client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// The client showed none, and would have been seen to.
    Absent,
    /// It showed this one.
    Shown(Certificate),
    /// Nothing is known.
    #[default]
    Unknown,
}

/// What is kept of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256, when the certificate itself was seen.
    pub fingerprint: Option<[u8; 32]>,
    /// Organisation of the directory.
    pub organisation: Option<String>,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
}

/// What a call did to the consent that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsentAct {
    /// It was created.
    Created {
        /// Of these permissions; `None` when the answer does not say.
        permissions: Option<Vec<Permission>>,
        /// Its end.
        expires: Option<Timestamp>,
    },
    /// It was deleted.
    Deleted,
    /// It was read.
    Read {
        /// In which state it is.
        status: ConsentStatus,
        /// As above.
        permissions: Option<Vec<Permission>>,
        /// As above.
        expires: Option<Timestamp>,
    },
}

/// State of a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsentStatus {
    /// `AUTHORISED`
    Authorised,
    /// `AWAITING_AUTHORISATION`
    AwaitingAuthorisation,
    /// `CONSUMED`
    Consumed,
    /// Any other.
    Other,
    /// `REJECTED`
    Rejected,
}

/// What a call teaches about tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Digests that belong to the same consent.
    pub from: Vec<Digest>,
    /// The consent, when the call itself says it and more than unchecked claims do.
    pub consent: Option<Digest>,
    /// Digests that belong to it too.
    pub handles: Vec<Handle>,
    /// Tokens that were revoked.
    pub revoked: Vec<Digest>,
}

/// A signed token; its signature is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// What it is for.
    pub kind: JwtKind,
    /// How it says that it is signed.
    pub algorithm: Algorithm,
    /// Whether it names a key.
    pub has_key_id: bool,
    /// Digest of `iss` and `jti`.
    pub identifier: Option<Digest>,
    /// Whom it is for.
    pub audience: Audience,
    /// Whether it has an `exp`, in whatever form.
    pub has_expiry: bool,
    /// `exp`
    pub expires_s: Option<i64>,
    /// `iat`
    pub issued_s: Option<i64>,
    /// `nbf`
    pub not_before_s: Option<i64>,
    /// `cnf.x5t#S256`
    pub binding: Option<[u8; 32]>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtKind {
    /// Access to interfaces.
    AccessToken,
    /// Authentication of a client.
    ClientAssertion,
    /// What is told of the user.
    IdToken,
    /// An authorization request.
    RequestObject,
}

/// `alg` of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `none`, in any case.
    None,
    /// Any other, also an absent one.
    Other,
    /// The profile's.
    Ps256,
    /// `HS…`
    Symmetric,
}

/// `aud` of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// There is none.
    Absent,
    /// Others than those that are configured.
    Foreign,
    /// One that is configured.
    Own,
    /// There is one, and none is configured.
    Unknown,
}

/// A body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Its length, holes included.
    pub bytes: u64,
    /// Whether its first byte contradicts its type.
    pub is_contradicted: bool,
    /// How deeply its JSON is nested, when it was seen whole.
    pub depth: Option<u32>,
    /// Its digest, when it was seen whole.
    pub digest: Option<Digest>,
}

impl Facts {
    /// Whether it was answered with success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    /// The certificate of the client, when it is known.
    #[must_use]
    pub fn shown(&self) -> Option<&Certificate> {
        match &self.certificate {
            ClientCertificate::Shown(certificate) => Some(certificate),
            ClientCertificate::Absent | ClientCertificate::Unknown => None,
        }
    }

    /// Segment of the interface, such as `consents`; empty when it is none.
    pub(super) fn interface(&self) -> &str {
        self.endpoint.as_ref().map_or("", |endpoint| endpoint.interface.as_str())
    }

    /// Whether it is a call to an interface that is neither of open data nor a webhook.
    pub(super) fn is_protected(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| !endpoint.group.is_open_data())
            && self.interface() != "webhook"
    }
}

impl Verb {
    /// Of a request line; methods are case-sensitive.
    #[must_use]
    pub fn parse(method: &str) -> Self {
        match method {
            "CONNECT" => Self::Connect,
            "DELETE" => Self::Delete,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// As findings have it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Connect => Some("CONNECT"),
            Self::Delete => Some("DELETE"),
            Self::Get => Some("GET"),
            Self::Head => Some("HEAD"),
            Self::Options => Some("OPTIONS"),
            Self::Other => None,
            Self::Patch => Some("PATCH"),
            Self::Post => Some("POST"),
            Self::Put => Some("PUT"),
            Self::Trace => Some("TRACE"),
        }
    }
}
