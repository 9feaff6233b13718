//! The whole way of a consent, as servers and clients show it: which calls are joined with it, and
//! what is told of it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::sync::Arc;

use common::{CONSENT, Made, acts, analyse, analyse_by, analyst, events, signals};
use jiff::SignedDuration;
use mop_insight::data::{
    analyst::{Analyst, Outcome},
    consent_join::{JoinedBy, Unjoined},
    digest::Key,
    signal::{Act, Grant, TokenKind},
    tokens::SnapshotError,
};
use mop_wire::Role;
use proptest::prelude::*;
use serde_json::json;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge, by RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const STATE: &str = "af0ifjsldkj";
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";
const CODE: &str = "SplxlOBeZQQYbYS6WxSbIA";
const RESOURCES: &str = "/open-insurance/resources/v3/resources";
const CALLBACK: &str = "https://app.cliente.example/callback";

fn pushed() -> Made {
    let object = common::signed(&json!({
        "scope": format!("openid consent:{CONSENT} resources"),
        "state": STATE, "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }));
    Made::new("POST", "/as/par", 201)
        .form(&[("client_id", "c"), ("request", &object), ("client_assertion", "x.y.z")])
        .answers(&json!({ "request_uri": REQUEST_URI, "expires_in": 90 }))
}

fn asked() -> Made {
    Made::new("GET", &format!("/as/authorize?client_id=c&request_uri={REQUEST_URI}"), 302)
        .location("/login/1")
}

fn redirected() -> Made {
    Made::new("POST", "/login/1", 302)
        .form(&[("user", "u"), ("password", "p")])
        .location(&format!("{CALLBACK}#code={CODE}&id_token=a.b.c.d.e&state={STATE}"))
}

fn token(fields: &[(&str, &str)], access: &str, refresh: &str) -> Made {
    Made::new("POST", "/as/token", 200).form(fields).answers(&json!({
        "access_token": access, "token_type": "Bearer", "expires_in": 900, "refresh_token": refresh,
    }))
}

fn by_code() -> Made {
    token(
        &[("grant_type", "authorization_code"), ("code", CODE), ("code_verifier", VERIFIER)],
        "access-1",
        "refresh-1",
    )
}

fn by_refresh() -> Made {
    token(
        &[("grant_type", "refresh_token"), ("refresh_token", "refresh-1")],
        "access-2",
        "refresh-2",
    )
}

fn resource(access: &str) -> Made {
    Made::new("GET", RESOURCES, 200).bearer(access)
}

/// Each on a connection of its own, 100 ms after the one before.
fn in_turn(made: Vec<Made>) -> Vec<Made> {
    (0..).zip(made).map(|(number, made)| made.at(number * 100, number as u64 + 1)).collect()
}

#[test]
fn a_server_shows_every_step() {
    let created = Made::new("POST", "/open-insurance/consents/v3/consents", 201)
        .bearer("client-token")
        .answers(&json!({ "data": {
            "consentId": CONSENT, "permissions": ["RESOURCES_READ"],
            "expirationDateTime": "2027-01-01T00:00:00Z",
        }}));
    let client_token = token(&[("grant_type", "client_credentials")], "client-token", "");
    let calls = in_turn(vec![
        client_token,
        created,
        pushed(),
        asked(),
        redirected(),
        by_code(),
        resource("access-1"),
        by_refresh(),
        resource("access-2"),
        Made::new("DELETE", &format!("/open-insurance/consents/v3/consents/{CONSENT}"), 204)
            .bearer("client-token"),
    ]);
    let (outcomes, counts) = analyse(&calls);
    let acts: Vec<Act> = acts(&outcomes).into_iter().map(|(_, act)| act).collect();
    assert_eq!(
        acts,
        [
            Act::ConsentCreated {
                permissions: vec!["RESOURCES_READ".into()],
                expires: Some("2027-01-01T00:00:00Z".parse().unwrap()),
                version: 3,
            },
            Act::AuthorizationPushed,
            Act::AuthorizationRequested,
            Act::CodeIssued,
            Act::TokenIssued(Grant::AuthorizationCode),
            Act::ResourceAccessed { token: TokenKind::Consent },
            Act::TokenIssued(Grant::RefreshToken),
            Act::ResourceAccessed { token: TokenKind::Consent },
            Act::ConsentDeleted,
        ]
    );
    assert!(signals(&outcomes).iter().all(|signal| signal.consent == CONSENT));
    assert!(signals(&outcomes).iter().all(|signal| signal.role == Role::Server));
    let joined: Vec<_> = events(&outcomes).iter().map(|event| event.joined).collect();
    let token = Some(JoinedBy::Token);
    assert_eq!(joined, [Some(JoinedBy::Body), token, token, Some(JoinedBy::Path)]);
    assert_eq!(counts.joins.share(), Some(1.0));
}

#[test]
fn nothing_of_a_flow_is_kept_as_it_was() {
    let secrets = [STATE, REQUEST_URI, CODE, VERIFIER, CHALLENGE, "access-1", "refresh-1"];
    let calls = in_turn(vec![pushed(), asked(), redirected(), by_code(), resource("access-1")]);
    for made in &calls {
        let text = format!("{:?}", made.call());
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
    // Nor is a path printed, which may hold what is a person's.
    let path = format!("/open-insurance/consents/v3/consents/{CONSENT}");
    let (outcomes, _) = analyse(&[Made::new("GET", &path, 404)]);
    let call = Made::new("GET", &path, 404).call();
    assert!(!format!("{call:?}{outcomes:?}").contains(CONSENT));
    let mut analyst = analyst();
    let (outcomes, _) = analyse_by(&mut analyst, &calls);
    let snapshot = String::from_utf8(analyst.snapshot()).unwrap();
    let text = format!("{outcomes:?}{analyst:?}{snapshot}");
    assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
}

#[test]
fn a_challenge_joins_a_token_without_any_browser() {
    let (outcomes, _) = analyse(&in_turn(vec![pushed(), by_code(), resource("access-1")]));
    assert_eq!(events(&outcomes)[0].joined, Some(JoinedBy::Token));
}

#[test]
fn a_receiver_shows_its_side() {
    let login = Made::new("POST", "/connect", 302)
        .without("Host")
        .header("Host", "app.cliente.example")
        .location(&format!(
            "https://{}/as/authorize?client_id=c&request_uri={REQUEST_URI}",
            common::HOST
        ));
    let back = Made::new("GET", &format!("/callback?code={CODE}&state={STATE}"), 302)
        .location("https://app.cliente.example/done");
    let (outcomes, _) = analyse(&in_turn(vec![
        pushed().client(),
        login,
        back,
        by_code().client(),
        resource("access-1").client(),
    ]));
    let acts: Vec<Act> = acts(&outcomes).into_iter().map(|(_, act)| act).collect();
    assert_eq!(
        acts,
        [
            Act::AuthorizationPushed,
            Act::AuthorizationRequested,
            Act::RedirectedBack { is_success: true },
            Act::TokenIssued(Grant::AuthorizationCode),
            Act::ResourceAccessed { token: TokenKind::Consent },
        ]
    );
    for signal in signals(&outcomes) {
        assert_eq!(signal.role, Role::Client);
        assert_eq!(signal.parties.client_organisation.as_deref(), Some(common::CLIENT));
    }
}

#[test]
fn a_response_may_be_a_token_of_its_own() {
    let jarm = common::signed(&json!({ "code": CODE, "state": STATE, "iss": "i" }));
    let redirected =
        Made::new("POST", "/login/1", 303).location(&format!("{CALLBACK}?response={jarm}"));
    // No verifier: the code alone joins.
    let by_code =
        token(&[("grant_type", "authorization_code"), ("code", CODE)], "access-1", "refresh-1");
    let (outcomes, _) =
        analyse(&in_turn(vec![pushed(), redirected, by_code, resource("access-1")]));
    assert_eq!(events(&outcomes)[0].joined, Some(JoinedBy::Token));
}

#[test]
fn a_refusal_tells_its_error() {
    let refused = Made::new("POST", "/login/1", 302)
        .location(&format!("{CALLBACK}?error=access_denied&state={STATE}"));
    let (outcomes, _) = analyse(&in_turn(vec![pushed(), refused]));
    let last = acts(&outcomes).pop().unwrap();
    assert_eq!(last, (Role::Server, Act::AuthorizationRefused("access_denied".into())));
}

#[test]
fn introspection_and_claims_tell_too() {
    let introspected = Made::new("POST", "/as/introspect", 200)
        .form(&[("token", "opaque")])
        .answers(&json!({ "active": true, "scope": format!("consent:{CONSENT}") }));
    let claims = common::signed(&json!({ "scope": [format!("consent:{CONSENT}")] }));
    let calls = in_turn(vec![introspected, resource("opaque"), resource(&claims)]);
    let (outcomes, counts) = analyse(&calls);
    let joined: Vec<_> = events(&outcomes).iter().map(|event| event.joined).collect();
    assert_eq!(joined, [Some(JoinedBy::Introspection), Some(JoinedBy::Claims)]);
    assert_eq!(counts.joins.joined.values().sum::<u64>(), 2);
}

#[test]
fn a_call_waits_for_its_token_but_not_for_ever() {
    // The token's answer is read after the call that uses it, and the push last of all.
    let late = |wait_ms| {
        let mut calls = vec![resource("access-1").at(0, 1), by_code().at(50, 2)];
        calls.push(pushed().at(wait_ms, 3));
        analyse(&calls)
    };
    let (outcomes, counts) = late(3_000);
    assert_eq!(events(&outcomes).len(), 1, "{counts:?}");
    let (outcomes, counts) = late(60_000);
    assert_eq!(events(&outcomes).len(), 0);
    assert_eq!(counts.joins.unjoined[&Unjoined::TokenUnknown], 1);
    assert_eq!(counts.lessons_lost, 1);
    assert_eq!(counts.joins.share(), Some(0.0));
}

#[test]
fn why_a_consent_is_unknown_is_told() {
    let client_token = token(&[("grant_type", "client_credentials")], "client-token", "");
    let calls = in_turn(vec![
        client_token,
        resource("client-token"),
        Made::new("GET", RESOURCES, 200),
        resource("never-seen"),
    ]);
    let (outcomes, counts) = analyse(&calls);
    let why: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Unreportable { unjoined, .. } => *unjoined,
            _ => None,
        })
        .collect();
    let all = [Unjoined::ClientCredential, Unjoined::TokenAbsent, Unjoined::TokenUnknown];
    assert_eq!(why, all);
    assert_eq!(counts.joins.unjoined.len(), 3);
}

#[test]
fn a_state_that_is_used_twice_joins_nothing() {
    let other = common::signed(&json!({ "scope": "consent:urn:seguradora:2", "state": STATE }));
    let second = Made::new("POST", "/as/par", 201)
        .form(&[("request", &other)])
        .answers(&json!({ "request_uri": "urn:2" }));
    let by_code =
        token(&[("grant_type", "authorization_code"), ("code", CODE)], "access-1", "refresh-1");
    let calls = in_turn(vec![pushed(), second, redirected(), by_code, resource("access-1")]);
    let (outcomes, counts) = analyse(&calls);
    assert_eq!(events(&outcomes).len(), 0);
    assert_eq!(counts.store.contradictions, 1);
}

#[test]
fn a_revoked_token_is_forgotten() {
    let revoked = Made::new("POST", "/as/revocation", 200).form(&[("token", "access-1")]);
    let (_, counts) = analyse(&in_turn(vec![pushed(), by_code(), revoked]));
    assert_eq!(counts.store.revoked, 1);
    // request_uri, state, challenge and refresh token are left.
    assert_eq!(counts.tokens, 4);
}

#[test]
fn a_call_that_comes_by_after_the_revocation_of_its_token_is_joined() {
    let revoked = Made::new("POST", "/as/revocation", 200).form(&[("token", "access-1")]);
    let mut calls = in_turn(vec![pushed(), by_code(), resource("access-1"), revoked]);
    calls.swap(2, 3);
    let (outcomes, counts) = analyse(&calls);
    assert_eq!(events(&outcomes)[0].joined, Some(JoinedBy::Token));
    assert_eq!(counts.store.revoked, 1);
}

#[test]
fn a_restart_keeps_what_was_learnt() {
    let mut before = analyst();
    let (_, _) = analyse_by(&mut before, &in_turn(vec![pushed(), by_code()]));
    let snapshot = before.snapshot();
    let mut after = analyst();
    let now = resource("").start;
    after.restore(&snapshot, now).unwrap();
    assert_eq!(after.snapshot(), snapshot);
    let (outcomes, _) = analyse_by(&mut after, &[resource("access-1").at(1_000, 9)]);
    assert_eq!(events(&outcomes)[0].joined, Some(JoinedBy::Token));
    // Half an hour later the access token is over; the refresh token is not.
    after.restore(&snapshot, now + SignedDuration::from_mins(30)).unwrap();
    assert_eq!(after.counts().tokens, 4);
    let mut other = analyst();
    assert_eq!(other.restore(b"{}", now), Err(SnapshotError::Syntax));
    let settings = mop_insight::data::analyst::AnalystSettings::new(
        Key::new([8; 32]),
        Arc::new(common::addresses()),
    );
    assert_eq!(Analyst::new(settings).restore(&snapshot, now), Err(SnapshotError::OtherKey));
}

#[test]
fn another_node_tells_what_it_learnt() {
    let mut beside_authorization = analyst();
    let (_, _) = analyse_by(&mut beside_authorization, &in_turn(vec![pushed(), by_code()]));
    let told = beside_authorization.snapshot();
    let mut beside_resources = analyst();
    let mut outcomes = Vec::new();
    let call = resource("access-1").at(1_000, 9).call();
    let now = call.end() + SignedDuration::from_secs(3);
    beside_resources.observe(call, &mut outcomes);
    beside_resources.advance(now, &mut outcomes);
    assert_eq!(outcomes, []);
    beside_resources.absorb(&told, now, &mut outcomes).unwrap();
    assert_eq!(events(&outcomes)[0].joined, Some(JoinedBy::Token));
    assert_eq!(beside_resources.snapshot(), told);
}

#[test]
fn quotes_tell_their_status() {
    let base = "/open-insurance/quote-auto/v1";
    let quoted = Made::new("POST", &format!("{base}/request"), 201)
        .sends(&json!({ "data": { "consentId": CONSENT } }))
        .answers(&json!({ "data": { "status": "RCVD" } }));
    let status = Made::new("GET", &format!("{base}/request/{CONSENT}/quote-status"), 200).answers(
        &json!({ "data": { "status": "ACPT", "quoteInfo": { "quotes": [{ "insurerQuoteId": "q1" }] } } }),
    );
    let answered = Made::new("PATCH", &format!("{base}/request/{CONSENT}"), 200)
        .sends(&json!({ "data": { "status": "ACKN", "insurerQuoteId": "q1" } }))
        .answers(&json!({ "data": { "links": { "redirect": "https://x" } } }));
    let (outcomes, _) = analyse(&in_turn(vec![quoted, status, answered]));
    let acts: Vec<Act> = acts(&outcomes).into_iter().map(|(_, act)| act).collect();
    let quote = Some("q1".to_owned());
    assert_eq!(
        acts,
        [
            Act::QuoteRequested { status: Some("RCVD".into()) },
            Act::QuoteStatusRead { status: "ACPT".into(), quote: quote.clone() },
            Act::QuoteAnswered { status: "ACKN".into(), quote, has_redirect: true },
        ]
    );
    assert_eq!(events(&outcomes).len(), 3);
}

proptest! {
    /// However connections are read after one another, within the time that a call waits, every
    /// call is joined in the end.
    #[test]
    fn any_order_of_connections_joins(order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle()) {
        let steps = in_turn(vec![
            pushed(),
            redirected(),
            by_code(),
            resource("access-1"),
            by_refresh(),
            resource("access-2"),
        ]);
        let shuffled: Vec<Made> = order.iter().map(|at| steps[*at].clone()).collect();
        let (outcomes, counts) = analyse(&shuffled);
        prop_assert_eq!(events(&outcomes).len(), 2, "{:?}", counts);
        prop_assert!(events(&outcomes).iter().all(|event| event.joined == Some(JoinedBy::Token)));
        prop_assert_eq!(signals(&outcomes).len(), 6);
    }
}
