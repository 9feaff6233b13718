//! From calls to alarms, with the analyst between them: what is late, what is not told, and that it
//! does not matter when the time is told.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod alarms;
mod common;

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    alarms::{Alarms, AnomalyRecord, GRACE},
    analyst::{Edge, Outcome},
    call::Extractor,
};
use std::sync::Arc;

use alarms::settings;
use common::{CLIENT, CONSENT, Made, SERVER, analyse, analyst};

const RESOURCES: &str = "/open-insurance/resources/v3/resources";

fn edges(outcomes: &[Outcome]) -> Vec<&Edge> {
    let edge = |outcome: &'_ Outcome| matches!(outcome, Outcome::Edge(_));
    outcomes
        .iter()
        .filter(|outcome| edge(outcome))
        .filter_map(|outcome| if let Outcome::Edge(edge) = outcome { Some(&**edge) } else { None })
        .collect()
}

#[test]
fn the_end_of_a_clients_certificate_comes_with_its_calls() {
    let made = Made::new("GET", RESOURCES, 200);
    let certificate = common::certificate();
    let (outcomes, _) = analyse(&[made]);
    let edges = edges(&outcomes);
    let ends: Vec<_> = edges.iter().map(|edge| edge.client_certificate_end).collect();
    assert_eq!(ends, [certificate.not_after]);
    assert!(certificate.not_after.is_some());
}

/// Calls for 40 minutes, half of which fail for ten; some wait for a token that never comes.
fn calls() -> Vec<Made> {
    (0..1200_i64)
        .map(|number| {
            let is_failed = (600..900).contains(&number) && number % 2 == 0;
            let made = match number % 5 {
                0 => Made::new(
                    "GET",
                    &format!("/open-insurance/consents/v3/consents/{CONSENT}"),
                    200,
                ),
                1 => Made::new("GET", RESOURCES, if is_failed { 500 } else { 200 }).bearer("t"),
                _ => Made::new("GET", RESOURCES, if is_failed { 500 } else { 200 }),
            };
            made.at(number * 2000, number.unsigned_abs() + 1)
        })
        .collect()
}

/// What is told when the time is told every so many milliseconds, or by the calls alone.
fn told(every: Option<i64>) -> (Vec<AnomalyRecord>, u64) {
    let mut analyst = analyst();
    let mut extractor = Extractor::new(Arc::new(common::settings()));
    let mut alarms = Alarms::new(settings(100));
    let (mut outcomes, mut told) = (Vec::new(), Vec::new());
    let mut now = Timestamp::UNIX_EPOCH;
    let mut give = |alarms: &mut Alarms, outcomes: &mut Vec<Outcome>, now: Timestamp| {
        edges(outcomes).into_iter().for_each(|edge| alarms.observe(edge));
        outcomes.clear();
        told.extend(alarms.advance(now));
    };
    for made in calls() {
        let call = made.call_by(&mut extractor).unwrap();
        let end = call.end();
        if let Some(every) = every
            && now != Timestamp::UNIX_EPOCH
        {
            while now + SignedDuration::from_millis(every) < end {
                now += SignedDuration::from_millis(every);
                analyst.advance(now, &mut outcomes);
                give(&mut alarms, &mut outcomes, now);
            }
        }
        now = now.max(end);
        analyst.observe(call, &mut outcomes);
        give(&mut alarms, &mut outcomes, now);
    }
    analyst.finish(&mut outcomes);
    give(&mut alarms, &mut outcomes, now);
    told.extend(alarms.finish(now));
    (told, alarms.counts().late)
}

#[test]
fn a_replay_tells_what_the_live_run_told() {
    let (replayed, late) = told(None);
    assert!(replayed.len() >= 3, "{replayed:#?}");
    for every in [250, 7_000] {
        assert_eq!(told(Some(every)), (replayed.clone(), late), "{every}");
    }
    // Those of the first two windows, which are not whole or may not be.
    assert!(late <= 60, "{late}");
    let text = serde_json::to_string(&replayed).unwrap();
    assert!(text.contains(SERVER) && text.contains(CLIENT), "{text}");
    for secret in [CONSENT, "C1DD33123", "10.0.0.1", common::HOST] {
        assert!(!text.contains(secret), "{secret} is told");
    }
}

#[test]
fn the_grace_is_longer_than_a_call_waits() {
    let settings = common::analyst_settings();
    assert!((settings.settle + settings.join_wait).as_secs() < GRACE);
}
