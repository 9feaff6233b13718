//! A journey from a file: one event a call, and the steps in their order.

use std::fs;

use anyhow::{Context, Result, ensure};
use mop_tests::{mop_command, run};
use serde_json::Value;

use crate::journey::{
    CLIENT_ORGANISATION, CLIENT_SOFTWARE, CONSENT, Journey, SECRETS, SERVER_BRAND,
    SERVER_ORGANISATION, configuration,
};

#[test]
fn a_journey_gives_one_event_a_call_and_its_steps_in_order() -> Result<()> {
    let mut journey = Journey::new()?;
    journey.of_data();
    let records = replay(&journey)?;

    let events = of_kind(&records, "data.call");
    let seen: Vec<String> = events
        .iter()
        .map(|record| {
            let event = &record["event"];
            let text = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
            format!("{} {} {}", text("httpMethod"), text("endpoint"), event["statusCode"])
        })
        .collect();
    let consents = "/open-insurance/consents/v3/consents";
    ensure!(
        seen == [
            format!("POST {consents} 201"),
            format!("GET {consents}/{{consentId}} 200"),
            "GET /open-insurance/resources/v3/resources 200".to_owned(),
            "GET /open-insurance/customers/v2/personal/identifications 200".to_owned(),
            "GET /open-insurance/resources/v3/resources 200".to_owned(),
            format!("DELETE {consents}/{{consentId}} 204"),
        ],
        "{seen:#?}"
    );
    for record in &events {
        let event = &record["event"];
        ensure!(record["side"] == "server", "{record}");
        ensure!(event["clientOrgId"] == CLIENT_ORGANISATION, "{event}");
        ensure!(event["clientSSId"] == CLIENT_SOFTWARE, "{event}");
        ensure!(event["serverOrgId"] == SERVER_ORGANISATION, "{event}");
        ensure!(event["serverASId"] == SERVER_BRAND, "{event}");
        ensure!(event["additionalInfo"]["consentId"] == CONSENT, "{event}");
    }

    let steps: Vec<&str> = of_kind(&records, "data.funnel")
        .into_iter()
        .filter_map(|record| record["event"]["step"].as_str())
        .collect();
    ensure!(
        steps
            == [
                "consent-created",
                "user-redirected",
                "user-authenticated",
                "consent-authorized",
                "authorization-code-created",
                "user-redirected-back",
                "consent-token-generated",
                "resource-accessed",
                "resource-accessed",
                "refresh-token-used",
                "resource-accessed",
                "consent-revoked",
            ],
        "{steps:#?}"
    );
    Ok(())
}

#[test]
fn no_token_and_no_code_is_in_what_comes_out() -> Result<()> {
    let mut journey = Journey::new()?;
    journey.of_data();
    let folder = tempfile::tempdir()?;
    let text = output(&journey, folder.path())?;
    for secret in SECRETS {
        ensure!(!text.contains(secret), "{secret} is in the output");
    }
    Ok(())
}

#[test]
fn the_same_file_gives_the_same_records() -> Result<()> {
    let mut journey = Journey::new()?;
    journey.of_data();
    let data = |records: Vec<Value>| -> Vec<Value> {
        let is_data =
            |record: &Value| record["kind"].as_str().is_some_and(|it| it.starts_with("data."));
        records.into_iter().filter(is_data).collect()
    };
    let (first, second) = (data(replay(&journey)?), data(replay(&journey)?));
    ensure!(!first.is_empty() && first == second, "{first:?}\n{second:?}");
    Ok(())
}

fn replay(journey: &Journey) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    output(journey, folder.path())?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

fn output(journey: &Journey, folder: &std::path::Path) -> Result<String> {
    let (file, settings) = (folder.join("journey.exchanges.jsonl"), folder.join("mop.toml"));
    fs::write(&file, journey.text())?;
    fs::write(&settings, configuration())?;
    let mut command = mop_command();
    command.args(["replay", "--output", "jsonl", "--config"]).arg(&settings).arg(&file);
    let output = run(&mut command, std::time::Duration::from_secs(60))?;
    Ok(String::from_utf8(output.stdout)?)
}

fn of_kind<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}
