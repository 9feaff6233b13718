//! What the metrics platform is owed: two participants on one node, and the events and steps of both.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use mop_tests::Ecosystem;
use serde_json::Value;

/// Has a receiving application get a customer's data and a quote, through nginx with mutual TLS, and
/// shows what MOP made of it.
pub(super) fn show() -> Result<()> {
    let ecosystem = Ecosystem::start()?;
    let observer = ecosystem.observer().start()?;
    println!(
        "demo     a receiver and a transmitter, mutual TLS: consent, data, refresh, quote, end"
    );
    let done = ecosystem.receiver(1, false)?.done()?;
    thread::sleep(SETTLED);
    let records = observer.stop()?.records;
    let of = |kind: &str, side: &str| -> Vec<&Value> {
        records.iter().filter(|it| it["kind"] == kind && it["side"] == side).collect()
    };
    for side in ["server", "client"] {
        let events = of("data.call", side);
        println!("demo     events of the {side}: {} of {} calls", events.len(), done.calls.len());
        for record in &events {
            let event = &record["event"];
            println!(
                "demo       {} {} {}, by {}",
                text(&event["httpMethod"]),
                text(&event["endpoint"]),
                event["statusCode"],
                text(&event["clientOrgId"]),
            );
        }
        let steps: Vec<&str> =
            of("data.funnel", side).iter().map(|it| text(&it["event"]["step"])).collect();
        println!("demo     steps of the {side}: {}", steps.join(", "));
        ensure!(
            events.len() == done.calls.len() && !steps.is_empty(),
            "each call is to have one event of the {side}"
        );
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Longer than a call waits for its hops and its token, and a step for those before it.
const SETTLED: Duration = Duration::from_secs(12);
