//! What the security profile remembers: limits, restarts, and bytes of any kind.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
mod profile;

use std::sync::Arc;

use common::Made;
use mop_insight::{
    data::digest::Key,
    security::profile::{
        Check, Checks, Operations, Permissions, Profile, ProfileSettings, ProfileSnapshotError,
    },
};
use mop_wire::Body;
use profile::{
    CLAIM, Case, Claims, World, assertion, consent, deleted, granted, policies, pushed, quote,
    read, revoked,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Calls after which there is something of everything to be remembered.
fn before() -> Vec<Case> {
    vec![
        consent(&["DAMAGES_AND_PEOPLE_AUTO_READ"]),
        granted(Some(&assertion("a1")), "t1", 300),
        granted(Some(&assertion("a2")), "t2", 300),
        revoked("t2").at(1_000),
        quote("k1", &json!({"a": 1})),
    ]
}

/// Calls after a restart, two minutes later, and what each breaks.
fn after() -> Vec<(Check, Case)> {
    let call = |target, token: &str| Case::new("GET", target, 200).made(|made| made.bearer(token));
    let later = |case: Case| case.at(120_000);
    let replayed = Claims::assertion("a1").set("exp", json!(profile::NOW + 180)).signed();
    vec![
        (Check::PermissionMissing, later(call(CLAIM, "t1"))),
        (
            Check::TokenRevokedAccepted,
            later(call("/open-insurance/resources/v3/resources", "t2").status(200)),
        ),
        (Check::JwtReplayed, later(granted(Some(&replayed), "t3", 300))),
        (Check::IdempotencyKeyReused, later(quote("k1", &json!({"a": 2})))),
        (
            Check::TokenOtherCertificate,
            later(policies().made(|it| it.bearer("t1")))
                .certificate(|it| it.fingerprint = Some([2; 32])),
        ),
        (
            Check::ConsentOfOtherOrganisation,
            later(read("AUTHORISED", &["DAMAGES_AND_PEOPLE_AUTO_READ"])).of(profile::OTHER),
        ),
    ]
}

#[test]
fn a_restart_forgets_nothing() {
    let mut world = World::new();
    assert_eq!(world.run(&before()), []);
    let bytes = world.profile.snapshot();
    let mut restored = World::new();
    restored.profile.restore(&bytes).unwrap();
    assert_eq!(restored.profile.snapshot(), bytes);
    for (check, case) in after() {
        let broken = restored.run(&[case]);
        assert!(broken.contains(&check), "{}: {broken:?}", check.id());
    }
    let text = String::from_utf8(bytes).unwrap();
    for value in [common::CONSENT, "C1DD33123", "\"t1\"", "\"a1\"", "\"k1\""] {
        assert!(!text.contains(value), "{value}");
    }
}

#[test]
fn after_a_restart_the_clock_of_the_day_has_a_leeway() {
    let mut world = World::new();
    world.run(&[granted(Some(&assertion("a1")), "t1", 300), revoked("t1").at(1_000)]);
    let mut restored = World::new();
    restored.profile.restore(&world.profile.snapshot()).unwrap();
    let call = policies().made(|made| made.bearer("t1"));
    assert_eq!(restored.run(&[call.clone().at(50_000)]), []);
    assert_eq!(restored.run(&[call.at(120_000)]), [Check::TokenRevokedAccepted]);
}

#[test]
fn snapshots_that_are_none_are_refused() {
    let mut world = World::new();
    world.run(&before());
    let bytes = world.profile.snapshot();
    let mut tree: Value = serde_json::from_slice(&bytes).unwrap();
    tree["version"] = json!(9);
    let other = serde_json::to_vec(&tree).unwrap();
    let cut = bytes.split_last().unwrap().1;
    for (bytes, expected) in [
        (&other[..], ProfileSnapshotError::Version(9)),
        (cut, ProfileSnapshotError::Syntax),
        (b"{}", ProfileSnapshotError::Syntax),
    ] {
        let mut fresh = World::new();
        assert_eq!(fresh.profile.restore(bytes), Err(expected));
        assert_eq!(fresh.profile.counts(), World::new().profile.counts());
    }
    let settings = ProfileSettings::new(
        Key::new([8; 32]),
        Arc::new(Operations::published().unwrap()),
        Arc::new(Permissions::published().unwrap()),
    );
    let mut foreign = Profile::new(Arc::new(Checks::published().unwrap()), settings);
    assert_eq!(foreign.restore(&bytes), Err(ProfileSnapshotError::OtherKey));
}

#[test]
fn with_another_list_of_permissions_what_a_consent_lacks_is_unknown() {
    let mut world = World::new();
    world.run(&before());
    let mut restored = World::with(|settings| {
        let list =
            "permissions: [{path: 'insurance-auto/insurance-auto/{policyId}/claim', needs: NEW}]";
        settings.permissions = Arc::new(Permissions::parse(list).unwrap());
    });
    restored.profile.restore(&world.profile.snapshot()).unwrap();
    let call = Case::new("GET", CLAIM, 200).made(|made| made.bearer("t1")).at(120_000);
    assert_eq!(restored.run(&[call]), []);
}

#[test]
fn memories_are_bounded_and_forget_the_oldest() {
    let mut world = World::with(|settings| {
        settings.max_tokens = 4;
        settings.max_consents = 1;
        settings.max_assertions = 4;
        settings.max_idempotency_keys = 4;
        settings.max_parties = 4;
    });
    for number in 0..50 {
        let name = format!("n{number}");
        let at = number * 1_000;
        let mut claims = Claims::request(&name);
        claims.set("exp", json!(profile::NOW + 300));
        world.run(&[
            granted(Some(&assertion(&name)), &name, 300).at(at),
            pushed(Some(&assertion(&format!("p{number}"))), &claims).at(at),
            quote(&name, &json!({})).at(at),
            policies().made(|made| made.bearer(&name)).at(at).of(&common::CLIENT.replace('1', "2")),
        ]);
    }
    let counts = world.profile.counts();
    assert_eq!((counts.tokens, counts.consents), (4, 0));
    assert!(counts.evicted > 100, "{counts:?}");
    let revoked = [revoked("n0").at(60_000), policies().made(|it| it.bearer("n0")).at(61_000)];
    assert_eq!(world.run(&revoked), [Check::TokenRevokedAccepted]);
    assert_eq!(world.profile.counts().tokens, 4);
}

#[test]
fn a_consent_that_is_created_anew_begins_anew() {
    let auto = ["DAMAGES_AND_PEOPLE_AUTO_READ"];
    let grant = granted(Some(&assertion("a1")), "t1", 300);
    let call = policies().made(|made| made.bearer("t1")).at(4_000);
    let cases = [consent(&auto), grant, deleted().at(1_000), consent(&auto).at(2_000), call];
    assert_eq!(World::new().run(&cases), []);
}

proptest! {
    #[test]
    fn any_bytes_are_judged(
        method in "(GET|POST|TRACE|X)",
        target in "(/token|/par|/auth|/open-insurance/(consents/v3/consents|insurance-auto/v1/insurance-auto)(/[ -~]{0,20})?)(\\?[ -~]{0,60})?",
        status in prop_oneof![Just(200), Just(201), Just(302), Just(401), Just(429), 100..999u16],
        names in proptest::collection::vec((0..9usize, proptest::collection::vec(any::<u8>(), 0..60)), 0..9),
        form in "(grant_type=client_credentials&)?(scope=consents&)?(request|client_assertion|token)=[ -~]{0,80}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        is_form: bool,
        length in 0..400u64,
    ) {
        const NAMES: [&str; 9] = [
            "authorization", "x-fapi-interaction-id", "x-idempotency-key", "content-type",
            "content-encoding", "retry-after", "location", "cookie", "cache-control",
        ];
        let mut made = Made::new(&method, &target, status);
        let request = made.exchange.request.as_mut().unwrap();
        let response = made.exchange.response.as_mut().unwrap();
        if is_form {
            request.headers.push("content-type", b"application/x-www-form-urlencoded");
            request.body = Body::whole(form.into_bytes(), false);
        } else {
            request.body = Body { length, ..Body::whole(body.clone(), false) };
        }
        for (number, value) in names {
            request.headers.push(NAMES[number], &value);
            response.headers.push(NAMES[number], &value);
        }
        response.body = Body { length, ..Body::whole(body, false) };
        let case = Case { made, ..policies() };
        let mut world = World::new();
        for case in [case.clone(), case.clone().at(1_000), case.client().at(2_000)] {
            if let Some((facts, breaches)) = world.tell(&case) {
                for breach in breaches {
                    prop_assert!(breach.count >= 1 && breach.first_seen <= breach.last_seen);
                    prop_assert!(facts.side != mop_insight::data::funnel::Side::Client
                        || breach.check != Check::TokenOtherCertificate);
                }
            }
        }
        let bytes = world.profile.snapshot();
        prop_assert_eq!(World::new().profile.restore(&bytes), Ok(()));
    }

    #[test]
    fn any_token_is_read_or_left(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), rest in "[.a-z]{0,9}") {
        let token = format!("{}.{}.{rest}", profile::base64(&header), profile::base64(&claims));
        let case = policies().made(|made| made.bearer(&token));
        prop_assert!(World::new().tell(&case).is_some());
    }

    #[test]
    fn any_snapshot_is_refused_or_taken(bytes in any::<Vec<u8>>()) {
        prop_assert!(World::new().profile.restore(&bytes).is_err());
    }
}
