//! The checks: one variant each. What is said of them is data.

use serde::{Deserialize, Serialize};

/// A check of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// TLS version older than 1.2.
    TlsVersionOld,
    /// TLS 1.2 cipher suite outside the list.
    TlsCipherUnlisted,
    /// Answered without a client certificate.
    CertificateAbsent,
    /// Client certificate has expired.
    CertificateExpired,
    /// Client certificate expires soon.
    CertificateExpiring,
    /// Client certificate names no participant.
    CertificateWithoutOrganisation,
    /// Token granted without private_key_jwt.
    TokenRequestWithoutAssertion,
    /// Client secret sent to the token endpoint.
    ClientSecretSent,
    /// Authorization request was not pushed.
    AuthorizationWithoutRequestUri,
    /// request_uri leads to another server.
    RequestUriExternal,
    /// Pushed request without private_key_jwt.
    PushedRequestWithoutAssertion,
    /// Pushed request without PKCE.
    PushedRequestWithoutChallenge,
    /// PKCE method is not S256.
    PushedRequestChallengePlain,
    /// redirect_uri without TLS.
    RedirectUriNotHttps,
    /// Unsigned token.
    JwtAlgorithmNone,
    /// Token signed with a shared secret.
    JwtAlgorithmSymmetric,
    /// Token not signed with PS256.
    JwtAlgorithmOther,
    /// Signed token names no key.
    JwtKeyIdMissing,
    /// Accepted token lacks claims.
    JwtClaimsMissing,
    /// Accepted token is valid for too long.
    JwtLifetimeLong,
    /// Expired token was accepted.
    JwtExpiredAccepted,
    /// Accepted token is from the future.
    JwtIssuedInFuture,
    /// Accepted token is for another server.
    JwtAudienceForeign,
    /// Single-use token was used twice.
    JwtReplayed,
    /// Access token lifetime outside the profile.
    TokenLifetime,
    /// Expired access token was accepted.
    TokenExpiredAccepted,
    /// Revoked access token was accepted.
    TokenRevokedAccepted,
    /// Access token used with another certificate.
    TokenOtherCertificate,
    /// Certificate is not the one of the token.
    TokenBindingMismatch,
    /// Access token in a URL.
    TokenInUrl,
    /// Data given after the consent ended.
    ConsentEndedAccepted,
    /// Consent used by another organisation.
    ConsentOfOtherOrganisation,
    /// Data given without permission.
    PermissionMissing,
    /// Answered without an interaction id.
    InteractionIdMissing,
    /// Interaction id has a form that is not allowed.
    InteractionIdMalformed,
    /// Interaction id is no UUID.
    InteractionIdNotUuid,
    /// Response has another interaction id.
    InteractionIdChanged,
    /// Response lacks the interaction id.
    InteractionIdNotReturned,
    /// Created without an idempotency key.
    IdempotencyKeyMissing,
    /// Idempotency key used for another body.
    IdempotencyKeyReused,
    /// Response lacks security headers.
    SecurityHeadersMissing,
    /// 429 without Retry-After.
    RetryAfterMissing,
    /// Body is not what its header says.
    ContentTypeMismatch,
    /// JSON is nested too deeply.
    JsonTooDeep,
    /// Request is too large.
    BodyTooLarge,
    /// Method that the operation does not have.
    MethodUnlisted,
    /// TRACE was answered with success.
    TraceAnswered,
    /// Client tries identifiers.
    IdentifiersEnumerated,
    /// Burst of refused calls.
    RefusalsBurst,
    /// Burst of throttled calls.
    ThrottledBurst,
    /// Calls before Retry-After was over.
    RetryAfterIgnored,
    /// More calls a minute than allowed.
    RateExceeded,
}

impl Check {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 52] = [
        Self::TlsVersionOld,
        Self::TlsCipherUnlisted,
        Self::CertificateAbsent,
        Self::CertificateExpired,
        Self::CertificateExpiring,
        Self::CertificateWithoutOrganisation,
        Self::TokenRequestWithoutAssertion,
        Self::ClientSecretSent,
        Self::AuthorizationWithoutRequestUri,
        Self::RequestUriExternal,
        Self::PushedRequestWithoutAssertion,
        Self::PushedRequestWithoutChallenge,
        Self::PushedRequestChallengePlain,
        Self::RedirectUriNotHttps,
        Self::JwtAlgorithmNone,
        Self::JwtAlgorithmSymmetric,
        Self::JwtAlgorithmOther,
        Self::JwtKeyIdMissing,
        Self::JwtClaimsMissing,
        Self::JwtLifetimeLong,
        Self::JwtExpiredAccepted,
        Self::JwtIssuedInFuture,
        Self::JwtAudienceForeign,
        Self::JwtReplayed,
        Self::TokenLifetime,
        Self::TokenExpiredAccepted,
        Self::TokenRevokedAccepted,
        Self::TokenOtherCertificate,
        Self::TokenBindingMismatch,
        Self::TokenInUrl,
        Self::ConsentEndedAccepted,
        Self::ConsentOfOtherOrganisation,
        Self::PermissionMissing,
        Self::InteractionIdMissing,
        Self::InteractionIdMalformed,
        Self::InteractionIdNotUuid,
        Self::InteractionIdChanged,
        Self::InteractionIdNotReturned,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyReused,
        Self::SecurityHeadersMissing,
        Self::RetryAfterMissing,
        Self::ContentTypeMismatch,
        Self::JsonTooDeep,
        Self::BodyTooLarge,
        Self::MethodUnlisted,
        Self::TraceAnswered,
        Self::IdentifiersEnumerated,
        Self::RefusalsBurst,
        Self::ThrottledBurst,
        Self::RetryAfterIgnored,
        Self::RateExceeded,
    ];

    /// Its name in the file; with [`RULE_PREFIX`] before it, that of the rule in findings.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::TlsVersionOld => "tls_version_old",
            Self::TlsCipherUnlisted => "tls_cipher_unlisted",
            Self::CertificateAbsent => "certificate_absent",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateExpiring => "certificate_expiring",
            Self::CertificateWithoutOrganisation => "certificate_without_organisation",
            Self::TokenRequestWithoutAssertion => "token_request_without_assertion",
            Self::ClientSecretSent => "client_secret_sent",
            Self::AuthorizationWithoutRequestUri => "authorization_without_request_uri",
            Self::RequestUriExternal => "request_uri_external",
            Self::PushedRequestWithoutAssertion => "pushed_request_without_assertion",
            Self::PushedRequestWithoutChallenge => "pushed_request_without_challenge",
            Self::PushedRequestChallengePlain => "pushed_request_challenge_plain",
            Self::RedirectUriNotHttps => "redirect_uri_not_https",
            Self::JwtAlgorithmNone => "jwt_algorithm_none",
            Self::JwtAlgorithmSymmetric => "jwt_algorithm_symmetric",
            Self::JwtAlgorithmOther => "jwt_algorithm_other",
            Self::JwtKeyIdMissing => "jwt_key_id_missing",
            Self::JwtClaimsMissing => "jwt_claims_missing",
            Self::JwtLifetimeLong => "jwt_lifetime_long",
            Self::JwtExpiredAccepted => "jwt_expired_accepted",
            Self::JwtIssuedInFuture => "jwt_issued_in_future",
            Self::JwtAudienceForeign => "jwt_audience_foreign",
            Self::JwtReplayed => "jwt_replayed",
            Self::TokenLifetime => "token_lifetime",
            Self::TokenExpiredAccepted => "token_expired_accepted",
            Self::TokenRevokedAccepted => "token_revoked_accepted",
            Self::TokenOtherCertificate => "token_other_certificate",
            Self::TokenBindingMismatch => "token_binding_mismatch",
            Self::TokenInUrl => "token_in_url",
            Self::ConsentEndedAccepted => "consent_ended_accepted",
            Self::ConsentOfOtherOrganisation => "consent_of_other_organisation",
            Self::PermissionMissing => "permission_missing",
            Self::InteractionIdMissing => "interaction_id_missing",
            Self::InteractionIdMalformed => "interaction_id_malformed",
            Self::InteractionIdNotUuid => "interaction_id_not_uuid",
            Self::InteractionIdChanged => "interaction_id_changed",
            Self::InteractionIdNotReturned => "interaction_id_not_returned",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::SecurityHeadersMissing => "security_headers_missing",
            Self::RetryAfterMissing => "retry_after_missing",
            Self::ContentTypeMismatch => "content_type_mismatch",
            Self::JsonTooDeep => "json_too_deep",
            Self::BodyTooLarge => "body_too_large",
            Self::MethodUnlisted => "method_unlisted",
            Self::TraceAnswered => "trace_answered",
            Self::IdentifiersEnumerated => "identifiers_enumerated",
            Self::RefusalsBurst => "refusals_burst",
            Self::ThrottledBurst => "throttled_burst",
            Self::RetryAfterIgnored => "retry_after_ignored",
            Self::RateExceeded => "rate_exceeded",
        }
    }

    /// Names of its limits, all of which the file must give and no other.
    #[must_use]
    pub const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::CertificateExpired => &["leeway_s", "repeat_s"],
            Self::CertificateExpiring => &["days", "repeat_s"],
            Self::CertificateWithoutOrganisation => &["repeat_s"],
            Self::JwtLifetimeLong => &["max_s", "leeway_s"],
            Self::JwtExpiredAccepted => &["leeway_s"],
            Self::JwtIssuedInFuture => &["leeway_s"],
            Self::JwtReplayed => &["window_s"],
            Self::TokenLifetime => &["min_s", "max_s"],
            Self::TokenExpiredAccepted => &["leeway_s"],
            Self::TokenRevokedAccepted => &["leeway_s"],
            Self::ConsentEndedAccepted => &["leeway_s"],
            Self::IdempotencyKeyReused => &["window_s"],
            Self::JsonTooDeep => &["depth"],
            Self::BodyTooLarge => &["request_bytes"],
            Self::IdentifiersEnumerated => &["count", "window_s"],
            Self::RefusalsBurst => &["count", "window_s"],
            Self::ThrottledBurst => &["count", "window_s"],
            Self::RetryAfterIgnored => &["count", "max_s"],
            Self::RateExceeded => &["count", "window_s"],
            _ => &[],
        }
    }
}

/// Before the name of a check, in the rule of a finding.
pub const RULE_PREFIX: &str = "profile.";
