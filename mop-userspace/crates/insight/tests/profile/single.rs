//! Cases of checks of one call: connections, steps of the flow, tokens.

use mop_insight::security::profile::{Check, Tls};
use serde_json::json;

use super::{Case, Claims, NOW, POLICIES, Row, assertion, granted, jwt, policies, pushed};
use crate::common::HOST;

pub(crate) fn transport() -> Vec<Row> {
    let tls = |version, cipher| {
        policies().connection(|it| it.tls = Some(Tls { version, cipher: Some(cipher) }))
    };
    let visible = |case: Case| case.connection(|it| it.is_client_certificate_visible = true);
    let until =
        |text: &str| policies().certificate(|it| it.not_after = Some(text.parse().unwrap()));
    let nameless = |case: Case| case.certificate(|it| it.subject.organisation = None);
    vec![
        (Check::TlsVersionOld, vec![tls(0x0302, 0xc02f)], vec![tls(0x0303, 0xc02f)]),
        (Check::TlsCipherUnlisted, vec![tls(0x0303, 0x009c)], vec![tls(0x0304, 0x1301)]),
        (
            Check::CertificateAbsent,
            vec![visible(policies().anonymous())],
            vec![
                policies().anonymous(),
                visible(Case::new("GET", "/open-insurance/channels/v1/branches", 200).anonymous()),
                visible(Case::new("GET", POLICIES, 401).anonymous()),
            ],
        ),
        (
            Check::CertificateExpired,
            vec![until("2026-11-24T11:58:00Z"), until("2026-11-24T11:58:00Z")],
            vec![until("2026-12-24T12:00:00Z")],
        ),
        (
            Check::CertificateExpiring,
            vec![until("2026-11-30T12:00:00Z"), until("2026-11-30T12:00:00Z")],
            vec![until("2026-12-24T12:00:00Z")],
        ),
        (
            Check::CertificateWithoutOrganisation,
            vec![visible(nameless(policies()))],
            vec![nameless(policies())],
        ),
    ]
}

pub(crate) fn steps() -> Vec<Row> {
    let authorize = |query: &str, status| Case::new("GET", &format!("/auth?{query}"), status);
    let asked = "client_id=c&response_type=code&scope=openid%20consent%3Aurn%3Aa%3A1";
    let challenge = |method: Option<&str>| {
        let mut claims = Claims::request("r1");
        claims.set("code_challenge_method", method.map_or(json!(null), |it| json!(it)));
        if method.is_none() {
            claims.remove("code_challenge_method").remove("code_challenge");
        }
        pushed(Some(&assertion("a1")), &claims)
    };
    let redirect = |to: &str| {
        let mut claims = Claims::request("r1");
        claims.set("redirect_uri", json!(to));
        pushed(Some(&assertion("a1")), &claims)
    };
    let with_secret = |status| {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", "consents"),
            ("client_assertion", &*assertion("a1")),
            ("client_secret", "s"),
        ];
        Case::new("POST", "/token", status).made(|made| made.form(&fields)).anonymous()
    };
    vec![
        (
            Check::TokenRequestWithoutAssertion,
            vec![granted(None, "t1", 300)],
            vec![
                granted(Some(&assertion("a1")), "t1", 300),
                // Of another ecosystem: no certificate of a participant, no scope of it.
                Case::new("POST", "/token", 200).anonymous().made(|made| {
                    made.form(&[("grant_type", "client_credentials"), ("scope", "mail")])
                        .answers(&json!({"access_token": "t", "expires_in": 3600}))
                }),
            ],
        ),
        (
            Check::ClientSecretSent,
            vec![with_secret(401)],
            vec![granted(Some(&assertion("a1")), "t1", 300)],
        ),
        (
            Check::AuthorizationWithoutRequestUri,
            vec![authorize(asked, 200)],
            vec![
                authorize(asked, 400),
                authorize(asked, 200).answer("text/html", b"<h1>Invalid request: Error</h1>"),
                authorize(asked, 302)
                    .made(|it| it.location("https://c.example/cb?error=invalid_request&state=1")),
                authorize("client_id=c&response_type=code&scope=openid", 200),
                authorize("client_id=c&response_type=code&request_uri=urn%3Aietf%3Ax", 200),
            ],
        ),
        (
            Check::RequestUriExternal,
            vec![authorize(
                "client_id=c&response_type=code&request_uri=https%3A%2F%2Fx.example",
                200,
            )],
            vec![authorize(
                "client_id=c&response_type=code&request_uri=https%3A%2F%2Fx.example",
                400,
            )],
        ),
        (
            Check::PushedRequestWithoutAssertion,
            vec![pushed(None, &Claims::request("r1"))],
            vec![pushed(Some(&assertion("a1")), &Claims::request("r1"))],
        ),
        (
            Check::PushedRequestWithoutChallenge,
            vec![challenge(None)],
            vec![challenge(Some("S256"))],
        ),
        (
            Check::PushedRequestChallengePlain,
            vec![challenge(Some("plain"))],
            vec![challenge(Some("S256"))],
        ),
        (
            Check::RedirectUriNotHttps,
            vec![redirect("http://c.example/cb")],
            vec![redirect("HTTPS://c.example/cb")],
        ),
    ]
}

pub(crate) fn tokens() -> Vec<Row> {
    let bearer = |header: serde_json::Value| {
        let token = jwt(&header, &json!({"sub": "s", "exp": NOW + 300}));
        policies().made(|made| made.bearer(&token))
    };
    let algorithm = |name: &str| bearer(json!({"alg": name, "kid": "k"}));
    let assertion_with = |change: fn(&mut Claims)| {
        let mut claims = Claims::assertion("a1");
        change(&mut claims);
        granted(Some(&claims.signed()), "t1", 300)
    };
    let refused = |change: fn(&mut Claims)| {
        let mut claims = Claims::assertion("a1");
        change(&mut claims);
        let fields =
            [("grant_type", "client_credentials"), ("client_assertion", &*claims.signed())];
        Case::new("POST", "/token", 401).made(|made| made.form(&fields))
    };
    let ordinary = || granted(Some(&assertion("a1")), "t1", 300);
    let expired: fn(&mut Claims) = |claims| {
        claims.set("exp", json!(NOW - 61)).set("iat", json!(NOW - 121));
    };
    let early: fn(&mut Claims) = |claims| {
        claims.set("iat", json!(NOW + 90)).set("exp", json!(NOW + 120));
    };
    vec![
        (Check::JwtAlgorithmNone, vec![algorithm("NonE")], vec![algorithm("PS256")]),
        (Check::JwtAlgorithmSymmetric, vec![algorithm("HS256")], vec![algorithm("PS256")]),
        (Check::JwtAlgorithmOther, vec![algorithm("RS256")], vec![algorithm("PS256")]),
        (
            Check::JwtKeyIdMissing,
            vec![granted(
                Some(&jwt(&json!({"alg": "PS256"}), &Claims::assertion("a1").0)),
                "t1",
                300,
            )],
            vec![ordinary()],
        ),
        (
            Check::JwtClaimsMissing,
            vec![assertion_with(|claims| {
                claims.remove("jti");
            })],
            vec![
                ordinary(),
                refused(|claims| {
                    claims.remove("jti");
                }),
            ],
        ),
        (
            Check::JwtLifetimeLong,
            vec![assertion_with(|claims| {
                claims.set("exp", json!(NOW + 3700));
            })],
            vec![assertion_with(|claims| {
                claims.set("exp", json!(NOW + 3600));
            })],
        ),
        (
            Check::JwtExpiredAccepted,
            vec![assertion_with(expired)],
            vec![
                refused(expired),
                assertion_with(|claims| {
                    claims.set("exp", json!(NOW - 60)).set("iat", json!(NOW - 90));
                }),
            ],
        ),
        (
            Check::JwtIssuedInFuture,
            vec![assertion_with(early)],
            vec![
                refused(early),
                assertion_with(|claims| {
                    claims.set("iat", json!(NOW + 60));
                }),
            ],
        ),
        (
            Check::JwtAudienceForeign,
            vec![assertion_with(|claims| {
                claims.set("aud", json!(["https://other.example"]));
            })],
            vec![assertion_with(|claims| {
                claims.set("aud", json!(["https://other.example", format!("https://{HOST}/")]));
            })],
        ),
        (
            Check::JwtReplayed,
            vec![ordinary(), ordinary().at(1_000)],
            vec![
                ordinary(),
                // The same call at the proxy and behind it, which ends first.
                ordinary().at(5),
                granted(Some(&assertion("a2")), "t2", 300).at(1_000),
                pushed(Some(&assertion("a3")), &Claims::request("a2")).at(2_000),
            ],
        ),
    ]
}
