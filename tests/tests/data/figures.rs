//! Operational metrics: of a file, and of live traffic on the admin listener.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{
    Nginx, Observer, free_port, mop_command, observing, python_with_jsonschema, run, shared_folder,
    skip,
};
use serde_json::{Value, json};

use crate::journey::{HOST, Journey, SERVER_ORGANISATION, configuration};

const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";
const STATUS: &str = "/open-insurance/discovery/v1/status";
const METRICS: &str = "/open-insurance/admin/v1/metrics";

#[test]
fn a_journey_gives_the_figures_of_its_calls() -> Result<()> {
    let mut journey = Journey::new()?;
    journey.of_data();
    let records = replay(&journey.text(), "")?;
    let told = of_kind(&records, "data.metrics");
    let [record] = *told else { bail!("{} records of a short file", told.len()) };
    hold_to_schema(record)?;
    ensure!(record["organisation"] == SERVER_ORGANISATION, "{record}");
    // The calls that have an event; steps of the authorization flow are none.
    let data = &record["data"];
    let calls = of_kind(&records, "data.call").len();
    ensure!(calls == 6, "{calls}");
    ensure!(data["invocations"]["mediumPriority"]["currentDay"] == calls, "{record:#}");
    ensure!(data["averageResponse"]["mediumPriority"]["currentDay"] == 12, "{record:#}");
    ensure!(data["errors"]["currentDay"] == 0 && data["peakTps"]["currentDay"] == 1, "{record:#}");
    ensure!(data["availability"]["uptime"]["generalUptimeRate"] == "1.000000", "{record:#}");
    ensure!(record["coverage"]["polls"] == 0, "{record:#}");
    Ok(())
}

#[test]
fn what_was_published_is_held_against_days_that_were_observed_whole() -> Result<()> {
    let days = |previous: [u64; 2]| json!({ "currentDay": 0, "previousDays": previous });
    let classes = |high: [u64; 2], medium: [u64; 2]| {
        json!({
            "unauthenticated": days([0, 0]), "highPriority": days(high),
            "mediumPriority": days(medium), "unattended": days([0, 0]),
        })
    };
    let published = |yesterday: u64| {
        json!({ "data": {
            "requestTime": "2026-11-24T12:01:00Z",
            "availability": {
                "uptime": { "generalUptimeRate": "1.0", "endpoints": [] },
                "downtime": { "generalDowntime": 0, "scheduledOutage": 0, "endpoints": [] },
            },
            "invocations": classes([48, 48], [yesterday, 48]),
            "averageResponse": classes([12, 12], [12, 12]),
            "averageTps": days([0, 0]), "peakTps": days([2, 2]),
            "errors": days([0, 0]), "rejections": days([0, 0]),
        }})
    };
    let status = json!({
        "data": { "status": [{ "code": "OK", "explanation": "x" }] },
        "links": {}, "meta": { "totalRecords": 1, "totalPages": 1 },
    });
    let script = |yesterday: u64, first_hour: usize| {
        let mut text = String::new();
        let mut number = 0;
        let mut call = |time: String, target: &str, body: &Value| {
            number += 1;
            let line = json!({
                "id": format!("e{number}"), "ts": time, "duration_ms": 12, "role": "server",
                "client": { "ip": format!("198.51.100.{}", number % 200), "port": 40_112 },
                "server": { "ip": "10.0.0.1", "port": 443 },
                "request": { "method": "GET", "target": target, "headers": [["host", HOST]] },
                "response": {
                    "status": 200, "headers": [["content-type", "application/json"]],
                    "body": body.to_string(),
                },
            });
            text += &format!("{line}\n");
        };
        for half_hour in 2 * first_hour..=120 {
            let (day, hour) = (22 + half_hour / 48, half_hour % 48 / 2);
            let time = format!("2026-11-{day}T{hour:02}:{:02}:00Z", half_hour % 2 * 30);
            call(time.clone(), AUTO, &json!({ "data": [] }));
            call(time, STATUS, &status);
        }
        let target = format!("{METRICS}?period=ALL");
        call("2026-11-24T12:01:00Z".to_owned(), &target, &published(yesterday));
        text
    };
    let settings = "[data.metrics]\nevery_call = true\nevery = \"1d\"\n";
    for (yesterday, first_hour, outcome, differences) in [
        (48, 0, "same", json!([])),
        (
            20,
            0,
            "different",
            json!([{
                "figure": "invocations.mediumPriority.previousDays[0]", "ours": 48, "published": 20,
            }]),
        ),
        // Begun during yesterday: neither day was observed whole.
        (20, 25, "not_observed", json!([])),
    ] {
        let records = replay(&script(yesterday, first_hour), settings)?;
        let checks = of_kind(&records, "data.metrics_check");
        let [check] = *checks else { bail!("{} checks of one answer", checks.len()) };
        hold_to_schema(check)?;
        ensure!(check["outcome"] == outcome, "{check:#}");
        ensure!(check["differences"] == differences, "{check:#}");
    }
    Ok(())
}

#[test]
fn the_listener_answers_as_the_published_document_says_and_outlives_a_restart() -> Result<()> {
    const TEST: &str = "the_listener_answers_as_the_published_document_says_and_outlives_a_restart";
    if !observing(TEST) {
        return Ok(());
    }
    let folder = shared_folder()?;
    let settings = folder.path().join("mop.toml");
    let text = format!(
        "{}[data.metrics]\nevery = \"1s\"\n[outbox]\nfolder = \"{}/outbox\"\n",
        configuration(),
        folder.path().display()
    );
    fs::write(&settings, text)?;
    let settings = settings.display().to_string();
    let status = r#"{"data":{"status":[{"code":"UNAVAILABLE","explanation":"x"}]}}"#;
    let nginx = Nginx::builder(folder.path())
        .location(&format!("= {AUTO}"), "default_type application/json; return 200 '{}';")
        .location(
            &format!("= {STATUS}"),
            &format!("default_type application/json; return 200 '{status}';"),
        )
        .location("/", "return 503;")
        .start()?;
    let server = format!("127.0.0.1:{}", nginx.port());
    let admin = format!("127.0.0.1:{}", free_port());
    let start = || Observer::builder().args(&["--admin", &admin, "--config", &settings]).start();

    let observer = start()?;
    for _ in 0..CALLS {
        ensure!(get(&server, HOST, AUTO)?.0 == 200);
    }
    ensure!(get(&server, HOST, STATUS)?.0 == 200);
    let answer = counted(&admin)?;
    let data = &answer["data"];
    ensure!(data["invocations"]["highPriority"]["currentDay"] == 1, "{answer:#}");
    // A slot is of 30 s, of which only what was observed counts.
    let down = data["availability"]["downtime"]["generalDowntime"].as_u64();
    ensure!(down.is_some_and(|seconds| (1..=30).contains(&seconds)), "{answer:#}");
    let (code, current) = get(&admin, HOST, &format!("{METRICS}?period=CURRENT"))?;
    ensure!(code == 200, "{current}");
    let current: Value = serde_json::from_str(&current)?;
    by_document(TEST, folder.path(), &[&answer, &current])?;
    for (query, expected, reason) in [
        ("?period=NEVER", 400, "period"),
        ("?organisation=07070000-0000-4000-8000-000000000007", 404, "organisation_unknown"),
    ] {
        let (code, body) = get(&admin, HOST, &format!("{METRICS}{query}"))?;
        let body: Value = serde_json::from_str(&body)?;
        ensure!(code == expected && body["code"] == reason, "{code}: {body}");
    }
    let (_, metrics) = get(&admin, HOST, "/metrics")?;
    let sample = format!(
        "mop_data_served_calls_total{{organisation=\"{SERVER_ORGANISATION}\",class=\"medium_priority\"}} {CALLS}"
    );
    ensure!(metrics.lines().any(|line| line == sample), "{metrics}");
    let record = observer.wait_for_record("figures", LIMIT, |record| {
        record["kind"] == "data.metrics"
            && record["data"]["invocations"]["mediumPriority"]["currentDay"] == CALLS
    })?;
    hold_to_schema(&record)?;
    observer.stop()?;

    let again = start()?;
    let kept = counted(&admin)?;
    ensure!(kept["data"]["peakTps"] == data["peakTps"], "{kept:#}");
    again.stop()?;
    Ok(())
}

/// The answer of the listener once all calls are in it.
fn counted(admin: &str) -> Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let (code, body) = get(admin, HOST, METRICS)?;
        let body: Value = serde_json::from_str(&body).with_context(|| body.clone())?;
        if code == 200 && body["data"]["invocations"]["mediumPriority"]["currentDay"] == CALLS {
            return Ok(body);
        }
        ensure!(Instant::now() < deadline, "{code}: {body:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Holds answers against the published document, where that and who can read it are at hand.
fn by_document(test: &str, folder: &Path, answers: &[&Value]) -> Result<()> {
    let documents = std::env::var_os("MOP_OPIN_SPECS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/opin/specs"),
        PathBuf::from,
    );
    let document = documents.join("admin_metrics.yaml");
    let (true, Some(python)) = (document.is_file(), python_with_jsonschema()) else {
        skip(test, "no documents (MOP_OPIN_SPECS), or no jsonschema");
        return Ok(());
    };
    let file = folder.join("answers.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/metrics_check.py");
    let check = |answers: &Value| -> Result<String> {
        fs::write(&file, answers.to_string())?;
        let mut command = Command::new(python);
        command.arg(&script).arg(&document).arg(&file);
        Ok(String::from_utf8(run(&mut command, LIMIT)?.stdout)?)
    };
    let wrong = check(&json!(answers))?;
    ensure!(wrong.is_empty(), "{wrong}");
    let said = check(&json!([{ "data": {} }]))?;
    ensure!(!said.is_empty(), "the check itself can fail");
    Ok(())
}

fn get(address: &str, host: &str, target: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no end of the head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok((status, body.to_owned()))
}

fn replay(text: &str, settings: &str) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let (file, toml) =
        (folder.path().join("calls.exchanges.jsonl"), folder.path().join("mop.toml"));
    fs::write(&file, text)?;
    fs::write(&toml, configuration() + settings)?;
    let mut command = mop_command();
    command.args(["replay", "--output", "jsonl", "--config"]).arg(&toml).arg(&file);
    let output = run(&mut command, LIMIT)?;
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn of_kind<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

fn hold_to_schema(record: &Value) -> Result<()> {
    let kind = record["kind"].as_str().context("no kind")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/schemas");
    let schema = serde_json::from_slice(&fs::read(folder.join(format!("{kind}.schema.json")))?)?;
    let validator = jsonschema::validator_for(&schema)?;
    let errors: Vec<String> = validator.iter_errors(record).map(|it| it.to_string()).collect();
    ensure!(errors.is_empty(), "{errors:?}: {record:#}");
    Ok(())
}

const CALLS: u64 = 20;
const LIMIT: Duration = Duration::from_secs(60);
