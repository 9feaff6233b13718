//! Whatever comes in whatever order: never a step before what it needs, never back in time, never
//! too often; a restart changes nothing; nothing gets lost without being counted.

use std::collections::{BTreeMap, BTreeSet};

use mop_insight::data::{
    funnel::{
        FunnelOptions, FunnelRecord, History, HookStep, Inference, Side, Step,
        info::{AdditionalInfo, Expiry, RedirectStatus, ReportedToken},
    },
    signal::{Act, TokenKind},
};
use mop_wire::Role;
use proptest::{prelude::*, strategy::ValueTree};

use crate::{
    journeys::check_records,
    world::{
        ACCESS, DATA, POST_SALE, QUOTE, REFRESH, TOKEN, World, created, read, second, signal, time,
    },
};

#[derive(Clone, Debug)]
enum Event {
    Call { consent: u8, role: Role, at: i64, act: Act },
    Told { consent: u8, side: Side, at: i64, step: Step },
    Advance { by: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    let quote =
        |status: &str| Act::QuoteStatusRead { status: status.into(), quote: Some("9".into()) };
    prop_oneof![
        4 => prop::sample::select(vec![created(DATA), created(POST_SALE), created(QUOTE)]),
        2 => prop::sample::select(vec![
            read("AUTHORISED", None, None),
            read("REJECTED", Some("USER"), Some("CUSTOMER_MANUALLY_REJECTED")),
            read("REJECTED", Some("USER"), Some("CUSTOMER_MANUALLY_REVOKED")),
            read("REJECTED", None, Some("CONSENT_MAX_DATE_REACHED")),
            read("REJECTED", Some("ASPSP"), None),
        ]),
        10 => prop::sample::select(vec![
            Act::AuthorizationRequested,
            Act::CodeIssued,
            Act::RedirectedBack { is_success: true },
            Act::RedirectedBack { is_success: false },
            Act::AuthorizationRefused("access_denied".into()),
            TOKEN,
            REFRESH,
            ACCESS,
            Act::ResourceAccessed { token: TokenKind::ClientCredential },
            Act::QuoteRequested { status: None },
            quote("ACPT"),
            quote("RJCT"),
            Act::QuoteAnswered { status: "ACKN".into(), quote: None, has_redirect: true },
        ]),
        1 => Just(Act::ConsentDeleted),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let role = || prop::sample::select(vec![Role::Client, Role::Server]);
    let side = || prop::sample::select(Side::ALL.to_vec());
    let hooks = vec![
        Step::UserAuthenticated,
        Step::UserAuthenticationFailed,
        Step::UserRedirected,
        Step::UserRedirectedService,
        Step::QuoteRequestInitiated,
        Step::QuoteRequestCreated,
        Step::AdditionalInfo,
        Step::ConsentRevoked,
    ];
    prop_oneof![
        10 => (0..3_u8, role(), 0..600_i64, act())
            .prop_map(|(consent, role, at, act)| Event::Call { consent, role, at, act }),
        4 => (0..3_u8, side(), 0..600_i64, prop::sample::select(hooks))
            .prop_map(|(consent, side, at, step)| Event::Told { consent, side, at, step }),
        2 => (1..200_i64).prop_map(|by| Event::Advance { by }),
    ]
}

fn options() -> impl Strategy<Value = FunnelOptions> {
    let inference = prop::sample::select(vec![Inference::Allowed, Inference::Refused]);
    let history = prop::sample::select(vec![History::Elsewhere, History::Nobody, History::Nobody]);
    let timeout = prop::sample::select(vec![None, Some(100), Some(300)]);
    let settle = prop::sample::select(vec![0, 5, 60]);
    (inference, history, timeout, settle, 1..5_usize).prop_map(
        |(inference, history, authorization_seconds, settle_seconds, max_consents)| FunnelOptions {
            settle_seconds,
            consent_user: None,
            inference,
            history,
            authorization_seconds,
            max_consents,
        },
    )
}

fn play(world: &mut World, now: &mut i64, position: usize, event: &Event) {
    match event.clone() {
        Event::Call { consent, role, at, act } => {
            let id = format!("urn:insurer:{consent}");
            let exchange = format!("exchange-{position}");
            world.funnel.observe(&signal(&id, role, at, &exchange, act));
        }
        Event::Told { consent, side, at, step } => {
            let (consent, at) = (format!("urn:insurer:{consent}"), time(at));
            let info = AdditionalInfo::default();
            let _refused = world.funnel.hook(HookStep { consent, side, step, at, info });
        }
        Event::Advance { by } => {
            *now += by;
            world.advance(*now);
        }
    }
}

/// What the platform demands before a step, of the steps of the same side; one of each list.
fn needed(record: &FunnelRecord) -> &'static [&'static str] {
    let info = &record.event.additional_info;
    let is_quote = record.event.permissions[0].starts_with("QUOTE_");
    match (record.event.step, record.side) {
        (Step::UserRedirected, _) => &["consent-created"],
        (Step::UserAuthenticated | Step::UserAuthenticationFailed, _) => &["user-redirected"],
        (Step::ConsentAuthorized, _) => &["user-authenticated"],
        (Step::ConsentRejected, _) => &["user-authenticated", "user-authentication-failed"],
        (Step::AuthorizationCodeCreated, _) => &["consent-authorized"],
        (Step::UserRedirectedBack, Side::Server)
            if info.user_redirected_back_status == Some(RedirectStatus::Success) =>
        {
            &["authorization-code-created"]
        }
        (Step::UserRedirectedBack, _) => &["user-redirected"],
        (Step::ConsentTokenGenerated | Step::ConsentTokenReceived, _) => &["user-redirected-back"],
        (Step::ResourceAccessed, _) if info.token_kind == Some(ReportedToken::ClientCredential) => {
            &["consent-created"]
        }
        (Step::RefreshTokenUsed | Step::ResourceAccessed | Step::ServiceInitiated, _) => {
            &["consent-token-generated", "consent-token-received"]
        }
        (Step::ConsentRevoked, Side::Client) if is_quote => &["quote-request-created"],
        (Step::ConsentExpired, Side::Client) if is_quote => &["quote-request-created"],
        (Step::ConsentRevoked | Step::ConsentExpired, Side::Server) if is_quote => &[],
        (Step::ConsentExpired, _) if info.expired_by != Some(Expiry::MaxDateReached) => {
            &["consent-created"]
        }
        (Step::ConsentRevoked | Step::ConsentExpired, Side::Client) => &["consent-token-received"],
        (Step::ConsentRevoked | Step::ConsentExpired, Side::Server) => &["consent-authorized"],
        (Step::UserRedirectedService, _) => &["service-initiated", "quote-accepted"],
        (Step::QuoteRequestCreated, _) => &["quote-request-initiated"],
        (Step::QuoteRequestAuthorized, _) => &["quote-request-created"],
        (Step::QuoteRequestGenerated, _) => &["quote-request-authorized"],
        (Step::QuoteStatusReceived, _) => &["quote-request-generated"],
        (Step::QuoteStatusGenerated, _) => &["quote-request-received"],
        (Step::QuoteInfoReceived | Step::QuoteInfoGenerated | Step::QuoteAccepted, _) => {
            &["quote-status-received", "quote-status-generated"]
        }
        (Step::AdditionalInfo, _) => &["quote-request-generated", "quote-request-received"],
        (Step::ConsentCreated | Step::QuoteRequestInitiated | Step::QuoteRequestReceived, _) => &[],
    }
}

fn check_order(records: &[FunnelRecord], options: &FunnelOptions) {
    let mut seen: BTreeMap<(&str, Side), BTreeSet<&str>> = BTreeMap::new();
    let mut last: BTreeMap<(&str, Side), i64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut once = BTreeSet::new();
    for record in records {
        let key = (record.event.consent_id.as_str(), record.side);
        let steps = seen.entry(key).or_default();
        let needed = needed(record);
        if options.history == History::Nobody {
            let met = needed.is_empty() || needed.iter().any(|step| steps.contains(step));
            assert!(met, "{:?} before {needed:?}", record.event);
        }
        let is_end = |step: &&str| {
            matches!(*step, "consent-rejected" | "consent-revoked" | "consent-expired")
        };
        if steps.iter().any(is_end) {
            assert_eq!(record.event.step, Step::UserRedirectedBack, "after the end");
        }
        steps.insert(record.event.step.name());
        let before = last.insert(key, second(record));
        assert!(before.is_none_or(|before| before <= second(record)), "back in time");
        assert!(ids.insert(&record.id), "the same identifier twice");
        if !record.event.step.repeats() {
            let status = record.event.additional_info.is_failure();
            assert!(once.insert((key, record.event.step, status)), "{:?} twice", record.event);
        }
        assert!(!record.inferred || options.inference == Inference::Allowed);
        assert!(!record.inferred || record.event.step == Step::UserAuthenticated);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn order_holds_and_a_restart_changes_nothing(
        events in prop::collection::vec(event(), 1..80),
        options in options(),
        restart in any::<prop::sample::Index>(),
    ) {
        let (mut steady, mut restarted) = (World::new(options.clone()), World::new(options.clone()));
        let (mut now, mut again) = (0, 0);
        let restart = restart.index(events.len());
        for (position, event) in events.iter().enumerate() {
            play(&mut steady, &mut now, position, event);
            play(&mut restarted, &mut again, position, event);
            steady.check_books();
            if position == restart {
                restarted.restart(options.clone());
            }
        }
        for world in [&mut steady, &mut restarted] {
            world.advance(now + 2_000_000);
            world.check_books();
        }
        prop_assert_eq!(&steady.records, &restarted.records);
        prop_assert_eq!(steady.funnel.snapshot(), restarted.funnel.snapshot());
        // A consent that was forgotten begins anew, so order is of what was remembered.
        let counts = steady.funnel.counts();
        if counts.forgotten_ended + counts.forgotten_open == 0 {
            check_order(&steady.records, &options);
        }
    }

    /// Shuffled within the time that steps settle, a whole journey is reported whole.
    #[test]
    fn a_whole_journey_in_any_order_is_reported_whole(
        order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let acts = [
            (Role::Client, 0, created(DATA)),
            (Role::Client, 2, Act::AuthorizationRequested),
            (Role::Client, 11, Act::RedirectedBack { is_success: true }),
            (Role::Client, 12, TOKEN),
            (Role::Client, 13, ACCESS),
            (Role::Client, 14, REFRESH),
            (Role::Server, 0, created(DATA)),
            (Role::Server, 2, Act::AuthorizationRequested),
            (Role::Server, 10, Act::CodeIssued),
            (Role::Server, 12, TOKEN),
            (Role::Server, 13, ACCESS),
            (Role::Server, 14, REFRESH),
        ];
        let options = FunnelOptions { inference: Inference::Allowed, ..FunnelOptions::default() };
        let mut world = World::new(options.clone());
        for position in order {
            let (role, at, act) = acts[position].clone();
            world.funnel.observe(&signal("urn:insurer:1", role, at, &position.to_string(), act));
        }
        world.advance(1000);
        world.check_books();
        prop_assert_eq!(world.names(Side::Client).len(), 6);
        prop_assert_eq!(world.names(Side::Server).len(), 9);
        check_order(&world.records, &options);
    }
}

#[test]
fn events_of_disorder_are_valid_too() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(event(), 200);
    let mut records = Vec::new();
    for _ in 0..20 {
        let events = strategy.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(FunnelOptions {
            inference: Inference::Allowed,
            history: History::Elsewhere,
            settle_seconds: 0,
            ..FunnelOptions::default()
        });
        let mut now = 0;
        for (position, event) in events.iter().enumerate() {
            play(&mut world, &mut now, position, event);
        }
        world.advance(now + 10_000);
        records.append(&mut world.records);
    }
    assert!(records.len() > 100, "{}", records.len());
    check_records("events_of_disorder_are_valid_too", &records);
}
