//! From an exchange and its call to [`Facts`].

use std::sync::Arc;

use mop_contract::route::query_of;
use mop_wire::{Exchange, Headers, Request, Response, Role};

use super::{
    activity,
    authorization::Asked,
    content,
    facts::{
        Certificate, ClientCertificate, ConsentAct, ConsentStatus, Content, Facts, HeaderFacts,
        InteractionId, JwtKind, Links, RetryAfter, Tls, Verb,
    },
    jwt::JwtReader,
    operations::{Permission, Permissions},
    transport,
};
use crate::{
    data::{
        call::{Call, Observed, bearer, body::Bodies},
        consent::ConsentId,
        digest::{Digest, Key, Subject},
        funnel::Side,
        identity::{certificate::CertificateFacts, forwarded::ForwardedCertificate},
        signal::Act,
        tokens::{Belonging, Lesson, Source},
    },
    security::uuid::Uuid,
};

/// What a reader works with.
#[derive(Debug)]
pub struct ReaderSettings {
    /// Key of all digests; that of the calls.
    pub key: Key,
    /// Header in which a proxy forwards the client's certificate; that of the calls.
    pub forwarded: Option<ForwardedCertificate>,
    /// The server's own issuer and endpoints, as `aud` may name them; none when they are unknown,
    /// and then no audience is foreign.
    pub audiences: Vec<String>,
    /// Permissions that are remembered of consents.
    pub permissions: Arc<Permissions>,
}

/// Makes facts of exchanges. One for each worker: it keeps its buffers.
pub struct FactsReader {
    settings: Arc<ReaderSettings>,
    bodies: Bodies,
    jwts: JwtReader,
}

/// What the caller knows of the connection of an exchange. What is not known is left out: nothing
/// is checked by it then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection {
    /// Protocol and cipher.
    pub tls: Option<Tls>,
    /// Whether a certificate of the client would have been seen in the handshake, since TLS ends
    /// in the observed process and its handshake was seen.
    pub is_client_certificate_visible: bool,
    /// Whether the other end is the client itself, and no proxy.
    pub is_client_address_visible: bool,
}

impl FactsReader {
    /// A reader with these settings.
    #[must_use]
    pub fn new(settings: Arc<ReaderSettings>) -> Self {
        Self { settings, bodies: Bodies::default(), jwts: JwtReader::default() }
    }

    /// The facts of an exchange, with its call, if it is one. `None` when it is nothing that the
    /// profile is about.
    pub fn read(
        &mut self,
        exchange: &Exchange,
        observed: &Observed<'_>,
        call: Option<&Call>,
        connection: Connection,
    ) -> Option<Facts> {
        let request = exchange.request.as_ref()?;
        let response = exchange.response.as_ref();
        let settings = Arc::clone(&self.settings);
        let key = &settings.key;
        let verb = Verb::parse(&request.method);
        let certificate = self.certificate(exchange.role, request, observed, connection);
        let mut jwts = Vec::new();
        let is_known =
            matches!(&certificate, ClientCertificate::Shown(it) if it.organisation.is_some());
        let step = Asked { role: exchange.role, verb, request, response, is_known }.read(
            &mut self.bodies,
            &mut self.jwts,
            &settings,
            &mut jwts,
        );
        let is_regulated = call.is_some_and(|call| !call.path.as_str().is_empty());
        let is_trace = verb == Verb::Trace && exchange.role == Role::Server;
        let is_address = connection.is_client_address_visible && exchange.role == Role::Server;
        // Of a call that is none of the profile's, nothing else is judged, counted or learnt.
        let is_of_any_call = call.is_some_and(|call| {
            verb == Verb::Trace
                || is_address
                || connection.tls.is_some_and(transport::is_old)
                || matches!(certificate, ClientCertificate::Shown(_))
                || call.lesson.is_some()
                || !call.acts.is_empty()
                || response.is_some_and(|it| activity::is_counted(it.status))
        });
        if !is_regulated && step.is_none() && !is_trace && !is_of_any_call {
            return None;
        }
        let endpoint = call.and_then(|call| call.endpoint.as_ref().ok());
        if is_regulated && let Some(token) = bearer(&request.headers) {
            let kind = JwtKind::AccessToken;
            jwts.extend(self.jwts.read(token, kind, key, &settings.audiences));
        }
        let is_bearing = is_regulated && query_of(&request.target).is_some_and(has_token);
        let mut content = |headers: &Headers, body| {
            if is_regulated || step.is_some() {
                return content::read(headers, body, &mut self.bodies, key);
            }
            Content::default()
        };
        let sent = content(&request.headers, &request.body);
        let received = response.map(|it| content(&it.headers, &it.body)).unwrap_or_default();
        let timing = &exchange.timing;
        let remote = observed.ends.remote.map(|remote| remote.ip());
        let side = Side::of(exchange.role);
        Some(Facts {
            exchange: Arc::clone(observed.exchange),
            side,
            start: observed.start,
            start_ns: timing.request_start_ns,
            end_ns: timing.response_end_ns.max(timing.request_end_ns).max(timing.request_start_ns),
            verb,
            status: response.map(|response| response.status),
            endpoint: endpoint.cloned(),
            path: call.map(|call| call.path_digest),
            host: call
                .and_then(|call| call.host.as_deref())
                .map(|host| key.digest(Subject::Party, host.as_bytes())),
            address: remote.filter(|_| is_address),
            tls: connection.tls,
            certificate,
            token: call.and_then(|call| call.token.as_ref()).map(|token| token.digest),
            is_token_in_url: is_bearing,
            consent: call
                .and_then(|call| call.named.as_ref())
                .map(|(consent, _by)| digest_of(consent, key)),
            act: call.and_then(|call| act(call, &settings.permissions)),
            links: call.and_then(|call| call.lesson.as_ref()).map(|it| links(it, key)),
            jwts,
            step,
            headers: headers(request, response, endpoint.map(|it| &*it.template), key),
            sent,
            received,
        })
    }

    /// The client's certificate: that of the handshake when it names an organisation, else what a
    /// proxy forwards, as calls have it; else that of the handshake, if the client itself is at
    /// its other end.
    fn certificate(
        &self,
        role: Role,
        request: &Request,
        observed: &Observed<'_>,
        connection: Connection,
    ) -> ClientCertificate {
        if role == Role::Client {
            return observed.own_certificate.map_or(ClientCertificate::Unknown, shown);
        }
        let by_handshake = observed.peer_certificate;
        if let Some(facts) = by_handshake.filter(|it| it.subject.organisation.is_some()) {
            return shown(facts);
        }
        if let Some(forwarded) = &self.settings.forwarded {
            let sender = observed.ends.remote.map(|remote| remote.ip());
            return match forwarded.read(&request.headers, sender) {
                Ok(Some(facts)) => shown(&facts),
                // A proxy that forwards none may have been configured to, and may not.
                Ok(None) | Err(_) => ClientCertificate::Unknown,
            };
        }
        match by_handshake {
            _ if !connection.is_client_certificate_visible => ClientCertificate::Unknown,
            Some(facts) => shown(facts),
            None => ClientCertificate::Absent,
        }
    }
}

impl std::fmt::Debug for FactsReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FactsReader")
    }
}

fn shown(facts: &CertificateFacts) -> ClientCertificate {
    ClientCertificate::Shown(Certificate {
        fingerprint: facts.fingerprint,
        organisation: facts.subject.organisation.clone(),
        not_after: facts.not_after,
    })
}

fn has_token(query: &str) -> bool {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.any(|(name, value)| name == "access_token" && !value.is_empty())
}

fn digest_of(consent: &ConsentId, key: &Key) -> Digest {
    key.digest(Subject::Consent, consent.as_str().as_bytes())
}

fn links(lesson: &Lesson, key: &Key) -> Links {
    let Lesson { from, says, handles, revoked } = lesson;
    let consent = match says {
        // Claims that nobody checked are no evidence against anyone.
        Some(Belonging::Consent(consent, Source::Flow | Source::Introspection)) => {
            Some(digest_of(consent, key))
        }
        Some(Belonging::Consent(_, Source::Claims) | Belonging::Client) | None => None,
    };
    Links { from: from.clone(), consent, handles: handles.clone(), revoked: revoked.clone() }
}

fn act(call: &Call, permissions: &Permissions) -> Option<ConsentAct> {
    let known = |names: &[String]| -> Option<Vec<Permission>> {
        let known = names.iter().filter_map(|name| permissions.named(name)).collect();
        (!names.is_empty()).then_some(known)
    };
    call.acts.iter().find_map(|act| match act {
        Act::ConsentCreated { permissions, expires, version: _ } => {
            Some(ConsentAct::Created { permissions: known(permissions), expires: *expires })
        }
        Act::ConsentRead { status, permissions, expires, rejected_by: _, rejection_code: _ } => {
            Some(ConsentAct::Read {
                status: ConsentStatus::parse(status),
                permissions: known(permissions),
                expires: *expires,
            })
        }
        Act::ConsentDeleted => Some(ConsentAct::Deleted),
        Act::AuthorizationPushed
        | Act::AuthorizationRequested
        | Act::CodeIssued
        | Act::AuthorizationRefused(_)
        | Act::RedirectedBack { .. }
        | Act::TokenIssued(_)
        | Act::ResourceAccessed { .. }
        | Act::QuoteRequested { .. }
        | Act::QuoteStatusRead { .. }
        | Act::QuoteAnswered { .. } => None,
    })
}

impl ConsentStatus {
    fn parse(word: &str) -> Self {
        match word {
            "AUTHORISED" => Self::Authorised,
            "AWAITING_AUTHORISATION" => Self::AwaitingAuthorisation,
            "CONSUMED" => Self::Consumed,
            "REJECTED" => Self::Rejected,
            _ => Self::Other,
        }
    }
}

fn headers(
    request: &Request,
    response: Option<&Response>,
    template: Option<&str>,
    key: &Key,
) -> HeaderFacts {
    let idempotency_key = template.and_then(|template| {
        let value = request.headers.first("x-idempotency-key")?.trim_ascii();
        let named = [template.as_bytes(), b" ", value].concat();
        (!value.is_empty()).then(|| key.digest(Subject::Idempotency, &named))
    });
    HeaderFacts {
        interaction_sent: InteractionId::read(&request.headers, key),
        interaction_returned: response
            .map(|it| InteractionId::read(&it.headers, key))
            .unwrap_or_default(),
        idempotency_key,
        retry_after: response.map(|it| RetryAfter::read(&it.headers)).unwrap_or_default(),
        missing_security: response
            .filter(|_| template.is_some())
            .map(missing_security)
            .unwrap_or_default(),
    }
}

impl InteractionId {
    fn read(headers: &Headers, key: &Key) -> Self {
        let mut values = headers.values("x-fapi-interaction-id").map(<[u8]>::trim_ascii);
        let Some(first) = values.next() else { return Self::Absent };
        // Several fields are one list (RFC 9110, section 5.3), and a list is no identifier.
        let is_one = values.all(|other| other == first);
        let is_form = (1..=MAX_INTERACTION_BYTES).contains(&first.len())
            && !first.starts_with(b"-")
            && first.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        if !is_one || !is_form {
            return Self::Malformed;
        }
        // Capitals and small letters of hexadecimal digits are the same (RFC 9562, section 4).
        let digest = key.digest(Subject::Interaction, &first.to_ascii_lowercase());
        let is_uuid = std::str::from_utf8(first).is_ok_and(|text| Uuid::parse(text).is_some());
        if is_uuid { Self::Uuid(digest) } else { Self::Named(digest) }
    }
}

impl RetryAfter {
    fn read(headers: &Headers) -> Self {
        let Some(value) = headers.first("retry-after") else { return Self::Absent };
        let text = std::str::from_utf8(value).unwrap_or_default().trim();
        text.parse().map_or(Self::Other, Self::Seconds)
    }
}

/// Fields that a response lacks of those that the technical controls demand of all.
fn missing_security(response: &Response) -> Vec<&'static str> {
    let has = |name: &str, token: &[u8]| {
        let is_it = |window: &[u8]| window.eq_ignore_ascii_case(token);
        let mut values = response.headers.values(name);
        values.any(|value| token.is_empty() || value.windows(token.len()).any(is_it))
    };
    let demanded = SECURITY_FIELDS.into_iter().filter(|(name, token)| !has(name, token));
    demanded.map(|(name, _)| name).collect()
}

/// `maxLength` of all interfaces.
const MAX_INTERACTION_BYTES: usize = 100;

/// Controles técnicos de Segurança da Informação 3.2, p. 24.
const SECURITY_FIELDS: [(&str, &[u8]); 5] = [
    ("cache-control", b"no-store"),
    ("content-security-policy", b"frame-ancestors 'none'"),
    ("strict-transport-security", b""),
    ("x-content-type-options", b"nosniff"),
    ("x-frame-options", b"deny"),
];
