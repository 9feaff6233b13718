//! Which step comes after which: the platform counts a step only if the steps before it were
//! reported for the same consent.
//!
//! Source: Workshop_PCM.pdf and Workshop_PCM_Fase3.pdf. Their order goes across both sides (the
//! receiving side's `user-redirected` comes before the transmitting side's); a participant reports
//! its own side only and does not see what the other has reported, so a step waits for steps of
//! its own side. Of quotes no order is published: theirs is that of the list in
//! `consent-funnel-ingestion` 1.0.5, narrowed to what one step cannot be without.

use super::{
    info::{AdditionalInfo, Expiry, RedirectStatus, ReportedToken},
    step::{Journey, Side, Step},
};

/// A step that counts once, whatever is said about it. Coming back with an error and coming back
/// with a code are two: the second may follow the first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct Milestone {
    pub(crate) step: Step,
    pub(crate) is_failure: bool,
}

impl Milestone {
    pub(crate) fn of(step: Step, info: &AdditionalInfo) -> Self {
        let is_failure = step == Step::UserRedirectedBack && info.is_failure();
        Self { step, is_failure }
    }

    const fn success(step: Step) -> Self {
        Self { step, is_failure: false }
    }
}

/// Steps of which one must have been reported before; empty when a step may be the first.
pub(crate) fn prerequisites(
    journey: Journey,
    side: Side,
    step: Step,
    info: &AdditionalInfo,
) -> &'static [Milestone] {
    use Step as S;
    const CREATED: &[Milestone] = &[Milestone::success(S::ConsentCreated)];
    const AUTHORIZED: &[Milestone] = &[Milestone::success(S::ConsentAuthorized)];
    const GENERATED: &[Milestone] = &[Milestone::success(S::ConsentTokenGenerated)];
    const RECEIVED: &[Milestone] = &[Milestone::success(S::ConsentTokenReceived)];
    const BACK: &[Milestone] = &[Milestone::success(S::UserRedirectedBack)];
    const REDIRECTED: &[Milestone] = &[Milestone::success(S::UserRedirected)];
    const AUTHENTICATED: &[Milestone] = &[Milestone::success(S::UserAuthenticated)];
    // A system may reject after an authentication that failed.
    const TRIED: &[Milestone] = &[
        Milestone::success(S::UserAuthenticated),
        Milestone::success(S::UserAuthenticationFailed),
    ];
    const CODE: &[Milestone] = &[Milestone::success(S::AuthorizationCodeCreated)];
    const INITIATED: &[Milestone] = &[Milestone::success(S::ServiceInitiated)];
    let token = if side == Side::Client { RECEIVED } else { GENERATED };
    // What shows a side that the consent was given.
    let given = if side == Side::Client { RECEIVED } else { AUTHORIZED };
    if journey == Journey::Quote {
        return quote_prerequisites(side, step);
    }
    match step {
        S::UserRedirected => CREATED,
        S::UserAuthenticationFailed | S::UserAuthenticated => REDIRECTED,
        S::ConsentRejected => TRIED,
        S::ConsentAuthorized => AUTHENTICATED,
        S::AuthorizationCodeCreated => AUTHORIZED,
        S::UserRedirectedBack => match (side, info.user_redirected_back_status) {
            (Side::Server, Some(RedirectStatus::Success) | None) => CODE,
            (Side::Server, Some(RedirectStatus::Failure)) | (Side::Client, _) => REDIRECTED,
        },
        S::ConsentTokenGenerated | S::ConsentTokenReceived => BACK,
        S::RefreshTokenUsed | S::ServiceInitiated => token,
        S::ResourceAccessed => match info.token_kind {
            Some(ReportedToken::ClientCredential) => CREATED,
            Some(ReportedToken::ConsentToken) | None => token,
        },
        S::UserRedirectedService => INITIATED,
        S::ConsentRevoked => given,
        S::ConsentExpired => match info.expired_by {
            Some(Expiry::MaxDateReached) => given,
            Some(Expiry::AuthorizationTimeout) | None => CREATED,
        },
        S::ConsentCreated
        | S::QuoteRequestInitiated
        | S::QuoteRequestCreated
        | S::QuoteRequestAuthorized
        | S::QuoteRequestGenerated
        | S::QuoteRequestReceived
        | S::QuoteStatusReceived
        | S::QuoteStatusGenerated
        | S::QuoteInfoReceived
        | S::QuoteInfoGenerated
        | S::QuoteAccepted
        | S::AdditionalInfo => &[],
    }
}

fn quote_prerequisites(side: Side, step: Step) -> &'static [Milestone] {
    use Step as S;
    const INITIATED: &[Milestone] = &[Milestone::success(S::QuoteRequestInitiated)];
    const CREATED: &[Milestone] = &[Milestone::success(S::QuoteRequestCreated)];
    const AUTHORIZED: &[Milestone] = &[Milestone::success(S::QuoteRequestAuthorized)];
    const GENERATED: &[Milestone] = &[Milestone::success(S::QuoteRequestGenerated)];
    const RECEIVED: &[Milestone] = &[Milestone::success(S::QuoteRequestReceived)];
    const STATUS_RECEIVED: &[Milestone] = &[Milestone::success(S::QuoteStatusReceived)];
    const STATUS_GENERATED: &[Milestone] = &[Milestone::success(S::QuoteStatusGenerated)];
    const ACCEPTED: &[Milestone] = &[Milestone::success(S::QuoteAccepted)];
    match (step, side) {
        (S::QuoteRequestCreated, _) => INITIATED,
        (S::QuoteRequestAuthorized, _) => CREATED,
        (S::QuoteRequestGenerated, _) => AUTHORIZED,
        (S::QuoteStatusReceived, _) => GENERATED,
        (S::QuoteInfoReceived, _) | (S::QuoteAccepted, Side::Client) => STATUS_RECEIVED,
        (S::QuoteStatusGenerated, _) => RECEIVED,
        (S::QuoteInfoGenerated, _) | (S::QuoteAccepted, Side::Server) => STATUS_GENERATED,
        (S::UserRedirectedService, _) => ACCEPTED,
        (S::AdditionalInfo, Side::Client) => GENERATED,
        (S::AdditionalInfo, Side::Server) => RECEIVED,
        (S::ConsentRevoked | S::ConsentExpired, Side::Client) => CREATED,
        // The transmitting side reports no step of a quote's consent before the quote arrives.
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::funnel::rules::FunnelRules;

    #[test]
    fn prerequisites_are_steps_of_the_same_journey_and_side_and_come_before() {
        let rules = FunnelRules::published().unwrap();
        let infos = [
            AdditionalInfo::default(),
            AdditionalInfo {
                user_redirected_back_status: Some(RedirectStatus::Failure),
                token_kind: Some(ReportedToken::ClientCredential),
                expired_by: Some(Expiry::MaxDateReached),
                ..AdditionalInfo::default()
            },
        ];
        for journey in Journey::ALL {
            for side in Side::ALL {
                let mut first = 0;
                for step in rules.steps(journey, side) {
                    for info in &infos {
                        let needed = prerequisites(journey, side, *step, info);
                        first += usize::from(needed.is_empty());
                        for milestone in needed {
                            assert!(
                                rules.has_step(journey, side, milestone.step),
                                "{step:?} of {journey:?} waits for what {side:?} never reports"
                            );
                            assert!(milestone.step < *step, "{step:?} comes before {milestone:?}");
                        }
                    }
                }
                assert!(first > 0, "{journey:?} of {side:?} cannot begin");
            }
        }
    }
}
