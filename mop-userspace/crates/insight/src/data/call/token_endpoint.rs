//! What clients send to an authorization server themselves: pushed requests, requests for tokens,
//! introspection and revocation. Each is a form, answered with JSON or with nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mop_contract::json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    body::{Bodies, Fields, text},
    flow::{Flow, Step},
};
use crate::data::{
    consent::ConsentId,
    digest::{Digest, Subject},
    signal::{Act, Grant},
    tokens::{
        Belonging, DEFAULT_ACCESS_SECONDS, Handle, Lesson, MAX_ACCESS_SECONDS, Need,
        REFRESH_SECONDS, Source,
    },
};

/// The step that a form is, if it is one.
pub(super) fn read(step: Step<'_>, form: &Fields<'_>, bodies: &mut Bodies) -> Option<Flow> {
    let status = step.response.status;
    if let Some(grant) = form.one("grant_type") {
        let grant = match grant {
            "authorization_code" => Grant::AuthorizationCode,
            "client_credentials" => Grant::ClientCredentials,
            "refresh_token" => Grant::RefreshToken,
            _ => return None,
        };
        return (status == 200).then(|| token(step, grant, form, bodies))?;
    }
    if let Some(token) = form.one("token") {
        let digest = step.key.digest(Subject::Token, token.as_bytes());
        return match status {
            200 if step.last_segment_has("revo") => Some(revoked(step, digest)),
            200 => introspected(step, digest, bodies),
            _ => None,
        };
    }
    let is_push = status == 201
        && ["request", "scope", "response_type"].iter().any(|name| form.one(name).is_some());
    is_push.then(|| pushed(step, form, bodies))?
}

/// Parameters of an authorization request that are of use.
#[derive(Default)]
struct Asked {
    consent: Option<ConsentId>,
    state: Option<String>,
    challenge: Option<String>,
}

fn pushed(step: Step<'_>, form: &Fields<'_>, bodies: &mut Bodies) -> Option<Flow> {
    let response = step.response;
    let request_uri = bodies
        .json(&response.headers, &response.body, |body| text(body, "/request_uri", MAX_VALUE_BYTES))
        .flatten()?;
    // A request object is all there is (RFC 9126, section 3); an encrypted one tells nothing.
    let asked = match form.one("request") {
        Some(object) => bodies.claims(object, Asked::of_claims).unwrap_or_default(),
        None => Asked {
            consent: form.one("scope").and_then(ConsentId::from_scope),
            state: form.one("state").map(str::to_owned),
            challenge: form.one("code_challenge").map(str::to_owned),
        },
    };
    let consent = asked.consent?;
    let mut handles = vec![step.handle(Subject::RequestUri, &request_uri)];
    handles.extend(asked.state.map(|state| step.handle(Subject::State, &state)));
    handles.extend(asked.challenge.map(|challenge| step.handle(Subject::Challenge, &challenge)));
    let mut flow = Flow::of(step.role);
    let says = Some(Belonging::Consent(consent.clone(), Source::Flow));
    flow.lesson = Some(Lesson { says, handles, ..Lesson::default() });
    flow.consent = Some(consent);
    flow.acts.push(Act::AuthorizationPushed);
    Some(flow)
}

impl Asked {
    fn of_claims(claims: Value<'_>) -> Self {
        Self {
            consent: text(claims, "/scope", MAX_VALUE_BYTES)
                .and_then(|scope| ConsentId::from_scope(&scope)),
            state: text(claims, "/state", MAX_VALUE_BYTES),
            challenge: text(claims, "/code_challenge", MAX_VALUE_BYTES),
        }
    }
}

/// What a token endpoint answers.
struct Answered {
    access: String,
    refresh: Option<String>,
    expires_s: i64,
    consent: Option<ConsentId>,
}

fn token(step: Step<'_>, grant: Grant, form: &Fields<'_>, bodies: &mut Bodies) -> Option<Flow> {
    let response = step.response;
    let answered = bodies
        .json(&response.headers, &response.body, |body| {
            Some(Answered {
                access: text(body, "/access_token", MAX_TOKEN_BYTES).filter(is_something)?,
                refresh: text(body, "/refresh_token", MAX_TOKEN_BYTES).filter(is_something),
                expires_s: seconds(body, "/expires_in").unwrap_or(DEFAULT_ACCESS_SECONDS),
                consent: text(body, "/scope", MAX_VALUE_BYTES)
                    .and_then(|scope| ConsentId::from_scope(&scope)),
            })
        })
        .flatten()?;
    let digest = |subject, value: &str| step.key.digest(subject, value.as_bytes());
    let presented = match grant {
        Grant::AuthorizationCode => [
            form.one("code").map(|code| digest(Subject::Code, code)),
            form.one("code_verifier")
                .map(|verifier| digest(Subject::Challenge, &challenge_of(verifier))),
        ],
        Grant::RefreshToken => {
            [form.one("refresh_token").map(|token| digest(Subject::Token, token)), None]
        }
        Grant::ClientCredentials => [None, None],
    };
    let keys: Vec<Digest> = presented.into_iter().flatten().collect();
    let now_s = step.end.as_second();
    let access = Handle {
        digest: digest(Subject::Token, &answered.access),
        need: Need::Access,
        expires_s: now_s + answered.expires_s.clamp(0, MAX_ACCESS_SECONDS) + SLACK_SECONDS,
    };
    let mut handles = vec![access];
    let mut flow = Flow::of(step.role);
    let says = if grant == Grant::ClientCredentials {
        Some(Belonging::Client)
    } else {
        handles.extend(answered.refresh.as_deref().map(|refresh| Handle {
            digest: digest(Subject::Token, refresh),
            need: Need::Refresh,
            expires_s: now_s + REFRESH_SECONDS,
        }));
        flow.acts.push(Act::TokenIssued(grant));
        flow.consent = answered.consent.clone();
        let by_scope = answered.consent.map(|consent| (consent, Source::Flow));
        // Without a scope in the answer, what the flow told before is better than claims.
        let by_claims = if by_scope.is_none() && keys.is_empty() {
            claimed_consent(&answered.access, bodies).map(|consent| (consent, Source::Claims))
        } else {
            None
        };
        by_scope.or(by_claims).map(|(consent, source)| Belonging::Consent(consent, source))
    };
    // The token itself also leads to the consent, should another step have told of it.
    flow.keys.clone_from(&keys);
    flow.keys.push(access.digest);
    flow.lesson = Some(Lesson { from: keys, says, handles, revoked: Vec::new() });
    Some(flow)
}

fn introspected(step: Step<'_>, digest: Digest, bodies: &mut Bodies) -> Option<Flow> {
    let response = step.response;
    let (consent, expires_s) = bodies
        .json(&response.headers, &response.body, |body| {
            let is_active = body.member("active").and_then(Value::as_bool)?;
            let expires_s = seconds(body, "/exp");
            is_active.then(|| Some((consent_of_claims(body)?, expires_s)))?
        })
        .flatten()?;
    let now_s = step.end.as_second();
    let latest_s = now_s + MAX_ACCESS_SECONDS;
    let expires_s = expires_s.unwrap_or(now_s + DEFAULT_ACCESS_SECONDS).clamp(now_s, latest_s);
    let handle = Handle { digest, need: Need::Access, expires_s: expires_s + SLACK_SECONDS };
    let mut flow = Flow::of(step.role);
    let says = Some(Belonging::Consent(consent, Source::Introspection));
    flow.lesson = Some(Lesson { says, handles: vec![handle], ..Lesson::default() });
    Some(flow)
}

fn revoked(step: Step<'_>, digest: Digest) -> Flow {
    let mut flow = Flow::of(step.role);
    flow.lesson = Some(Lesson { revoked: vec![digest], ..Lesson::default() });
    flow
}

/// The consent that the claims of a token name, unless it is opaque.
pub(super) fn claimed_consent(token: &str, bodies: &mut Bodies) -> Option<ConsentId> {
    bodies.claims(token, consent_of_claims).flatten()
}

/// `scope`, or one of the names that authorization servers give to the claim.
fn consent_of_claims(claims: Value<'_>) -> Option<ConsentId> {
    let by_scope = claims.member("scope").and_then(|scope| match scope.as_str() {
        Some(scope) => ConsentId::from_scope(scope),
        // Some servers write a list.
        None => {
            let list: Vec<&str> = scope.elements().filter_map(Value::as_str).collect();
            ConsentId::from_scope(&list.join(" "))
        }
    });
    by_scope.or_else(|| {
        CONSENT_CLAIMS
            .iter()
            .find_map(|name| claims.member(name)?.as_str().and_then(ConsentId::parse))
    })
}

/// `code_challenge` of a `code_verifier`, by the only method that the profile allows, `S256`.
fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[expect(clippy::ptr_arg, reason = "a filter of an optional string")]
fn is_something(text: &String) -> bool {
    !text.is_empty()
}

/// A number of whole seconds.
fn seconds(body: Value<'_>, pointer: &str) -> Option<i64> {
    body.pointer(pointer)?.as_number()?.text.parse().ok()
}

const CONSENT_CLAIMS: [&str; 3] = ["consent_id", "consentId", "consent"];

/// Clocks of two machines, and calls that are under way when a token ends.
const SLACK_SECONDS: i64 = 60;

/// Tokens that are not opaque have some 2 KB.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// A scope with a consent in it, a `request_uri`.
const MAX_VALUE_BYTES: usize = 4096;
