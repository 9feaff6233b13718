//! The sink against a real RabbitMQ, and against a scripted one where the order of frames matters.

mod arrivals;
mod faults;
mod scripted;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use mop_outbox::{Entry, Lane};
use mop_tests::Broker;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{RabbitMqConfiguration, RabbitMqSink};
use crate::sinks::{Sink, Trouble, Verdict};

/// A sink and the thread that it runs on.
struct Driver {
    runtime: Runtime,
    sink: RabbitMqSink,
}

impl Driver {
    /// A sink by lines of its section.
    fn new(lines: &str) -> Result<Self> {
        let configuration: RabbitMqConfiguration = toml::from_str(lines)?;
        let sink = RabbitMqSink::new(&configuration, "node-7")
            .map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, sink })
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let Self { runtime, sink } = self;
        runtime.block_on(async { sink.connect().await })
    }

    /// Connects again until it succeeds.
    fn reconnect(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while let Err(trouble) = self.connect() {
            ensure!(Instant::now() < deadline, "no connection: {trouble}");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Sends entries with a full window, and gives the verdicts in order until one is missing.
    fn send(&mut self, entries: &[Entry]) -> (Vec<Verdict>, Option<Trouble>) {
        let Self { runtime, sink } = self;
        let mut verdicts = Vec::new();
        let trouble = runtime.block_on(async {
            let mut waiting = FuturesOrdered::new();
            let mut entries = entries.iter().cloned();
            let mut left = entries.next();
            loop {
                if left.is_none() && waiting.is_empty() {
                    return None;
                }
                if left.is_some() && waiting.len() < sink.window() {
                    match sink.send(left.take().into_iter().collect()).await {
                        Ok(confirmation) => waiting.push_back(confirmation),
                        Err(trouble) => return Some(trouble),
                    }
                    left = entries.next();
                    continue;
                }
                match waiting.next().await {
                    Some(Ok(of_one)) => verdicts.extend(of_one),
                    Some(Err(trouble)) => return Some(trouble),
                    None => {}
                }
            }
        });
        (verdicts, trouble)
    }

    fn delivered(&mut self, entries: &[Entry]) -> Result<()> {
        let (verdicts, trouble) = self.send(entries);
        ensure!(trouble.is_none(), "trouble: {trouble:?}");
        ensure!(verdicts.len() == entries.len());
        ensure!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered), "{verdicts:?}");
        Ok(())
    }
}

fn entry(sequence: u64, kind: &str, bytes: usize) -> Entry {
    let mut payload =
        json!({"kind": kind, "schema_version": 3, "id": format!("id-{sequence}"), "x": ""});
    let length = payload.to_string().len();
    payload["x"] = json!("x".repeat(bytes.saturating_sub(length)));
    Entry {
        lane: Lane::Violations,
        epoch: 5,
        sequence,
        time_ms: 1_700_000_000_123,
        kind: kind.into(),
        id: format!("id-{sequence}").into(),
        note: "".into(),
        payload: payload.to_string().into_bytes(),
    }
}

fn entries(kind: &str, from: u64, count: u64) -> Vec<Entry> {
    (from..from + count).map(|sequence| entry(sequence, kind, 300)).collect()
}

/// A section for a user with a password.
fn section(
    broker: &Broker,
    folder: &Path,
    user: &str,
    password: &str,
    more: &str,
) -> Result<String> {
    let file = folder.join(format!("{password}-of-{user}"));
    std::fs::write(&file, format!("{password}\n"))?;
    Ok(format!(
        "url = \"amqp://127.0.0.1:{}/%2f\"\nusername = \"{user}\"\npassword_file = {file:?}\n{more}\n",
        broker.port()
    ))
}

/// A topic exchange, said to the broker itself.
fn declare_exchange(name: &str) -> String {
    format!(
        "rabbit_exchange:declare(rabbit_misc:r(<<\"/\">>, exchange, <<\"{name}\">>), topic, true, \
         false, false, [], <<\"tests\">>), ok."
    )
}

/// A busy machine needs many seconds to start a broker.
const LIMIT: Duration = Duration::from_secs(120);
