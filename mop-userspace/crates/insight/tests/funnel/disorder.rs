//! Steps that come late, twice, or never.

use mop_insight::data::{
    funnel::{
        FunnelOptions, History, HookRefusal, Inference, Side, Step, Unreported,
        info::{Actor, AdditionalInfo, Expiry},
        journey::StepState,
    },
    signal::{Act, Parties, TokenKind},
};
use mop_wire::Role;

use crate::world::{
    ACCESS, CONSENT, DATA, POST_SALE, QUOTE, START, TOKEN, World, created, read, signal, time,
};

#[test]
fn what_is_seen_out_of_order_is_reported_in_order() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Client, 13, ACCESS);
    world.call(Role::Client, 12, TOKEN);
    world.call(Role::Client, 14, ACCESS);
    world.call(Role::Client, 11, Act::RedirectedBack { is_success: true });
    world.advance(20);
    assert!(world.records.is_empty(), "an earlier one may still come");
    world.call(Role::Client, 2, Act::AuthorizationRequested);
    world.call(Role::Client, 0, created(DATA));
    world.advance(73);
    assert_eq!(world.names(Side::Client).len(), 5);
    world.advance(74);
    assert_eq!(
        world.names(Side::Client),
        [
            "consent-created",
            "user-redirected",
            "user-redirected-back",
            "consent-token-received",
            "resource-accessed",
            "resource-accessed"
        ]
    );
    world.check_books();
}

#[test]
fn what_is_seen_twice_is_reported_once() {
    let mut world = World::new(FunnelOptions::default());
    let acts = [
        (0, created(DATA)),
        (2, Act::AuthorizationRequested),
        (11, Act::RedirectedBack { is_success: true }),
        (12, TOKEN),
        (13, ACCESS),
    ];
    for round in 0..3 {
        for (at, act) in &acts {
            let exchange = format!("exchange-{at}");
            world.funnel.observe(&signal(CONSENT, Role::Client, *at, &exchange, act.clone()));
        }
        world.advance(1000 + round);
    }
    assert_eq!(world.records.len(), 5);
    assert_eq!(world.funnel.counts().known, 10);
    // The same second, another call.
    world.funnel.observe(&signal(CONSENT, Role::Client, 13, "other", ACCESS));
    world.advance(2000);
    let ids: Vec<_> = world.records[4..].iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    world.check_books();
}

#[test]
fn a_hole_keeps_back_what_comes_after_it_and_is_counted_when_the_consent_ends() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Server, 0, created(DATA));
    world.call(Role::Server, 2, Act::AuthorizationRequested);
    world.call(Role::Server, 10, Act::CodeIssued);
    world.call(Role::Server, 12, TOKEN);
    world.call(Role::Server, 13, ACCESS);
    world.advance(500);
    assert_eq!(world.records.len(), 2);
    assert_eq!(world.funnel.held(), 5);
    let waiting: Vec<_> = world.funnel.held_counts().for_step.into_iter().collect();
    assert_eq!(
        waiting,
        [
            (Step::UserAuthenticated, 1),
            (Step::ConsentAuthorized, 1),
            (Step::AuthorizationCodeCreated, 1),
            (Step::UserRedirectedBack, 1),
            (Step::ConsentTokenGenerated, 1),
        ]
    );
    // A login with a later time than the code's would keep it back for ever.
    assert_eq!(
        world.told(Side::Server, 11, Step::UserAuthenticated),
        Err(HookRefusal::TimeBackwards)
    );
    world.told(Side::Server, 9, Step::UserAuthenticated).unwrap();
    world.advance(500);
    assert_eq!(world.records.len(), 8);
    assert_eq!(world.funnel.held(), 0);

    let mut never =
        World::new(FunnelOptions { authorization_seconds: Some(300), ..FunnelOptions::default() });
    never.call(Role::Client, 0, created(DATA));
    never.call(Role::Client, 11, Act::RedirectedBack { is_success: false });
    never.advance(10_000);
    assert_eq!(never.reported(Side::Client), [("consent-created", 0), ("consent-expired", 300)]);
    let reasons: Vec<_> = never.funnel.counts().unreported.clone().into_iter().collect();
    assert_eq!(reasons, [(Unreported::PrerequisiteMissing, 1)]);
    let steps = &never.funnel.explain(&never.funnel.digest(CONSENT)).unwrap().sides[0].steps;
    let back = steps.iter().find(|it| it.step == Step::UserRedirectedBack).unwrap();
    assert_eq!(back.state, StepState::Lost { reason: Unreported::PrerequisiteMissing });
    never.check_books();
}

#[test]
fn times_that_run_out_are_steps_of_the_second_at_which_they_did() {
    let options = FunnelOptions { authorization_seconds: Some(300), ..FunnelOptions::default() };
    let mut world = World::new(options.clone());
    world.call(Role::Server, 0, created(DATA));
    world.advance(359);
    assert_eq!(world.names(Side::Server), ["consent-created"]);
    world.advance(360);
    assert_eq!(world.reported(Side::Server)[1], ("consent-expired", 300));
    let info = &world.records[1].event.additional_info;
    assert_eq!(info.expired_by, Some(Expiry::AuthorizationTimeout));
    // A call after the end is no step.
    world.call(Role::Server, 400, Act::AuthorizationRequested);
    assert_eq!(world.funnel.counts().unreported[&Unreported::AfterEnd], 1);

    // Whoever gave the consent does not run out of time to give it, but out of its validity.
    let mut given = World::new(options);
    for (at, act) in [
        (0, created(DATA)),
        (2, Act::AuthorizationRequested),
        (11, Act::RedirectedBack { is_success: true }),
        (12, TOKEN),
    ] {
        given.call(Role::Client, at, act);
    }
    given.advance(999_999);
    assert_eq!(given.records.len(), 4);
    assert_eq!(given.funnel.next_due(), Some(time(1_000_000)));
    given.advance(1_000_060);
    assert_eq!(given.reported(Side::Client)[4], ("consent-expired", 1_000_000));
    let info = &given.records[4].event.additional_info;
    assert_eq!(info.expired_by, Some(Expiry::MaxDateReached));
    given.check_books();
}

#[test]
fn the_reason_of_a_rejection_decides_which_step_it_is() {
    let cases = [
        ("USER", "CUSTOMER_MANUALLY_REJECTED", "consent-rejected"),
        ("ASPSP", "INTERNAL_SECURITY_REASON", "consent-rejected"),
        ("ASPSP", "CONSENT_EXPIRED", "consent-expired"),
        ("ASPSP", "WITHDRAWAL_BLOCKED", "consent-rejected"),
    ];
    for (by, code, step) in cases {
        let mut world = World::new(FunnelOptions::default());
        world.call(Role::Server, 0, created(DATA));
        world.call(Role::Server, 2, Act::AuthorizationRequested);
        world.told(Side::Server, 3, Step::UserAuthenticated).unwrap();
        world.call(Role::Server, 20, read("REJECTED", Some(by), Some(code)));
        world.call(Role::Server, 21, Act::AuthorizationRefused("access_denied".into()));
        world.advance(1000);
        let names = world.names(Side::Server);
        assert_eq!(names[3], step, "{code}");
        assert_eq!(names.get(4), Some(&"user-redirected-back"), "{code}");
        world.check_books();
    }
}

#[test]
fn a_rejection_of_what_was_given_is_a_revocation() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Client, 0, created(DATA));
    world.call(Role::Client, 2, Act::AuthorizationRequested);
    world.call(Role::Client, 11, Act::RedirectedBack { is_success: true });
    world.call(Role::Client, 12, TOKEN);
    let code = Some("INTERNAL_SECURITY_REASON");
    world.call(Role::Client, 20, read("REJECTED", Some("ASPSP"), code));
    world.advance(1000);
    assert_eq!(world.reported(Side::Client)[4], ("consent-revoked", 20));
    assert_eq!(world.records[4].event.additional_info.revoked_by, Some(Actor::System));
}

#[test]
fn the_time_to_authorize_begins_with_the_first_sight_of_the_creation() {
    let options = FunnelOptions { authorization_seconds: Some(300), ..FunnelOptions::default() };
    let mut world = World::new(options);
    world.call(Role::Client, 0, created(DATA));
    world.call(Role::Server, 3, created(DATA));
    world.advance(1000);
    assert_eq!(world.reported(Side::Server)[1], ("consent-expired", 300));
    assert_eq!(world.reported(Side::Client)[1], ("consent-expired", 300));
}

#[test]
fn what_is_not_known_is_waited_for() {
    let mut world = World::new(FunnelOptions::default());
    let mut first = signal(CONSENT, Role::Client, 0, "1", created(&["OF_ANOTHER_COUNTRY"]));
    first.parties = Parties::default();
    world.funnel.observe(&first);
    world.advance(1000);
    let unknown =
        |world: &World| world.funnel.explain(&world.funnel.digest(CONSENT)).unwrap().unknown;
    assert_eq!(unknown(&world), Some(Unreported::PermissionsUnknown));
    let mut second =
        signal(CONSENT, Role::Client, 5, "2", read("AWAITING_AUTHORISATION", None, None));
    second.parties = Parties::default();
    world.funnel.observe(&second);
    world.advance(1000);
    assert_eq!(unknown(&world), Some(Unreported::PartiesUnknown));
    assert!(world.records.is_empty());
    world.call(Role::Client, 6, Act::AuthorizationPushed);
    world.advance(1000);
    assert_eq!(world.names(Side::Client), ["consent-created"]);
    assert_eq!(world.funnel.counts().permissions_refused, 1);

    let mut mixed = World::new(FunnelOptions::default());
    mixed.call(Role::Client, 0, created(&[DATA[0], QUOTE[0]]));
    assert_eq!(unknown(&mixed), Some(Unreported::PermissionsMixed));
}

#[test]
fn what_a_side_reads_but_does_not_report_is_no_step_of_it() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Client, 0, created(DATA));
    for at in 1..50 {
        world.call(Role::Client, at, read("AUTHORISED", None, None));
    }
    world.advance(1000);
    assert_eq!(world.names(Side::Client), ["consent-created"]);
    assert_eq!(world.funnel.counts().proposed, 1);

    // A service is initiated with the user's token, not with the client's own.
    let mut service = World::new(FunnelOptions::default());
    service.call(Role::Client, 0, created(POST_SALE));
    service.call(Role::Client, 2, Act::ResourceAccessed { token: TokenKind::ClientCredential });
    service.call(Role::Client, 3, ACCESS);
    assert_eq!(service.funnel.counts().proposed, 2);
    // A service is not reported to expire.
    service.call(Role::Client, 4, read("REJECTED", None, Some("CONSENT_MAX_DATE_REACHED")));
    service.advance(2_000_000);
    assert_eq!(service.funnel.counts().proposed, 2);
    service.check_books();
}

#[test]
fn a_program_that_takes_over_goes_on_where_another_ended() {
    let options = FunnelOptions { history: History::Elsewhere, ..FunnelOptions::default() };
    let mut world = World::new(options);
    world.call(Role::Client, 0, ACCESS);
    world.call(Role::Client, 5, read("AUTHORISED", None, None));
    world.advance(1000);
    assert_eq!(world.names(Side::Client), ["resource-accessed"]);
    let explanation = world.funnel.explain(&world.funnel.digest(CONSENT)).unwrap();
    let steps = &explanation.sides[0].steps;
    let token = steps.iter().find(|it| it.step == Step::ConsentTokenReceived).unwrap();
    assert_eq!(token.state, StepState::ReportedElsewhere);

    let mut alone = World::new(FunnelOptions::default());
    alone.call(Role::Client, 0, ACCESS);
    alone.call(Role::Client, 5, read("AUTHORISED", None, None));
    alone.advance(1000);
    assert!(alone.records.is_empty(), "nobody reported what comes before");
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_counted() {
    let mut world = World::new(FunnelOptions { max_consents: 10, ..FunnelOptions::default() });
    for number in 0..30 {
        let consent = format!("urn:insurer:{number}");
        let role = Role::Client;
        world.funnel.observe(&signal(&consent, role, number, "1", created(DATA)));
        if number == 25 {
            // Ended ones go first, even if they are younger.
            let ended = "urn:insurer:25";
            for (at, act) in [
                (26, Act::AuthorizationRequested),
                (27, Act::RedirectedBack { is_success: true }),
                (28, TOKEN),
                (29, Act::ConsentDeleted),
            ] {
                world.funnel.observe(&signal(ended, role, at, "2", act));
            }
            world.advance(100);
            world.advance(101);
        }
    }
    assert_eq!(world.funnel.consents(), 10);
    let counts = world.funnel.counts();
    assert_eq!((counts.forgotten_ended, counts.forgotten_open), (1, 19));
    assert!(world.funnel.explain(&world.funnel.digest("urn:insurer:25")).is_none());
    world.check_books();

    let info = AdditionalInfo::default();
    let step = Step::ConsentRevoked;
    let told = mop_insight::data::funnel::HookStep {
        consent: "urn:insurer:new".into(),
        side: Side::Client,
        step,
        at: time(0),
        info,
    };
    assert_eq!(
        world.funnel.hook(told.clone()),
        Err(HookRefusal::TooMany),
        "a call may displace, a program not"
    );

    let mut flood = World::new(FunnelOptions::default());
    for number in 0..2000 {
        flood.call(Role::Client, number, ACCESS);
    }
    assert_eq!(flood.funnel.held(), mop_insight::data::funnel::MAX_HELD_STEPS);
    assert_eq!(flood.funnel.counts().unreported[&Unreported::TooMany], 2000 - 512);
    flood.check_books();
}

#[test]
fn a_program_cannot_move_what_was_concluded_back_before_what_was_reported() {
    let mut world =
        World::new(FunnelOptions { inference: Inference::Allowed, ..FunnelOptions::default() });
    world.call(Role::Server, 0, created(DATA));
    world.call(Role::Server, 20, Act::AuthorizationRequested);
    world.advance(80);
    world.call(Role::Server, 30, Act::CodeIssued);
    assert_eq!(
        world.told(Side::Server, 19, Step::UserAuthenticated),
        Err(HookRefusal::TimeBackwards)
    );
    world.told(Side::Server, 25, Step::UserAuthenticated).unwrap();
    // A login that is told of late was not later than the code that it led to.
    world.told(Side::Server, 31, Step::UserAuthenticated).unwrap();
    world.advance(1000);
    assert_eq!(world.reported(Side::Server)[2], ("user-authenticated", 25));
    assert_eq!(world.records.len(), 6);
    assert!(world.records.iter().all(|record| !record.inferred));
    world.check_books();
}

#[test]
fn an_identifier_that_is_none_is_refused_and_extreme_times_do_no_harm() {
    let mut world = World::new(FunnelOptions::default());
    for consent in ["", "urn:", "urn:a:", "urn:-a:b", "C1", &format!("urn:a:{}", "b".repeat(260))] {
        world.funnel.observe(&signal(consent, Role::Client, 0, "1", created(DATA)));
    }
    assert_eq!(world.funnel.consents(), 0);
    assert_eq!(world.funnel.counts().unreported[&Unreported::ConsentMalformed], 6);
    let mut early = signal(CONSENT, Role::Client, 0, "1", created(DATA));
    early.at = jiff::Timestamp::MIN;
    world.funnel.observe(&early);
    let mut late = signal(CONSENT, Role::Client, 0, "1", Act::AuthorizationRequested);
    late.at = jiff::Timestamp::MAX;
    world.funnel.observe(&late);
    world.records.extend(world.funnel.advance(jiff::Timestamp::MAX));
    assert_eq!(world.names(Side::Client), ["consent-created"]);
    assert_eq!(world.reported(Side::Client)[0].1, -START, "before 1970 is 1970");
    world.check_books();
}
