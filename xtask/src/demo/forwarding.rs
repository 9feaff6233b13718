//! What was observed leaves the node: from the outbox to a real broker, with the books to prove it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{Broker, mop_command, until};
use serde_json::Value;

/// Drains the outbox into a broker and shows that nothing is missing; `folder` has it in `outbox`.
pub(super) fn show(folder: &Path) -> Result<()> {
    let outbox = folder.join("outbox");
    let place = outbox.to_string_lossy();
    let kept = mop(&["outbox", "export", "--folder", &place])?;
    let forwarded: Vec<Value> = kept
        .lines()
        .map(serde_json::from_str)
        .filter(|record: &serde_json::Result<Value>| {
            record.as_ref().map_or(true, |record| !LOCAL.iter().any(|kind| record["kind"] == *kind))
        })
        .collect::<serde_json::Result<_>>()?;
    println!("demo     {} records lie in the outbox to be forwarded", forwarded.len());

    let broker = Broker::start(&folder.join("broker"))?;
    let configuration = folder.join("mop.toml");
    fs::write(
        &configuration,
        format!(
            "[node]\nname = \"demo\"\n[outbox]\nfolder = \"{place}\"\nkeep_delivered = true\n\
             [sinks.rabbitmq]\nurl = \"{}\"\nusername = \"guest\"\npassword_env = \"{PASSWORD}\"\n\
             declare = true\n",
            format_args!("amqp://127.0.0.1:{}/%2f", broker.port())
        ),
    )?;
    let configuration = configuration.to_string_lossy();
    println!("demo     mop outbox drain, into RabbitMQ on 127.0.0.1:{}", broker.port());
    print_lines(&mop(&["outbox", "drain", "--config", &configuration])?);
    // The drain itself adds a record of the ledger. The broker counts its messages anew every few
    // seconds only.
    let queues = || broker.ctl(&["list_queues", "--quiet", "name", "messages"]);
    let expected = forwarded.len() as u64 + 1;
    until("all records on the broker", COUNT_LIMIT, || {
        queues().is_ok_and(|queues| messages(&queues) == expected)
    })?;
    print_lines(&queues()?);
    let ledger = folder.join("ledger.jsonl");
    fs::write(&ledger, mop(&["outbox", "export", "--folder", &place, "--kind", "ops.ledger"])?)?;
    println!("demo     mop ledger verify");
    print_lines(&mop(&["ledger", "verify", &ledger.to_string_lossy()])?);
    Ok(())
}

/// Messages in all queues.
fn messages(queues: &str) -> u64 {
    let counts = queues.lines().filter(|line| line.starts_with("mop."));
    counts.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

fn mop(arguments: &[&str]) -> Result<String> {
    let output = mop_command().args(arguments).env(PASSWORD, "guest").output()?;
    ensure!(
        output.status.success(),
        "mop {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("mop prints text")
}

fn print_lines(text: &str) {
    for line in text.lines() {
        println!("demo       {line}");
    }
}

/// Records that stay on the node.
const LOCAL: [&str; 2] = ["exchange", "exchange.hop"];

/// Variable with the broker's password.
const PASSWORD: &str = "DEMO_BROKER_PASSWORD";

/// Several times what the broker takes between two counts.
const COUNT_LIMIT: Duration = Duration::from_secs(30);
