//! Messages that are made to break their reader: each ends in a verdict with a clear reason, with
//! the documented exit code, and with memory that is bounded.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    calls::Call,
    records::{codes, hold_to_schemas, of_kind, reasons},
    runs::Run,
    spoilt::{Case, Expected, cases},
};

#[test]
fn hostile_messages_end_in_a_verdict_within_bounded_memory() -> Result<()> {
    let mut peaks = Vec::new();
    for case in cases()? {
        let Case { name, call, side, expected } = &case;
        let replayed = Run::replay(&[(name, call)], &[]).context(*name)?;
        let records = replayed.records().context(*name)?;
        let reports = of_kind(&records, "quality.report");
        let [report] = reports.as_slice() else {
            anyhow::bail!("{name}: {} reports: {}", reports.len(), replayed.stderr);
        };
        is_as_expected(report, *expected).with_context(|| format!("replay of {name}: {report}"))?;
        let summary = records.last().context("a summary")?;
        ensure!(replayed.code == 0 && summary["panics"] == 0, "{name}: {}", replayed.stderr);
        peaks.push((replayed.peak_bytes, format!("replay of {name}")));

        if fits_a_command_line(&case) {
            let validated = Run::validate(call, *side, &["--output", "json"]).context(*name)?;
            let result = validated.document().context(*name)?;
            hold_to_schemas(std::slice::from_ref(&result)).context(*name)?;
            is_as_expected(&result, *expected)
                .with_context(|| format!("validation of {name}: {result}"))?;
            let code = exit_code(&result)?;
            ensure!(validated.code == code, "{name}: {} instead of {code}", validated.code);
            peaks.push((validated.peak_bytes, format!("validation of {name}")));
        }
    }
    within_bounds(&peaks)
}

#[test]
fn hostile_messages_do_not_change_the_verdict_on_those_after_them() -> Result<()> {
    let (good, cases) = (Call::consent(), cases()?);
    let mut calls = Vec::new();
    for case in &cases {
        calls.push((case.name, &case.call));
        calls.push(("good", &good));
    }
    let run = Run::replay(&calls, &[])?;
    let records = run.records()?;
    let reports = of_kind(&records, "quality.report");
    ensure!(reports.len() == calls.len(), "{} of {}", reports.len(), calls.len());
    for (pair, case) in reports.chunks(2).zip(&cases) {
        is_as_expected(pair[0], case.expected).with_context(|| case.name.to_owned())?;
        is_as_expected(pair[1], Expected::Conforming)
            .with_context(|| format!("after {}", case.name))?;
    }
    within_bounds(&[(run.peak_bytes, "replay of all".to_owned())])
}

#[test]
fn what_is_printed_does_not_drive_the_terminal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("calls.exchanges.jsonl");
    let mut call = Call::resources();
    call.method = "GET\u{1b}[31m".to_owned();
    call.target = "/open-insurance/\u{1b}]0;x\u{7}/\u{9b}2J\n✓ conforming?\u{1b}=1".to_owned();
    call.request.set("host", "\u{1b}[2J.example");
    let mut line = call.line("\u{1b}[1m");
    for end in ["client", "server"] {
        line[end] = json!({ "ip": "\u{1b}[5m", "port": 1 });
    }
    fs::write(&file, format!("{line}\n"))?;
    let run = Run::of(["replay", &file.display().to_string(), "--output", "pretty"], None)?;
    let printed = String::from_utf8(run.stdout)?;
    ensure!(run.code == 0 && printed.contains("/open-insurance/"), "{}", run.stderr);
    for text in [&printed, &run.stderr] {
        ensure!(!text.contains(|it: char| it.is_control() && it != '\n'), "{text:?}");
    }
    ensure!(!printed.lines().any(|line| line.starts_with('✓')), "a line was forged: {printed}");
    Ok(())
}

#[test]
fn lines_that_are_no_exchange_are_refused_without_their_values() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("calls.exchanges.jsonl");
    let good = Call::consent().line("good").to_string();
    for (name, line) in [
        ("deep", format!("{{\"id\":{}\"secret\"", "[".repeat(100_000))),
        ("wrong types", r#"{"id":"secret","request":"secret"}"#.to_owned()),
        ("a status of the wrong type", r#"{"id":"e","response":{"status":"secret"}}"#.to_owned()),
        (
            "an unknown coding",
            r#"{"id":"e","response":{"status":200,"body":"","body_encoding":"secret"}}"#.to_owned(),
        ),
        ("cut", good[..good.len() / 2].to_owned()),
    ] {
        fs::write(&file, format!("{good}\n{line}\n{good}\n"))?;
        let run = Run::of(["replay", &file.display().to_string(), "--output", "jsonl"], None)?;
        let message = run.fails_with(1).context(name)?;
        ensure!(message.contains("line 2") && !message.contains("secret"), "{name}: {message}");
        // What stood before it was reported all the same.
        ensure!(of_kind(&run.records()?, "quality.report").len() == 1, "{name}");
    }
    Ok(())
}

fn is_as_expected(report: &Value, expected: Expected) -> Result<()> {
    let found = codes(report, "corrected");
    match expected {
        Expected::Conforming => {
            ensure!(report["verdict"] == "conforming", "not conforming");
        }
        Expected::Unjudged(reason) => {
            ensure!(report["verdict"] == "unjudged" && reasons(report) == [reason], "not {reason}");
        }
        Expected::Unrouted(reason) => {
            ensure!(report["verdict"] == "unjudged" && report["unrouted"] == reason);
        }
        Expected::Violating(code, times) => {
            ensure!(report["verdict"] == "violating" && found.contains(&code), "no {code}");
            let total = report["corrected"]["total"].as_u64().unwrap_or(0);
            ensure!(total >= times, "{total} instead of {times} or more");
        }
        Expected::Warned(code) => {
            ensure!(report["verdict"] == "conforming" && found.contains(&code), "no {code}");
        }
    }
    Ok(())
}

/// The exit code that `mop validate` documents for a verdict.
fn exit_code(result: &Value) -> Result<i32> {
    match result["verdict"].as_str() {
        Some("conforming") => Ok(0),
        Some("violating") => Ok(1),
        Some("unjudged") => Ok(3),
        other => anyhow::bail!("a verdict of {other:?}"),
    }
}

/// Headers and target are arguments of the command, of which the kernel takes so many bytes.
fn fits_a_command_line(case: &Case) -> bool {
    let headers = &case.call.part(case.side).headers;
    case.call.target.len() < ARGUMENT_BYTES
        && headers.len() < 100
        && headers.iter().all(|(name, value)| name.len() + value.len() < ARGUMENT_BYTES)
}

fn within_bounds(peaks: &[(u64, String)]) -> Result<()> {
    let (peak, name) = peaks.iter().max().context("a peak")?;
    println!("The highest peak: {} MiB, {name}", peak >> 20);
    let above: Vec<_> = peaks.iter().filter(|(peak, _)| *peak > MAX_PEAK_BYTES).collect();
    ensure!(above.is_empty(), "above {} MiB: {above:?}", MAX_PEAK_BYTES >> 20);
    Ok(())
}

/// A line of 50 MB is held three times on its way (the line, its text, the body), beside the 40 MiB
/// of the contracts; unfolding and the tape of other bodies take less. Half as much again is room
/// for another allocator.
const MAX_PEAK_BYTES: u64 = 288 << 20;

/// `MAX_ARG_STRLEN` of Linux is 128 KiB.
const ARGUMENT_BYTES: usize = 120_000;
