//! Figures from exchanges to records and to the answer of the listener, with the thread and the outbox
//! that they have in the observer.

mod rig;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::rig::{Caller, Outbox};
use crate::{
    data::{DataConfiguration, Module, NodeSamples, Port, Running, State, routes},
    sinks::http::{Client, Reach},
    vitals::Vitals,
};

const ORGANISATION: &str = "05050000-0000-4000-8000-000000000005";
const OTHER: &str = "06060000-0000-4000-8000-000000000006";
const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";
const STATUS: &str = "/open-insurance/discovery/v1/status";
const METRICS: &str = "/open-insurance/admin/v1/metrics";
const DAY: i64 = 86_400;

fn configuration(text: &str) -> DataConfiguration {
    let server = |host: &str, organisation: &str| {
        format!(
            "[[servers]]\nhosts = [\"{host}\"]\norganisation_id = \"{organisation}\"\n\
             authorisation_server_id = \"{organisation}\"\n"
        )
    };
    let servers = server("a.example", ORGANISATION) + &server("b.example", OTHER);
    toml::from_str(&format!("{servers}[metrics]\n{text}\n")).expect("a configuration")
}

fn status(code: &str) -> Value {
    json!({ "data": { "status": [{ "code": code, "explanation": "x" }] }, "links": {}, "meta": {} })
}

/// Where the module's paths are served.
async fn served(configuration: &DataConfiguration, running: &Running) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = routes(configuration, running);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn asked(address: SocketAddr, query: &str) -> (u16, Value) {
    let limit = Duration::from_secs(20);
    let reach =
        Reach { ca_file: None, proxy: None, connect_timeout: limit, request_timeout: limit };
    let client = Client::new(reach).expect("a client");
    let request = client.get(&format!("http://{address}{METRICS}{query}"));
    let answer = client.send(request).await.expect("an answer");
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

/// Asks until something was counted.
async fn counted(address: SocketAddr, query: &str, calls: u64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (status, body) = asked(address, query).await;
        let count = &body["data"]["invocations"]["mediumPriority"];
        let previous = count["previousDays"].as_array().into_iter().flatten();
        let sum: u64 = previous.chain([&count["currentDay"]]).filter_map(Value::as_u64).sum();
        if status == 200 && sum == calls {
            return body;
        }
        assert!(Instant::now() < deadline, "{status}: {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// By the published document, where that is at hand.
fn check_document(body: &Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("MOP_OPIN_SPECS")
        .map_or_else(|| root.join("../shared/opin/specs"), Into::into);
    let Ok(text) = std::fs::read_to_string(folder.join("admin_metrics.yaml")) else { return };
    let document = mop_contract::Document::parse("admin_metrics", &text).expect("a document");
    let mut builder = mop_contract::ContractBuilder::default();
    builder.add(&document, None);
    let contract = builder.build();
    let (_, operation) = contract.route("GET", METRICS).expect("an operation");
    let content = &operation.published.response(200).expect("a response").content;
    let schema = content.iter().find_map(|media| media.schema).expect("a schema");
    let mut reader = mop_contract::json::Reader::default();
    let mut is_valid = |body: &Value| {
        let text = body.to_string();
        let json = reader.read(text.as_bytes()).expect("JSON");
        let mut checker = mop_contract::check::Checker::new(contract.schemas(), text.len());
        checker.is_valid(schema, json.root()).expect("judged")
    };
    assert!(is_valid(body), "{body:#}");
    let mut wrong = body.clone();
    wrong["links"]["self"] = json!("http://a.example/");
    assert!(!is_valid(&wrong), "the check itself can fail");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_become_records_and_the_answer_of_the_listener_and_outlive_a_restart() {
    let outbox = Outbox::open();
    let data = configuration("every = \"1s\"");
    let vitals = Vitals::new();
    let open = |run: &str| {
        let module = Module::open(&data, outbox.state(), NodeSamples::default(), Timestamp::now())
            .expect("a module");
        Running::start(module.of_run(run), outbox.outlet(), &vitals).expect("a thread")
    };
    let running = open("2a");
    let address = served(&data, &running).await;
    let query = format!("?organisation={ORGANISATION}");
    let (code, refused) = asked(address, &query).await;
    assert_eq!((code, &refused["code"]), (404, &json!("not_observed")));

    let mut caller = Caller::new(running.port());
    let now = Timestamp::now();
    for _ in 0..20 {
        caller.call(AUTO, now, 200, &json!({}), None);
    }
    caller.call(STATUS, now, 200, &status("UNAVAILABLE"), None);
    let body = counted(address, &query, 20).await;
    assert_eq!(body["links"]["self"], format!("https://a.example{METRICS}"));
    check_document(&body);
    let (code, current) = asked(address, &format!("{query}&period=CURRENT")).await;
    assert_eq!((code, &current["data"]["peakTps"]["previousDays"]), (200, &json!([])));
    check_document(&current);
    for (query, expected, reason) in [
        ("", 400, "organisation"),
        ("?period=NEVER", 400, "period"),
        ("?organisation=07070000-0000-4000-8000-000000000007", 404, "organisation_unknown"),
    ] {
        let (code, refused) = asked(address, query).await;
        assert_eq!((code, &refused["code"]), (expected, &json!(reason)), "{refused}");
        assert!(refused["message"].is_string());
    }
    let families = vitals.more_families();
    let sample = |name: &str, word: &str| {
        let family = families.iter().rev().find(|family| family.name == name).expect(name);
        let has =
            |labels: &[(&str, std::borrow::Cow<'_, str>)]| labels.iter().any(|it| it.1 == word);
        family.samples.iter().find(|sample| has(&sample.labels)).expect(word).value
    };
    assert_eq!(sample("mop_data_served_calls", "medium_priority"), 20.into());
    assert_eq!(sample("mop_data_served_calls", "high_priority"), 1.into());
    assert_eq!(sample("mop_data_timed_calls", "medium"), 20.into());
    assert_eq!(sample("mop_data_slow_calls", "medium"), 0.into());
    assert_eq!(sample("mop_data_status_polls", ORGANISATION), 1.into());
    assert_eq!(sample("mop_data_down", ORGANISATION), 30.into());
    drop(caller);
    running.stop().expect("no panic");

    let again = open("2b");
    let address = served(&data, &again).await;
    let kept = counted(address, &query, 20).await;
    assert_eq!(kept["data"]["peakTps"], body["data"]["peakTps"]);
    again.stop().expect("no panic");
    // What is another's by now is forgotten.
    let mut others = data.clone();
    others.servers.retain(|server| server.organisation_id == OTHER);
    let figures = |data| super::Figures::open(data, &outbox.state()).expect("figures").metrics;
    let count = |data| figures(data).organisations().count();
    assert_eq!((count(&data), count(&others)), (1, 0));
    let records = outbox.records("data.metrics");
    // The end of each of two runs.
    assert!(records.len() >= 2, "{}", records.len());
    let last = records.last().expect("some");
    assert_eq!(last["organisation"], ORGANISATION);
    assert_eq!(last["data"]["invocations"], kept["data"]["invocations"]);
    assert!(last["id"].as_str().is_some_and(|id| id.starts_with("2b/05050000")), "{last}");
    assert_eq!(last["coverage"]["polls"], 1);
}

/// Two days and a half of a call and a poll each half hour, and then what the participant publishes.
fn replayed(settings: &str, published: &Value) -> (Vec<Value>, Vec<Value>) {
    let both = ["data.metrics", "data.metrics_check"].map(|kind| {
        let outbox = Outbox::open();
        let module = Module::open(
            &configuration(settings),
            State::beside(None),
            NodeSamples::default(),
            Timestamp::UNIX_EPOCH,
        );
        let port = Port::here(module.expect("a module").of_run("2a"));
        let mut caller = Caller::new(port);
        let mut outlet = outbox.outlet();
        let at = |second: i64| Timestamp::from_second(20_000 * DAY + second).expect("a time");
        for second in (0..=2 * DAY + DAY / 2).step_by(1800) {
            caller.call(AUTO, at(second), 200, &json!({}), Some(&mut outlet));
            let second = at(second) + SignedDuration::from_secs(1);
            caller.call(STATUS, second, 200, &status("OK"), Some(&mut outlet));
        }
        let asked = at(2 * DAY + DAY / 2 + 60);
        let target = format!("{METRICS}?period=ALL");
        caller.call(&target, asked, 200, published, Some(&mut outlet));
        caller.port.finish(Some(&mut outlet));
        outlet.flush();
        drop((caller, outlet));
        outbox.records(kind)
    });
    let [records, checks] = both;
    (records, checks)
}

#[test]
fn a_file_gives_records_at_set_times_and_at_its_end_and_a_check_of_what_was_published() {
    let days = |previous: [u64; 2]| json!({ "currentDay": 1, "previousDays": previous });
    let classes = |high: [u64; 2], medium: [u64; 2]| {
        json!({
            "unauthenticated": days([7, 7]), "highPriority": days(high),
            "mediumPriority": days(medium), "unattended": days([7, 7]),
        })
    };
    let published = json!({ "data": {
        "requestTime": "2024-10-06T12:01:00Z",
        "availability": {
            "uptime": { "generalUptimeRate": "0.5", "endpoints": [] },
            "downtime": { "generalDowntime": 7, "scheduledOutage": 7, "endpoints": [] },
        },
        "invocations": classes([48, 48], [20, 48]),
        "averageResponse": classes([10, 10], [10, 400]),
        "averageTps": days([0, 0]), "peakTps": days([1, 1]),
        "errors": days([0, 0]), "rejections": days([0, 0]),
    }});
    let (records, checks) = replayed("every = \"6h\"\nevery_call = true", &published);
    // Ten times six hours, and the end.
    assert_eq!(records.len(), 11);
    let last = records.last().expect("some");
    let medium = &last["data"]["invocations"]["mediumPriority"];
    assert_eq!(*medium, json!({ "currentDay": 25, "previousDays": [48, 48] }));
    assert_eq!(last["data"]["invocations"]["unattended"]["currentDay"], 1);
    let requested: Vec<_> = records.iter().map(|it| it["data"]["requestTime"].as_str()).collect();
    assert_eq!(requested.first(), Some(&Some("2024-10-04T06:00:00Z")));
    assert_eq!(requested.last(), Some(&Some("2024-10-06T12:01:00Z")));

    let [check] = &*checks else { panic!("{checks:?}") };
    assert_eq!(check["outcome"], "different");
    assert_eq!(
        check["differences"],
        json!([
            { "figure": "invocations.mediumPriority.previousDays[0]", "ours": 48, "published": 20 },
            { "figure": "averageResponse.mediumPriority.previousDays[1]", "ours": 10, "published": 400 },
        ])
    );
    let unobserved = check["not_observed"].as_array().expect("a list");
    assert!(unobserved.contains(&json!("availability.uptime.generalUptimeRate")), "{check:#}");

    // What one node of several sees is held against it from below.
    let (_, checks) = replayed("every = \"1d\"", &published);
    let [check] = &*checks else { panic!("{checks:?}") };
    assert_eq!((&check["view"], &check["outcome"]), (&json!("part"), &json!("different")));
    assert_eq!(check["differences"].as_array().map(Vec::len), Some(1));
    // Days begin elsewhere: of the first, three hours were seen.
    let (_, checks) = replayed("day_boundary = \"brasilia\"", &published);
    let [check] = &*checks else { panic!("{checks:?}") };
    assert_eq!(check["day_boundary"], "brasilia");
    assert!(
        check["not_observed"]
            .as_array()
            .is_some_and(|it| it.contains(&json!("invocations.mediumPriority.previousDays[2]")))
    );
}

#[test]
fn a_state_of_other_days_is_of_no_use_and_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::beside(Some(folder.path()));
    state.key().expect("a folder");
    let open =
        |settings: &str| super::Figures::open(&configuration(settings), &state).expect("figures");
    let mut figures = open("");
    let at = Timestamp::from_second(DAY).expect("a time");
    figures.advance(at, None);
    figures.save_now(&state);
    let kept = open("").metrics.snapshot();
    assert_eq!(kept, figures.metrics.snapshot());
    assert_ne!(open("day_boundary = \"brasilia\"").metrics.snapshot(), kept);
    state.save_metrics(b"no state").expect("written");
    assert_ne!(open("").metrics.snapshot(), kept);
}

#[test]
fn an_interval_is_of_whole_seconds_up_to_a_day() {
    for (every, is_right) in [
        ("1s", true),
        ("5m", true),
        ("1d", true),
        ("500ms", false),
        ("1500ms", false),
        ("25h", false),
    ] {
        let mut problems = Vec::new();
        configuration(&format!("every = \"{every}\"")).check(&mut problems);
        let is_about = |problem: &crate::configuration::Problem| {
            problem.to_string().contains("data.metrics.every")
        };
        assert_eq!(problems.is_empty(), is_right, "{every}");
        assert!(problems.iter().all(is_about), "{every}");
    }
}
