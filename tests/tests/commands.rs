//! The command line: what is shown, what is masked, and how bad input ends.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, Script, curl, mop_binary,
    mop_command, observing, run, skip,
};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn unknown_options_are_errors_of_usage() -> Result<()> {
    for arguments in [
        &["observe", "--no-such-option"][..],
        &["observe", "--for", "soon"],
        &["observe", "--output", "carrier-pigeon"],
        &["observe", "--ring-mib", "minus-one"],
        &["no-such-command"],
        &["replay"],
        &["record"],
        &[],
    ] {
        let output = mop_command().args(arguments).output()?;
        fails_with(2, &output).with_context(|| format!("mop {arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_replayed_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let noise = folder.path().join("noise.mopcap");
    fs::copy(Body::write(folder.path(), "noise", 10_000)?.path, &noise)?;
    let text = folder.path().join("text.exchanges.jsonl");
    fs::write(&text, "this is not JSON\n")?;
    let unknown = folder.path().join("unknown.suffix");
    fs::write(&unknown, "what is this?\n")?;
    let absent = folder.path().join("absent.mopcap");
    for (file, code) in [(&noise, 1), (&text, 1), (&absent, 1), (&unknown, 2)] {
        let output = mop_command().arg("replay").arg(file).output()?;
        fails_with(code, &output).with_context(|| format!("mop replay {}", file.display()))?;
        ensure!(
            String::from_utf8_lossy(&output.stderr).contains(&file.display().to_string()),
            "the message does not name the file"
        );
    }
    Ok(())
}

#[test]
fn missing_privilege_is_an_error_of_configuration() -> Result<()> {
    const TEST: &str = "missing_privilege_is_an_error_of_configuration";
    if !rustix::process::geteuid().is_root() {
        skip(TEST, "only root can become another user");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    // The folder of the build may be closed to other users.
    let binary = folder.path().join("mop");
    fs::copy(mop_binary(), &binary)?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(&binary)
        .args(["observe", "--for", "1s"])
        .output()?;
    fails_with(78, &output)?;
    let message = String::from_utf8_lossy(&output.stderr).to_lowercase();
    ensure!(
        message.contains("root") || message.contains("cap_"),
        "the message names no remedy: {message}"
    );
    Ok(())
}

#[test]
fn the_doctor_says_the_same_to_people_and_to_programs() -> Result<()> {
    let output = mop_command().args(["doctor", "--json"]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let can_observe = report["can_observe"].as_bool().context("can_observe")?;
    ensure!(output.status.code() == Some(if can_observe { 0 } else { 1 }));
    let checks = report["checks"].as_array().context("checks")?;
    ensure!(!checks.is_empty(), "no check was made");
    let plain = mop_command().arg("doctor").output()?;
    ensure!(plain.status.code() == output.status.code(), "two verdicts");
    let text = String::from_utf8_lossy(&plain.stdout).into_owned();
    for check in checks {
        for field in ["name", "status", "detail"] {
            ensure!(check[field].is_string(), "no {field} in {check}");
        }
        let name = check["name"].as_str().unwrap_or_default();
        ensure!(text.contains(name), "the text does not say {name}: {text}");
    }
    Ok(())
}

#[test]
fn the_doctor_names_libraries_and_what_it_cannot_cover() -> Result<()> {
    if !observing("the_doctor_names_libraries_and_what_it_cannot_cover") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let _nginx =
        Nginx::builder(folder.path()).tls(&certificates).location("/", "return 204;").start()?;
    let _node = Script::serve(
        "node_server.js",
        [folder.path(), &certificates.server(), &certificates.key()],
    )?;
    let output = run(mop_command().args(["doctor", "--json"]), CALL_LIMIT)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let libraries = report["libraries"].to_string();
    ensure!(libraries.contains("libssl.so"), "nginx's library is missing: {libraries}");
    ensure!(libraries.contains("node"), "node's library is missing: {libraries}");
    ensure!(report["uncovered"].is_array());
    Ok(())
}

#[test]
fn secrets_and_bodies_are_masked_in_every_output() -> Result<()> {
    if !observing("secrets_and_bodies_are_masked_in_every_output") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location(
            "/",
            "add_header Set-Cookie 'session=secret-of-the-response'; return 200 \
             '{\"cpfNumber\":\"secret-in-the-answer\"}';",
        )
        .start()?;
    let marker = Marker::new("masked");
    // Without a terminal --show-payload shows nothing either.
    let outputs: [&[&str]; 3] = [
        &["observe", "--output", "jsonl"],
        &["observe", "--output", "pretty"],
        &["observe", "--output", "pretty", "--show-payload"],
    ];
    for arguments in outputs {
        let outbox = folder.path().join(arguments.join(""));
        let printed = folder.path().join("printed");
        let mut command = mop_command();
        command.args(arguments).arg("--outbox").arg(&outbox).stdin(Stdio::null());
        command.stdout(fs::File::create(&printed)?);
        let errors = folder.path().join("errors");
        command.stderr(fs::File::create(&errors)?);
        let mut process = Process::start("mop", &mut command)?;
        mop_tests::until("observation", CALL_LIMIT, || {
            fs::read_to_string(&errors).is_ok_and(|text| text.contains("Observing"))
                || !process.running()
        })?;
        if !process.running() && arguments.contains(&"--show-payload") {
            // Refusing is as good as masking.
            continue;
        }
        let mut call = curl(&certificates);
        call.args(["--header", "authorization: Bearer secret-token"])
            .args(["--header", "cookie: session=secret-of-the-request"])
            .args(["--data", "{\"cpfNumber\":\"secret-in-the-question\"}"])
            .arg(format!("https://localhost:{}{}", nginx.port(), marker.path("call")));
        run(&mut call, CALL_LIMIT)?;
        let target = marker.path("call");
        mop_tests::until("a report of the call", CALL_LIMIT, || {
            fs::read_to_string(&printed).is_ok_and(|text| text.matches(&target).count() >= 2)
        })?;
        process.signal(Signal::INT);
        ensure!(process.wait(CALL_LIMIT)?.success());
        for file in [printed.as_path(), errors.as_path()].into_iter().map(fs::read) {
            leaks_nothing(&file?)?;
        }
        for file in files_below(&outbox)? {
            leaks_nothing(&fs::read(file)?)?;
        }
    }
    Ok(())
}

#[test]
fn only_calls_below_the_prefixes_are_reported() -> Result<()> {
    if !observing("only_calls_below_the_prefixes_are_reported") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 x;").start()?;
    let marker = Marker::new("prefix");
    let name = marker.to_string().replace("/open-insurance/", "");
    let calls = [
        format!("/open-insurance/{name}"),
        format!("/other/{name}"),
        format!("/open-insurance-not/{name}"),
    ];
    for (arguments, expected) in [
        (&[][..], vec![0]),
        (&["--path-prefix", "/other/"][..], vec![1]),
        (&["--path-prefix", "/other/", "--path-prefix", "/open-insurance/"][..], vec![0, 1]),
        (&["--all"][..], vec![0, 1, 2]),
    ] {
        let observer = Observer::builder().args(arguments).start()?;
        for call in &calls {
            let url = format!("http://localhost:{}{call}", nginx.port());
            run(curl(&certificates).arg(url), CALL_LIMIT)?;
        }
        observer.wait_for(2 * expected.len(), CALL_LIMIT, |one| one.target().contains(&name))?;
        let observation = observer.stop()?;
        for (number, call) in calls.iter().enumerate() {
            let wanted = if expected.contains(&number) { 2 } else { 0 };
            ensure!(
                observation.exchanges(call).len() == wanted,
                "{call} with {arguments:?}: {:#?}",
                observation.exchanges(call)
            );
        }
    }
    Ok(())
}

#[test]
fn it_ends_by_itself_and_sums_up() -> Result<()> {
    if !observing("it_ends_by_itself_and_sums_up") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 x;").start()?;
    let marker = Marker::new("sum");
    let mut observer =
        Observer::builder().args(&["--for", "3s", "--path-prefix", &marker.to_string()]).start()?;
    for call in 0..10 {
        let url = format!("http://localhost:{}{}", nginx.port(), marker.path(&call.to_string()));
        run(curl(&certificates).arg(url), CALL_LIMIT)?;
    }
    let observation = observer.finish()?;
    ensure!(observation.exchanges(&marker.to_string()).len() == 20);
    // It counts the calls of the whole machine, and how many of them were reported.
    let number = |pointer| observation.number(pointer);
    ensure!(
        number("/reported") == 20
            && number("/exchanges") >= 20
            && number("/complete") + number("/incomplete") == number("/exchanges")
            && number("/by_role/client") + number("/by_role/server") == number("/exchanges"),
        "{}",
        observation.summary
    );
    Ok(())
}

#[test]
fn what_was_recorded_replays_to_the_same_exchanges() -> Result<()> {
    if !observing("what_was_recorded_replays_to_the_same_exchanges") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let bodies = [0, 700, 70_000, 1 << 20]
        .map(|bytes| Body::write(folder.path(), &format!("{bytes}.bin"), bytes));
    let server = Script::serve(
        "http_server.py",
        [folder.path(), &certificates.server(), &certificates.key()],
    )?;
    let capture = folder.path().join("calls.mopcap");
    let errors = folder.path().join("errors");
    let mut command = mop_command();
    command
        .args(["record", "--out"])
        .arg(&capture)
        .args(["--for", "60s", "--yes"])
        .stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(fs::File::create(&errors)?);
    let mut recorder = Process::start("mop record", &mut command)?;
    mop_tests::until("recording", CALL_LIMIT, || {
        fs::read_to_string(&errors).is_ok_and(|text| {
            text.lines().any(|line| line.starts_with("Observing") || line.starts_with("Recording"))
        }) || !recorder.running()
    })?;
    let marker = Marker::new("recorded");
    let observer = Observer::start()?;
    for (number, body) in bodies.into_iter().enumerate() {
        let body = body?;
        let name = body.path.file_name().context("a name")?.to_string_lossy().into_owned();
        for how in ["file", "chunked"] {
            let target = marker.path(&format!("{how}/{name}"));
            let url = format!("https://localhost:{}{target}", server.port());
            run(curl(&certificates).args(["--output", "/dev/null"]).arg(url), CALL_LIMIT)?;
        }
        let target = marker.path(&format!("upload/{number}"));
        let url = format!("https://localhost:{}{target}", server.port());
        run(
            curl(&certificates)
                .arg("--data-binary")
                .arg(format!("@{}", body.path.display()))
                .arg(url),
            CALL_LIMIT,
        )?;
    }
    let prefix = marker.to_string();
    observer.wait_for(24, CALL_LIMIT, |one| one.target().starts_with(&prefix))?;
    let observed = observer.stop()?.exchanges(&prefix);
    recorder.signal(Signal::INT);
    let status = recorder.wait(CALL_LIMIT)?;
    ensure!(status.success(), "mop record ended with {status}: {}", fs::read_to_string(&errors)?);

    // Replaying needs no privilege: nobody's process reads the capture.
    fs::set_permissions(&capture, fs::Permissions::from_mode(0o644))?;
    let output =
        run(mop_command().arg("replay").arg(&capture).args(["--output", "jsonl"]), CALL_LIMIT)?;
    let replayed: Vec<Exchange> = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|record| Exchange::from_record(&record))
        .filter(|exchange| exchange.target().starts_with(&prefix))
        .collect();
    ensure!(essence(&observed) == essence(&replayed), "{observed:#?}\n{replayed:#?}");
    Ok(())
}

#[test]
fn exchanges_in_neutral_form_replay_without_privilege() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("calls.exchanges.jsonl");
    fs::write(&file, NEUTRAL)?;
    let output =
        run(mop_command().arg("replay").arg(&file).args(["--output", "jsonl"]), CALL_LIMIT)?;
    let records: Vec<Value> = String::from_utf8(output.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<serde_json::Result<_>>()?;
    let exchanges: Vec<&Value> =
        records.iter().filter(|record| record["kind"] == "exchange").collect();
    ensure!(exchanges.len() == 2, "{records:#?}");
    ensure!(exchanges[0]["exchange"] == "e1" && exchanges[1]["exchange"] == "e2");
    let first = Exchange::from_record(exchanges[0]).context("an exchange")?;
    ensure!(first.method() == "POST" && first.status() == 201 && first.role() == "server");
    ensure!(!exchanges[0].to_string().contains("secret"), "unmasked: {}", exchanges[0]);
    let second = Exchange::from_record(exchanges[1]).context("an exchange")?;
    ensure!(second.response().body_bytes() == 5, "{}", second.record());
    Ok(())
}

/// What of an exchange does not depend on who observed it and when.
fn essence(exchanges: &[Exchange]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in exchanges {
        let key = format!(
            "{} {} {} {} {} {} {} {} {}",
            exchange.role(),
            exchange.layer(),
            exchange.pid(),
            exchange.method(),
            exchange.target(),
            exchange.status(),
            exchange.request().body_bytes(),
            exchange.response().body_bytes(),
            exchange.ending()
        );
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn fails_with(code: i32, output: &Output) -> Result<()> {
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{} instead of {code}: {message}", output.status);
    ensure!(!message.trim().is_empty(), "no message");
    ensure!(!message.contains("panicked"), "{message}");
    // Errors of usage may add how it is used.
    if code != 2 {
        ensure!(message.trim().lines().count() == 1, "not one line: {message}");
    }
    Ok(())
}

fn leaks_nothing(output: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(output);
    if let Some(at) = text.find("secret") {
        let from = text.floor_char_boundary(at.saturating_sub(60));
        let to = text.floor_char_boundary((at + 60).min(text.len()));
        anyhow::bail!("a secret is shown: …{}…", &text[from..to]);
    }
    Ok(())
}

fn files_below(folder: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

const CALL_LIMIT: Duration = Duration::from_secs(30);
const NEUTRAL: &str = r#"{"id":"e1","ts":"2026-11-24T12:00:00Z","duration_ms":12,"role":"server","client":{"ip":"192.0.2.7","port":40112},"server":{"ip":"192.0.2.1","port":443,"host":"api.participante.example"},"request":{"method":"POST","target":"/open-insurance/consents/v3/consents","headers":[["content-type","application/json"],["authorization","Bearer secret-token"]],"body":"{\"data\":\"secret\"}"},"response":{"status":201,"headers":[["content-type","application/json"]],"body":"{\"data\":\"secret\"}"}}
{"id":"e2","ts":"2026-11-24T12:00:01Z","role":"client","request":{"method":"GET","target":"/open-insurance/resources/v3/resources"},"response":{"status":200,"body":"AAECAwQ=","body_encoding":"base64"}}
"#;
