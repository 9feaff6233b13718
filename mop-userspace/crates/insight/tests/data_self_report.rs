//! What servers say of their own operation, from exchanges to figures.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use common::{Made, SERVER, analyse};
use jiff::Timestamp;
use mop_insight::data::{
    analyst::{Edge, Outcome},
    call::{SelfReport, StatusReport},
    metrics::{CheckOutcome, Metrics, MetricsOptions, Period, Priorities, View},
};
use mop_wire::{Body, Ending};
use serde_json::{Value, json};

const STATUS: &str = "/open-insurance/discovery/v1/status";
const METRICS: &str = "/open-insurance/admin/v1/metrics";
const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";

fn said(items: &Value) -> Value {
    json!({ "data": { "status": items }, "links": {}, "meta": { "totalRecords": 1, "totalPages": 1 } })
}

fn polled(status: u16, body: &Value) -> Option<StatusReport> {
    reported(&Made::new("GET", STATUS, status).answers(body))
}

fn reported(made: &Made) -> Option<StatusReport> {
    match made.call().report {
        Some(SelfReport::Status(status)) => Some(status),
        Some(SelfReport::Figures(_)) => panic!("no figures"),
        None => None,
    }
}

fn edges(outcomes: Vec<Outcome>) -> Vec<Edge> {
    outcomes
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::Edge(edge) => Some(*edge),
            _ => None,
        })
        .collect()
}

#[test]
fn a_status_is_read_as_its_document_says() {
    let code = |code: &str| json!({ "code": code, "explanation": "x" });
    let partial = |named: &[&str]| json!({ "code": "PARTIAL_FAILURE", "explanation": "x", "unavailableEndpoints": named });
    let address = format!("https://api.seguradora.com.br{AUTO}");
    for (items, expected) in [
        (json!([code("OK")]), Some(StatusReport::Ok)),
        (json!([code("OK"), code("UNAVAILABLE")]), Some(StatusReport::Unavailable)),
        (json!([code("OK"), code("SCHEDULED_OUTAGE")]), Some(StatusReport::ScheduledOutage)),
        (code("OK"), Some(StatusReport::Ok)),
        (
            json!([partial(&[&address, "electronic-channels"]), partial(&["x"])]),
            Some(StatusReport::PartialFailure(vec![
                AUTO.into(),
                "electronic-channels".into(),
                "x".into(),
            ])),
        ),
        // One that names none means all.
        (json!([partial(&["x"]), partial(&[])]), Some(StatusReport::PartialFailure(vec![]))),
        // What is too long is the name of none of ours, but not of all.
        (
            json!([partial(&[&"x".repeat(300)])]),
            Some(StatusReport::PartialFailure(vec![String::new()])),
        ),
        (json!([]), None),
        (json!([code("FINE")]), None),
        (json!([{ "explanation": "x" }]), None),
        (json!("OK"), None),
    ] {
        assert_eq!(polled(200, &said(&items)), expected, "{items}");
    }
    let ok = said(&json!([code("OK")]));
    assert_eq!(polled(503, &ok), Some(StatusReport::ServerError));
    for status in [204, 404, 429] {
        assert_eq!(polled(status, &ok), None, "{status} says nothing of the interfaces");
    }
    let many: Vec<String> = (0..5000).map(|number| format!("endpoint-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let Some(StatusReport::PartialFailure(named)) = polled(200, &said(&json!([partial(&many)])))
    else {
        panic!("no partial failure");
    };
    assert_eq!(named.len(), 512);
}

#[test]
fn what_takes_longer_than_a_second_is_no_answer_and_what_was_not_seen_is_nothing() {
    let ok = Made::new("GET", STATUS, 200).answers(&said(&json!([{ "code": "OK" }])));
    assert_eq!(reported(&ok.clone().takes(1000)), Some(StatusReport::Ok));
    assert_eq!(reported(&ok.clone().takes(1001)), Some(StatusReport::NoAnswer));
    // Of the caller's side, of another method, of another path.
    assert_eq!(reported(&ok.clone().client()), None);
    assert_eq!(reported(&Made::new("POST", STATUS, 503)), None);
    assert_eq!(reported(&Made::new("GET", "/open-insurance/discovery/v1/outages", 503)), None);
    // Not seen whole.
    let mut cut = ok.clone();
    let body = &mut cut.exchange.response.as_mut().unwrap().body;
    *body = Body { length: body.length + 1, ..std::mem::take(body) };
    assert_eq!(reported(&cut), None);
    assert!(cut.call().seen.is_body_unread);
    // Given up by who asked, or just not seen.
    let mut unanswered = ok;
    unanswered.exchange.response = None;
    unanswered.exchange.completeness.ending = Ending::ResponseCut;
    assert_eq!(reported(&unanswered), None);
    let begun = unanswered.exchange.timing.request_start_ns;
    unanswered.connection_end_ns = Some(begun + 500_000_000);
    assert_eq!(reported(&unanswered), None);
    unanswered.connection_end_ns = Some(begun + 1_000_000_001);
    assert_eq!(reported(&unanswered), Some(StatusReport::NoAnswer));
    unanswered.exchange.completeness.response.missing_bytes = 1;
    assert_eq!(reported(&unanswered), None);
}

/// A day before noon, as exchanges: 2026-11-24T12:00:00.5Z is when the first begins.
fn script() -> Vec<Made> {
    let mut made = vec![
        Made::new("GET", AUTO, 200).takes(100),
        Made::new("GET", AUTO, 200).takes(2000),
        Made::new("GET", AUTO, 429).takes(9000),
        Made::new("GET", AUTO, 503).takes(300),
        // Another version is none that any document has.
        Made::new("GET", "/open-insurance/insurance-auto/v9/insurance-auto", 404),
        Made::new("GET", STATUS, 200).takes(40).answers(&said(&json!([{ "code": "OK" }]))),
        Made::new("GET", STATUS, 200).takes(40).answers(&said(&json!([{ "code": "UNAVAILABLE" }]))),
        // What this node asked of another is none of its own.
        Made::new("GET", AUTO, 500).client(),
    ];
    made =
        (0..).zip(made).map(|(number, made)| made.at(number * 60_000, number as u64 + 1)).collect();
    // The same call at the application behind the proxy.
    let hop = Made::new("GET", AUTO, 200).takes(90).at(5, 900);
    let hop = hop.ends("10.0.0.2:8080", "10.0.0.1:50000");
    made.insert(1, hop);
    made
}

#[test]
fn a_scripted_set_of_calls_gives_exactly_its_record() {
    let priorities = Priorities::published().unwrap();
    let options = MetricsOptions { levels: priorities.levels.clone(), ..MetricsOptions::default() };
    let mut metrics = Metrics::new(options);
    let (outcomes, counts) = analyse(&script());
    assert_eq!(counts.hops, 1);
    for edge in edges(outcomes) {
        assert_eq!(metrics.edge(&edge, &priorities, View::Every), None);
    }
    let now: Timestamp = "2026-11-24T12:07:59Z".parse().unwrap();
    let record = serde_json::to_value(metrics.record(SERVER, now, Period::All).unwrap()).unwrap();
    let days = |today: u64| json!({ "currentDay": today, "previousDays": [] });
    let uptime = |url: &str, rate: &str| json!({ "url": url, "uptimeRate": rate });
    let downtime = |url: &str, seconds: u64| json!({ "url": url, "partialDowntime": seconds });
    assert_eq!(
        record,
        json!({
            "kind": "data.metrics",
            "schema_version": 1,
            "id": format!("{SERVER}/utc/all/1795522079"),
            "organisation": SERVER,
            "period": "ALL",
            "day_boundary": "utc",
            "data": {
                "requestTime": "2026-11-24T12:07:59Z",
                "availability": {
                    // 480 s; 30 s for the 503, 30 s for the poll.
                    "uptime": {
                        "generalUptimeRate": "0.875000",
                        "endpoints": [uptime(STATUS, "0.937500"), uptime(AUTO, "0.875000")],
                    },
                    "downtime": {
                        "generalDowntime": 60,
                        "scheduledOutage": 0,
                        "endpoints": [downtime(STATUS, 30), downtime(AUTO, 60)],
                    },
                },
                "invocations": {
                    "unauthenticated": days(0), "highPriority": days(2),
                    "mediumPriority": days(4), "unattended": days(1),
                },
                "averageResponse": {
                    "unauthenticated": days(0), "highPriority": days(40),
                    "mediumPriority": days(800), "unattended": days(12),
                },
                "averageTps": days(0),
                "peakTps": days(1),
                "errors": days(1),
                "rejections": days(1),
            },
            "levels": [
                { "level": "high", "limit_milliseconds": 1000, "calls": 2, "within": 2, "p95_milliseconds": record["levels"][0]["p95_milliseconds"], "is_met": true },
                { "level": "medium", "limit_milliseconds": 1500, "calls": 3, "within": 2, "p95_milliseconds": record["levels"][1]["p95_milliseconds"], "is_met": false },
                { "level": "administrative", "limit_milliseconds": 4000, "calls": 0, "within": 0, "p95_milliseconds": null, "is_met": true },
            ],
            "coverage": { "observed_seconds": 480, "polls": 2, "late": 0 },
        }),
        "{record:#}"
    );
    let p95 = record["levels"][1]["p95_milliseconds"].as_u64().unwrap();
    assert!((1937..=2063).contains(&p95), "{p95}: 2000 with an error of a thirty-second");

    let totals = metrics.totals(now);
    assert_eq!(totals.len(), 1);
    assert_eq!(totals[0].organisation, SERVER);
    assert_eq!(totals[0].totals.classes, [0, 2, 4, 1]);
    let levels = totals[0].totals.levels.map(|level| (level.timed, level.slow));
    assert_eq!(levels, [(2, 0), (3, 1), (0, 0)]);
    assert_eq!((totals[0].totals.polls, totals[0].down_seconds), (2, 60));
}

#[test]
fn figures_that_are_published_come_out_as_a_check() {
    let priorities = Priorities::published().unwrap();
    let mut metrics = Metrics::new(MetricsOptions::default());
    let (outcomes, _) = analyse(&script());
    for edge in edges(outcomes) {
        metrics.edge(&edge, &priorities, View::Every);
    }
    let now: Timestamp = "2026-11-24T12:08:00Z".parse().unwrap();
    let address = format!("https://{}{METRICS}", common::HOST);
    let body = metrics.response(SERVER, now, Period::All, &address).unwrap();
    let target = |query: &str| format!("{METRICS}{query}");
    let mut check = |made: Made| {
        let (outcomes, _) = analyse(&[made]);
        let edge = edges(outcomes).pop().unwrap();
        assert_eq!(edge.operation(), Some(METRICS));
        metrics.edge(&edge, &priorities, View::Every)
    };
    let whole = check(Made::new("GET", &target("?period=ALL"), 200).answers(&body)).unwrap();
    assert_eq!((whole.outcome, whole.period), (CheckOutcome::NotObserved, Some(Period::All)));
    assert_eq!(whole.organisation, SERVER);
    assert_eq!(whole.request_time.as_deref(), Some("2026-11-24T12:08:00Z"));
    let unsaid = check(Made::new("GET", METRICS, 200).answers(&body)).unwrap();
    assert_eq!(unsaid.period, None);
    let mut secret = body.clone();
    secret["data"]["requestTime"] = json!("a secret");
    let secret = check(Made::new("GET", METRICS, 200).answers(&secret)).unwrap();
    assert!(!format!("{secret:?}").contains("a secret"));
    for wrong in [json!({}), json!({ "data": { "requestTime": 7 } })] {
        let wrong = check(Made::new("GET", METRICS, 200).answers(&wrong)).unwrap();
        assert_eq!((wrong.outcome, wrong.compared), (CheckOutcome::Unreadable, 0));
    }
    assert_eq!(check(Made::new("GET", METRICS, 404).answers(&body)), None);
    assert_eq!(check(Made::new("GET", METRICS, 500)), None);
}

#[test]
fn every_published_operation_is_listed_or_known_by_its_path() {
    let test = "every_published_operation_is_listed_or_known_by_its_path";
    let endpoints = common::endpoints();
    for (name, expected) in [("admin_metrics", 1), ("discovery", 2), ("dynamic-fields", 4)] {
        let Some(document) = common::document(test, name) else { return };
        let mut builder = mop_contract::ContractBuilder::default();
        builder.add(&document, None);
        let contract = builder.build();
        let unlisted = contract.operations().iter().filter(|operation| {
            endpoints.find(&operation.template).is_err()
                && mop_insight::data::endpoint::unlisted_path(&operation.template)
                    == Some(&*operation.template)
        });
        assert_eq!(unlisted.count(), expected, "{name}");
    }
    for made_up in ["/open-insurance/discovery/v1/other", "/open-insurance/discovery/v1", ""] {
        assert_eq!(mop_insight::data::endpoint::unlisted_path(made_up), None);
    }
}
