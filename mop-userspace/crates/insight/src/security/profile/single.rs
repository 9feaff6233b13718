//! What one call breaks by itself: its step of the flow, its headers, its bodies, its method.

use super::{
    check::Check,
    facts::{Challenge, InteractionId, RequestUri, RetryAfter, Step, Verb},
    operations::Operations,
    state::Judge,
};
use crate::security::finding::{Part, Place};

/// Judges a call without regard to others.
pub(super) fn judge(judge: &mut Judge<'_>, operations: &Operations) {
    step(judge);
    interaction(judge);
    response_fields(judge);
    bodies(judge);
    method(judge, operations);
    if judge.facts.is_token_in_url {
        judge.tell(Check::TokenInUrl, [Place::field(Part::Query, "access_token")]);
    }
}

fn step(judge: &mut Judge<'_>) {
    let field = |name| [Place::field(Part::RequestBody, name)];
    match judge.facts.step {
        Some(Step::Token { is_granted, has_assertion, has_secret, expires_in_s, token: _ }) => {
            if has_secret {
                judge.tell(Check::ClientSecretSent, field("client_secret"));
            }
            if is_granted && !has_assertion {
                judge.tell(Check::TokenRequestWithoutAssertion, field("client_assertion"));
            }
            let least = judge.checks.seconds(Check::TokenLifetime, "min_s");
            let most = judge.checks.seconds(Check::TokenLifetime, "max_s");
            if is_granted && expires_in_s.is_some_and(|it| !(least..=most).contains(&it)) {
                let place = Place::field(Part::ResponseBody, "expires_in");
                judge.tell(Check::TokenLifetime, [place]);
            }
        }
        Some(Step::Pushed { is_accepted, has_assertion, challenge, has_plain_redirect }) => {
            if !is_accepted {
                return;
            }
            if !has_assertion {
                judge.tell(Check::PushedRequestWithoutAssertion, field("client_assertion"));
            }
            match challenge {
                Challenge::Absent => {
                    judge.tell(Check::PushedRequestWithoutChallenge, field("code_challenge"));
                }
                Challenge::Plain => {
                    let places = field("code_challenge_method");
                    judge.tell(Check::PushedRequestChallengePlain, places);
                }
                Challenge::S256 | Challenge::Unknown => {}
            }
            if has_plain_redirect {
                judge.tell(Check::RedirectUriNotHttps, field("redirect_uri"));
            }
        }
        Some(Step::Authorization { request_uri, is_accepted, has_plain_redirect }) => {
            if !is_accepted {
                return;
            }
            let place = |name| [Place::field(Part::Query, name)];
            match request_uri {
                RequestUri::Absent => {
                    judge.tell(Check::AuthorizationWithoutRequestUri, place("request_uri"));
                }
                RequestUri::External => {
                    judge.tell(Check::RequestUriExternal, place("request_uri"));
                }
                RequestUri::Pushed => {}
            }
            if has_plain_redirect {
                judge.tell(Check::RedirectUriNotHttps, place("redirect_uri"));
            }
        }
        None => {}
    }
}

fn interaction(judge: &mut Judge<'_>) {
    if !judge.facts.is_protected() || !judge.facts.is_success() {
        return;
    }
    let sent_at = [Place::field(Part::RequestHeader, INTERACTION)];
    let returned_at = [Place::field(Part::ResponseHeader, INTERACTION)];
    let headers = &judge.facts.headers;
    let (sent, returned) = (headers.interaction_sent, headers.interaction_returned);
    let sent_digest = match sent {
        InteractionId::Absent => return judge.tell(Check::InteractionIdMissing, sent_at),
        InteractionId::Malformed => return judge.tell(Check::InteractionIdMalformed, sent_at),
        InteractionId::Named(digest) => {
            judge.tell(Check::InteractionIdNotUuid, sent_at);
            digest
        }
        InteractionId::Uuid(digest) => digest,
    };
    match returned {
        InteractionId::Absent => judge.tell(Check::InteractionIdNotReturned, returned_at),
        InteractionId::Named(returned) | InteractionId::Uuid(returned)
            if returned == sent_digest => {}
        InteractionId::Malformed | InteractionId::Named(_) | InteractionId::Uuid(_) => {
            judge.tell(Check::InteractionIdChanged, returned_at);
        }
    }
}

fn response_fields(judge: &mut Judge<'_>) {
    let facts = judge.facts;
    if facts.endpoint.is_none() {
        return;
    }
    if facts.status == Some(TOO_MANY_REQUESTS) && facts.headers.retry_after == RetryAfter::Absent {
        judge.tell(Check::RetryAfterMissing, [Place::field(Part::ResponseHeader, "retry-after")]);
    }
    let missing = &facts.headers.missing_security;
    if facts.status.is_some() && !missing.is_empty() {
        let places = missing.iter().map(|name| Place::field(Part::ResponseHeader, name)).collect();
        judge.tell_many(Check::SecurityHeadersMissing, places, 1, facts.start);
    }
}

fn bodies(judge: &mut Judge<'_>) {
    let facts = judge.facts;
    for (content, part) in [(facts.sent, Part::RequestBody), (facts.received, Part::ResponseBody)] {
        if content.is_contradicted {
            judge.tell(Check::ContentTypeMismatch, [Place::whole(part)]);
        }
        let most = judge.checks.limit(Check::JsonTooDeep, "depth");
        if content.depth.is_some_and(|depth| u64::from(depth) > most) {
            judge.tell(Check::JsonTooDeep, [Place::whole(part)]);
        }
    }
    if facts.sent.bytes > judge.checks.limit(Check::BodyTooLarge, "request_bytes") {
        judge.tell(Check::BodyTooLarge, [Place::whole(Part::RequestBody)]);
    }
}

fn method(judge: &mut Judge<'_>, operations: &Operations) {
    let facts = judge.facts;
    if facts.verb == Verb::Trace && facts.is_success() {
        judge.tell(Check::TraceAnswered, [Place::whole(Part::Connection)]);
    }
    let operation = facts.endpoint.as_deref().and_then(|endpoint| operations.of(endpoint));
    let Some(operation) = operation else { return };
    // HEAD goes with GET, and OPTIONS is asked by browsers (RFC 9110, section 9.3).
    let is_usual = matches!(facts.verb, Verb::Head | Verb::Options | Verb::Trace);
    if !is_usual && !operation.methods.contains(&facts.verb) {
        judge.tell(Check::MethodUnlisted, [Place::whole(Part::Path)]);
    }
    let is_due = operation.idempotency_key && facts.verb == Verb::Post && facts.is_success();
    if is_due && facts.headers.idempotency_key.is_none() {
        let place = Place::field(Part::RequestHeader, "x-idempotency-key");
        judge.tell(Check::IdempotencyKeyMissing, [place]);
    }
}

const INTERACTION: &str = "x-fapi-interaction-id";
pub(super) const TOO_MANY_REQUESTS: u16 = 429;
