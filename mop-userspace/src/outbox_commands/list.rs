//! `mop outbox ls`.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, process::ExitCode};

use jiff::Timestamp;
use mop_outbox::{Lane, Log, LogReport, Reader, SinkReport};
use serde::Serialize;

use super::{PlaceArguments, timestamp, unreadable};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop outbox ls --folder /var/lib/mop/outbox")]
pub(super) struct ListArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    folder: PathBuf,
    lanes: Vec<LaneLine>,
    sinks: Vec<SinkLine>,
    parked: Vec<ParkedLine>,
}

#[derive(Serialize)]
struct LaneLine {
    lane: &'static str,
    segments: usize,
    records: u64,
    bytes: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// Of the oldest record.
    first_sequence: Option<u64>,
    /// What the next record gets.
    next_sequence: Option<u64>,
    damaged_places: usize,
}

#[derive(Serialize)]
struct SinkLine {
    sink: String,
    /// Records that it is not done with.
    lag: u64,
    lag_by_lane: BTreeMap<&'static str, u64>,
    acknowledged: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct ParkedLine {
    sink: String,
    records: u64,
    bytes: u64,
    oldest: Option<Timestamp>,
    reasons: BTreeMap<String, u64>,
}

pub(super) fn run(arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let (folder, reader) = arguments.place.reader()?;
    let failed = |error| unreadable(&folder, &error);
    let logs = reader.logs().map_err(failed)?;
    let sinks = reader.sinks().map_err(failed)?;
    let mut parked = Vec::new();
    for log in &logs {
        if let Log::Parked(sink) = &log.log {
            parked.push(parked_line(&reader, sink, log.bytes()).map_err(failed)?);
        }
    }
    let listing = Listing {
        lanes: logs.iter().filter_map(lane_line).collect(),
        sinks: sinks.into_iter().map(|sink| sink_line(sink, &logs)).collect(),
        parked,
        folder,
    };
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&listing).map_err(Failure::runtime)?);
    } else {
        print(&table(&listing));
    }
    Ok(ExitCode::SUCCESS)
}

fn lane_line(report: &LogReport) -> Option<LaneLine> {
    let Log::Lane(lane) = &report.log else { return None };
    let segments = &report.segments;
    let filled = segments.iter().find(|segment| segment.records > 0);
    let oldest = segments.iter().filter_map(|segment| segment.oldest_ms).min();
    let newest = segments.iter().filter_map(|segment| segment.newest_ms).max();
    Some(LaneLine {
        lane: lane.name(),
        segments: segments.len(),
        records: report.records(),
        bytes: report.bytes(),
        oldest: oldest.and_then(timestamp),
        newest: newest.and_then(timestamp),
        first_sequence: filled.map(|segment| segment.first),
        next_sequence: segments.last().map(|segment| segment.end),
        damaged_places: segments.iter().map(|segment| segment.damage.len()).sum(),
    })
}

fn sink_line(sink: SinkReport, logs: &[LogReport]) -> SinkLine {
    let SinkReport { name, acknowledged } = sink;
    let forwarded =
        || Lane::ALL.into_iter().zip(acknowledged).filter(|(lane, _)| lane.is_forwarded());
    let lag = |lane: Lane, cursor: u64| {
        let log = logs.iter().find(|log| log.log == Log::Lane(lane));
        log.map_or(0, |log| log.records_after(cursor))
    };
    let lag_by_lane: BTreeMap<_, _> =
        forwarded().map(|(lane, cursor)| (lane.name(), lag(lane, cursor))).collect();
    SinkLine {
        sink: name,
        lag: lag_by_lane.values().sum(),
        lag_by_lane,
        acknowledged: forwarded().map(|(lane, cursor)| (lane.name(), cursor)).collect(),
    }
}

fn parked_line(reader: &Reader, sink: &str, bytes: u64) -> std::io::Result<ParkedLine> {
    let mut line = ParkedLine {
        sink: sink.to_owned(),
        records: 0,
        bytes,
        oldest: None,
        reasons: BTreeMap::new(),
    };
    let mut oldest: Option<u64> = None;
    reader.parked(sink, |parked| {
        let entry = parked.entry;
        line.records += 1;
        oldest = Some(oldest.map_or(entry.time_ms, |oldest| oldest.min(entry.time_ms)));
        *line.reasons.entry(entry.note.into_string()).or_default() += 1;
        true
    })?;
    line.oldest = oldest.and_then(timestamp);
    Ok(line)
}

fn table(listing: &Listing) -> String {
    let Listing { folder, lanes, sinks, parked } = listing;
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    let mut table = format!("Outbox {}\n\n", folder.display());
    let _ = writeln!(
        table,
        "{:<11} {:>8} {:>10} {:>13}  {:<21} NEWEST",
        "LANE", "SEGMENTS", "RECORDS", "BYTES", "OLDEST"
    );
    for line in lanes {
        let _ = writeln!(
            table,
            "{:<11} {:>8} {:>10} {:>13}  {:<21} {}",
            line.lane,
            line.segments,
            line.records,
            line.bytes,
            time(line.oldest),
            time(line.newest)
        );
    }
    let _ = writeln!(table, "\n{:<16} {:>10}  BY LANE", "SINK", "LAG");
    for line in sinks {
        let behind = line.lag_by_lane.iter().filter(|(_, lag)| **lag > 0);
        let behind: Vec<String> = behind.map(|(lane, lag)| format!("{lane} {lag}")).collect();
        let _ = writeln!(table, "{:<16} {:>10}  {}", line.sink, line.lag, behind.join(", "));
    }
    for line in parked.iter().filter(|line| line.records > 0) {
        let reasons: Vec<String> =
            line.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = writeln!(
            table,
            "\n{} records are parked for {}: {}; the oldest since {}.",
            line.records,
            line.sink,
            reasons.join(", "),
            time(line.oldest)
        );
    }
    let damaged: usize = lanes.iter().map(|line| line.damaged_places).sum();
    if damaged > 0 {
        let _ = writeln!(table, "\nSomething is damaged: `mop outbox verify` says where.");
    }
    table
}
