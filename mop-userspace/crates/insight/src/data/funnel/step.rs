//! The steps of a consent's life that the metrics platform (PCM) counts, and where they belong.
//!
//! Source: `consent-funnel-ingestion` 1.0.5: `eventBodyV2.step` (16 names) and
//! `eventBodyCotacaoContratacao.step` (14 names, three of them in both).

use mop_wire::Role;
use serde::{Deserialize, Serialize};

/// A step, under the name that the platform gives it.
///
/// Declared in the order in which a journey goes through them: steps of one second are reported in
/// this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the platform's own")]
pub enum Step {
    ConsentCreated,
    UserRedirected,
    UserAuthenticationFailed,
    UserAuthenticated,
    ConsentRejected,
    ConsentAuthorized,
    AuthorizationCodeCreated,
    UserRedirectedBack,
    ConsentTokenGenerated,
    ConsentTokenReceived,
    RefreshTokenUsed,
    ServiceInitiated,
    ResourceAccessed,
    QuoteRequestInitiated,
    QuoteRequestCreated,
    QuoteRequestAuthorized,
    QuoteRequestGenerated,
    QuoteRequestReceived,
    QuoteStatusReceived,
    QuoteStatusGenerated,
    QuoteInfoReceived,
    QuoteInfoGenerated,
    QuoteAccepted,
    UserRedirectedService,
    AdditionalInfo,
    ConsentRevoked,
    ConsentExpired,
}

/// Who reports a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The receiving participant.
    Client,
    /// The transmitting participant.
    Server,
}

/// Which journey a consent makes; what it is about decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Journey {
    /// Customer and policy data (phase 2).
    Data,
    /// Services on what was bought already: endorsement, claim, raffle, withdrawal (phase 3).
    PostSale,
    /// Quotes and contracting (phase 3).
    Quote,
}

/// The interface that takes the events of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FunnelKind {
    /// `/event-api/v2/*`.
    #[serde(rename = "v2")]
    V2,
    /// `/event-api/v1/cotacao-contratacao/*`.
    #[serde(rename = "cotacao")]
    Quote,
}

/// Whether a passive observer can see a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// It happens inside the participant's programs: only the local hook can tell it.
    Hook,
    /// A time that passes.
    Timer,
    /// A call shows it.
    Wire,
    /// A call shows it in some cases; in the others the hook must tell it.
    WireInPart,
}

impl Step {
    /// Every step, in the order of journeys.
    pub const ALL: [Self; 27] = [
        Self::ConsentCreated,
        Self::UserRedirected,
        Self::UserAuthenticationFailed,
        Self::UserAuthenticated,
        Self::ConsentRejected,
        Self::ConsentAuthorized,
        Self::AuthorizationCodeCreated,
        Self::UserRedirectedBack,
        Self::ConsentTokenGenerated,
        Self::ConsentTokenReceived,
        Self::RefreshTokenUsed,
        Self::ServiceInitiated,
        Self::ResourceAccessed,
        Self::QuoteRequestInitiated,
        Self::QuoteRequestCreated,
        Self::QuoteRequestAuthorized,
        Self::QuoteRequestGenerated,
        Self::QuoteRequestReceived,
        Self::QuoteStatusReceived,
        Self::QuoteStatusGenerated,
        Self::QuoteInfoReceived,
        Self::QuoteInfoGenerated,
        Self::QuoteAccepted,
        Self::UserRedirectedService,
        Self::AdditionalInfo,
        Self::ConsentRevoked,
        Self::ConsentExpired,
    ];

    /// Its name at the platform.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsentCreated => "consent-created",
            Self::UserRedirected => "user-redirected",
            Self::UserAuthenticationFailed => "user-authentication-failed",
            Self::UserAuthenticated => "user-authenticated",
            Self::ConsentRejected => "consent-rejected",
            Self::ConsentAuthorized => "consent-authorized",
            Self::AuthorizationCodeCreated => "authorization-code-created",
            Self::UserRedirectedBack => "user-redirected-back",
            Self::ConsentTokenGenerated => "consent-token-generated",
            Self::ConsentTokenReceived => "consent-token-received",
            Self::RefreshTokenUsed => "refresh-token-used",
            Self::ServiceInitiated => "service-initiated",
            Self::ResourceAccessed => "resource-accessed",
            Self::QuoteRequestInitiated => "quote-request-initiated",
            Self::QuoteRequestCreated => "quote-request-created",
            Self::QuoteRequestAuthorized => "quote-request-authorized",
            Self::QuoteRequestGenerated => "quote-request-generated",
            Self::QuoteRequestReceived => "quote-request-received",
            Self::QuoteStatusReceived => "quote-status-received",
            Self::QuoteStatusGenerated => "quote-status-generated",
            Self::QuoteInfoReceived => "quote-info-received",
            Self::QuoteInfoGenerated => "quote-info-generated",
            Self::QuoteAccepted => "quote-accepted",
            Self::UserRedirectedService => "user-redirected-service",
            Self::AdditionalInfo => "additional-info",
            Self::ConsentRevoked => "consent-revoked",
            Self::ConsentExpired => "consent-expired",
        }
    }

    /// The step with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Whether it may happen more than once to one consent. The document does not say; these are
    /// the steps that its own June 2024 figures show far more often than consents.
    #[must_use]
    pub const fn repeats(self) -> bool {
        matches!(
            self,
            Self::UserAuthenticationFailed
                | Self::RefreshTokenUsed
                | Self::ResourceAccessed
                | Self::AdditionalInfo
        )
    }

    /// Whether it ends the journey.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::ConsentRejected | Self::ConsentRevoked | Self::ConsentExpired)
    }

    /// Whether a passive observer on this side can see it.
    #[must_use]
    pub const fn visibility(self, side: Side) -> Visibility {
        match (self, side) {
            (
                Self::UserAuthenticationFailed
                | Self::UserAuthenticated
                | Self::UserRedirectedService
                | Self::QuoteRequestInitiated
                | Self::AdditionalInfo,
                _,
            ) => Visibility::Hook,
            (Self::ConsentExpired, _) => Visibility::Timer,
            // The receiving side's web tier may be out of sight, and with the default response
            // mode the code comes back in a fragment, which no server sees.
            (Self::UserRedirected | Self::UserRedirectedBack, Side::Client)
            // The transmitting side revokes and rejects in its own screens.
            | (Self::ConsentRejected | Self::ConsentAuthorized | Self::ConsentRevoked, _) => {
                Visibility::WireInPart
            }
            _ => Visibility::Wire,
        }
    }
}

impl Side {
    /// Both, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];

    /// The side that an observed process is on.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        match role {
            Role::Client => Self::Client,
            Role::Server => Self::Server,
        }
    }

    /// Its name in records and paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl Journey {
    /// All journeys.
    pub const ALL: [Self; 3] = [Self::Data, Self::PostSale, Self::Quote];

    /// The interface that takes its events.
    #[must_use]
    pub const fn funnel(self) -> FunnelKind {
        match self {
            Self::Data | Self::PostSale => FunnelKind::V2,
            Self::Quote => FunnelKind::Quote,
        }
    }
}

impl FunnelKind {
    /// Path to which one event is posted.
    #[must_use]
    pub const fn event_path(self, side: Side) -> &'static str {
        match (self, side) {
            (Self::V2, Side::Client) => "/event-api/v2/client-event",
            (Self::V2, Side::Server) => "/event-api/v2/server-event",
            (Self::Quote, Side::Client) => "/event-api/v1/cotacao-contratacao/client-event",
            (Self::Quote, Side::Server) => "/event-api/v1/cotacao-contratacao/server-event",
        }
    }

    /// Path to which a batch is posted, of at most [`MAX_BATCH_EVENTS`].
    #[must_use]
    pub const fn batch_path(self, side: Side) -> &'static str {
        match (self, side) {
            (Self::V2, Side::Client) => "/event-api/v2/client-batch",
            (Self::V2, Side::Server) => "/event-api/v2/server-batch",
            (Self::Quote, Side::Client) => "/event-api/v1/cotacao-contratacao/client-batch",
            (Self::Quote, Side::Server) => "/event-api/v1/cotacao-contratacao/server-batch",
        }
    }
}

/// Events in one batch (`consent-funnel-ingestion` 1.0.5, description of the batch operations).
pub const MAX_BATCH_EVENTS: usize = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_records() {
        for step in Step::ALL {
            assert_eq!(serde_json::to_value(step).unwrap(), step.name());
            assert_eq!(Step::of_name(step.name()), Some(step));
        }
        assert!(Step::ALL.is_sorted(), "the order of the list is that of journeys");
    }
}
