//! What became of every event adds up, over restarts and refusals; and what the platform would refuse
//! is told before.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{mop_command, run};
use serde_json::{Value, json};

use crate::{
    delivered::{LIMIT, Platform},
    journey::configuration,
};

#[test]
fn what_was_observed_is_accepted_or_discarded() -> Result<()> {
    let platform = Platform::start(&["/open-insurance/resources/v3/resources"], 0.0)?;
    let made = platform.replay()?;
    let report = balanced(&platform)?;
    let total = &report["total"];
    ensure!(total["observed"] == made && total["reported"] == made, "{report:#}");
    ensure!(total["sent"] == made && total["accepted"] == made - 2, "{report:#}");
    ensure!(total["discarded"] == json!({ "discarded_endpoint": 2 }), "{report:#}");
    ensure!(total["waiting"] == 0 && total["parked"] == 0, "{report:#}");
    let rows = report["rows"].as_array().context("rows")?;
    ensure!(rows.iter().any(|row| row["endpoint"] == "consent-created"), "{report:#}");
    let is_discarded = |row: &&Value| row["discarded"] != json!({});
    let discarded: Vec<_> = rows.iter().filter(is_discarded).collect();
    ensure!(
        matches!(*discarded, [row] if row["endpoint"] == "/open-insurance/resources/v3/resources"),
        "{report:#}"
    );
    // People are told the same.
    let text = String::from_utf8(report_of(&platform, &[])?.stdout)?;
    ensure!(text.contains("discarded: 2 discarded_endpoint"), "{text}");
    ensure!(text.lines().any(|line| line.starts_with("total") && line.ends_with("ok")), "{text}");
    Ok(())
}

#[test]
fn what_waits_is_delivered_by_a_later_run_and_still_adds_up() -> Result<()> {
    let platform = Platform::start(&[], 0.4)?;
    let without = without_sink(&platform)?;
    let made = platform.replay_by(&without)?;
    let report = balanced(&platform)?;
    ensure!(report["total"]["waiting"] == made, "{report:#}");
    ensure!(report["total"]["sent"] == 0 && report["total"]["accepted"] == 0, "{report:#}");
    platform.drain()?;
    let report = balanced(&platform)?;
    ensure!(report["total"]["accepted"] == made && report["total"]["waiting"] == 0, "{report:#}");
    // Another run into the same outbox.
    let again = platform.replay()?;
    let report = balanced(&platform)?;
    ensure!(report["total"]["reported"] == made + again, "{report:#}");
    ensure!(report["total"]["accepted"] == made + again, "{report:#}");
    Ok(())
}

#[test]
fn a_tally_that_was_taken_away_is_noticed() -> Result<()> {
    let platform = Platform::start(&[], 0.0)?;
    platform.replay()?;
    balanced(&platform)?;
    let sent = platform.folder.path().join("outbox/insight/sent");
    fs::remove_file(&sent).with_context(|| sent.display().to_string())?;
    let output = report_of(&platform, &["--json"])?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    // The records still lie in the outbox, which keeps them, and are not taken for what waits.
    ensure!(output.status.code() == Some(1) && report["is_balanced"] == false, "{report:#}");
    ensure!(report["total"]["accepted"] == 0 && report["total"]["waiting"] == 0, "{report:#}");
    let made = platform.folder.path().join("outbox/insight/made");
    fs::write(&made, "{")?;
    let output = report_of(&platform, &["--json"])?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(error.contains("nothing was counted yet"), "{error}");
    Ok(())
}

#[test]
fn what_the_platform_would_discard_is_told_before_it_is_sent() -> Result<()> {
    let platform = Platform::start(&[], 0.0)?;
    let made = platform.replay_by(&without_sink(&platform)?)?;
    let mut command = mop_command();
    command.args(["report", "check", "--config"]).arg(platform.configuration());
    let checked = run(&mut command, LIMIT)?;
    let summary = String::from_utf8(checked.stderr)?;
    ensure!(summary.starts_with(&format!("{made} events checked, 0 would be")), "{summary}");
    ensure!(checked.stdout.is_empty(), "{:?}", checked.stdout);

    let mut command = mop_command();
    command.args(["outbox", "export", "--kind", "data.call", "--folder"]);
    let exported = run(command.arg(platform.folder.path().join("outbox")), LIMIT)?;
    let exported = String::from_utf8(exported.stdout)?;
    let mut spoilt: Value = serde_json::from_str(exported.lines().next().context("no call")?)?;
    spoilt["event"]["url"] = "/open-insurance/consents/v3/consents?cpf=12345678909".into();
    let file = platform.folder.path().join("spoilt.jsonl");
    fs::write(&file, format!("{exported}{spoilt}\n"))?;
    let mut command = mop_command();
    let output = command.args(["report", "check", "--json"]).arg(&file).output()?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(told["id"] == spoilt["id"], "{told}");
    ensure!(told["breaches"][0]["field"] == "url", "{told}");
    for text in [&output.stdout, &output.stderr] {
        ensure!(!String::from_utf8_lossy(text).contains("12345678909"), "a value is told");
    }
    ensure!(platform.state()?["posts"] == 0, "something was sent");
    Ok(())
}

#[test]
fn days_that_make_no_sense_are_wrong_usage() -> Result<()> {
    for days in [["2026-11-28", "2026-11-27"], ["2026-13-01", "2026-11-27"], ["x", "y"]] {
        let mut command = mop_command();
        let [from, to] = days;
        command.args(["report", "pcm", "--outbox", "/no/such", "--from", from, "--to", to]);
        let output = command.output()?;
        ensure!(output.status.code() == Some(2), "{days:?}: {output:?}");
    }
    Ok(())
}

/// The report, whose identities hold.
fn balanced(platform: &Platform) -> Result<Value> {
    let output = report_of(platform, &["--json"])?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(output.status.success() && report["is_balanced"] == true, "{report:#}");
    Ok(report)
}

fn report_of(platform: &Platform, arguments: &[&str]) -> Result<Output> {
    let mut command = mop_command();
    command.args(["report", "pcm", "--from", "2020-01-01", "--to", "2099-12-31"]);
    command.args(arguments).arg("--config").arg(platform.configuration());
    Ok(command.output()?)
}

/// A configuration of the same outbox that sends nothing.
fn without_sink(platform: &Platform) -> Result<PathBuf> {
    let file = platform.folder.path().join("without-sink.toml");
    let outbox = Path::new(platform.folder.path()).join("outbox");
    let text = format!(
        "{}\n[outbox]\nfolder = \"{}\"\nkeep_delivered = true\n",
        configuration(),
        outbox.display()
    );
    fs::write(&file, text)?;
    Ok(file)
}
