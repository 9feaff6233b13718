//! `mop validate` on the command line: verdicts, exit codes and messages.

use std::{
    fs,
    io::{BufRead, BufReader, Read as _},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Process, mop_command};
use serde_json::{Value, json};

use crate::{
    calls::{CONSENTS, Call, Side},
    records::{codes, hold_to_schemas, reasons},
    runs::Run,
};

#[test]
fn a_message_is_validated_with_a_verdict_and_its_exit_code() -> Result<()> {
    let body = |side: Side, pointer: &str, value: Value| -> Result<Call> {
        let mut call = Call::consent();
        match side {
            Side::Request => call.request.replace(pointer, value)?,
            Side::Response => call.response.replace(pointer, value)?,
        }
        Ok(call)
    };
    let text = |side: Side, text: &str| {
        let mut call = Call::consent();
        match side {
            Side::Request => call.request.body = text.into(),
            Side::Response => call.response.body = text.into(),
        }
        call
    };
    let metrics = "/open-insurance/admin/v1/metrics";
    let teapot = Call::with("GET", metrics, &Value::Null, 418, &Value::Null);
    let method = |method: &str| Call { method: method.to_owned(), ..Call::consent() };
    let target = |target: &str| Call { target: target.to_owned(), ..Call::consent() };
    let (request, response) = (Side::Request, Side::Response);
    // Side, call, verdict, exit code, and a code, reason or route that must be told.
    for (side, call, verdict, code, told) in [
        (request, Call::consent(), "conforming", 0, None),
        (response, Call::consent(), "conforming", 0, None),
        (
            response,
            body(response, "/data/status", json!("OPEN"))?,
            "violating",
            1,
            Some("body.enum"),
        ),
        (response, body(response, "/data/status", json!(7))?, "violating", 1, Some("body.type")),
        (response, body(response, "/data", json!({}))?, "violating", 1, Some("body.required")),
        (
            response,
            body(response, "/data/consentId", json!("x"))?,
            "violating",
            1,
            Some("body.pattern"),
        ),
        (
            response,
            body(response, "/data/creationDateTime", json!("today"))?,
            "violating",
            1,
            Some("body.format"),
        ),
        (
            request,
            body(request, "/data/permissions", json!(["ALL"]))?,
            "violating",
            1,
            Some("body.enum"),
        ),
        (
            request,
            body(
                request,
                "/data/loggedUser",
                json!({"document": {"identification": "1", "rel": "CPF", "more": 1}}),
            )?,
            "violating",
            1,
            Some("body.additional_properties"),
        ),
        (request, text(request, "{"), "violating", 1, Some("body.not_json")),
        (request, text(request, ""), "violating", 1, Some("body.required")),
        (request, text(request, "{\"data\":1,\"data\":2}"), "unjudged", 3, Some("duplicate_name")),
        (response, teapot, "unjudged", 3, Some("status.undeclared")),
        (request, method("PURGE"), "unjudged", 3, Some("method_unknown")),
        (
            request,
            target("/open-insurance/consents/v77/consents"),
            "unjudged",
            3,
            Some("version_unknown"),
        ),
        (request, target("/nothing/of/ours"), "unjudged", 3, Some("path_unknown")),
    ] {
        let what = format!("{side:?} of {} {} {} {told:?}", call.method, call.target, call.status);
        let run = Run::validate(&call, side, &["--output", "json"]).context(what.clone())?;
        let result = run.document().context(what.clone())?;
        hold_to_schemas(std::slice::from_ref(&result)).context(what.clone())?;
        ensure!(run.code == code && result["verdict"] == verdict, "{what}: {}: {result}", run.code);
        ensure!(run.stderr.is_empty(), "{what}: {}", run.stderr);
        if let Some(told) = told {
            let is_told = codes(&result, "corrected").contains(&told)
                || reasons(&result).contains(&told)
                || result["unrouted"] == told;
            ensure!(is_told, "{what}: no {told}: {result}");
        }
        // People are told the same.
        let table = Run::validate(&call, side, &[]).context(what.clone())?;
        let printed = String::from_utf8(table.stdout)?;
        let word = if result["unrouted"].is_string() { "no contract" } else { verdict };
        ensure!(table.code == code && printed.contains(word), "{what}: {}: {printed}", table.code);
        for violation in result["corrected"]["violations"].as_array().into_iter().flatten() {
            for field in ["violation", "code", "severity"] {
                let wanted = violation[field].as_str().context("a text")?;
                ensure!(printed.contains(wanted), "{what}: the table does not say {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn violations_have_the_fields_of_the_official_list() -> Result<()> {
    let mut call = Call::consent();
    call.response.body = br#"{"data":{"status":"OPEN"}}"#.to_vec();
    call.response.headers.retain(|(name, _)| name != "x-frame-options");
    let result = Run::validate(&call, Side::Response, &["--output", "json"])?.document()?;
    let one = |list: &Value, attribute: &str| -> Result<Value> {
        let mut found = list.as_array().into_iter().flatten();
        found.find(|one| one["attribute"] == attribute).cloned().context("not found")
    };
    let status = one(&result["corrected"]["violations"], "data.status")?;
    for (field, value) in [
        ("code", json!("body.enum")),
        ("severity", json!("error")),
        ("attribute", json!("data.status")),
        ("direction", json!("response")),
        ("location", json!("body:/data/status")),
        ("keyword", json!("enum")),
        ("schema_path", json!("/properties/data/properties/status/enum")),
        ("occurrences", json!(1)),
    ] {
        ensure!(status[field] == value, "{field}: {status}");
    }
    let frames = one(&result["rules"], "x-frame-options")?;
    ensure!(frames["severity"] == "warning" && frames["keyword"].is_null(), "{frames}");
    Ok(())
}

#[test]
fn only_what_a_correction_takes_away_is_told_of_the_published_reading() -> Result<()> {
    let coverages = json!({ "data": { "quoteInfo": { "quotes": [
        { "premiumInfo": { "coverages": [{}] } },
    ] } } });
    let quote = "/open-insurance/quote-patrimonial/v2/business/request/1/quote-status";
    let products = "/open-insurance/products-services/v2/cyber-risk";
    // The first has an alternative that is published as another kind of alternative; the second
    // wants a field of responses in a request.
    for (call, side, is_told) in [
        (Call::with("GET", quote, &Value::Null, 200, &coverages), Side::Response, false),
        (Call::with("GET", products, &Value::Null, 200, &Value::Null), Side::Request, true),
    ] {
        let result = Run::validate(&call, side, &["--output", "json"])?.document()?;
        let missing = codes(&result, "corrected").len() < codes(&result, "published").len();
        ensure!(missing == is_told, "{result}");
        let table = String::from_utf8(Run::validate(&call, side, &[])?.stdout)?;
        ensure!(table.contains("as published") == is_told, "{table}");
    }
    Ok(())
}

#[test]
fn a_body_may_come_from_the_standard_input() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let body = folder.path().join("body");
    let arguments = ["validate", "--method", "POST", "--path", CONSENTS, "--status", "201", "-"];
    for (text, code) in [
        (Call::consent().response.body, 0),
        (br#"{"data":{}}"#.to_vec(), 1),
        (b"[".repeat(1_000), 3),
        // Without a byte there is no body, and one is wanted.
        (Vec::new(), 1),
    ] {
        fs::write(&body, &text)?;
        let run = Run::of(arguments, Some(&body))?;
        ensure!(run.code == code, "{} instead of {code}: {}", run.code, run.stderr);
    }
    Ok(())
}

#[test]
fn wrong_use_is_told_from_a_wrong_message() -> Result<()> {
    for (arguments, word) in [
        (&["validate"][..], "--path"),
        (&["validate", "--path", "consents"], "--path"),
        (&["validate", "--path", "/a", "--direction", "response"], "--status"),
        (&["validate", "--path", "/a", "--status", "99"], "99"),
        (&["validate", "--path", "/a", "--status", "600"], "600"),
        (&["validate", "--path", "/a", "--header", "no-colon"], "colon"),
        (&["validate", "--path", "/a", "--output", "xml"], "xml"),
        (&["validate", "--path", "/a", "--direction", "sideways"], "sideways"),
        (&["validate", "--path", "/a", "/no/such/body"], "/no/such/body"),
        (&["validate", "--path", "/a", "/"], "/"),
        (&["replay", "calls.exchanges.jsonl", "--window", "1ms"], "--window"),
        (&["replay", "calls.exchanges.jsonl", "--window", "25h"], "--window"),
        (&["replay", "calls.exchanges.jsonl", "--window", "0s"], "--window"),
        (&["contracts"], "list"),
        (&["contracts", "show"], "OPERATION"),
        (&["contracts", "show", "noSuchOperation"], "noSuchOperation"),
        (&["contracts", "show", "GET /no/such/path"], "/no/such/path"),
        (&["contracts", "diff", "one"], "NEW"),
        (&["contracts", "build", "one"], "--out"),
    ] {
        let run = Run::of(arguments, None)?;
        let message = run.fails_with(2).with_context(|| format!("mop {arguments:?}"))?;
        ensure!(message.contains(word), "{arguments:?}: the message lacks {word}: {message}");
        ensure!(run.stdout.is_empty(), "{arguments:?}: something was judged");
    }
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let calls = folder.path().join("calls.exchanges.jsonl");
    let lines: Vec<String> =
        (0..2_000).map(|number| Call::consent().line(&number.to_string()).to_string()).collect();
    fs::write(&calls, lines.join("\n"))?;
    let calls = calls.display().to_string();
    let members: String = (0..200_000).map(|number| format!(",\"m{number}\":0")).collect();
    let body = folder.path().join("body");
    fs::write(&body, format!("{{\"data\":{{}}{members}}}"))?;
    let body = body.display().to_string();
    let validate = ["validate", "--method", "POST", "--path", CONSENTS, "--status", "201", &body];
    for (arguments, codes) in [
        (&["contracts", "list"][..], &[0][..]),
        (&["contracts", "list", "--json"], &[0]),
        (&["contracts", "show", "POST /open-insurance/consents/v3/consents"], &[0]),
        (&["replay", &calls, "--output", "jsonl"], &[0]),
        (&["replay", &calls, "--output", "pretty"], &[0]),
        (&validate, &[1]),
    ] {
        // One line is read, and none.
        for lines in [1, 0] {
            let mut command = mop_command();
            command.args(arguments).stdin(Stdio::null());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut process = Process::start("mop", &mut command)?;
            let mut stdout = BufReader::new(process.stdout().context("an output")?);
            for _ in 0..lines {
                stdout.read_line(&mut String::new())?;
            }
            drop(stdout);
            let mut stderr = BufReader::new(process.stderr().context("an output")?);
            let mut message = String::new();
            stderr.read_to_string(&mut message)?;
            let code = process.wait(RUN_LIMIT)?.code().context("a code")?;
            ensure!(codes.contains(&code), "mop {arguments:?}: {code}: {message}");
            ensure!(!message.contains("mop:"), "mop {arguments:?}: {message}");
        }
    }
    Ok(())
}

const RUN_LIMIT: Duration = Duration::from_secs(60);
