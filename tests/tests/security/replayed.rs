//! What takes a day, by a file of calls.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{Certificates, TRANSMITTER_BRAND, TRANSMITTER_ORGANISATION, mop_command, run};
use serde_json::{Value, json};

use crate::{
    answers::AUTO,
    outcome::{Found, Outcome, is_exact, table},
    scenario::Who,
    stage::{CERTIFICATE_DAYS, organisation},
};

#[test]
fn identifiers_that_are_tried_over_a_day_are_found() -> Result<()> {
    let attack = replayed(1, 40, 0)?;
    let twin = replayed(2, 39, 60)?;
    let found = |records: &[Value]| -> Result<Vec<Duration>> {
        let times = records.iter().map(|record| {
            let seen = record["last_seen"].as_str().context("a time")?;
            let (hour, minute) = (seen.get(11..13), seen.get(14..16));
            let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
            let hours = number(hour).zip(number(minute)).context("a time of a day")?;
            Ok(Duration::from_secs(hours.0 * 3600 + hours.1 * 60))
        });
        times.collect()
    };
    let times = found(&attack)?;
    let attack: Vec<Found<'_>> =
        attack.iter().zip(times).map(|(record, after)| Found { record, after }).collect();
    let twin: Vec<Found<'_>> =
        twin.iter().map(|record| Found { record, after: Duration::ZERO }).collect();
    let name = "object identifiers are enumerated slowly";
    let outcomes = [Outcome::of(name, &["opin_enumeration_slow"], &attack, &twin)];
    ensure!(is_exact(&outcomes), "{}", table(&outcomes));
    Ok(())
}

/// Findings of a day on which a client asks every twelve minutes for something that it is refused,
/// and in between for what it has a consent for.
fn replayed(number: u8, refused: u32, answered: u32) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    let client = organisation(number, Who::Client);
    let subject =
        format!("/CN=receptora.example/organizationIdentifier=OPIBR-{client}/UID={client}");
    let certificates = Certificates::create(folder.path())?;
    let issued = certificates.issue_client_for("client", &subject, CERTIFICATE_DAYS)?;
    let certificate = fs::read_to_string(issued.certificate)?;
    let mut calls = Vec::new();
    for (count, status, name, offset) in [(refused, 404, "ap", 0), (answered, 200, "own", 5)] {
        for call in 0..count {
            let minutes = call * 12 + offset;
            let id = format!("{name}-{call}");
            let interaction = format!("00000000-0000-4000-8000-{status:04}{call:08}");
            let headers = json!([["host", HOST], ["x-fapi-interaction-id", interaction]]);
            let received = json!([
                ["content-type", "application/json"],
                ["x-fapi-interaction-id", interaction],
            ]);
            calls.push((
                minutes,
                json!({
                    "id": id,
                    "ts": format!("2026-11-24T{:02}:{:02}:00Z", minutes / 60, minutes % 60),
                    "duration_ms": 12,
                    "role": "server",
                    "client": { "ip": "198.51.100.7", "port": 40_112, "cert_pem": certificate },
                    "server": { "ip": "10.0.0.1", "port": 443 },
                    "request": {
                        "method": "GET", "target": format!("{AUTO}/{id}/claim"), "headers": headers,
                    },
                    "response": { "status": status, "headers": received, "body": "{\"data\":[]}" },
                }),
            ));
        }
    }
    calls.sort_by_key(|(minutes, _)| *minutes);
    let lines: Vec<String> = calls.iter().map(|(_, call)| call.to_string()).collect();
    let file = folder.path().join("day.exchanges.jsonl");
    fs::write(&file, lines.join("\n"))?;
    let configuration = folder.path().join("mop.toml");
    let text = format!(
        "[data]\n[[data.servers]]\nhosts = [\"{HOST}\"]\n\
         organisation_id = \"{TRANSMITTER_ORGANISATION}\"\n\
         authorisation_server_id = \"{TRANSMITTER_BRAND}\"\n\n[security]\ndirect_clients = true\n"
    );
    fs::write(&configuration, text)?;
    let mut command = mop_command();
    command.args(["replay", "--output", "jsonl", "--config"]).arg(&configuration).arg(&file);
    let output = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
    let records = output.lines().map(|line| serde_json::from_str(line).context("a record"));
    let records: Vec<Value> = records.collect::<Result<_>>()?;
    Ok(records.into_iter().filter(|record| record["kind"] == "security.finding").collect())
}

const HOST: &str = "api.seguradora.example";
const LIMIT: Duration = Duration::from_secs(60);
