//! From signals to steps: what a call shows, in the words of the funnel.
//!
//! A call shows the same thing whatever the consent is about; which step it is, is said by
//! [`in_journey`], once the journey is known. Nothing is concluded here that the wire does not say,
//! but for what [`Inference::Allowed`] permits.

use serde::{Deserialize, Serialize};

use super::{
    info::{
        Actor, AdditionalInfo, ConsentUser, Expiry, QuoteOutcome, RedirectStatus, ReportedToken,
    },
    step::{Journey, Side, Step},
};
use crate::data::signal::{Act, Grant, TokenKind};

/// Whether steps may be concluded from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inference {
    /// `user-authenticated` is concluded from a code that was issued (RFC 6749, section 4.1.1: the
    /// server authenticates the resource owner before it grants), and marked as inferred. No other
    /// step is.
    Allowed,
    /// Only what was seen or told.
    #[default]
    Refused,
}

/// A step that a call shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) step: Step,
    pub(crate) info: AdditionalInfo,
    pub(crate) is_inferred: bool,
}

impl Shown {
    fn new(step: Step, info: AdditionalInfo) -> Self {
        Self { step, info, is_inferred: false }
    }
}

/// Steps that an act shows. Those of consents are named as in the journey for data.
pub(crate) fn shown(
    act: &Act,
    side: Side,
    was_given: bool,
    consent_user: Option<ConsentUser>,
    inference: Inference,
) -> Vec<Shown> {
    let none = AdditionalInfo::default;
    match act {
        Act::ConsentCreated { .. } => {
            vec![Shown::new(Step::ConsentCreated, AdditionalInfo { consent_user, ..none() })]
        }
        Act::ConsentRead { status, rejected_by, rejection_code, .. } => {
            read(status, rejected_by.as_deref(), rejection_code.as_deref(), was_given)
        }
        Act::ConsentDeleted => vec![Shown::new(Step::ConsentRevoked, none())],
        Act::AuthorizationRequested => vec![Shown::new(Step::UserRedirected, none())],
        // What the authorization server alone can show; the receiving side tells of it by
        // `RedirectedBack`.
        Act::CodeIssued if side == Side::Server => {
            let mut steps = vec![
                // RFC 6749, section 4.1.2: a code is issued if the resource owner grants access.
                Shown::new(Step::ConsentAuthorized, none()),
                Shown::new(Step::AuthorizationCodeCreated, none()),
                Shown::new(Step::UserRedirectedBack, back(RedirectStatus::Success)),
            ];
            if inference == Inference::Allowed {
                let step = Step::UserAuthenticated;
                steps.push(Shown { step, info: none(), is_inferred: true });
            }
            steps
        }
        Act::AuthorizationRefused(error) if side == Side::Server => {
            let mut steps =
                vec![Shown::new(Step::UserRedirectedBack, back(RedirectStatus::Failure))];
            // RFC 6749, section 4.1.2.1: the owner or the server denied. Which of them is not said,
            // so `rejected-by` is left out unless a later answer says it.
            if error == "access_denied" {
                steps.push(Shown::new(Step::ConsentRejected, none()));
            }
            steps
        }
        Act::RedirectedBack { is_success } if side == Side::Client => {
            let status =
                if *is_success { RedirectStatus::Success } else { RedirectStatus::Failure };
            vec![Shown::new(Step::UserRedirectedBack, back(status))]
        }
        Act::TokenIssued(Grant::AuthorizationCode) => {
            let step = match side {
                Side::Client => Step::ConsentTokenReceived,
                Side::Server => Step::ConsentTokenGenerated,
            };
            vec![Shown::new(step, none())]
        }
        Act::TokenIssued(Grant::RefreshToken) => vec![Shown::new(Step::RefreshTokenUsed, none())],
        Act::ResourceAccessed { token } => {
            let token_kind = Some(match token {
                TokenKind::Consent => ReportedToken::ConsentToken,
                TokenKind::ClientCredential => ReportedToken::ClientCredential,
            });
            vec![Shown::new(Step::ResourceAccessed, AdditionalInfo { token_kind, ..none() })]
        }
        Act::QuoteRequested { .. } => {
            vec![Shown::new(
                by_side(side, Step::QuoteRequestGenerated, Step::QuoteRequestReceived),
                none(),
            )]
        }
        Act::QuoteStatusRead { status, quote } => quote_status(status, quote.is_some(), side),
        Act::QuoteAnswered { status, .. } if status == "ACKN" => {
            vec![Shown::new(Step::QuoteAccepted, none())]
        }
        Act::AuthorizationPushed
        | Act::CodeIssued
        | Act::AuthorizationRefused(_)
        | Act::RedirectedBack { .. }
        | Act::TokenIssued(Grant::ClientCredentials)
        | Act::QuoteAnswered { .. } => Vec::new(),
    }
}

/// Whether an act can only be when the user has given the consent.
pub(crate) fn shows_given(act: &Act) -> bool {
    match act {
        Act::CodeIssued
        | Act::RedirectedBack { is_success: true }
        | Act::TokenIssued(Grant::AuthorizationCode | Grant::RefreshToken)
        | Act::ResourceAccessed { token: TokenKind::Consent } => true,
        Act::ConsentRead { status, .. } => matches!(status.as_str(), "AUTHORISED" | "CONSUMED"),
        Act::ConsentCreated { .. }
        | Act::ConsentDeleted
        | Act::AuthorizationPushed
        | Act::AuthorizationRequested
        | Act::AuthorizationRefused(_)
        | Act::RedirectedBack { is_success: false }
        | Act::TokenIssued(Grant::ClientCredentials)
        | Act::ResourceAccessed { token: TokenKind::ClientCredential }
        | Act::QuoteRequested { .. }
        | Act::QuoteStatusRead { .. }
        | Act::QuoteAnswered { .. } => false,
    }
}

/// What a step that a call showed is called in a journey.
pub(crate) fn in_journey(step: Step, info: &AdditionalInfo, journey: Journey, side: Side) -> Step {
    match (journey, side, step) {
        (Journey::PostSale, _, Step::ResourceAccessed)
            if info.token_kind == Some(ReportedToken::ConsentToken) =>
        {
            Step::ServiceInitiated
        }
        (Journey::Quote, Side::Client, Step::ConsentCreated) => Step::QuoteRequestCreated,
        (Journey::Quote, Side::Client, Step::ConsentAuthorized | Step::ConsentTokenReceived) => {
            Step::QuoteRequestAuthorized
        }
        (Journey::Quote, Side::Client, Step::UserRedirectedBack) if !info.is_failure() => {
            Step::QuoteRequestAuthorized
        }
        _ => step,
    }
}

/// Members of `additionalInfo` that a step has, of those that a call showed under another name.
pub(crate) fn info_in_journey(step: Step, info: AdditionalInfo) -> AdditionalInfo {
    match step {
        Step::ServiceInitiated | Step::QuoteRequestAuthorized => AdditionalInfo::default(),
        _ => info,
    }
}

/// What the answer of `GET /consents/{consentId}` says. Reasons: `consents` 2.7.0 and 3.0.0,
/// `RejectedReason.code`; a rejection of a consent that was given is a revocation.
fn read(
    status: &str,
    rejected_by: Option<&str>,
    code: Option<&str>,
    was_given: bool,
) -> Vec<Shown> {
    let none = AdditionalInfo::default;
    let expired = |expiry| {
        Shown::new(Step::ConsentExpired, AdditionalInfo { expired_by: Some(expiry), ..none() })
    };
    let revoked =
        |revoked_by| Shown::new(Step::ConsentRevoked, AdditionalInfo { revoked_by, ..none() });
    let rejected =
        |rejected_by| Shown::new(Step::ConsentRejected, AdditionalInfo { rejected_by, ..none() });
    let actor = match rejected_by {
        Some("USER") => Some(Actor::User),
        Some("ASPSP" | "TPP") => Some(Actor::System),
        _ => None,
    };
    match (status, code) {
        ("AUTHORISED", _) => vec![Shown::new(Step::ConsentAuthorized, none())],
        ("REJECTED", Some("CONSENT_EXPIRED")) => vec![expired(Expiry::AuthorizationTimeout)],
        ("REJECTED", Some("CONSENT_MAX_DATE_REACHED")) => vec![expired(Expiry::MaxDateReached)],
        ("REJECTED", Some("CUSTOMER_MANUALLY_REVOKED")) => vec![revoked(Some(Actor::User))],
        ("REJECTED", Some("CUSTOMER_MANUALLY_REJECTED")) => vec![rejected(Some(Actor::User))],
        ("REJECTED", _) if was_given => vec![revoked(actor)],
        ("REJECTED", _) => vec![rejected(actor)],
        _ => Vec::new(),
    }
}

/// `RCVD` and `EVAL` are no outcome yet; `ACKN` and `CANC` follow on one that was reported before.
/// The quote itself comes with the answer once it was accepted (`quoteInfo`, quote-auto 1.10.0).
fn quote_status(status: &str, has_quote: bool, side: Side) -> Vec<Shown> {
    let outcome = match status {
        "ACPT" => QuoteOutcome::Acpt,
        "RJCT" => QuoteOutcome::Rjct,
        _ => return Vec::new(),
    };
    let info = AdditionalInfo { status: Some(outcome), ..AdditionalInfo::default() };
    let step = by_side(side, Step::QuoteStatusReceived, Step::QuoteStatusGenerated);
    let mut steps = vec![Shown::new(step, info)];
    if outcome == QuoteOutcome::Acpt && has_quote {
        let step = by_side(side, Step::QuoteInfoReceived, Step::QuoteInfoGenerated);
        steps.push(Shown::new(step, AdditionalInfo::default()));
    }
    steps
}

fn back(status: RedirectStatus) -> AdditionalInfo {
    AdditionalInfo { user_redirected_back_status: Some(status), ..AdditionalInfo::default() }
}

const fn by_side(side: Side, client: Step, server: Step) -> Step {
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}
