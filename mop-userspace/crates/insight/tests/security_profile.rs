//! Every check of the security profile: a call that breaks it, and a twin that does not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod profile;

use std::collections::BTreeSet;

use common::{CLIENT, CONSENT, HOST, SERVER};
use mop_insight::{
    data::funnel::Side,
    security::{
        finding::Finding,
        profile::{Check, Checks, Seen, Tls},
    },
};
use profile::{
    CLAIM, CONSENTS, Case, Claims, OTHER, POLICIES, QUOTE, World, assertion, consent, deleted,
    granted, jwt, object, pushed, quote, read, revoked, uuid,
};
use serde_json::json;

/// A check, calls that break it, and calls that break nothing.
type Row = (Check, Vec<Case>, Vec<Case>);

#[test]
fn every_check_is_broken_by_one_case_and_spares_its_twin() {
    let rows: Vec<Row> =
        [transport(), steps(), tokens(), bearers(), consents(), headers(), often()]
            .into_iter()
            .flatten()
            .collect();
    let covered: BTreeSet<Check> = rows.iter().map(|row| row.0).collect();
    assert_eq!(covered, BTreeSet::from(Check::ALL));
    for (check, breaking, benign) in rows {
        let broken = World::new().run(&breaking);
        assert_eq!(broken, [check], "{}: the case", check.id());
        let broken = World::new().run(&benign);
        assert_eq!(broken, [], "{}: its twin", check.id());
    }
}

fn transport() -> Vec<Row> {
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

fn steps() -> Vec<Row> {
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

fn tokens() -> Vec<Row> {
    let bearer = |header: serde_json::Value| {
        let token = jwt(&header, &json!({"sub": "s", "exp": profile::NOW + 300}));
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
        claims.set("exp", json!(profile::NOW - 61)).set("iat", json!(profile::NOW - 121));
    };
    let early: fn(&mut Claims) = |claims| {
        claims.set("iat", json!(profile::NOW + 90)).set("exp", json!(profile::NOW + 120));
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
                claims.set("exp", json!(profile::NOW + 3700));
            })],
            vec![assertion_with(|claims| {
                claims.set("exp", json!(profile::NOW + 3600));
            })],
        ),
        (
            Check::JwtExpiredAccepted,
            vec![assertion_with(expired)],
            vec![
                refused(expired),
                assertion_with(|claims| {
                    claims
                        .set("exp", json!(profile::NOW - 60))
                        .set("iat", json!(profile::NOW - 90));
                }),
            ],
        ),
        (
            Check::JwtIssuedInFuture,
            vec![assertion_with(early)],
            vec![
                refused(early),
                assertion_with(|claims| {
                    claims.set("iat", json!(profile::NOW + 60));
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

fn bearers() -> Vec<Row> {
    let grant = || granted(Some(&assertion("a1")), "t1", 300);
    let call = |milliseconds| policies().made(|made| made.bearer("t1")).at(milliseconds);
    let bound = |fingerprint: u8| {
        let token = jwt(
            &json!({"alg": "PS256", "kid": "k"}),
            &json!({"cnf": {"x5t#S256": profile::base64(&[fingerprint; 32])}}),
        );
        policies().made(|made| made.bearer(&token))
    };
    vec![
        (
            Check::TokenLifetime,
            vec![granted(Some(&assertion("a1")), "t1", 901)],
            vec![granted(Some(&assertion("a1")), "t1", 900)],
        ),
        (
            Check::TokenExpiredAccepted,
            vec![grant(), call(361_000)],
            vec![grant(), call(359_000), call(361_000).status(401)],
        ),
        (
            Check::TokenRevokedAccepted,
            vec![grant(), revoked("t1").at(1_000), call(2_000)],
            vec![
                grant(),
                // It was on its way when the token was revoked.
                revoked("t1").at(1_000),
                call(1_005),
                call(2_000).status(401),
            ],
        ),
        (
            Check::TokenOtherCertificate,
            vec![grant(), call(1_000).certificate(|it| it.fingerprint = Some([2; 32]))],
            vec![
                grant(),
                call(1_000),
                // Its certificate was not seen.
                call(2_000).anonymous(),
            ],
        ),
        (Check::TokenBindingMismatch, vec![bound(2)], vec![bound(1), bound(2).anonymous()]),
        (
            Check::TokenInUrl,
            vec![Case::new("GET", &format!("{POLICIES}?access_token=x"), 200)],
            vec![Case::new("GET", &format!("{POLICIES}?access_token=&page=1"), 200)],
        ),
    ]
}

fn consents() -> Vec<Row> {
    let auto = ["DAMAGES_AND_PEOPLE_AUTO_READ", "RESOURCES_READ"];
    let grant = || granted(Some(&assertion("a1")), "t1", 300).at(1_000);
    let call = |target: &str, milliseconds| {
        Case::new("GET", target, 200).made(|made| made.bearer("t1")).at(milliseconds)
    };
    vec![
        (
            Check::ConsentEndedAccepted,
            vec![consent(&auto), grant(), deleted().at(2_000), call(POLICIES, 3_000)],
            vec![
                consent(&auto),
                grant(),
                call(POLICIES, 1_500),
                deleted().at(2_000),
                call(POLICIES, 3_000).status(401),
                // Who owns a consent may look at it when it is over.
                read("REJECTED", &auto).at(4_000),
            ],
        ),
        (
            Check::ConsentOfOtherOrganisation,
            vec![consent(&auto), read("AUTHORISED", &auto).at(1_000).of(OTHER)],
            vec![
                consent(&auto),
                read("AUTHORISED", &auto).at(1_000),
                read("AUTHORISED", &auto).at(2_000).of(OTHER).status(403),
                read("AUTHORISED", &auto).at(3_000).anonymous(),
                // A hop inside of the organisation that is called.
                read("AUTHORISED", &auto).at(4_000).of(SERVER).parties(|it| {
                    it.server_organisation = Some(SERVER.into());
                }),
            ],
        ),
        (
            Check::PermissionMissing,
            vec![consent(&auto), grant(), call(CLAIM, 2_000)],
            vec![consent(&auto), grant(), call(POLICIES, 2_000), call(CLAIM, 3_000).status(403)],
        ),
    ]
}

fn headers() -> Vec<Row> {
    let sent = |id: &str| {
        policies()
            .made(|made| made.without("x-fapi-interaction-id").header("x-fapi-interaction-id", id))
    };
    let typed = |media: &str, body: &[u8]| policies().answer(media, body);
    let nested = |depth: usize| typed("application/json", "[".repeat(depth).as_bytes());
    let large = |bytes: usize| quote("k1", &json!({"data": "x".repeat(bytes)}));
    vec![
        (
            Check::InteractionIdMissing,
            vec![policies().made(|made| made.without("x-fapi-interaction-id"))],
            vec![
                policies().made(|made| made.without("x-fapi-interaction-id")).status(400),
                Case::new("GET", "/open-insurance/channels/v1/branches", 200)
                    .made(|made| made.without("x-fapi-interaction-id")),
            ],
        ),
        (Check::InteractionIdMalformed, vec![sent("12345")], vec![sent("12345").status(400)]),
        (
            Check::InteractionIdChanged,
            vec![policies().returns("x-fapi-interaction-id", &uuid(2))],
            vec![policies()],
        ),
        (
            Check::InteractionIdNotReturned,
            vec![policies().silent("x-fapi-interaction-id")],
            vec![policies()],
        ),
        (
            Check::IdempotencyKeyMissing,
            vec![quote("", &json!({}))],
            vec![quote("", &json!({})).status(400), quote("k1", &json!({}))],
        ),
        (
            Check::IdempotencyKeyReused,
            vec![quote("k1", &json!({"a": 1})), quote("k1", &json!({"a": 2})).at(1_000)],
            vec![
                quote("k1", &json!({"a": 1})),
                quote("k1", &json!({"a": 1})).at(1_000),
                quote("k1", &json!({"a": 2})).at(2_000).status(422),
                quote("k1", &json!({"a": 2})).at(3_000).of(OTHER),
            ],
        ),
        (
            Check::SecurityHeadersMissing,
            vec![policies().silent("x-frame-options")],
            vec![policies().silent("x-frame-options").client()],
        ),
        (
            Check::RetryAfterMissing,
            vec![policies().status(429)],
            vec![policies().status(429).returns("Retry-After", "1"), policies().at(2_000)],
        ),
        (
            Check::ContentTypeMismatch,
            vec![typed("application/json; charset=utf-8", b" <html>")],
            vec![
                typed("application/json", b" [1]"),
                typed("text/plain", b"<"),
                typed("text/html", b"<"),
            ],
        ),
        (Check::JsonTooDeep, vec![nested(33)], vec![nested(32)]),
        (Check::BodyTooLarge, vec![large(1 << 20)], vec![large(1 << 19)]),
        (
            Check::MethodUnlisted,
            vec![Case::new("DELETE", POLICIES, 405)],
            vec![Case::new("OPTIONS", POLICIES, 204), Case::new("HEAD", POLICIES, 200)],
        ),
        (
            Check::TraceAnswered,
            vec![Case::new("TRACE", "/", 200)],
            vec![Case::new("TRACE", "/", 405)],
        ),
    ]
}

fn often() -> Vec<Row> {
    let many = |count: i64, every: i64, make: &dyn Fn(i64) -> Case| -> Vec<Case> {
        (0..count).map(|at| make(at).at(at * every)).collect()
    };
    let policy = |number| format!("{POLICIES}/{number}/claim");
    let addressed = |case: Case| case.connection(|it| it.is_client_address_visible = true);
    let waiting = |at: i64| match at {
        0 => policies().status(429).returns("Retry-After", "10"),
        _ => policies(),
    };
    vec![
        (
            Check::IdentifiersEnumerated,
            many(21, 1_000, &|at| Case::new("GET", &policy(at), 404)),
            [
                // One after the other for hours, and the same one again and again.
                many(40, 20_000, &|at| Case::new("GET", &policy(at), 404)),
                many(40, 20_000, &|_| Case::new("GET", &policy(1), 404)),
            ]
            .concat(),
        ),
        (
            Check::RefusalsBurst,
            many(31, 1_000, &|_| policies().status(401)),
            many(60, 3_000, &|_| policies().status(401)),
        ),
        (
            Check::ThrottledBurst,
            many(31, 1_000, &|_| policies().status(429).returns("Retry-After", "0")),
            many(60, 3_000, &|_| policies().status(429).returns("Retry-After", "0")),
        ),
        (Check::RetryAfterIgnored, many(7, 1_000, &waiting), many(7, 11_000, &waiting)),
        (
            Check::RateExceeded,
            many(501, 100, &|_| addressed(policies())),
            [
                many(501, 130, &|_| addressed(policies())),
                // Whose address it is, is not known.
                many(501, 100, &|_| policies()),
            ]
            .concat(),
        ),
    ]
}

fn policies() -> Case {
    Case::new("GET", POLICIES, 200)
}

#[test]
fn checks_hold_for_their_side_only() {
    let other = |case: Case| case.of(OTHER);
    let auto = ["RESOURCES_READ"];
    let calls = [consent(&auto).client(), other(read("AUTHORISED", &auto).at(1_000).client())];
    assert_eq!(World::new().run(&calls), []);
}

#[test]
fn a_clock_that_jumps_is_no_breach() {
    let grant = granted(Some(&assertion("a1")), "t1", 300);
    let call = policies().made(|made| made.bearer("t1"));
    let jumped = call.clone().at(1_000).jumped(86_400);
    assert_eq!(World::new().run(&[grant.clone(), jumped]), []);
    let back = call.at(2_000).jumped(-86_400);
    assert_eq!(World::new().run(&[grant, back]), []);
}

#[test]
fn what_was_not_seen_whole_breaks_nothing() {
    let cut = |mut case: Case| {
        for body in case.bodies() {
            body.length += 1;
        }
        case
    };
    let cases = [
        cut(granted(None, "t1", 3000)),
        cut(pushed(None, &Claims::request("r1"))),
        cut(policies().answer("application/json", "[".repeat(40).as_bytes())),
    ];
    assert_eq!(World::new().run(&cases), []);
}

#[test]
fn a_breach_is_told_as_a_finding_without_values() {
    let mut world = World::new();
    let case = policies().silent("x-frame-options").made(|made| made.bearer("secret-token"));
    let told = world.tell(&case);
    let (facts, breaches) = told.unwrap();
    let checks = Checks::published().unwrap();
    let rule = checks.rule(Check::SecurityHeadersMissing, Side::Server).unwrap();
    let seen = Seen { facts: &facts, parties: &case.parties };
    let finding = Finding::new(breaches.first().unwrap().finding(rule, seen)).unwrap();
    let text = serde_json::to_string(&finding).unwrap();
    assert!(text.contains("profile.security_headers_missing"), "{text}");
    assert!(text.contains("response.header:x-frame-options") && text.contains(CLIENT), "{text}");
    for shown in [text, format!("{facts:?}")] {
        assert!(!shown.contains("secret-token") && !shown.contains("731d7aa0"), "{shown}");
    }
}

#[test]
fn facts_hold_no_consent() {
    let mut world = World::new();
    let (facts, _) = world.tell(&consent(&["RESOURCES_READ"])).unwrap();
    let (other, _) = world.tell(&granted(Some(&assertion("a1")), "t1", 300)).unwrap();
    for shown in [format!("{facts:?}"), format!("{other:?}")] {
        assert!(!shown.contains(CONSENT) && !shown.contains("C1DD33123"), "{shown}");
    }
    let _paths = (CONSENTS, QUOTE, object("x"));
}
