//! Against a collector in the same process. That the JSON is that of OTLP is held against the real
//! definitions in the end-to-end tests.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

use super::{
    metrics::{MetricSource, OtlpMetrics},
    *,
};
use crate::{
    sinks::http::stub::{LONG, Stub, drive, entry},
    vitals::{SinkVitals, Vitals},
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

/// A process in which a sink delivered 42 records.
fn counted() -> Arc<dyn MetricSource> {
    let sink = SinkVitals::new("webhook");
    sink.delivered.store(42, Ordering::Relaxed);
    let vitals = Vitals::new();
    vitals.set_sinks(vec![sink]);
    vitals
}

#[tokio::test]
async fn metrics_are_pushed_and_once_more_at_the_end() {
    let stub = collector(r#"{"partialSuccess":{"rejectedDataPoints":"3"}}"#).await;
    let source = counted();
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
    let delivered = metrics
        .iter()
        .find(|metric| metric["name"] == "mop_sink_delivered_records")
        .expect("there");
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

/// What the real definitions of OTLP read in a request; `None` where they are not installed.
fn read_by_definitions(signal: &str, request: &[u8]) -> Option<Value> {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/official/otlp_check.py");
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", cache.join("mop/opentelemetry-proto"));
    let probe = command.args(["-c", "import opentelemetry.proto.logs.v1.logs_pb2"]);
    if !probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        let line = format!(
            "SKIPPED sinks::otlp {signal} by the real definitions: the Python package \
             opentelemetry-proto is not there (cargo xtask setup --with-tests)"
        );
        eprintln!("{line}");
        if let Some(path) = env::var_os("MOP_SKIPPED_TESTS") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let _noted = writeln!(file.expect("the list of skipped tests"), "{line}");
        }
        return None;
    }
    let mut python = Command::new("/usr/bin/python3")
        .env("PYTHONPATH", cache.join("mop/opentelemetry-proto"))
        .arg(script)
        .arg(signal)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    python.stdin.take().expect("a pipe").write_all(request).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the definitions refuse the request");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[tokio::test]
async fn the_real_definitions_read_what_is_sent() {
    let stub = collector("{}").await;
    let configuration = configuration(&stub);
    let mut sink = Otlp::new(&configuration, "node-1").expect("configured");
    let payload = r#"{"ts":"2026-11-24T12:00:00Z","n":-9007199254740993,"d":1.5,"t":true,"e":null,
        "big":18446744073709551615,"a":["x",[],{}],"o":{"k":{"deep":[1,2.5]}},"é":"ü\u0000"}"#;
    drive(&mut sink, vec![entry(1, "quality.report", payload)], 1).await;
    let source = counted();
    let pusher = OtlpMetrics::new(&configuration, "node-1", source).expect("configured");
    pusher.expect("wanted").push().await.expect("taken");
    let received = stub.received();
    let Some(logs) = read_by_definitions("logs", &received[0].body) else { return };
    assert_eq!(logs[0]["resource"]["service.name"], "mop");
    assert_eq!(logs[0]["resource"]["host.name"], "node-1");
    assert_eq!(logs[0]["scope"], "mop");
    assert_eq!(logs[0]["time"], 1_795_521_600_000_000_000_u64);
    assert_eq!(logs[0]["event"], "quality.report");
    assert_eq!(logs[0]["attributes"]["mop.record.id"], "e1/quality.report");
    let expected = json!({
        "ts": "2026-11-24T12:00:00Z", "n": -9_007_199_254_740_993_i64, "d": 1.5, "t": true, "e": null,
        "big": "18446744073709551615", "a": ["x", [], {}], "o": { "k": { "deep": [1, 2.5] } },
        "é": "ü\u{0}",
    });
    assert_eq!(logs[0]["body"], expected);
    let Some(metrics) = read_by_definitions("metrics", &received[1].body) else { return };
    let delivered = metrics.as_array().expect("a list").iter();
    let delivered = delivered.clone().find(|metric| metric["name"] == "mop_sink_delivered_records");
    let delivered = delivered.expect("there");
    assert_eq!((&delivered["kind"], &delivered["temporality"]), (&json!("sum"), &json!(2)));
    assert_eq!(delivered["points"][0]["value"], 42.0);
    assert_eq!(delivered["points"][0]["attributes"]["sink"], "webhook");
    assert!(delivered["points"][0]["start"].as_u64() <= delivered["points"][0]["time"].as_u64());
}
