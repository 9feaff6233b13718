//! A whole journey as it is observed: each call once on each side, who called by the certificate of
//! the handshake, each call joined to its consent, and the steps of both sides in their order.

use std::time::Duration;

use anyhow::{Result, ensure};
use mop_tests::observing;
use serde_json::Value;

use crate::{
    ecosystem::{Called, Done, Ecosystem},
    journey::{CLIENT_ORGANISATION, CLIENT_SOFTWARE, SERVER_BRAND, SERVER_ORGANISATION},
};

#[test]
fn a_journey_through_a_proxy_is_reported_once_by_each_side() -> Result<()> {
    if !observing("a_journey_through_a_proxy_is_reported_once_by_each_side") {
        return Ok(());
    }
    let ecosystem = Ecosystem::start()?;
    let observer = ecosystem.observer().start()?;
    let done = ecosystem.receiver(JOURNEYS, false)?.done()?;
    ensure!(done.resumed > 0, "no session was taken up again: {done:?}");
    // What waits for others is given out within seconds.
    std::thread::sleep(SETTLED);
    let metrics = std::process::Command::new("curl")
        .args(["-s", &format!("http://{}/metrics", ecosystem.admin())])
        .output()?;
    std::fs::write("/tmp/live.metrics", metrics.stdout)?;
    let o = observer.stop()?;
    std::fs::write("/tmp/live.messages", &o.messages)?;
    let records = o.records;
    std::fs::write(
        "/tmp/live.records",
        records.iter().map(|r| format!("{r}\n")).collect::<String>(),
    )?;

    for side in ["server", "client"] {
        ensure_events(&records, side, &done)?;
        for [data, quote] in &done.consents {
            let steps = steps(&records, side, data);
            let expected = if side == "server" { DATA_SERVER } else { DATA_CLIENT };
            ensure!(steps == expected, "{side}: {steps:#?}");
            let steps = self::steps(&records, side, quote);
            let expected = if side == "server" { QUOTE_SERVER } else { QUOTE_CLIENT };
            ensure!(steps == expected, "{side}: {steps:#?}");
        }
    }
    Ok(())
}

/// Each call has one event of this side, by the right parties, with its consent.
pub(crate) fn ensure_events(records: &[Value], side: &str, done: &Done) -> Result<()> {
    let events: Vec<&Value> = records
        .iter()
        .filter(|record| record["kind"] == "data.call" && record["side"] == side)
        .collect();
    let mut seen: Vec<Called> = events.iter().map(|record| called(&record["event"])).collect();
    let mut made = done.calls.clone();
    seen.sort();
    made.sort();
    ensure!(seen == made, "{side}: {seen:#?}\nof {made:#?}");
    for record in events {
        ensure_parties(&record["event"])?;
        let consent = record["event"]["additionalInfo"]["consentId"].as_str().unwrap_or_default();
        ensure!(done.consents.iter().flatten().any(|it| it == consent), "{record}");
    }
    Ok(())
}

pub(crate) fn ensure_parties(event: &Value) -> Result<()> {
    for (member, wanted) in [
        ("clientOrgId", CLIENT_ORGANISATION),
        ("clientSSId", CLIENT_SOFTWARE),
        ("serverOrgId", SERVER_ORGANISATION),
        ("serverASId", SERVER_BRAND),
    ] {
        ensure!(event[member] == wanted, "{member}: {event}");
    }
    Ok(())
}

/// The call that an event is of.
fn called(event: &Value) -> Called {
    let text = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
    Called {
        method: text("httpMethod"),
        path: text("url"),
        status: event["statusCode"].as_u64().unwrap_or_default(),
        interaction: text("fapiInteractionId"),
    }
}

/// Steps of one consent at one side, in the order in which they were reported.
pub(crate) fn steps<'r>(records: &'r [Value], side: &str, consent: &str) -> Vec<&'r str> {
    let of_consent = records.iter().filter(|record| {
        record["kind"] == "data.funnel"
            && record["side"] == side
            && record["event"]["consentId"] == consent
    });
    of_consent.filter_map(|record| record["event"]["step"].as_str()).collect()
}

const DATA_SERVER: &[&str] = &[
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
];
const DATA_CLIENT: &[&str] = &[
    "consent-created",
    "user-redirected",
    "user-redirected-back",
    "consent-token-received",
    "resource-accessed",
    "resource-accessed",
    "refresh-token-used",
    "resource-accessed",
    "consent-revoked",
];
const QUOTE_SERVER: &[&str] =
    &["quote-request-received", "quote-status-generated", "quote-info-generated", "quote-accepted"];
const QUOTE_CLIENT: &[&str] = &[
    "quote-request-initiated",
    "quote-request-created",
    "quote-request-authorized",
    "quote-request-generated",
    "quote-status-received",
    "quote-info-received",
    "quote-accepted",
];

const JOURNEYS: u32 = 2;
/// Longer than a call waits for its hops and its token, and a step for those before it.
const SETTLED: Duration = Duration::from_secs(10);
