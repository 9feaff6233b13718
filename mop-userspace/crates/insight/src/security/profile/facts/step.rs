//! Steps of the authorization flow.

use crate::data::digest::Digest;

/// A step of the authorization flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A browser asks for the login page.
    Authorization {
        /// Whether it leads to a pushed request.
        request_uri: RequestUri,
        /// Whether the answer says that it was not refused.
        is_accepted: bool,
        /// Whether its `redirect_uri` is an address without TLS.
        has_plain_redirect: bool,
    },
    /// A client pushes an authorization request.
    Pushed {
        /// Whether it was answered with a `request_uri`.
        is_accepted: bool,
        /// Whether the client authenticates with `private_key_jwt`.
        has_assertion: bool,
        /// PKCE.
        challenge: Challenge,
        /// Whether its `redirect_uri` is an address without TLS.
        has_plain_redirect: bool,
    },
    /// A client asks for a token.
    Token {
        /// Whether it was answered with a token.
        is_granted: bool,
        /// Whether the client authenticates with `private_key_jwt`.
        has_assertion: bool,
        /// Whether it sends a secret.
        has_secret: bool,
        /// Digest of the access token.
        token: Option<Digest>,
        /// `expires_in` of the answer.
        expires_in_s: Option<i64>,
    },
}

/// `request_uri` of an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestUri {
    /// There is none.
    Absent,
    /// An address of the web.
    External,
    /// Any other.
    Pushed,
}

/// PKCE of an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Challenge {
    /// There is none.
    Absent,
    /// By another method than `S256`.
    Plain,
    /// By `S256`.
    S256,
    /// The request object cannot be read.
    Unknown,
}
