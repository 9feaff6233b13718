//! Against a collector in the same process. That the JSON is that of OTLP is held against the real
//! definitions in the end-to-end tests.

use std::sync::atomic::Ordering;

use super::*;
use crate::{
    sinks::http::stub::{LONG, Stub, drive, entry},
    vitals::SinkVitals,
};

fn configuration(stub: &Stub) -> OtlpConfiguration {
    let headers: BTreeMap<String, Secret> =
        toml::from_str("api-key = \"s3cr3t\"").expect("well-formed");
    OtlpConfiguration {
        endpoint: stub.url("/"),
        headers,
        request_timeout: LONG,
        ..OtlpConfiguration::default()
    }
}

async fn collector(answer: &'static str) -> Stub {
    Stub::start(Box::new(move |_| Some((200, Vec::new(), answer.to_owned())))).await
}

#[tokio::test]
async fn records_become_log_records() {
    let stub = collector("{}").await;
    let configuration = configuration(&stub);
    let mut sink = Otlp::new(&configuration, "node-1").expect("configured");
    let payload = r#"{"ts":"2026-11-24T12:00:00.000001Z","n":9007199254740993,"d":1.5,"t":true,"e":null,
        "big":18446744073709551615,"a":["x"],"o":{"k":"v"}}"#;
    let done =
        drive(&mut sink, vec![entry(1, "quality.report", payload), entry(2, "x", "not json")], 1)
            .await;
    assert_eq!(done.delivered, [1, 2]);
    let received = stub.received().pop().expect("sent");
    assert_eq!(received.path, "/v1/logs");
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(received.headers["api-key"], "s3cr3t");
    assert!(!format!("{configuration:?}").contains("s3cr3t"));
    let request: Value = serde_json::from_slice(&received.body).expect("JSON");
    let resource = request["resourceLogs"][0]["resource"]["attributes"].as_array().expect("there");
    assert!(resource.contains(&attribute("service.name", "mop")));
    assert!(resource.contains(&attribute("host.name", "node-1")));
    let records =
        request["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().expect("there");
    assert_eq!(records[0]["timeUnixNano"], "1795521600000001000");
    assert_eq!(records[0]["observedTimeUnixNano"], "1796126400000000000");
    assert_eq!(records[0]["eventName"], "quality.report");
    let attributes = records[0]["attributes"].as_array().expect("there");
    assert!(attributes.contains(&attribute("event.name", "quality.report")));
    assert!(attributes.contains(&attribute("mop.record.id", "e1/quality.report")));
    let member = |key: &str| {
        let members = records[0]["body"]["kvlistValue"]["values"].as_array().expect("there");
        members.iter().find(|member| member["key"] == key).expect(key)["value"].clone()
    };
    assert_eq!(member("n"), json!({ "intValue": "9007199254740993" }));
    assert_eq!(member("d"), json!({ "doubleValue": 1.5 }));
    assert_eq!(member("t"), json!({ "boolValue": true }));
    assert_eq!(member("e"), json!({}));
    assert_eq!(member("big"), json!({ "stringValue": "18446744073709551615" }));
    assert_eq!(member("a"), json!({ "arrayValue": { "values": [{ "stringValue": "x" }] } }));
    assert_eq!(records[1]["body"], json!({ "stringValue": "not json" }));
}

#[tokio::test]
async fn what_a_collector_rejects_is_set_aside_and_not_sent_again() {
    for (answer, rejects) in [
        (r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}"#, true),
        (r#"{"partialSuccess":{"rejectedLogRecords":2}}"#, true),
        (r#"{"partialSuccess":{"errorMessage":"careful"}}"#, false),
        (r#"{"partialSuccess":{}}"#, false),
        ("", false),
    ] {
        let stub = collector(answer).await;
        let mut sink = Otlp::new(&configuration(&stub), "node").expect("configured");
        let done = drive(&mut sink, vec![entry(1, "x", "{}"), entry(2, "x", "{}")], 1).await;
        assert_eq!(done.parked.len(), if rejects { 2 } else { 0 }, "{answer}");
        assert_eq!(stub.received().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn metrics_are_pushed_and_once_more_at_the_end() {
    let stub = collector(r#"{"partialSuccess":{"rejectedDataPoints":"3"}}"#).await;
    let vitals = SinkVitals::new("webhook");
    vitals.delivered.store(42, Ordering::Relaxed);
    let source: Arc<dyn MetricSource> = Arc::new(vec![vitals]);
    let configuration = configuration(&stub);
    let pusher = OtlpMetrics::new(&configuration, "node", Arc::clone(&source)).expect("configured");
    assert_eq!(pusher.as_ref().expect("wanted").push().await, Ok(3));
    pusher.expect("wanted").run(std::future::ready(())).await;
    let received = stub.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[1].path, "/v1/metrics");
    let request: Value = serde_json::from_slice(&received[1].body).expect("JSON");
    let metrics =
        request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().expect("there");
    let delivered =
        metrics.iter().find(|metric| metric["name"] == "mop.sink.delivered").expect("there");
    let sum = &delivered["sum"];
    assert_eq!((&sum["aggregationTemporality"], &sum["isMonotonic"]), (&json!(2), &json!(true)));
    assert_eq!(sum["dataPoints"][0]["asDouble"], 42.0);
    assert_eq!(sum["dataPoints"][0]["attributes"][0], attribute("sink", "webhook"));
    assert!(metrics.iter().any(|metric| metric["gauge"].is_object()));
    let off = OtlpConfiguration { metrics_every: Duration::ZERO, ..configuration };
    assert!(OtlpMetrics::new(&off, "node", source).expect("configured").is_none());
}

#[test]
fn a_bad_configuration_says_what_is_wrong() {
    let read = |text: &str| toml::from_str::<OtlpConfiguration>(text).expect("well-formed");
    read("endpoint = \"https://collector.example\"").check().expect("well configured");
    for (word, text) in [
        ("endpoint", "endpoint = \"collector\""),
        ("batch", "endpoint = \"https://a.example\"\nbatch = 0"),
        ("header", "endpoint = \"https://a.example\"\n[headers]\n\"a b\" = \"x\""),
        ("header", "endpoint = \"https://a.example\"\n[headers]\na = \"s3cr3t\\n\""),
    ] {
        let failure = read(text).check().expect_err(word).to_string();
        assert!(failure.contains(word) && !failure.contains("s3cr3t"), "{failure}");
    }
}
