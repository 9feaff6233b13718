//! Live traffic: calls are judged as they are observed, and rules are replaced meanwhile.

use std::{
    fs,
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Certificates, Exchange, Marker, Nginx, Observation, Observer, Process, Script, curl, exported,
    mop_command, observing, run, shared_folder, until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    calls::{CONSENTS, Call, RESOURCES},
    once::adds_up,
    own::write_own,
    records::{codes, hold_to_schemas, of_kind},
    secrets::{Secrets, holds_no_secret},
};

#[test]
fn wrong_answers_are_reported_and_every_call_is_counted() -> Result<()> {
    if !observing("wrong_answers_are_reported_and_every_call_is_counted") {
        return Ok(());
    }
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let api = Script::serve("opin_api.py", [] as [&str; 0])?;
    let wrong =
        r#"{"data":[{"resourceId":7,"type":"CAR","status":"AVAILABLE"}],"links":{},"meta":{}}"#;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location(&format!("= {RESOURCES}"), &answer(wrong))
        .location("/", &format!("proxy_pass http://127.0.0.1:{};", api.port()))
        .start()?;
    let observer = Observer::builder().args(&["--report-clean", "1"]).start()?;
    let host = "participante-de-teste.example";
    let call = |options: &[&str], path: &str| -> Result<()> {
        let mut command = curl(&certificates);
        command
            .args(["--insecure", "--output", "/dev/null"])
            .args(["--header", &format!("host: {host}")])
            .args(["--header", "authorization: Bearer synthetic"])
            .args(["--header", "x-fapi-interaction-id: 6f1b2a3c-0000-4000-8000-000000000001"])
            .args(options)
            .arg(format!("https://localhost:{}{path}", nginx.port()));
        run(&mut command, CALL_LIMIT)?;
        Ok(())
    };
    let consent = String::from_utf8(Call::consent().request.body)?;
    let json = ["--header", "content-type: application/json"];
    for number in 0..3 {
        let key = format!("x-idempotency-key: synthetic-key-{number}");
        call(&[&json[..], &["--header", &key, "--data", &consent]].concat(), CONSENTS)?;
    }
    // Without its idempotency key, and with an unknown permission.
    let bad = consent.replace("RESOURCES_READ", "ALL_READ");
    call(&[&json[..], &["--data", &bad]].concat(), CONSENTS)?;
    for _ in 0..2 {
        call(&[], RESOURCES)?;
    }
    // Each call of a consent goes on to the API: two views of TLS and two of a plain socket.
    let seen = |exchange: &Exchange| {
        let port = u64::from(nginx.port());
        (exchange.server_port() == port || exchange.server_port() == u64::from(api.port()))
            && [CONSENTS, RESOURCES].contains(&exchange.target())
    };
    observer.wait_for(4 * 4 + 2 * 2, CALL_LIMIT, seen)?;
    let observation = observer.stop()?;
    hold_to_schemas(&observation.records)?;
    hold_to_schemas(std::slice::from_ref(&observation.summary))?;

    let ours: Vec<Exchange> =
        observation.records.iter().filter_map(Exchange::from_record).filter(seen).collect();
    let mut by_request = [0, 0];
    // What the server passes on is told by the server; each side has a report of its own.
    let edge = |exchange: &&Exchange| exchange.server_port() == u64::from(nginx.port());
    let links = of_kind(&observation.records, "exchange.hop");
    for exchange in ours.iter().filter(|exchange| !edge(exchange)) {
        let id = &exchange.record()["exchange"];
        ensure!(report_of(&observation, id.as_str().context("an id")?).is_err(), "{id}");
        let link = links.iter().find(|link| link["exchange"] == *id).context("no link")?;
        let report = report_of(&observation, link["of"].as_str().context("an id")?)?;
        let mut hops = report["hops"].as_array().into_iter().flatten();
        ensure!(report["role"] == "server" && hops.any(|hop| hop["exchange"] == *id), "{report}");
    }
    for exchange in ours.iter().filter(edge) {
        let id = exchange.record()["exchange"].as_str().context("an id")?;
        let report = report_of(&observation, id)?;
        let found = codes(report, "corrected");
        ensure!(report["role"] == exchange.role() && report["status"] == exchange.status());
        if exchange.target() == RESOURCES {
            ensure!(
                report["verdict"] == "violating" && report["api"] == "resources_v3",
                "{report}"
            );
            for code in ["body.enum", "body.type", "body.required"] {
                ensure!(found.contains(&code), "no {code}: {report}");
            }
        } else {
            let is_bad = found.contains(&"header.required");
            by_request[usize::from(is_bad)] += 1;
            ensure!(is_bad == found.contains(&"body.enum"), "{report}");
        }
        let counterpart = match (exchange.role(), exchange.layer()) {
            ("client", "tls") => json!(host),
            _ => Value::Null,
        };
        ensure!(report["counterpart"] == counterpart, "{counterpart}: {report}");
    }
    ensure!(by_request == [3 * 2, 2], "{by_request:?}");

    // What is counted is what was reported, call by call, for each side of them.
    let reports = of_kind(&observation.records, "quality.report");
    let summaries = of_kind(&observation.records, "quality.summary");
    let routed = summaries.iter().filter(|summary| summary["api"].is_string());
    for (template, name) in [(CONSENTS, "consents_v3"), (RESOURCES, "resources_v3")] {
        for counterpart in [json!(host), Value::Null] {
            let same = |record: &&&Value| {
                record["template"] == template
                    && record["api"] == name
                    && record["counterpart"] == counterpart
            };
            let sum = |field: &str| -> u64 {
                routed.clone().filter(same).filter_map(|one| one[field].as_u64()).sum()
            };
            let reported = |verdict: &str| {
                reports.iter().filter(same).filter(|one| one["verdict"] == verdict).count() as u64
            };
            for verdict in ["conforming", "violating", "unjudged"] {
                ensure!(
                    sum(verdict) == reported(verdict),
                    "{template} with {counterpart}: {} instead of {} {verdict}",
                    sum(verdict),
                    reported(verdict)
                );
            }
            ensure!(sum("calls") > 0, "{template} with {counterpart} was not counted");
        }
    }
    adds_up(&observation.summary)?;
    let total = |name: &str| observation.number(&format!("/quality/{name}"));
    let counted = |name: &str| -> u64 {
        summaries
            .iter()
            .filter(|one| one["api"].is_string())
            .filter_map(|one| one[name].as_u64())
            .sum()
    };
    for verdict in ["conforming", "violating", "unjudged"] {
        ensure!(total(verdict) == counted(verdict), "{verdict}: {}", observation.summary);
    }
    // Both resources were seen by the client: what is in them is counted attribute by attribute.
    let fill = of_kind(&observation.records, "quality.fill")
        .into_iter()
        .find(|fill| fill["template"] == RESOURCES && fill["counterpart"] == host)
        .context("no fill of resources")?;
    ensure!(fill["bodies"] == 2 && fill["direction"] == "response" && fill["status"] == "200");
    for (path, present, invalid) in [
        ("data.resourceId", 2, 2),
        ("data.type", 2, 2),
        ("data.status", 2, 0),
        ("links.self", 0, 0),
    ] {
        let mut attributes = fill["attributes"].as_array().into_iter().flatten();
        let attribute = attributes.find(|one| one["path"] == path).context(path)?;
        ensure!(attribute["seen"] == 2 && attribute["present"] == present, "{attribute}");
        ensure!(attribute["invalid"] == invalid, "{attribute}");
    }
    all_ids_differ(&observation)
}

#[test]
fn rules_are_replaced_while_calls_are_judged() -> Result<()> {
    if !observing("rules_are_replaced_while_calls_are_judged") {
        return Ok(());
    }
    let _alone = alone();
    let folder = shared_folder()?;
    let certificates = Certificates::create(folder.path())?;
    let marker = Marker::new("rules");
    let base = marker.to_string();
    let nginx = Nginx::builder(folder.path()).location("/", &answer(r#"{"name":"a"}"#)).start()?;
    let rules = folder.path().join("rules");
    write_own(&rules, &base, "name")?;
    let observer =
        Observer::builder().args(&["--report-clean", "1", "--rules"]).arg(&rules).start()?;
    let mut calls = 0;
    // Each call has a target of its own, by which its report is found.
    let mut judged = |verdict: &str, why: &[&str]| -> Result<()> {
        calls += 1;
        let target = marker.path(&format!("things/n{calls}"));
        let url = format!("http://localhost:{}{target}", nginx.port());
        run(curl(&certificates).args(["--output", "/dev/null"]).arg(url), CALL_LIMIT)?;
        for exchange in observer.wait_for(2, CALL_LIMIT, |exchange| exchange.target() == target)? {
            let id = exchange.record()["exchange"].clone();
            let report = observer.wait_for_record("report", CALL_LIMIT, |record| {
                record["kind"] == "quality.report" && record["exchange"] == id
            })?;
            ensure!(report["verdict"] == verdict, "not {verdict}: {report}");
            ensure!(codes(&report, "corrected") == why, "{report}");
        }
        Ok(())
    };
    let read_again = |count| observer.wait_for_message("read again", count, RELOAD_LIMIT);
    let refused = |count| observer.wait_for_message("not changed", count, RELOAD_LIMIT);

    judged("conforming", &[])?;
    write_own(&rules, &base, "name, kind")?;
    read_again(1)?;
    judged("violating", &["body.required"])?;
    // A broken file keeps what was there, whole.
    let file = rules.join("contracts/own.yaml");
    fs::write(&file, "openapi: [unclosed")?;
    let message = refused(1)?;
    ensure!(message.contains("own.yaml"), "{message}");
    judged("violating", &["body.required"])?;
    // So does a folder that holds nothing any more.
    fs::remove_file(&file)?;
    refused(2)?;
    judged("violating", &["body.required"])?;
    write_own(&rules, &base, "name")?;
    read_again(2)?;
    judged("conforming", &[])?;
    // SIGHUP has them read although nothing was changed.
    observer.process().signal(Signal::HUP);
    read_again(3)?;
    judged("conforming", &[])?;

    let observation = observer.stop()?;
    hold_to_schemas(&observation.records)?;
    let summaries = of_kind(&observation.records, "quality.summary");
    let of_ours = |one: &&&Value| one["api"] == "own";
    let sum = |name: &str| -> u64 {
        summaries.iter().filter(of_ours).filter_map(|one| one[name].as_u64()).sum()
    };
    // Each call is seen at both its ends.
    ensure!(
        (sum("calls"), sum("conforming"), sum("violating")) == (2 * 6, 2 * 3, 2 * 3),
        "{summaries:#?}"
    );
    all_ids_differ(&observation)
}

#[test]
fn no_secret_is_in_what_is_observed_or_in_the_outbox() -> Result<()> {
    if !observing("no_secret_is_in_what_is_observed_or_in_the_outbox") {
        return Ok(());
    }
    let _alone = alone();
    let folder = shared_folder()?;
    let certificates = Certificates::create(folder.path())?;
    let mut secrets = Secrets::default();
    let marker = Marker::new("privacy");
    let body = json!({
        "name": [secrets.word()], "kind": secrets.digits(), "mark": secrets.word(),
        secrets.word(): { secrets.word(): secrets.word() },
    });
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location(
            "/",
            &format!("add_header Set-Cookie 'a={}'; {}", secrets.word(), answer(&body.to_string())),
        )
        .start()?;
    let rules = folder.path().join("rules");
    write_own(&rules, &marker.to_string(), "name")?;
    for output in ["jsonl", "pretty"] {
        let [outbox, printed, errors] = ["outbox", "printed", "errors"]
            .map(|name| folder.path().join(format!("{output}-{name}")));
        let mut command = mop_command();
        command.args(["observe", "--output", output, "--report-clean", "1", "--rules"]).arg(&rules);
        command.arg("--outbox").arg(&outbox).stdin(Stdio::null());
        command.stdout(fs::File::create(&printed)?).stderr(fs::File::create(&errors)?);
        let mut process = Process::start("mop", &mut command)?;
        until("observation", CALL_LIMIT, || {
            fs::read_to_string(&errors).is_ok_and(|text| text.contains("Observing"))
                || !process.running()
        })?;
        let target = marker.path("things");
        let mut call = curl(&certificates);
        call.args(["--output", "/dev/null"])
            .args(["--header", &format!("authorization: Bearer {}", secrets.word())])
            .args(["--header", &format!("cookie: {}={}", secrets.word(), secrets.word())])
            .args(["--request", "GET", "--header", "content-type: application/json", "--data"])
            .arg(json!({ secrets.word(): secrets.word() }).to_string())
            .arg(format!(
                "https://localhost:{}{target}/{}?{}={}&{}",
                nginx.port(),
                secrets.digits(),
                secrets.shown(),
                secrets.word(),
                secrets.word()
            ));
        run(&mut call, CALL_LIMIT)?;
        until("a report of the call", CALL_LIMIT, || {
            fs::read_to_string(&printed).is_ok_and(|text| {
                text.matches(&target).count() >= 2 && text.matches("body.pattern").count() >= 2
            })
        })?;
        process.signal(Signal::INT);
        ensure!(process.wait(CALL_LIMIT)?.success(), "{}", fs::read_to_string(&errors)?);
        let lines = fs::read_to_string(&printed)?;
        for line in lines.lines() {
            let is_of_a_call = match output {
                "jsonl" => serde_json::from_str::<Value>(line)?["kind"] == "exchange",
                _ => line.starts_with(|first: char| first.is_ascii_digit()),
            };
            holds_no_secret(line, is_of_a_call).with_context(|| format!("{output} output"))?;
        }
        holds_no_secret(&fs::read_to_string(&errors)?, false).context("messages")?;
        let kept = exported(&outbox)?;
        let records: Vec<Value> = kept
            .iter()
            .map(|line| serde_json::from_str(line))
            .collect::<serde_json::Result<_>>()?;
        hold_to_schemas(&records)?;
        ensure!(of_kind(&records, "quality.report").len() >= 2, "the outbox lacks the reports");
        ensure!(!of_kind(&records, "quality.fill").is_empty(), "the outbox lacks the fill");
        for (record, line) in records.iter().zip(&kept) {
            holds_no_secret(line, record["kind"] == "exchange").context("the outbox")?;
        }
    }
    Ok(())
}

/// Directives of a location that answers so.
fn answer(body: &str) -> String {
    format!("default_type application/json; return 200 '{body}';")
}

/// Observing tests of one program would see each other's calls.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report_of<'a>(observation: &'a Observation, exchange: &str) -> Result<&'a Value> {
    let mut reports = of_kind(&observation.records, "quality.report").into_iter();
    let report = reports.find(|report| report["exchange"] == exchange);
    report.with_context(|| format!("no report of {exchange}"))
}

/// Whoever stores records keeps one of each id.
fn all_ids_differ(observation: &Observation) -> Result<()> {
    let mut ids = std::collections::BTreeSet::new();
    for record in &observation.records {
        if let Some(id) = record["id"].as_str() {
            ensure!(ids.insert(id), "{id} is the id of two records");
        }
    }
    ensure!(!ids.is_empty());
    Ok(())
}

const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Files are looked at every second and must have rested for one look.
const RELOAD_LIMIT: Duration = Duration::from_secs(30);
