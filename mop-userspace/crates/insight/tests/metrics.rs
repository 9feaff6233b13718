//! Figures of a participant: what they count, that they are valid by the published document, and
//! that a restart changes nothing.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod published;

use std::fs;

use jiff::Timestamp;
use mop_contract::Document;
use mop_insight::data::metrics::{
    CallFigures, DayBoundary, Metrics, MetricsData, MetricsOptions, Outages, Period, PollAnswer,
    Priorities, PriorityClass, StatusPoll,
    compare::{Tolerance, compare},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ORGANISATION: &str = "ff66b95a-d817-4fbe-949a-c5912e240189";
const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";
const CONSENTS: &str = "/open-insurance/consents/v3/consents";
const STATUS: &str = "/open-insurance/discovery/v1/status";
/// 2026-01-05T00:00:00Z
const DAY: i64 = 1_767_571_200;
const ADDRESS: &str = "https://api.example.com/open-insurance/admin/v1/metrics";

fn options() -> MetricsOptions {
    let levels = Priorities::published().unwrap().levels;
    MetricsOptions { levels, ..MetricsOptions::default() }
}

fn call<'a>(second: i64, path: &'a str, status: u16, milliseconds: u64) -> CallFigures<'a> {
    CallFigures {
        organisation: ORGANISATION,
        at: Timestamp::from_second(second).unwrap(),
        microseconds: Some(milliseconds * 1000),
        status: Some(status),
        priority: Priorities::published().unwrap().of(path),
        endpoint: Some(path),
    }
}

fn poll(second: i64, answer: PollAnswer<'_>) -> StatusPoll<'_> {
    StatusPoll { organisation: ORGANISATION, at: Timestamp::from_second(second).unwrap(), answer }
}

fn data(metrics: &Metrics, second: i64, period: Period) -> MetricsData {
    metrics.data(ORGANISATION, Timestamp::from_second(second).unwrap(), period).unwrap()
}

#[test]
fn a_day_of_calls_gives_the_figures_of_that_day() {
    let mut metrics = Metrics::new(options());
    for second in 0..100 {
        metrics.observe(&call(DAY + second, AUTO, 200, 300));
        metrics.observe(&call(DAY + second, CONSENTS, 201, 500));
    }
    metrics.observe(&call(DAY + 50, AUTO, 429, 60_000));
    metrics.observe(&call(DAY + 50, AUTO, 404, 400));
    metrics.observe(&call(DAY + 60, STATUS, 200, 20));
    metrics.observe(&call(DAY + 60, "/.well-known/openid-configuration", 200, 7));
    metrics.observe(&call(DAY + 60, "/token", 500, 90));
    let unanswered = CallFigures { status: None, microseconds: None, ..call(DAY, AUTO, 0, 0) };
    metrics.observe(&unanswered);
    let today = data(&metrics, DAY + 199, Period::All);
    let classes = |of: &mop_insight::data::metrics::figures::ByClass| {
        [&of.unauthenticated, &of.high_priority, &of.medium_priority, &of.unattended]
            .map(|days| days.current_day)
    };
    assert_eq!(classes(&today.invocations), [1, 1, 203, 1]);
    assert_eq!(classes(&today.average_response), [7, 20, 400, 90]);
    assert_eq!(today.average_tps.current_day, 1, "206 calls in 200 seconds");
    assert_eq!(today.peak_tps.current_day, 5, "at second 60");
    assert_eq!((today.errors.current_day, today.rejections.current_day), (1, 1));
    assert!(today.errors.previous_days.is_empty(), "nothing was observed before");

    // The next day, they are yesterday's.
    metrics.observe(&call(DAY + 86_400, AUTO, 200, 100));
    let next = data(&metrics, DAY + 86_401, Period::All);
    assert_eq!(next.invocations.medium_priority.current_day, 1);
    assert_eq!(next.invocations.medium_priority.previous_days, [203]);
    assert_eq!(next.peak_tps.previous_days, [5]);
    let current = data(&metrics, DAY + 86_401, Period::Current);
    assert!(current.invocations.medium_priority.previous_days.is_empty());
}

#[test]
fn there_are_seven_days_before_today_and_days_without_calls_are_among_them() {
    let mut metrics = Metrics::new(options());
    for day in [0, 1, 4, 9] {
        for _ in 0..=day {
            metrics.observe(&call(DAY + day * 86_400, AUTO, 200, 100));
        }
    }
    let of = |second| data(&metrics, second, Period::All).invocations.medium_priority;
    let ninth = of(DAY + 9 * 86_400 + 10);
    assert_eq!(ninth.current_day, 10);
    assert_eq!(ninth.previous_days, [0, 0, 0, 0, 5, 0, 0]);
    let later = of(DAY + 11 * 86_400);
    assert_eq!((later.current_day, later.previous_days), (0, vec![0, 10, 0, 0, 0, 0, 5]));
    // Too late to be counted, and told.
    metrics.observe(&call(DAY, AUTO, 200, 100));
    assert_eq!(metrics.uncounted(), 1);
}

#[test]
fn a_day_begins_where_the_options_say() {
    let brasilia = MetricsOptions { boundary: DayBoundary::Brasilia, ..options() };
    let mut metrics = Metrics::new(brasilia);
    metrics.observe(&call(DAY + 3 * 3600 - 1, AUTO, 200, 100));
    metrics.observe(&call(DAY + 3 * 3600, AUTO, 200, 100));
    let figures = data(&metrics, DAY + 4 * 3600, Period::All).invocations.medium_priority;
    assert_eq!((figures.current_day, figures.previous_days), (1, vec![1]));
}

#[test]
fn availability_counts_slots_of_thirty_seconds() {
    let mut metrics = Metrics::new(options());
    let named = vec!["insurance-auto".to_owned()];
    metrics.observe(&call(DAY, AUTO, 200, 10));
    metrics.observe(&call(DAY, CONSENTS, 200, 10));
    for slot in 0..2880 {
        let answer = match slot {
            10..20 => PollAnswer::Unavailable,
            20..25 => PollAnswer::NoAnswer,
            25..27 => PollAnswer::ServerError,
            30..40 => PollAnswer::PartialFailure(&named),
            100..300 => PollAnswer::ScheduledOutage,
            _ => PollAnswer::Ok,
        };
        metrics.poll(&poll(DAY + slot * 30 + 3, answer));
    }
    // 5xx in a slot of its own, in one that is down already, and in one of an announced outage.
    for slot in [500, 500, 15, 200] {
        metrics.observe(&call(DAY + slot * 30 + 7, CONSENTS, 503, 10));
    }
    // 4xx is none.
    metrics.observe(&call(DAY + 600 * 30, AUTO, 404, 10));
    let figures = data(&metrics, DAY + 86_399, Period::Current).availability;
    assert_eq!(figures.downtime.scheduled_outage, 200 * 30);
    // Slots 15 and 200 come hours too late.
    assert_eq!(figures.downtime.general_downtime, (17 + 10 + 1) * 30);
    let partial = |url: &str| {
        figures.downtime.endpoints.iter().find(|it| it.url == url).unwrap().partial_downtime
    };
    assert_eq!(partial(AUTO), 27 * 30);
    assert_eq!(partial(CONSENTS), (17 + 1) * 30);
    let whole = 86_400_u64 - 6000;
    let expected = format!("0.{:06}", (whole - 810) * 1_000_000 / whole);
    let rate = figures.uptime.endpoints.iter().find(|it| it.url == AUTO).unwrap();
    assert_eq!(rate.uptime_rate, expected);

    let mut polls_alone = Metrics::new(MetricsOptions { outages: Outages::Polls, ..options() });
    polls_alone.observe(&call(DAY, CONSENTS, 503, 10));
    let figures = data(&polls_alone, DAY + 1000, Period::Current).availability;
    assert_eq!(figures.uptime.general_uptime_rate, "1.000000");
}

#[test]
fn an_announced_outage_takes_back_what_failed_in_its_slot() {
    let mut metrics = Metrics::new(options());
    metrics.observe(&call(DAY + 1, CONSENTS, 503, 10));
    metrics.poll(&poll(DAY + 2, PollAnswer::ScheduledOutage));
    metrics.observe(&call(DAY + 3, CONSENTS, 503, 10));
    let figures = data(&metrics, DAY + 59, Period::Current).availability.downtime;
    assert_eq!((figures.general_downtime, figures.scheduled_outage), (0, 30));
    assert_eq!(figures.endpoints[0].partial_downtime, 0);
}

#[test]
fn the_answer_is_valid_by_the_published_document() {
    let mut metrics = Metrics::new(options());
    for day in 0..9 {
        for second in 0..50 {
            metrics.observe(&call(DAY + day * 86_400 + second, AUTO, 200, 300 + second as u64));
        }
        metrics.observe(&call(DAY + day * 86_400, CONSENTS, 500, 20));
        metrics.poll(&poll(DAY + day * 86_400 + 40, PollAnswer::Unavailable));
    }
    let now = Timestamp::from_second(DAY + 8 * 86_400 + 100).unwrap();
    let schema = published::record_schema("data.metrics");
    for period in [Period::All, Period::Current] {
        let record = metrics.record(ORGANISATION, now, period).unwrap();
        let value = serde_json::to_value(&record).unwrap();
        assert!(schema.is_valid(&value), "{value}");
        let medium = record.levels.iter().find(|it| it.limit_milliseconds == 1500).unwrap();
        assert!(medium.is_met && medium.within == medium.calls);
        let p95 = medium.p95_milliseconds.unwrap();
        assert!((335..360).contains(&p95), "{p95}");
    }
    let test = "the_answer_is_valid_by_the_published_document";
    let Some(document) = published::document(test, "admin_metrics") else { return };
    for tree in [document.tree.clone(), narrowed(document.tree.clone())] {
        let contract = published::contract(&Document::from_tree("admin_metrics", tree).unwrap());
        for period in [Period::All, Period::Current] {
            let body = metrics.response(ORGANISATION, now, period, ADDRESS).unwrap();
            let valid = |body: &Value| {
                let path = "/open-insurance/admin/v1/metrics";
                published::is_valid(&contract, "GET", path, Some(200), body)
            };
            assert!(valid(&body), "{body}");
            let data = MetricsData::parse_response(body.to_string().as_bytes()).unwrap();
            assert_eq!(data, metrics.data(ORGANISATION, now, period).unwrap());
            // The check itself can fail.
            let mut broken = body.clone();
            broken["data"]["availability"]["uptime"]["generalUptimeRate"] = json!("100%");
            assert!(!valid(&broken));
        }
    }
}

/// What version 2.0.0 narrows: the pattern of rates.
fn narrowed(mut tree: Value) -> Value {
    fn narrow(value: &mut Value, changed: &mut u32) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| narrow(item, changed)),
            Value::Object(members) => {
                if members.get("pattern") == Some(&json!(r"^\d{1}\.\d{1,16}$")) {
                    members.insert("pattern".into(), json!(r"^1\.0{1,9}$|^0\.\d{1,6}$"));
                    *changed += 1;
                }
                members.values_mut().for_each(|member| narrow(member, changed));
            }
            _ => {}
        }
    }
    let mut changed = 0;
    narrow(&mut tree, &mut changed);
    assert_eq!(changed, 2);
    tree
}

#[test]
fn every_published_operation_has_a_priority() {
    let test = "every_published_operation_has_a_priority";
    if published::document(test, "admin_metrics").is_none() {
        return;
    }
    let folder = std::env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| published::root().join("../shared/opin/specs"), Into::into);
    let priorities = Priorities::published().unwrap();
    let mut counts = [0; 2];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let document = Document::parse("document", &text).unwrap();
        let mut builder = mop_contract::ContractBuilder::default();
        builder.add(&document, None);
        for operation in builder.build().operations() {
            let priority = priorities.of(&operation.template);
            if operation.template.starts_with("/open-insurance/") {
                assert!(priority.level.is_some(), "{}", operation.template);
                counts[0] += 1;
            } else {
                assert_eq!(priority.class, PriorityClass::Unattended, "{}", operation.template);
                counts[1] += 1;
            }
        }
    }
    assert!(counts[0] > 150 && counts[1] >= 12, "{counts:?}");
}

#[test]
fn what_a_participant_publishes_is_compared() {
    let mut metrics = Metrics::new(options());
    for second in 0..1000 {
        metrics.observe(&call(DAY + second, AUTO, 200, 300));
        metrics.observe(&call(DAY + 86_400 + second, AUTO, 200, 300));
    }
    let ours = data(&metrics, DAY + 90_000, Period::All);
    let tolerance = Tolerance { absolute: 1, percent: 2 };
    let mut published = ours.clone();
    assert_eq!(compare(&ours, &published, tolerance), []);
    published.invocations.medium_priority.previous_days = vec![985];
    assert_eq!(compare(&ours, &published, tolerance), [], "within two of a hundred");
    published.invocations.medium_priority.previous_days = vec![];
    published.errors.previous_days = vec![7];
    published.availability.uptime.general_uptime_rate = "0.9".into();
    published.availability.uptime.endpoints.clear();
    published.availability.downtime.endpoints[0].url = format!("https://api.example.com{AUTO}");
    let differences = compare(&ours, &published, tolerance);
    let told: Vec<_> =
        differences.iter().map(|it| (it.figure.as_str(), it.ours, it.published)).collect();
    assert_eq!(
        told,
        [
            ("availability.uptime.generalUptimeRate", Some(1_000_000), Some(900_000)),
            ("invocations.mediumPriority.previousDays[0]", Some(1000), None),
            ("errors.previousDays[0]", Some(0), Some(7)),
        ]
    );
    // Today's figures move on.
    published = ours.clone();
    published.invocations.medium_priority.current_day = 0;
    assert_eq!(compare(&ours, &published, tolerance).len(), 1);
    published.request_time = "2026-01-06T02:00:00Z".into();
    assert_eq!(compare(&ours, &published, tolerance), []);
    for wrong in ["", "{}", r#"{"data": {"requestTime": 5}}"#, &" ".repeat(600_000)] {
        assert!(MetricsData::parse_response(wrong.as_bytes()).is_err());
    }
}

#[test]
fn a_call_that_is_told_minutes_late_is_counted_and_does_not_raise_the_peak_of_another_second() {
    let mut metrics = Metrics::new(options());
    for second in [1000, 1000, 1000 - 128, 1000 - 256, 999, 999, 999] {
        metrics.observe(&call(DAY + second, AUTO, 200, 10));
    }
    let figures = data(&metrics, DAY + 2000, Period::Current);
    assert_eq!(figures.peak_tps.current_day, 3);
    metrics.observe(&call(DAY + 1000 - 128, AUTO, 200, 10));
    metrics.observe(&call(DAY + 1000 - 256, AUTO, 200, 10));
    let figures = data(&metrics, DAY + 2000, Period::Current);
    assert_eq!(figures.peak_tps.current_day, 3);
    assert_eq!(figures.invocations.medium_priority.current_day, 9);
}

#[test]
fn memory_is_bounded() {
    let mut metrics = Metrics::new(options());
    for number in 0..1000 {
        let (organisation, endpoint) =
            (format!("organisation-{number}"), format!("{AUTO}/{number}"));
        let call = call(DAY, &endpoint, 200, 1);
        metrics.observe(&CallFigures { organisation: &organisation, ..call });
        metrics.observe(&CallFigures { organisation: "organisation-1", ..call });
    }
    assert_eq!(metrics.organisations().count(), 64);
    assert_eq!(metrics.uncounted(), 1000 - 64);
    let now = Timestamp::from_second(DAY).unwrap();
    let figures = metrics.data("organisation-1", now, Period::All).unwrap();
    assert_eq!(figures.availability.uptime.endpoints.len(), 512);
    assert_eq!(figures.invocations.medium_priority.current_day, 1001);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A simple count of the same calls gives the same figures, and a restart changes nothing.
    #[test]
    fn figures_are_sums_and_a_restart_changes_nothing(
        calls in prop::collection::vec(
            (0..10 * 86_400_i64, 0..4_usize, prop::sample::select(vec![200_u16, 404, 429, 500]), 1..5000_u64),
            1..150,
        ),
        restart in any::<prop::sample::Index>(),
    ) {
        let mut calls = calls;
        calls.sort_unstable();
        let paths = [AUTO, CONSENTS, STATUS, "/token"];
        let (mut steady, mut restarted) = (Metrics::new(options()), Metrics::new(options()));
        let restart = restart.index(calls.len());
        for (position, (second, path, status, milliseconds)) in calls.iter().enumerate() {
            let call = call(DAY + second, paths[*path], *status, *milliseconds);
            steady.observe(&call);
            restarted.observe(&call);
            if position == restart {
                let bytes = restarted.snapshot().write().unwrap();
                let snapshot =
                    mop_insight::data::metrics::MetricsSnapshot::parse(&bytes).unwrap();
                restarted = Metrics::restore(options(), snapshot).unwrap();
            }
        }
        prop_assert_eq!(steady.snapshot(), restarted.snapshot());
        let now = calls.last().unwrap().0;
        let figures = data(&steady, DAY + now, Period::All);
        let today = now / 86_400;
        let of_day = |day: i64, class: usize| {
            calls.iter().filter(move |(second, path, ..)| {
                let of = [1, 1, 0, 2][*path];
                second / 86_400 == day && of == class
            })
        };
        for (class, days) in [
            &figures.invocations.high_priority,
            &figures.invocations.medium_priority,
            &figures.invocations.unattended,
        ]
        .into_iter()
        .enumerate()
        {
            prop_assert_eq!(days.current_day as usize, of_day(today, class).count());
            for (position, figure) in days.previous_days.iter().enumerate() {
                let day = today - 1 - position as i64;
                prop_assert_eq!(*figure as usize, of_day(day, class).count());
            }
            let first = calls[0].0 / 86_400;
            prop_assert_eq!(days.previous_days.len() as i64, (today - first).min(7));
        }
        let errors = calls.iter().filter(|it| it.0 / 86_400 == today && it.2 == 500).count();
        prop_assert_eq!(figures.errors.current_day as usize, errors);
        for (class, days) in
            [&figures.average_response.high_priority, &figures.average_response.medium_priority]
                .into_iter()
                .enumerate()
        {
            let times: Vec<u64> =
                of_day(today, class).filter(|it| it.2 != 429).map(|it| it.3).collect();
            let count = times.len().max(1) as f64;
            let mean = times.iter().sum::<u64>() as f64 / count;
            prop_assert!((days.current_day as f64 - mean).abs() <= 0.5);
        }
    }
}
