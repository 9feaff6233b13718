//! Calls for the tests of the security profile, and what judges them.
#![allow(dead_code, reason = "not every test uses all of it")]

pub(crate) mod several;
pub(crate) mod single;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use mop_insight::{
    data::{
        call::{Ends, Extractor, Observed},
        digest::Key,
        identity::certificate::CertificateFacts,
        signal::Parties,
    },
    security::profile::{
        Breach, Check, Checks, Connection, Facts, FactsReader, Operations, Permissions, Profile,
        ProfileSettings, ReaderSettings,
    },
};
use mop_wire::{Body, Headers, Role};
use serde_json::{Value, json};

use crate::common::{CONSENT, HOST, INTERACTION, Made, certificate, settings};

pub(crate) const POLICIES: &str = "/open-insurance/insurance-auto/v1/insurance-auto";
pub(crate) const CLAIM: &str = "/open-insurance/insurance-auto/v1/insurance-auto/7/claim";
pub(crate) const CONSENTS: &str = "/open-insurance/consents/v3/consents";
pub(crate) const QUOTE: &str = "/open-insurance/quote-auto/v1/lead/request";
/// Another organisation.
pub(crate) const OTHER: &str = "00000000-4bff-4204-9370-93aceb8a2f0d";
/// When made calls begin, in seconds since 1970.
pub(crate) const NOW: i64 = 1_795_521_600;

/// A call, and what is known of its connection and parties.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) made: Made,
    pub(crate) certificate: Option<CertificateFacts>,
    pub(crate) connection: Connection,
    pub(crate) parties: Parties,
}

/// Everything that a call goes through.
pub(crate) struct World {
    extractor: Extractor,
    reader: FactsReader,
    pub(crate) profile: Profile,
}

/// Claims of a token.
#[derive(Clone)]
pub(crate) struct Claims(pub(crate) Value);

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut ProfileSettings)) -> Self {
        let key = Key::new([7; 32]);
        let permissions = Arc::new(Permissions::published().unwrap());
        let reader = ReaderSettings {
            key: key.clone(),
            forwarded: None,
            audiences: vec![format!("https://{HOST}")],
            permissions: Arc::clone(&permissions),
        };
        let operations = Arc::new(Operations::published().unwrap());
        let mut profile = ProfileSettings::new(key, operations, permissions);
        change(&mut profile);
        Self {
            extractor: Extractor::new(Arc::new(settings())),
            reader: FactsReader::new(Arc::new(reader)),
            profile: Profile::new(Arc::new(Checks::published().unwrap()), profile),
        }
    }

    /// Checks that calls break, in their order.
    pub(crate) fn run(&mut self, cases: &[Case]) -> Vec<Check> {
        let breaches = cases.iter().filter_map(|case| self.tell(case)).flat_map(|told| told.1);
        breaches.map(|breach| breach.check).collect()
    }

    /// Facts of a call, and what it breaks.
    pub(crate) fn tell(&mut self, case: &Case) -> Option<(Facts, Vec<Breach>)> {
        let Case { made, certificate, connection, parties } = case;
        let is_server = made.exchange.role == Role::Server;
        let certificate = certificate.as_ref();
        let observed = Observed {
            exchange: &"x1".into(),
            start: made.start,
            ends: Ends { local: made.local.parse().ok(), remote: made.remote.parse().ok() },
            process: None,
            peer_certificate: certificate.filter(|_| is_server),
            own_certificate: certificate.filter(|_| !is_server),
            connection_end_ns: None,
        };
        let call = self.extractor.extract(&made.exchange, &observed).ok();
        let facts = self.reader.read(&made.exchange, &observed, call.as_ref(), *connection)?;
        let mut breaches = Vec::new();
        self.profile.observe(&facts, parties, &mut breaches);
        Some((facts, breaches))
    }
}

impl Case {
    /// A call with everything that it must have.
    pub(crate) fn new(method: &str, target: &str, status: u16) -> Self {
        let mut certificate = certificate();
        certificate.fingerprint = Some([1; 32]);
        let case = Self {
            made: Made::new(method, target, status),
            certificate: Some(certificate),
            connection: Connection::default(),
            parties: Parties::default(),
        };
        case.returns("Cache-Control", "private, no-store")
            .returns("Content-Security-Policy", "frame-ancestors 'none'")
            .returns("Strict-Transport-Security", "max-age=1")
            .returns("X-Content-Type-Options", "nosniff")
            .returns("X-Frame-Options", "DENY")
            .returns("x-fapi-interaction-id", INTERACTION)
    }

    pub(crate) fn made(mut self, change: impl FnOnce(Made) -> Made) -> Self {
        self.made = change(self.made);
        self
    }

    pub(crate) fn client(self) -> Self {
        self.made(Made::client)
    }

    pub(crate) fn at(self, milliseconds: i64) -> Self {
        self.made(|made| made.at(milliseconds, 1))
    }

    /// Moves the clock of the day, and not the kernel's.
    pub(crate) fn jumped(mut self, seconds: i64) -> Self {
        self.made.start += SignedDuration::from_secs(seconds);
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.made.exchange.response.as_mut().unwrap().status = status;
        self
    }

    /// Sets a field of the response.
    pub(crate) fn returns(self, name: &str, value: &str) -> Self {
        let mut case = self.silent(name);
        let response = case.made.exchange.response.as_mut().unwrap();
        response.headers.push(name, value.as_bytes());
        case
    }

    /// Takes a field of the response out.
    pub(crate) fn silent(mut self, name: &str) -> Self {
        let headers = &mut self.made.exchange.response.as_mut().unwrap().headers;
        let mut kept = Headers::default();
        for (known, value) in headers.iter().filter(|(known, _)| !known.eq_ignore_ascii_case(name))
        {
            kept.push(known, value);
        }
        *headers = kept;
        self
    }

    pub(crate) fn answer(self, media: &str, body: &[u8]) -> Self {
        let mut case = self.returns("Content-Type", media);
        case.made.exchange.response.as_mut().unwrap().body = Body::whole(body.to_vec(), false);
        case
    }

    pub(crate) fn bodies(&mut self) -> [&mut Body; 2] {
        let exchange = &mut self.made.exchange;
        let request = &mut exchange.request.as_mut().unwrap().body;
        [request, &mut exchange.response.as_mut().unwrap().body]
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.certificate = None;
        self
    }

    pub(crate) fn of(self, organisation: &str) -> Self {
        self.certificate(|it| it.subject.organisation = Some(organisation.into()))
    }

    pub(crate) fn certificate(mut self, change: impl FnOnce(&mut CertificateFacts)) -> Self {
        self.certificate.iter_mut().for_each(change_once(change));
        self
    }

    pub(crate) fn connection(mut self, change: impl FnOnce(&mut Connection)) -> Self {
        change(&mut self.connection);
        self
    }

    pub(crate) fn parties(mut self, change: impl FnOnce(&mut Parties)) -> Self {
        change(&mut self.parties);
        self
    }
}

fn change_once<T>(change: impl FnOnce(&mut T)) -> impl FnMut(&mut T) {
    let mut change = Some(change);
    move |value| change.take().into_iter().for_each(|change| change(value))
}

impl Claims {
    pub(crate) fn assertion(jti: &str) -> Self {
        Self(json!({
            "iss": "client", "sub": "client", "aud": format!("https://{HOST}"), "jti": jti,
            "iat": NOW, "exp": NOW + 60,
        }))
    }

    pub(crate) fn request(jti: &str) -> Self {
        Self(json!({
            "iss": "client", "aud": format!("https://{HOST}"), "jti": jti, "iat": NOW, "nbf": NOW,
            "exp": NOW + 300, "scope": format!("openid consent:{CONSENT}"), "state": "s1",
            "redirect_uri": "https://client.example/cb", "code_challenge_method": "S256",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        }))
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) -> &mut Self {
        self.0.as_object_mut().unwrap().insert(name.into(), value);
        self
    }

    pub(crate) fn remove(&mut self, name: &str) -> &mut Self {
        self.0.as_object_mut().unwrap().remove(name);
        self
    }

    pub(crate) fn signed(&self) -> String {
        jwt(&json!({"alg": "PS256", "kid": "k"}), &self.0)
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwt(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64(value.to_string().as_bytes());
    format!("{}.{}.c2ln", part(header), part(claims))
}

pub(crate) fn assertion(jti: &str) -> String {
    Claims::assertion(jti).signed()
}

pub(crate) fn uuid(number: u8) -> String {
    format!("731d7aa0-09c3-4fa5-b024-9059{number:08}")
}

/// A token that is granted for the consent.
pub(crate) fn granted(assertion: Option<&str>, token: &str, expires_in: i64) -> Case {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", "c1")];
    fields.extend(assertion.map(|assertion| ("client_assertion", assertion)));
    Case::new("POST", "/token", 200).made(|made| {
        made.form(&fields).answers(&json!({
            "access_token": token, "expires_in": expires_in,
            "scope": format!("openid consent:{CONSENT}"),
        }))
    })
}

/// A pushed authorization request.
pub(crate) fn pushed(assertion: Option<&str>, claims: &Claims) -> Case {
    let object = claims.signed();
    let mut fields = vec![("request", object.as_str())];
    fields.extend(assertion.map(|assertion| ("client_assertion", assertion)));
    Case::new("POST", "/par", 201)
        .made(|made| made.form(&fields).answers(&json!({"request_uri": "urn:x", "expires_in": 60})))
}

pub(crate) fn revoked(token: &str) -> Case {
    Case::new("POST", "/revoke", 200).made(|made| made.form(&[("token", token)]))
}

/// The consent, created.
pub(crate) fn consent(permissions: &[&str]) -> Case {
    state(Case::new("POST", CONSENTS, 201), "AWAITING_AUTHORISATION", permissions)
        .made(|made| made.header("x-idempotency-key", "c1").sends(&json!({"data": {}})))
}

/// The consent, looked at.
pub(crate) fn read(status: &str, permissions: &[&str]) -> Case {
    state(Case::new("GET", &format!("{CONSENTS}/{CONSENT}"), 200), status, permissions)
}

pub(crate) fn deleted() -> Case {
    Case::new("DELETE", &format!("{CONSENTS}/{CONSENT}"), 204)
}

/// A lead, created under an idempotency key.
pub(crate) fn quote(key: &str, body: &Value) -> Case {
    Case::new("POST", QUOTE, 201).made(|made| made.header("x-idempotency-key", key).sends(body))
}

fn state(case: Case, status: &str, permissions: &[&str]) -> Case {
    case.made(|made| {
        made.answers(&json!({"data": {
            "consentId": CONSENT, "status": status, "permissions": permissions,
            "expirationDateTime": "2027-11-24T12:00:00Z",
        }}))
    })
}

/// Policies, asked for and given.
pub(crate) fn policies() -> Case {
    Case::new("GET", POLICIES, 200)
}

/// A check, calls that break it, and calls that break nothing.
pub(crate) type Row = (Check, Vec<Case>, Vec<Case>);
