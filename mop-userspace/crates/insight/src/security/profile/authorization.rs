//! Steps of the authorization flow: authorization requests, pushed or not, and requests for tokens.
//! Authorization servers choose their paths, so a step is known by what it carries.
//!
//! A process may also talk to authorization servers that are none of the ecosystem's, to which the
//! profile says nothing. A step counts when its client shows a certificate of a participant, or
//! when its scope is one of the ecosystem's.

use mop_contract::{json::Value, route::query_of};
use mop_wire::{Request, Response, Role};

use super::{
    facts::{Challenge, Jwt, JwtKind, RequestUri, Step, Verb},
    jwt::{JwtReader, seconds},
    reader::ReaderSettings,
};
use crate::data::{
    call::body::{Bodies, Fields, MAX_FIELDS},
    digest::{Digest, Subject},
};

/// Both messages of an exchange that may be a step.
#[derive(Clone, Copy)]
pub(super) struct Asked<'e> {
    pub(super) role: Role,
    pub(super) verb: Verb,
    pub(super) request: &'e Request,
    pub(super) response: Option<&'e Response>,
    /// Whether the client's certificate names a participant.
    pub(super) is_known: bool,
}

/// What a token endpoint answered.
#[derive(Default)]
struct Answered {
    token: Option<Digest>,
    expires_in_s: Option<i64>,
    is_of_ecosystem: bool,
    id_token: Option<String>,
}

impl Asked<'_> {
    /// The step, and the tokens that it carries.
    pub(super) fn read(
        self,
        bodies: &mut Bodies,
        jwts: &mut JwtReader,
        settings: &ReaderSettings,
        found: &mut Vec<Jwt>,
    ) -> Option<Step> {
        let form = match self.verb {
            Verb::Post => bodies.form(&self.request.headers, &self.request.body),
            _ => None,
        };
        if let Some(text) = &form {
            let form = fields(text)?;
            if form.has("grant_type") {
                return self.token(&form, bodies, jwts, settings, found);
            }
            if form.has("token") {
                return None;
            }
            let is_push = form.has("request") || form.has("response_type");
            if is_push && let Some(step) = self.pushed(&form, bodies, jwts, settings, found) {
                return Some(step);
            }
            return self.authorization(&form, bodies);
        }
        if self.verb != Verb::Get {
            return None;
        }
        self.authorization(&fields(query_of(&self.request.target)?)?, bodies)
    }

    fn token(
        self,
        form: &Fields<'_>,
        bodies: &mut Bodies,
        jwts: &mut JwtReader,
        settings: &ReaderSettings,
        found: &mut Vec<Jwt>,
    ) -> Option<Step> {
        let is_grant = form.one("grant_type").is_some_and(|grant| GRANTS.contains(&grant));
        if !is_grant {
            return None;
        }
        let answered = self.answered(bodies, settings).unwrap_or_default();
        let is_asked_for = form.one("scope").is_some_and(is_of_ecosystem);
        if !self.is_known && !is_asked_for && !answered.is_of_ecosystem {
            return None;
        }
        let mut read = |token: Option<&str>, kind| {
            let token = token?;
            jwts.read(token, kind, &settings.key, &settings.audiences)
        };
        found.extend(read(form.one("client_assertion"), JwtKind::ClientAssertion));
        found.extend(read(answered.id_token.as_deref(), JwtKind::IdToken));
        Some(Step::Token {
            is_granted: answered.token.is_some(),
            has_assertion: form.has("client_assertion"),
            has_secret: form.has("client_secret") || has_basic(self.request),
            token: answered.token,
            expires_in_s: answered.expires_in_s,
        })
    }

    fn answered(self, bodies: &mut Bodies, settings: &ReaderSettings) -> Option<Answered> {
        let response = self.response.filter(|response| response.status == 200)?;
        bodies
            .json(&response.headers, &response.body, |body| {
                let text = |name: &str| body.member(name).and_then(Value::as_str);
                let token = text("access_token").filter(|token| !token.is_empty())?;
                Some(Answered {
                    token: Some(settings.key.digest(Subject::Token, token.as_bytes())),
                    expires_in_s: body.member("expires_in").and_then(seconds),
                    is_of_ecosystem: text("scope").is_some_and(is_of_ecosystem),
                    id_token: text("id_token").map(str::to_owned),
                })
            })
            .flatten()
    }

    fn pushed(
        self,
        form: &Fields<'_>,
        bodies: &mut Bodies,
        jwts: &mut JwtReader,
        settings: &ReaderSettings,
        found: &mut Vec<Jwt>,
    ) -> Option<Step> {
        let response = self.response.filter(|response| matches!(response.status, 200 | 201));
        let is_accepted = response.is_some_and(|response| {
            let has_uri = |body: Value<'_>| body.member("request_uri").is_some();
            bodies.json(&response.headers, &response.body, has_uri).unwrap_or_default()
        });
        let has_assertion = form.has("client_assertion");
        // A form that is refused and has no assertion may be anything.
        if !is_accepted && !has_assertion {
            return None;
        }
        let object = form.one("request");
        // A request object is all there is (RFC 9126, section 3).
        let asked = match object {
            Some(object) => jwts.claims(object, Parameters::of_claims),
            None if form.has("request") => None,
            None => Some(Parameters::of_fields(form)),
        };
        let is_ours = asked.as_ref().is_some_and(|asked| asked.is_of_ecosystem);
        if !self.is_known && !is_ours {
            return None;
        }
        let mut read = |token: Option<&str>, kind| {
            let token = token?;
            jwts.read(token, kind, &settings.key, &settings.audiences)
        };
        found.extend(read(form.one("client_assertion"), JwtKind::ClientAssertion));
        found.extend(read(object, JwtKind::RequestObject));
        let (challenge, has_plain_redirect) = match asked {
            Some(asked) => (asked.challenge, asked.has_plain_redirect),
            None => (Challenge::Unknown, false),
        };
        Some(Step::Pushed { is_accepted, has_assertion, challenge, has_plain_redirect })
    }

    /// A request of a browser.
    fn authorization(self, sent: &Fields<'_>, bodies: &mut Bodies) -> Option<Step> {
        if self.role != Role::Server || !sent.has("client_id") {
            return None;
        }
        let request_uri = match sent.one("request_uri") {
            Some(uri) if is_address(uri, "http://") || is_address(uri, "https://") => {
                RequestUri::External
            }
            Some(_) => RequestUri::Pushed,
            None if sent.has("request_uri") => RequestUri::Pushed,
            None => RequestUri::Absent,
        };
        let asked = Parameters::of_fields(sent);
        // Without its request object's claims, only the scope says that it is of the ecosystem.
        let is_one = sent.has("response_type")
            && (request_uri != RequestUri::Absent || asked.is_of_ecosystem);
        is_one.then(|| Step::Authorization {
            request_uri,
            is_accepted: self.is_login(bodies),
            has_plain_redirect: asked.has_plain_redirect,
        })
    }

    /// Whether the answer shows a page, or leads to one, and not back with an error. Some servers
    /// refuse with a page and status 200: a page that may tell of an error is none to log in at.
    fn is_login(self, bodies: &mut Bodies) -> bool {
        let Some(response) = self.response else { return false };
        match response.status {
            200 => bodies
                .bytes(&response.headers, &response.body, MAX_PAGE_BYTES)
                .is_some_and(|page| !tells(&page, ERROR)),
            302 | 303 | 307 => response
                .headers
                .first("location")
                .is_some_and(|location| !tells(location, b"error=")),
            _ => false,
        }
    }
}

/// Whether a text has a word in it, in any case.
fn tells(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Parameters of an authorization request that are judged.
struct Parameters {
    challenge: Challenge,
    has_plain_redirect: bool,
    is_of_ecosystem: bool,
}

impl Parameters {
    fn of_claims(claims: Value<'_>) -> Self {
        let text = |name: &str| claims.member(name).and_then(Value::as_str);
        Self::new(
            claims.member("code_challenge").is_some(),
            text("code_challenge_method"),
            text("redirect_uri"),
            text("scope"),
        )
    }

    fn of_fields(sent: &Fields<'_>) -> Self {
        Self::new(
            sent.has("code_challenge"),
            sent.one("code_challenge_method"),
            sent.one("redirect_uri"),
            sent.one("scope"),
        )
    }

    fn new(
        has_challenge: bool,
        method: Option<&str>,
        redirect_uri: Option<&str>,
        scope: Option<&str>,
    ) -> Self {
        let challenge = match (has_challenge, method) {
            (false, _) => Challenge::Absent,
            (true, Some("S256")) => Challenge::S256,
            (true, _) => Challenge::Plain,
        };
        Self {
            challenge,
            has_plain_redirect: redirect_uri.is_some_and(|uri| !is_address(uri, "https://")),
            is_of_ecosystem: scope.is_some_and(is_of_ecosystem),
        }
    }
}

/// Fields, unless there are so many that some would not be seen.
fn fields(text: &str) -> Option<Fields<'_>> {
    (text.split('&').take(MAX_FIELDS + 1).count() <= MAX_FIELDS).then(|| Fields::parse(text))
}

fn has_basic(request: &Request) -> bool {
    request.headers.values("authorization").any(|value| {
        value.get(..BASIC.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(BASIC))
    })
}

fn is_of_ecosystem(scope: &str) -> bool {
    scope.split(' ').any(|word| {
        word == "consents" || SCOPE_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
    })
}

fn is_address(uri: &str, scheme: &str) -> bool {
    uri.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

const GRANTS: [&str; 3] = ["authorization_code", "client_credentials", "refresh_token"];
const BASIC: &[u8] = b"Basic ";

/// In English and in Portuguese.
const ERROR: &[u8] = b"erro";

/// Pages to log in at have some 20 kB; what is longer is not looked through.
const MAX_PAGE_BYTES: usize = 256 << 10;

/// Dynamic scopes of consents, and the scopes of the interfaces of phases 2 and 3.
const SCOPE_PREFIXES: [&str; 3] = ["consent:urn:", "insurance-", "quote-"];
