//! Runs the fuzz targets of funnel and metrics on seeds and their mutations, the same in every run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "funnel/world.rs"]
#[allow(dead_code, reason = "the tests of the funnel use the rest")]
mod world;

use jiff::{Timestamp, civil::date};
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
    run(&seeds.map(<[u8]>::to_vec), fuzz_hook);
}

#[test]
fn funnel_state() {
    let mut world = World::new(FunnelOptions::default());
    world.call(Role::Client, 0, created(DATA));
    world.call(Role::Client, 5, TOKEN);
    world.call(Role::Server, 6, ACCESS);
    let held = world.funnel.snapshot().write().unwrap();
    world.advance(1000);
    run(&[held, world.funnel.snapshot().write().unwrap()], fuzz_funnel_state);
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
    run(&[body.to_string().into_bytes()], fuzz_published_figures);
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
    run(&[tally.write(&Some(7_u64)).unwrap()], fuzz_tally);
}

fn run(seeds: &[Vec<u8>], target: fn(&[u8])) {
    for seed in seeds {
        for end in 0..=seed.len() {
            target(&seed[..end]);
        }
    }
    let mut random = Random(0x0072_6570_6f72_7473);
    for _ in 0..MUTATIONS {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        target(&bytes);
    }
}

/// Half of the mutations change a digit, so that what is read still is JSON.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(32)).min(bytes.len());
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.insert(at, random.below(256) as u8),
        2 => drop(bytes.drain(at..end)),
        3 => {
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let digits: Vec<usize> =
                (0..bytes.len()).filter(|it| bytes[*it].is_ascii_digit()).collect();
            if !digits.is_empty() {
                bytes[digits[random.below(digits.len())]] = b'0' + random.below(10) as u8;
            }
        }
    }
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
