//! Scripted calls, and what becomes of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test uses all of it, and all fail by panicking"
)]

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use jiff::Timestamp;
use mop_insight::data::{
    alarms::{AlarmSettings, AlarmSignal, AlarmState, Alarms, AnomalyRecord, Scope},
    analyst::Edge,
    call::{Answer, Method},
    endpoint::{Endpoint, Group, NotListed},
    metrics::Priorities,
    signal::Parties,
};
use mop_wire::Role;

/// A Monday, 00:00 in Brasilia.
pub(crate) const START: i64 = 1_399_863_600;
pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const WEEK: i64 = 7 * DAY;
pub(crate) const ORGANISATION: &str = "05050000-0000-4000-8000-000000000005";

pub(crate) fn settings(most_keys: usize) -> AlarmSettings {
    AlarmSettings {
        window_seconds: 60,
        most_keys,
        silenced: BTreeSet::new(),
        priorities: Priorities::published().unwrap(),
        node: "node".to_owned(),
    }
}

pub(crate) fn endpoint(number: usize) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        template: format!("/open-insurance/resources/v3/resources/{number}"),
        group: Group::Phase2,
        interface: "resources".to_owned(),
        version: 3,
    })
}

/// A call to an own endpoint, that ends at a second.
pub(crate) fn call(second: i64, route: usize, status: u16, milliseconds: u64) -> Edge {
    let end = Timestamp::from_second(second).unwrap();
    Edge {
        exchange: "e".into(),
        role: Role::Server,
        at: end - std::time::Duration::from_millis(milliseconds),
        microseconds: Some(milliseconds * 1000),
        method: Method::Get,
        answer: Answer::Status(status),
        endpoint: if route == usize::MAX {
            Err(NotListed::Unregulated)
        } else {
            Ok(endpoint(route % 8))
        },
        parties: Parties {
            client_organisation: Some(format!("0c0a0000-0000-4000-8000-{:012}", route / 8)),
            server_organisation: Some(ORGANISATION.to_owned()),
            ..Parties::default()
        },
        unlisted: None,
        report: None,
        client_certificate_end: None,
    }
}

/// A minute of a route: as many calls, of which so many fail, of about so many milliseconds.
pub(crate) fn minute(
    alarms: &mut Alarms,
    start: i64,
    route: usize,
    calls: i64,
    errors: i64,
    milliseconds: u64,
) {
    for number in 0..calls {
        let status = if number < errors { 503 } else { 200 };
        let noise = (start / MINUTE * 31 + number * 7919).rem_euclid(41).unsigned_abs();
        let took = milliseconds + milliseconds * noise / 100;
        alarms.observe(&call(start + number * MINUTE / calls, route, status, took));
    }
}

/// The end of a minute: what opens and closes.
pub(crate) fn tick(alarms: &mut Alarms, end: i64) -> Vec<AnomalyRecord> {
    alarms.advance(Timestamp::from_second(end).unwrap())
}

/// Calls a minute that are usual at a time, with some noise.
pub(crate) fn usual(time: i64) -> i64 {
    40 + (time / MINUTE * 7919).rem_euclid(17)
}

/// Minutes of usual load on one route.
pub(crate) fn warm_up(alarms: &mut Alarms, minutes: i64) -> i64 {
    for number in 0..minutes {
        let time = START + number * MINUTE;
        minute(alarms, time, 0, usual(time), 0, 100);
        let told = tick(alarms, time + MINUTE);
        assert_eq!(told, [], "{number}");
    }
    START + minutes * MINUTE
}

/// Records in short.
pub(crate) fn short(records: &[AnomalyRecord]) -> Vec<(AlarmSignal, Scope, AlarmState)> {
    records.iter().map(|it| (it.signal, it.subject.scope, it.state)).collect()
}

pub(crate) fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../rules/schemas/data.anomaly.schema.json");
    let text = fs::read_to_string(path).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}
