//! Calls through the whole module, as a replay makes them.

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::{
    alarms::{AlarmCounts, AlarmSignal},
    call::{Ends, Extractor, Observed},
};
use mop_wire::{
    Anomalies, Body, Completeness, Ending, Exchange, Headers, Request, Response, Role, Seen,
    Timing, Version,
};

use super::NodeSamples;
use crate::data::{DataConfiguration, Module, State};

fn exchange(number: u64, status: u16) -> Exchange {
    let start_ns = 1 + number * 6_000_000_000;
    let mut headers = Headers::default();
    headers.push("Host", b"api.seguradora.example");
    Exchange {
        connection: number,
        sequence: 0,
        role: Role::Server,
        request: Some(Request {
            method: "GET".into(),
            target: "/open-insurance/channels/v1/branches".to_owned(),
            version: Version::Http11,
            headers,
            body: Body::default(),
            anomalies: Anomalies::default(),
        }),
        response: Some(Response {
            status,
            version: Version::Http11,
            headers: Headers::default(),
            body: Body::default(),
            anomalies: Anomalies::default(),
        }),
        interim: Vec::new(),
        timing: Timing {
            request_start_ns: start_ns,
            request_end_ns: start_ns + 1_000_000,
            response_start_ns: start_ns + 20_000_000,
            response_end_ns: start_ns + 30_000_000,
        },
        completeness: Completeness {
            request: Seen::default(),
            response: Seen::default(),
            ending: Ending::Complete,
            resynchronised: false,
        },
    }
}

/// Ten calls a minute: half of the calls of some minutes fail.
fn replayed(
    configuration: &DataConfiguration,
    failing: std::ops::Range<u64>,
) -> Option<AlarmCounts> {
    let (state, node) = (State::beside(None), NodeSamples::default());
    let mut module =
        Module::open(configuration, state, node, Timestamp::UNIX_EPOCH).expect("opened");
    let mut extractor = Extractor::new(module.extractor());
    let begin: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
    for number in 0..600_u64 {
        let is_failed = failing.contains(&(number / 10)) && number % 2 == 0;
        let exchange = exchange(number, if is_failed { 503 } else { 200 });
        let name = format!("e{number}").into();
        let passed = SignedDuration::from_secs(i64::try_from(number * 6).expect("small"));
        let observed = Observed {
            exchange: &name,
            start: begin.checked_add(passed).expect("a time"),
            ends: Ends::default(),
            process: None,
            peer_certificate: None,
            own_certificate: None,
            connection_end_ns: None,
        };
        let call = extractor.extract(&exchange, &observed).expect("a call");
        module.observe(call, None);
    }
    module.finish_file(None);
    module.counts().alarms.map(|alarms| alarms.counts)
}

#[test]
fn an_incident_of_a_file_opens_and_closes_its_alarms() {
    let configuration = DataConfiguration::default();
    let counts = replayed(&configuration, 20..30).expect("on");
    let of = |counts: &std::collections::BTreeMap<AlarmSignal, u64>, signal| {
        counts.get(&signal).copied().unwrap_or_default()
    };
    let opened_and_closed = |signal| (of(&counts.opened, signal), of(&counts.closed, signal));
    assert_eq!(opened_and_closed(AlarmSignal::Errors), (1, 1), "{counts:?}");
    // The six hours remember it for longer than the file lasts.
    assert_eq!(opened_and_closed(AlarmSignal::AvailabilityBurn), (1, 0), "{counts:?}");
    assert_eq!(counts, replayed(&configuration, 20..30).expect("on"));
    // The end of a file is no silence, and calls that succeed are no alarm.
    let calm = replayed(&configuration, 0..0).expect("on");
    assert!(calm.opened.is_empty(), "{calm:?}");
    assert_eq!(calm.keys, 2);
}

#[test]
fn it_can_be_switched_off_and_signals_silenced() {
    let mut configuration = DataConfiguration::default();
    configuration.alarms.silenced = vec![AlarmSignal::Errors];
    let counts = replayed(&configuration, 20..30).expect("on");
    assert!(!counts.opened.contains_key(&AlarmSignal::Errors), "{counts:?}");
    configuration.alarms.enabled = false;
    assert_eq!(replayed(&configuration, 20..30), None);
}
