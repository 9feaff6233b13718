//! Every check of the security profile: a call that breaks it, and a twin that does not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod profile;

use std::collections::BTreeSet;

use common::{CLIENT, CONSENT, SERVER};
use mop_insight::{
    data::funnel::Side,
    security::{
        finding::Finding,
        profile::{Check, Checks, Seen},
    },
};
use profile::{
    Case, Claims, OTHER, Row, World, assertion, consent, granted, policies, pushed, read, several,
    single,
};

#[test]
fn every_check_is_broken_by_one_case_and_spares_its_twin() {
    let rows: Vec<Row> = [
        single::transport(),
        single::steps(),
        single::tokens(),
        several::bearers(),
        several::consents(),
        several::headers(),
        several::often(),
    ]
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

/// Every path of the platform's list by every method that its interface has, as a server and as a
/// client sees it.
#[test]
fn ordinary_calls_break_nothing() {
    let mut world = World::new();
    let file = include_str!("../../../../rules/security/profile/operations.yml");
    let operations: Vec<(&str, &str)> = file
        .lines()
        .filter_map(|line| line.strip_prefix("  - {path: \"")?.split_once("\", methods: ["))
        .collect();
    let endpoints = common::endpoints();
    let mut calls = 0;
    for endpoint in endpoints.endpoints() {
        let path = format!("{}{}", endpoint.interface, endpoint.operation_path());
        let listed = operations.iter().find(|(known, _)| *known == path);
        let methods = listed.map_or("GET", |(_, rest)| rest.split_once(']').unwrap().0);
        let target = endpoint.template.replace("{consentId}", CONSENT).replace(['{', '}'], "");
        for method in methods.split(", ") {
            let key = calls.to_string();
            let case = Case::new(method, &target, 200)
                .made(|made| made.header("x-idempotency-key", &key))
                .at(calls * 200);
            for case in [case.clone(), case.client()] {
                assert_eq!(world.run(&[case]), [], "{method} {target}");
                calls += 1;
            }
        }
    }
    assert!(calls > 650, "{calls}");
}

#[test]
fn checks_hold_for_their_side_only() {
    let other = |case: Case| case.of(OTHER);
    let auto = ["RESOURCES_READ"];
    let calls = [consent(&auto).client(), other(read("AUTHORISED", &auto).at(1_000).client())];
    assert_eq!(World::new().run(&calls), []);
}

#[test]
fn a_token_is_not_bound_by_hops_inside_of_an_organisation() {
    let hop = |case: Case| case.certificate(|it| it.fingerprint = Some([9; 32]));
    let call = || policies().made(|made| made.bearer("t1"));
    let mesh = hop(call()).certificate(|it| it.subject.organisation = None);
    let mesh = mesh.connection(|it| it.is_client_address_visible = true);
    let own = hop(call()).of(SERVER).parties(|it| it.server_organisation = Some(SERVER.into()));
    let outwards = hop(call().client());
    assert_eq!(World::new().run(&[mesh, own, outwards, call().at(1_000)]), []);
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
}
