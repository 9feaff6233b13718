//! What is published: by the document's schema, and compared with what a participant says.

use std::fs;

use jiff::Timestamp;
use mop_contract::Document;
use mop_insight::data::metrics::{
    Metrics, MetricsData, Period, PollAnswer, Priorities, PriorityClass,
    compare::{Tolerance, compare},
};
use serde_json::{Value, json};

use crate::{ADDRESS, AUTO, CONSENTS, DAY, ORGANISATION, call, data, options, poll, published};

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
