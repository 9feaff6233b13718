//! `additionalInfo` of an event. Only what is known is in it.
//!
//! Source: `consent-funnel-ingestion` 1.0.5; which step demands which member is in
//! [`FunnelRules`](super::rules::FunnelRules).

use serde::{Deserialize, Serialize};

/// What an event says beyond its step; a member that is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdditionalInfo {
    /// Whether the person is a customer of the receiving side: business knowledge, from the
    /// configuration or the hook.
    #[serde(rename = "consent-user", default, skip_serializing_if = "Option::is_none")]
    pub consent_user: Option<ConsentUser>,
    /// Why an authentication failed.
    #[serde(
        rename = "authentication-failure-reason",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub authentication_failure_reason: Option<AuthenticationFailure>,
    /// How the user came back.
    #[serde(
        rename = "user-redirected-back-status",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub user_redirected_back_status: Option<RedirectStatus>,
    /// Kind of token that opened a resource.
    #[serde(rename = "token-kind", default, skip_serializing_if = "Option::is_none")]
    pub token_kind: Option<ReportedToken>,
    /// Who rejected.
    #[serde(rename = "rejected-by", default, skip_serializing_if = "Option::is_none")]
    pub rejected_by: Option<Actor>,
    /// Who revoked.
    #[serde(rename = "revoked-by", default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<Actor>,
    /// Which time ran out.
    #[serde(rename = "expired-by", default, skip_serializing_if = "Option::is_none")]
    pub expired_by: Option<Expiry>,
    /// The receiving side's identifier of the quote.
    #[serde(rename = "quoteID", default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<String>,
    /// Outcome of the quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<QuoteOutcome>,
}

/// Relation of the person to the receiving side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentUser {
    /// A customer.
    User,
    /// None.
    NonUser,
}

/// Why an authentication failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationFailure {
    /// Wrong name or password.
    InvalidCredentials,
    /// Wrong second factor.
    InvalidMfa,
    /// Anything else.
    Other,
}

/// How the user came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedirectStatus {
    /// With a code.
    Success,
    /// With an error.
    Failure,
}

/// Kind of token that opened a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportedToken {
    /// One that a user's consent stands behind.
    ConsentToken,
    /// One that the client has of itself.
    ClientCredential,
}

/// Who rejected or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The person.
    User,
    /// A program, for reasons of its own.
    System,
}

/// Which time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// The time to authorize.
    AuthorizationTimeout,
    /// The time that the consent was given for.
    MaxDateReached,
}

/// Outcome of a quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuoteOutcome {
    /// Accepted by the insurer.
    Acpt,
    /// Rejected by the insurer.
    Rjct,
}

impl AdditionalInfo {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the user came back without a code.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.user_redirected_back_status == Some(RedirectStatus::Failure)
    }

    /// Names of the members that are known.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let Self {
            consent_user,
            authentication_failure_reason,
            user_redirected_back_status,
            token_kind,
            rejected_by,
            revoked_by,
            expired_by,
            quote_id,
            status,
        } = self;
        [
            ("consent-user", consent_user.is_some()),
            ("authentication-failure-reason", authentication_failure_reason.is_some()),
            ("user-redirected-back-status", user_redirected_back_status.is_some()),
            ("token-kind", token_kind.is_some()),
            ("rejected-by", rejected_by.is_some()),
            ("revoked-by", revoked_by.is_some()),
            ("expired-by", expired_by.is_some()),
            ("quoteID", quote_id.is_some()),
            ("status", status.is_some()),
        ]
        .into_iter()
        .filter(|(_, known)| *known)
        .map(|(name, _)| name)
    }

    /// Takes from another what is not known yet.
    pub(crate) fn complete(&mut self, other: &Self) {
        let Self {
            consent_user,
            authentication_failure_reason,
            user_redirected_back_status,
            token_kind,
            rejected_by,
            revoked_by,
            expired_by,
            quote_id,
            status,
        } = other;
        self.consent_user = self.consent_user.or(*consent_user);
        self.authentication_failure_reason =
            self.authentication_failure_reason.or(*authentication_failure_reason);
        self.user_redirected_back_status =
            self.user_redirected_back_status.or(*user_redirected_back_status);
        self.token_kind = self.token_kind.or(*token_kind);
        self.rejected_by = self.rejected_by.or(*rejected_by);
        self.revoked_by = self.revoked_by.or(*revoked_by);
        self.expired_by = self.expired_by.or(*expired_by);
        if self.quote_id.is_none() {
            self.quote_id.clone_from(quote_id);
        }
        self.status = self.status.or(*status);
    }
}
