//! Runs the fuzz targets of funnel and metrics on seeds and their mutations, the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "funnel/world.rs"]
#[allow(dead_code, reason = "the tests of the funnel use the rest")]
mod world;

use jiff::{Timestamp, civil::date};
use mop_corpus::replay;
use mop_insight::data::{
    funnel::{FunnelOptions, Side},
    fuzzing::{fuzz_funnel_state, fuzz_hook, fuzz_published_figures, fuzz_tally},
    metrics::{CallFigures, Metrics, MetricsOptions, Period, Priorities},
    reconciliation::{
        Fate, Reason,
        tally::{Subject, Tally},
    },
};
use mop_wire::Role;
use world::{ACCESS, DATA, TOKEN, World, created};

/// Mutations of each target: a few seconds' worth.
const MUTATIONS: usize = 10_000;

#[test]
fn hook() {
    let seeds = [
        &br#"{"consentId":"urn:insurer:C1","side":"server","step":"user-authenticated","timestamp":"2025-11-20T12:00:00Z"}"#[..],
        br#"{"consentId":"urn:i:C1","side":"server","step":"user-authentication-failed","timestamp":"2025-11-20T12:00:00-03:00","additionalInfo":{"authentication-failure-reason":"other"}}"#,
        br#"{"consentId":"urn:i:C1","side":"client","step":"quote-request-created","timestamp":"2025-11-20T12:00:00Z","additionalInfo":{"quoteID":"Q1","consent-user":"user"}}"#,
    ];
    replay(&seeds.map(<[u8]>::to_vec), fuzz_hook, MUTATIONS);
}

#[test]
fn funnel_state() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Client, 0, created(DATA));
    world.call(Role::Client, 5, TOKEN);
    world.call(Role::Server, 6, ACCESS);
    let held = world.funnel.snapshot().write().unwrap();
    world.advance(1000);
    replay(&[held, world.funnel.snapshot().write().unwrap()], fuzz_funnel_state, MUTATIONS);
}

#[test]
fn published_figures() {
    let mut metrics = Metrics::new(MetricsOptions::default());
    let path = "/open-insurance/consents/v3/consents";
    for (day, status) in [(0, 200), (1, 500), (2, 429)] {
        metrics.observe(&CallFigures {
            organisation: "organisation",
            at: Timestamp::from_second(day * 86_400).unwrap(),
            microseconds: Some(1000),
            status: Some(status),
            priority: Priorities::published().unwrap().of(path),
            endpoint: Some(path),
        });
    }
    let now = Timestamp::from_second(2 * 86_400 + 5).unwrap();
    let address = "https://api.example.com/open-insurance/admin/v1/metrics";
    let body = metrics.response("organisation", now, Period::All, address).unwrap();
    replay(&[body.to_string().into_bytes()], fuzz_published_figures, MUTATIONS);
}

#[test]
fn tally() {
    let mut tally = Tally::default();
    for (day, fate) in [
        (1, Fate::Observed),
        (1, Fate::Reported),
        (2, Fate::Accepted),
        (2, Fate::Discarded(Reason::new("discarded_url"))),
        (3, Fate::NotReportable(Reason::new("consent_unknown"))),
    ] {
        for side in Side::ALL {
            let endpoint = "/open-insurance/consents/v3/consents".to_owned();
            tally.add(&Subject { day: date(2026, 11, day), side, endpoint }, &fate);
        }
    }
    replay(&[tally.write(&Some(7_u64)).unwrap()], fuzz_tally, MUTATIONS);
}
