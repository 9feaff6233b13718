//! Secrets in every place of a message: no output may hold one.
//!
//! Records of kind `exchange` show, by design, how a call was sent: header names, the values of
//! fields that describe the protocol, names of query parameters, and segments of the path that do
//! not look like a number or an address of a person. What is planted there has a mark of its own
//! and may be in records of that kind, but in no other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    calls::{Call, Side},
    published,
    records::of_kind,
    runs::Run,
    secrets::{Secrets, holds_no_secret},
};

#[test]
fn no_secret_is_in_what_a_replay_prints() -> Result<()> {
    let calls = calls()?;
    ensure!(calls.len() > 500, "{} calls", calls.len());
    let named: Vec<(String, &Call)> =
        calls.iter().enumerate().map(|(number, call)| (format!("e{number}"), call)).collect();
    let named: Vec<(&str, &Call)> = named.iter().map(|(id, call)| (id.as_str(), *call)).collect();

    let run = Run::replay(&named, &["--all"])?;
    ensure!(run.code == 0, "{}", run.stderr);
    let records = run.records()?;
    let reports = of_kind(&records, "quality.report");
    ensure!(reports.len() == calls.len(), "{} reports of {}", reports.len(), calls.len());
    let mut verdicts = BTreeMap::<&str, usize>::new();
    let mut keywords = BTreeSet::new();
    let mut in_alternatives = 0;
    for report in &reports {
        *verdicts.entry(report["verdict"].as_str().context("a verdict")?).or_default() += 1;
        for violation in report["corrected"]["violations"].as_array().into_iter().flatten() {
            keywords.extend(violation["keyword"].as_str());
            let schema_path = violation["schema_path"].as_str().unwrap_or_default();
            in_alternatives += usize::from(schema_path.contains("Of/"));
        }
    }
    println!("{} calls: {verdicts:?}, by {keywords:?}", calls.len());
    // Every kind of finding took part, or the search below would prove little.
    for keyword in [
        "additionalProperties",
        "enum",
        "format",
        "json",
        "maxLength",
        "minLength",
        "pattern",
        "required",
        "type",
        "undeclared",
    ] {
        ensure!(keywords.contains(keyword), "nothing was found by {keyword}: {keywords:?}");
    }
    ensure!(in_alternatives > 0, "nothing was found in alternatives");
    for verdict in ["conforming", "unjudged", "violating"] {
        ensure!(verdicts.contains_key(verdict), "no call is {verdict}");
    }
    ensure!(!of_kind(&records, "quality.fill").is_empty());
    ensure!(!of_kind(&records, "quality.summary").is_empty());
    for record in &records {
        let kind = record["kind"].as_str().unwrap_or_default();
        holds_no_secret(&record.to_string(), kind == "exchange").context(kind.to_owned())?;
    }
    holds_no_secret(&run.stderr, false).context("messages")?;

    // The same for people: what is shown stands on the line of the call.
    let run = Run::replay_as("pretty", &named, &["--all"])?;
    ensure!(run.code == 0, "{}", run.stderr);
    for line in String::from_utf8(run.stdout)?.lines() {
        let is_of_the_call = line.starts_with(|first: char| first.is_ascii_digit());
        holds_no_secret(line, is_of_the_call)?;
    }
    holds_no_secret(&run.stderr, false).context("messages")
}

#[test]
fn no_secret_is_in_what_a_validation_prints() -> Result<()> {
    let calls = calls()?;
    for (number, call) in calls.iter().step_by(calls.len() / VALIDATIONS).enumerate() {
        let side = if number % 2 == 0 { Side::Request } else { Side::Response };
        for format in ["table", "json"] {
            let run = Run::validate(call, side, &["--output", format])?;
            ensure!(matches!(run.code, 0 | 1 | 3), "{}: {}", run.code, run.stderr);
            ensure!(!run.stdout.is_empty());
            for text in [std::str::from_utf8(&run.stdout)?, &run.stderr] {
                holds_no_secret(text, false)
                    .with_context(|| format!("{format} of {side:?} {}", call.method))?;
            }
        }
    }
    Ok(())
}

#[test]
fn only_the_host_that_is_called_is_named_as_counterpart() -> Result<()> {
    let host = |role, host: &str| {
        let mut call = Call { role, ..Call::resources() };
        call.request.set("host", host);
        call
    };
    let long = format!("{}.example", "a".repeat(250));
    let calls = [
        (host("client", "Api.Participante.example:8443"), json!("api.participante.example")),
        // Whoever calls this node writes the field: it says nothing about who that is.
        (host("server", "api.participante.example"), Value::Null),
        (host("client", "192.0.2.7"), Value::Null),
        (host("client", "[2001:db8::7]:443"), Value::Null),
        (host("client", "user:zqk@api.participante.example"), Value::Null),
        (host("client", "api.participante.example/zqk"), Value::Null),
        (host("client", "zqk zqk.example"), Value::Null),
        (host("client", &long), Value::Null),
        (host("client", ""), Value::Null),
    ];
    for (call, expected) in &calls {
        let run = Run::replay(&[("e", call)], &[])?;
        let records = run.records()?;
        for kind in ["quality.report", "quality.summary", "quality.fill"] {
            for record in of_kind(&records, kind) {
                ensure!(record["counterpart"] == *expected, "{expected}: {record}");
            }
        }
    }
    Ok(())
}

/// Calls with secrets in every place: of every operation, spoilt ones and good ones.
fn calls() -> Result<Vec<Call>> {
    let mut secrets = Secrets::default();
    let mut calls = published::calls(&mut secrets)?;
    calls.extend(spoilt(&mut secrets));
    calls.extend(conforming(&mut secrets)?);
    Ok(calls)
}

/// Calls that nothing is wrong with.
fn conforming(secrets: &mut Secrets) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for role in ["client", "server"] {
        let mut consent = Call { role, ..Call::consent() };
        consent.request.set("authorization", &format!("Bearer {}", secrets.word()));
        consent.request.set("x-idempotency-key", &secrets.word());
        consent.request.set("x-fapi-customer-ip-address", &secrets.word());
        let document = "/data/loggedUser/document/identification";
        consent.request.replace(document, secrets.digits().into())?;
        let id = format!("urn:participante:{}", secrets.word());
        consent.response.replace("/links/self", format!("{SELF}{id}").into())?;
        consent.response.replace("/data/consentId", id.into())?;
        calls.push(consent);
    }
    Ok(calls)
}

/// Calls that are not judged, or not wholly.
fn spoilt(secrets: &mut Secrets) -> Vec<Call> {
    let mut calls = Vec::new();
    for text in [
        format!("{{\"{0}\":1,\"{0}\":2}}", secrets.word()),
        format!("{{\"data\":\"{}", secrets.word()),
        secrets.word(),
        format!("\"{}\\ud800\"", secrets.word()),
        format!("{{\"{}\":1e999}}", secrets.word()),
        format!("{}\"{}\"{}", "[".repeat(200), secrets.word(), "]".repeat(200)),
    ] {
        let mut call = Call::consent();
        call.request.body = text.clone().into();
        call.response.body = text.into();
        calls.push(call);
    }
    let mut call = Call::consent();
    call.response.set("content-encoding", "br");
    call.response.body = secrets.word().into();
    calls.push(call);
    // None of these has an operation.
    for target in [
        format!("/open-insurance/{}/{}", secrets.shown(), secrets.digits()),
        format!("/open-insurance/consents/v9/consents/{}", secrets.shown()),
        format!("/open-insurance/{0}/{1}@{1}", secrets.shown(), secrets.word()),
    ] {
        calls.push(Call { target, ..Call::consent() });
    }
    calls
}

const SELF: &str = "https://api.participante.example/open-insurance/consents/v3/consents/";

/// Each starts the program twice.
const VALIDATIONS: usize = 24;
