//! What a call did to a consent or a quote: the words in which the extraction of calls and the
//! funnel's state machine talk. A signal states what was on the wire, never what it may have meant.

use std::sync::Arc;

use jiff::Timestamp;
use mop_wire::Role;

/// Something that a call did to one consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The consent, as the wire names it (`urn:…`, at most 256 characters).
    pub consent: String,
    /// When the request began, or, of what an answer says, when the answer ended.
    pub at: Timestamp,
    /// Which part the observed process played: [`Role::Server`] is the transmitting side (or its
    /// authorization server), [`Role::Client`] the receiving side.
    pub role: Role,
    /// The exchange that showed it.
    pub exchange: Arc<str>,
    /// Who called whom, as far as it is known.
    pub parties: Parties,
    /// What happened.
    pub act: Act,
}

/// Who called whom. Each is an identifier of the directory (36 characters, lower case); `None` when
/// it is unknown, which is never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parties {
    /// Organisation that called.
    pub client_organisation: Option<String>,
    /// Software statement that called.
    pub client_software_statement: Option<String>,
    /// Organisation that was called.
    pub server_organisation: Option<String>,
    /// Authorisation server of the brand that was called.
    pub server_authorisation_server: Option<String>,
}

/// What happened to a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `POST` of a consent was answered 201.
    ConsentCreated {
        /// `data.permissions`, as sent; at most [`MAX_PERMISSIONS`].
        permissions: Vec<String>,
        /// `data.expirationDateTime` of the answer.
        expires: Option<Timestamp>,
        /// Version of the interface: the number in `/consents/vN/`.
        version: u8,
    },
    /// `GET` of a consent was answered 200.
    ConsentRead {
        /// `data.status`, as sent.
        status: String,
        /// Permissions, which matter when the creation was not seen.
        permissions: Vec<String>,
        /// `data.expirationDateTime`.
        expires: Option<Timestamp>,
        /// `data.rejection.rejectedBy`, as sent.
        rejected_by: Option<String>,
        /// `data.rejection.reason.code`, as sent.
        rejection_code: Option<String>,
    },
    /// `DELETE` of a consent was answered 204.
    ConsentDeleted,
    /// A pushed authorization request was answered 201.
    AuthorizationPushed,
    /// The user's browser asked the authorization server for the login page (server role), or was
    /// sent there by an observed process (client role).
    AuthorizationRequested,
    /// The authorization server sent the browser back with a code.
    CodeIssued,
    /// The authorization server sent the browser back with an error; the OAuth error code.
    AuthorizationRefused(String),
    /// The browser came back to the receiving side with a code (true) or with an error.
    RedirectedBack {
        /// Whether it carried a code.
        is_success: bool,
    },
    /// The token endpoint answered 200.
    TokenIssued(Grant),
    /// An interface of phase 2 or 3 answered 2xx.
    ResourceAccessed {
        /// What kind of token the call carried.
        token: TokenKind,
    },
    /// `POST` of a quote request was answered 2xx.
    QuoteRequested {
        /// `data.status` of the answer, as sent.
        status: Option<String>,
    },
    /// The status of a quote was read (`GET …/quote-status`), and answered 200.
    QuoteStatusRead {
        /// `data.status` of the answer, as sent.
        status: String,
        /// The quote's identifier at the insurer, when the answer has one.
        quote: Option<String>,
    },
    /// `PATCH` of a quote was answered 200.
    QuoteAnswered {
        /// `data.status` of the request: `ACKN`, `CANC`, … as sent.
        status: String,
        /// The quote's identifier at the insurer, when there is one.
        quote: Option<String>,
        /// Whether the answer has a link to which the user is redirected.
        has_redirect: bool,
    },
}

/// For what a token was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// `authorization_code`.
    AuthorizationCode,
    /// `refresh_token`.
    RefreshToken,
    /// `client_credentials`.
    ClientCredentials,
}

/// What kind of token a call carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// One that a user's consent stands behind.
    Consent,
    /// One that the client has of itself.
    ClientCredential,
}

/// There are 125 permissions in the third version of the consents' interface; a list that is longer
/// by far is hostile.
pub const MAX_PERMISSIONS: usize = 256;
