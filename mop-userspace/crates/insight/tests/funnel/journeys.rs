//! Whole journeys in order; every event is valid by the platform's schemas.

use mop_insight::data::{
    funnel::{
        FunnelOptions, FunnelRecord, HookRefusal, Inference, Side, Step,
        info::{Actor, AdditionalInfo, AuthenticationFailure, ConsentUser},
    },
    signal::Act,
};
use mop_wire::Role;
use serde_json::{Value, json};

use crate::{
    published,
    world::{
        ACCESS, CONSENT, DATA, POST_SALE, QUOTE, REFRESH, TOKEN, World, created, read, second,
    },
};

#[test]
fn a_consent_for_data_on_both_sides() {
    let mut world = World::new(FunnelOptions {
        consent_user: Some(ConsentUser::User),
        ..FunnelOptions::default()
    });
    for role in [Role::Client, Role::Server] {
        world.call(role, 0, created(DATA));
        world.call(role, 1, Act::AuthorizationPushed);
        world.call(role, 2, Act::AuthorizationRequested);
    }
    let failure = AdditionalInfo {
        authentication_failure_reason: Some(AuthenticationFailure::InvalidCredentials),
        ..AdditionalInfo::default()
    };
    world.told_with(Side::Server, 5, Step::UserAuthenticationFailed, failure).unwrap();
    world.told(Side::Server, 8, Step::UserAuthenticated).unwrap();
    world.call(Role::Server, 10, Act::CodeIssued);
    world.call(Role::Client, 11, Act::RedirectedBack { is_success: true });
    for role in [Role::Server, Role::Client] {
        world.call(role, 12, TOKEN);
        world.call(role, 13, ACCESS);
        world.call(role, 400, REFRESH);
        world.call(role, 401, ACCESS);
    }
    let revoked = read("REJECTED", Some("USER"), Some("CUSTOMER_MANUALLY_REVOKED"));
    world.call(Role::Client, 900, Act::ConsentDeleted);
    world.call(Role::Server, 900, Act::ConsentDeleted);
    world.call(Role::Server, 905, revoked);
    world.advance(100_000);
    assert_eq!(
        world.reported(Side::Server),
        [
            ("consent-created", 0),
            ("user-redirected", 2),
            ("user-authentication-failed", 5),
            ("user-authenticated", 8),
            ("consent-authorized", 10),
            ("authorization-code-created", 10),
            ("user-redirected-back", 10),
            ("consent-token-generated", 12),
            ("resource-accessed", 13),
            ("refresh-token-used", 400),
            ("resource-accessed", 401),
            ("consent-revoked", 900),
        ]
    );
    assert_eq!(
        world.reported(Side::Client),
        [
            ("consent-created", 0),
            ("user-redirected", 2),
            ("user-redirected-back", 11),
            ("consent-token-received", 12),
            ("resource-accessed", 13),
            ("refresh-token-used", 400),
            ("resource-accessed", 401),
            ("consent-revoked", 900),
        ]
    );
    let revoked: Vec<_> =
        world.records.iter().filter(|it| it.event.step == Step::ConsentRevoked).collect();
    let by = |side| revoked.iter().find(|it| it.side == side).unwrap();
    assert_eq!(by(Side::Server).event.additional_info.revoked_by, Some(Actor::User));
    assert_eq!(by(Side::Client).event.additional_info.revoked_by, None, "nobody said who");
    assert!(world.records.iter().all(|it| !it.inferred));
    assert_eq!(world.funnel.counts().incomplete, 1, "the client's revocation lacks who revoked");
    world.check_books();
    check_records("a_consent_for_data_on_both_sides", &world.records);
}

#[test]
fn a_service_after_the_sale_on_both_sides() {
    let mut world = World::new(FunnelOptions::default());
    for role in [Role::Client, Role::Server] {
        world.call(role, 0, created(POST_SALE));
        world.call(role, 2, Act::AuthorizationRequested);
    }
    world.told(Side::Server, 8, Step::UserAuthenticated).unwrap();
    world.call(Role::Server, 10, Act::CodeIssued);
    world.call(Role::Client, 11, Act::RedirectedBack { is_success: true });
    for (role, side) in [(Role::Server, Side::Server), (Role::Client, Side::Client)] {
        world.call(role, 12, TOKEN);
        world.call(role, 13, ACCESS);
        world.told(side, 20, Step::UserRedirectedService).unwrap();
    }
    world.advance(1000);
    let last = [("service-initiated", 13), ("user-redirected-service", 20)];
    assert_eq!(world.reported(Side::Server)[7..], last);
    assert_eq!(world.reported(Side::Client)[4..], last);
    world.check_books();
    check_records("a_service_after_the_sale_on_both_sides", &world.records);
}

#[test]
fn a_quote_on_both_sides() {
    let mut world = World::new(FunnelOptions::default());
    let info = AdditionalInfo {
        consent_user: Some(ConsentUser::NonUser),
        quote_id: Some("Q-77".into()),
        ..AdditionalInfo::default()
    };
    world.told(Side::Client, 0, Step::QuoteRequestInitiated).unwrap();
    world.told_with(Side::Client, 1, Step::QuoteRequestCreated, info).unwrap();
    let status = |status: &str, quote: Option<&str>| Act::QuoteStatusRead {
        status: status.into(),
        quote: quote.map(str::to_owned),
    };
    for (role, side) in [(Role::Server, Side::Server), (Role::Client, Side::Client)] {
        world.call(role, 2, created(QUOTE));
        world.call(role, 3, Act::AuthorizationRequested);
        if role == Role::Client {
            world.call(role, 20, Act::RedirectedBack { is_success: true });
        }
        world.call(role, 22, TOKEN);
        world.call(role, 30, Act::QuoteRequested { status: Some("RCVD".into()) });
        world.call(role, 31, status("EVAL", None));
        world.call(role, 40, status("ACPT", Some("insurer-9")));
        world.call(role, 50, status("ACPT", Some("insurer-9")));
        let has_redirect = true;
        world.call(
            role,
            60,
            Act::QuoteAnswered { status: "ACKN".into(), quote: None, has_redirect },
        );
        world.told(side, 61, Step::UserRedirectedService).unwrap();
    }
    world.advance(1000);
    assert_eq!(
        world.reported(Side::Client),
        [
            ("quote-request-initiated", 0),
            ("quote-request-created", 1),
            ("quote-request-authorized", 20),
            ("quote-request-generated", 30),
            ("quote-status-received", 40),
            ("quote-info-received", 40),
            ("quote-accepted", 60),
            ("user-redirected-service", 61),
        ]
    );
    assert_eq!(
        world.reported(Side::Server),
        [
            ("quote-request-received", 30),
            ("quote-status-generated", 40),
            ("quote-info-generated", 40),
            ("quote-accepted", 60),
            ("user-redirected-service", 61),
        ]
    );
    world.check_books();
    check_records("a_quote_on_both_sides", &world.records);
}

#[test]
fn a_login_is_concluded_from_a_code_only_when_that_is_allowed() {
    let play = |inference| {
        let mut world = World::new(FunnelOptions { inference, ..FunnelOptions::default() });
        world.call(Role::Server, 0, created(DATA));
        world.call(Role::Server, 2, Act::AuthorizationRequested);
        world.call(Role::Server, 10, Act::CodeIssued);
        world.call(Role::Server, 12, TOKEN);
        world
    };
    let mut without = play(Inference::Refused);
    without.advance(1000);
    assert_eq!(without.names(Side::Server), ["consent-created", "user-redirected"]);
    let explanation = without.funnel.explain(&without.funnel.digest(CONSENT)).unwrap();
    let sentences: Vec<_> =
        explanation.sides[0].steps.iter().map(|it| (it.step.name(), &*it.sentence)).collect();
    assert!(
        sentences.contains(&("user-authenticated", "No call shows it; the hook must tell it."))
    );
    assert!(sentences.contains(&(
        "consent-authorized",
        "Held: user-authenticated must be reported first; no call shows that step: the hook must tell it."
    )));
    assert!(sentences.contains(&("consent-created", "Reported, as a call showed it.")));
    assert!(sentences.contains(&("resource-accessed", "Not seen yet.")));

    let mut with = play(Inference::Allowed);
    with.advance(1000);
    assert_eq!(with.records.len(), 7);
    let inferred: Vec<_> = with.records.iter().filter(|it| it.inferred).collect();
    assert_eq!(inferred.len(), 1);
    assert_eq!(inferred[0].event.step, Step::UserAuthenticated);

    // What a program tells meanwhile is better than what was concluded.
    let mut told = play(Inference::Allowed);
    told.told(Side::Server, 7, Step::UserAuthenticated).unwrap();
    told.advance(1000);
    assert!(told.records.iter().all(|it| !it.inferred));
    assert!(told.reported(Side::Server).contains(&("user-authenticated", 7)));
    assert_eq!(
        told.told(Side::Server, 7, Step::UserAuthenticated),
        Err(HookRefusal::AlreadyReported)
    );
    told.check_books();
}

/// Holds records against their own schema, and events against the platform's.
pub(crate) fn check_records(test: &str, records: &[FunnelRecord]) {
    assert!(!records.is_empty());
    let schema = published::record_schema("data.funnel");
    for record in records {
        let value = serde_json::to_value(record).unwrap();
        assert!(schema.is_valid(&value), "{value}");
        assert!(second(record) > 0);
    }
    let Some(document) = published::document(test, "consent-funnel-ingestion") else { return };
    let contract = published::contract(&document);
    let organisation = "1fb79963-4bff-4204-9370-93aceb8a2f0d";
    for record in records {
        let event = serde_json::to_value(&record.event).unwrap();
        let path = record.funnel.event_path(record.side);
        assert!(published::is_valid(&contract, "POST", path, None, &event), "{event}");
        let batch = json!({"organisationId": organisation, "events": [event]});
        let path = record.funnel.batch_path(record.side);
        assert!(published::is_valid(&contract, "POST", path, None, &batch), "{batch}");
        // The check itself can fail.
        for name in ["timestamp", "permissions", "step"] {
            let mut broken: Value = batch["events"][0].clone();
            broken[name] = json!("2026-01-05T12:00:00.000Z");
            let path = record.funnel.event_path(record.side);
            assert!(!published::is_valid(&contract, "POST", path, None, &broken), "{name}");
        }
    }
}
