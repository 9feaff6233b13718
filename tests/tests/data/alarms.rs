//! An incident in a file: what is told of it, and that it is the same each time.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{mop_command, run};
use serde_json::{Value, json};

use crate::journey::{
    Body, CLIENT_ORGANISATION, Call, Journey, SERVER_ORGANISATION, configuration,
};

const ENDPOINT: &str = "/open-insurance/resources/v3/resources";

#[test]
fn an_incident_of_a_file_is_told_once_and_the_same_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("incident.exchanges.jsonl");
    fs::write(&file, incident()?)?;
    let told = anomalies(folder.path(), &file, "")?;

    let errors = of_signal(&told, "errors");
    let states: Vec<&Value> = errors.iter().map(|record| &record["state"]).collect();
    ensure!(states == [&json!("opened"), &json!("closed")], "{told:#?}");
    let (opened, closed) = (errors[0], errors[1]);
    ensure!(opened["incident"] == closed["incident"] && opened["id"] != closed["id"]);
    let subject = &opened["subject"];
    ensure!(subject["scope"] == "organisation" && subject["side"] == "server", "{subject}");
    ensure!(subject["organisation"] == SERVER_ORGANISATION, "{subject}");
    ensure!(opened["severity"] == "page", "{opened}");
    let reason = opened["reason"].as_str().context("a reason")?;
    ensure!(reason.contains(CLIENT_ORGANISATION) && reason.contains(ENDPOINT), "{reason}");
    // It is told within three minutes, and over some minutes after its end.
    ensure!(time(opened, "since").starts_with("2026-11-24T12:2"), "{opened}");
    ensure!(time(opened, "ts") <= "2026-11-24T12:24:00Z", "{opened}");
    ensure!(time(closed, "ts") > "2026-11-24T12:26:00Z", "{closed}");
    ensure!(!of_signal(&told, "availability_burn").is_empty(), "{told:#?}");
    // The end of the file is no silence.
    ensure!(of_signal(&told, "calls").is_empty(), "{told:#?}");

    ensure!(told == anomalies(folder.path(), &file, "")?, "another time it is told otherwise");
    let silenced = anomalies(folder.path(), &file, "[data.alarms]\nsilenced = [\"errors\"]\n")?;
    ensure!(of_signal(&silenced, "errors").is_empty() && !silenced.is_empty(), "{silenced:#?}");
    let off = anomalies(folder.path(), &file, "[data.alarms]\nenabled = false\n")?;
    ensure!(off.is_empty(), "{off:#?}");
    Ok(())
}

fn time<'r>(record: &'r Value, key: &str) -> &'r str {
    record[key].as_str().unwrap_or_default()
}

/// A call a second for 59 minutes, of which half fail for five.
fn incident() -> Result<String> {
    let mut journey = Journey::new()?;
    for number in 0..3540 {
        let is_failed = (1200..1500).contains(&number) && number % 2 == 0;
        journey.call(Call {
            method: "GET",
            target: ENDPOINT,
            token: None,
            request: Body::None,
            status: if is_failed { 500 } else { 200 },
            location: None,
            response: Value::Null,
        });
    }
    Ok(journey.text())
}

fn anomalies(folder: &Path, file: &Path, more: &str) -> Result<Vec<Value>> {
    let settings = folder.join("mop.toml");
    fs::write(&settings, format!("{}\n{more}", configuration()))?;
    let mut command = mop_command();
    command.args(["replay", "--output", "jsonl", "--config"]).arg(&settings).arg(file);
    let output = run(&mut command, Duration::from_secs(60))?;
    let records = String::from_utf8(output.stdout)?;
    let records = records.lines().map(|line| serde_json::from_str(line).context("a record"));
    let records: Vec<Value> = records.collect::<Result<_>>()?;
    Ok(records.into_iter().filter(|record| record["kind"] == "data.anomaly").collect())
}

fn of_signal<'r>(records: &'r [Value], signal: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["signal"] == signal).collect()
}
