//! `mop hub status`: what is stored, what is missing, what waits.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Error};

use super::{
    broker::Broker,
    configuration::HubConfiguration,
    database::{Database, trouble},
    migrations,
    run::{configuration, runtime},
};
use crate::{
    cli::parse_duration,
    configuration::ConfigurationArguments,
    failure::Failure,
    sinks::Trouble,
    stdout::{print, print_line},
};

/// Arguments of `mop hub status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Pass over gaps that are younger: parts of a stream may be on their way through another queue.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<Duration>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

/// Everything that is known of the hub's work.
#[derive(Debug, Serialize)]
struct Status {
    records: Vec<Kind>,
    streams: i64,
    /// Sequences that are missing.
    missing: i64,
    gaps: Vec<GapLine>,
    /// True when there are more gaps than are listed.
    more_gaps: bool,
    rejected: Vec<Rejected>,
    queues: Vec<Queue>,
    /// Why nothing is known of the queues.
    broker: Option<String>,
}

#[derive(Debug, Serialize)]
struct Kind {
    kind: String,
    records: i64,
    newest_ts: Option<Timestamp>,
    newest_received_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct GapLine {
    node: String,
    stream: String,
    epoch: i64,
    first: i64,
    last: i64,
    missing: i64,
    opened_at: Timestamp,
    /// `within` an epoch, or `between` it and the one before.
    place: String,
}

#[derive(Debug, Serialize)]
struct Rejected {
    queue: String,
    reason: String,
    messages: i64,
}

#[derive(Debug, Serialize)]
struct Queue {
    queue: String,
    /// None when there is no such queue.
    messages: Option<u32>,
    consumers: Option<u32>,
}

/// Prints the status; exits with 1 when something is missing.
pub(crate) fn run(arguments: &StatusArguments) -> Result<ExitCode, Failure> {
    let configuration = configuration(&arguments.configuration)?;
    if !configuration.database.enabled {
        return Err(Failure::configuration("hub.database: the status is read from it; enable it"));
    }
    let database = Database::new(&configuration.database)?;
    let broker = Broker::new(&configuration.broker)?;
    let runtime = runtime()?;
    let older_than = arguments.older_than.unwrap_or_default();
    let mut status = runtime
        .block_on(async {
            let client = database.connect().await?;
            migrations::check(&client).await?;
            read(&client, older_than).await.map_err(|error| trouble(&error))
        })
        .map_err(|trouble: Trouble| Failure::runtime(format!("the database: {trouble}")))?;
    match runtime.block_on(broker.depths(&names(&configuration))) {
        Ok(depths) => {
            status.queues = depths
                .into_iter()
                .map(|(queue, depth)| Queue {
                    queue,
                    messages: depth.map(|depth| depth.messages),
                    consumers: depth.map(|depth| depth.consumers),
                })
                .collect();
        }
        Err(trouble) => status.broker = Some(trouble.to_string()),
    }
    if arguments.json {
        let text = serde_json::to_string(&status)
            .map_err(|error| Failure::runtime(format!("cannot print: {error}")))?;
        print_line(&text);
    } else {
        print(&pretty(&status));
    }
    Ok(if status.gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn names(configuration: &HubConfiguration) -> Vec<String> {
    let broker = &configuration.broker;
    broker.queues.iter().chain(&broker.streams).cloned().collect()
}

async fn read(client: &Client, older_than: Duration) -> Result<Status, Error> {
    let mut records = Vec::new();
    for row in client
        .query(
            "SELECT kind, sum(records)::int8, max(newest_ts), max(newest_received_at) \
             FROM record_hour GROUP BY kind ORDER BY kind",
            &[],
        )
        .await?
    {
        records.push(Kind {
            kind: row.try_get(0)?,
            records: row.try_get(1)?,
            newest_ts: row.try_get(2)?,
            newest_received_at: row.try_get(3)?,
        });
    }
    let seconds = older_than.as_secs_f64();
    let row = client
        .query_one(
            "SELECT (SELECT count(*) FROM (SELECT DISTINCT node, stream FROM stream_position) AS s), \
             (SELECT coalesce(sum(missing), 0)::int8 FROM gaps \
              WHERE opened_at <= now() - $1 * interval '1 second')",
            &[&seconds],
        )
        .await?;
    let (streams, missing) = (row.try_get(0)?, row.try_get(1)?);
    let mut gaps = Vec::new();
    for row in client
        .query(
            "SELECT node, stream, epoch, first, last, missing, opened_at, place FROM gaps \
             WHERE opened_at <= now() - $1 * interval '1 second' \
             ORDER BY opened_at, node, stream, first LIMIT $2",
            &[&seconds, &(MAX_GAPS + 1)],
        )
        .await?
    {
        gaps.push(GapLine {
            node: row.try_get(0)?,
            stream: row.try_get(1)?,
            epoch: row.try_get(2)?,
            first: row.try_get(3)?,
            last: row.try_get(4)?,
            missing: row.try_get(5)?,
            opened_at: row.try_get(6)?,
            place: row.try_get(7)?,
        });
    }
    let shown = usize::try_from(MAX_GAPS).unwrap_or(usize::MAX);
    let more_gaps = gaps.len() > shown;
    gaps.truncate(shown);
    let mut rejected = Vec::new();
    for row in client
        .query(
            "SELECT queue, reason, sum(messages)::int8 FROM rejection_hour \
             GROUP BY queue, reason ORDER BY queue, reason",
            &[],
        )
        .await?
    {
        rejected.push(Rejected {
            queue: row.try_get(0)?,
            reason: row.try_get(1)?,
            messages: row.try_get(2)?,
        });
    }
    Ok(Status {
        records,
        streams,
        missing,
        gaps,
        more_gaps,
        rejected,
        queues: Vec::new(),
        broker: None,
    })
}

fn pretty(status: &Status) -> String {
    let Status { records, streams, missing, gaps, more_gaps, rejected, queues, broker } = status;
    let mut out = String::new();
    for Kind { kind, records, newest_ts, newest_received_at } in records {
        let time = |time: &Option<Timestamp>| {
            time.map_or_else(|| "never".to_owned(), |time| format!("{time:.0}"))
        };
        let _ = writeln!(
            out,
            "{records:>12} {kind}, the newest of {}, received {}",
            time(newest_ts),
            time(newest_received_at)
        );
    }
    let _ = writeln!(out, "{missing:>12} sequences missing in {streams} streams");
    for GapLine { node, stream, epoch, first, last, missing: _, opened_at, place } in gaps {
        let _ = writeln!(
            out,
            "             {node} {stream}: {first} to {last}, {place} epoch {epoch}, since \
             {opened_at:.0}"
        );
    }
    if *more_gaps {
        let _ = writeln!(out, "             and more");
    }
    for Rejected { queue, reason, messages } in rejected {
        let _ = writeln!(out, "{messages:>12} rejected from {queue}: {reason}");
    }
    for Queue { queue, messages, consumers } in queues {
        let _ = match (messages, consumers) {
            (Some(messages), Some(consumers)) => {
                writeln!(out, "{messages:>12} waiting in {queue}, consumers: {consumers}")
            }
            _ => writeln!(out, "           ? {queue} does not exist, or may not be looked at"),
        };
    }
    if let Some(trouble) = broker {
        let _ = writeln!(out, "           ? the broker: {trouble}");
    }
    out
}

/// More are not read by anybody; `missing` counts all.
const MAX_GAPS: i64 = 100;
