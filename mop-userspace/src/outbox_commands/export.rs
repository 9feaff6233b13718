//! `mop outbox export`.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use jiff::Timestamp;
use mop_outbox::{Entry, Lane};

use super::{PlaceArguments, unreadable};
use crate::failure::Failure;

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop outbox export --lane violations --since 2026-11-24T00:00:00Z")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Only this lane: operations, security, violations, data, samples or local. May be given
    /// several times.
    #[arg(long, value_name = "LANE", value_parser = parse_lane)]
    lane: Vec<Lane>,
    /// Only records of this kind, e.g. quality.report. May be given several times.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// What is set aside for this sink, instead of the lanes.
    #[arg(long, value_name = "SINK", conflicts_with = "lane")]
    parked: Option<String>,
    /// Only records put in at this time or later, e.g. 2026-11-24T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only records put in before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Print each record with its place, so that a back-fill closes gaps:
    /// {"place":{"stream":…,"epoch":…,"sequence":…},"record":{…}}.
    #[arg(long)]
    places: bool,
}

pub(super) fn run(arguments: &ExportArguments) -> Result<ExitCode, Failure> {
    let (folder, reader) = arguments.place.reader()?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut visit = |entry: &Entry| {
        if arguments.wants(entry) {
            written = if arguments.places {
                write_placed(&mut out, entry)
            } else {
                write_line(&mut out, &entry.payload)
            };
        }
        written.is_ok()
    };
    let read = if let Some(sink) = &arguments.parked {
        reader.parked(sink, |parked| visit(&parked.entry))
    } else {
        let is_chosen = |lane: &Lane| arguments.lane.is_empty() || arguments.lane.contains(lane);
        let mut lanes = Lane::ALL.into_iter().filter(is_chosen);
        lanes.try_for_each(|lane| reader.entries(lane, |entry| visit(&entry)))
    };
    read.map_err(|error| unreadable(&folder, &error))?;
    match written.and_then(|()| out.flush()) {
        // A reader that went away has what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::runtime(format!("the records cannot be written: {error}"))),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

impl ExportArguments {
    fn wants(&self, entry: &Entry) -> bool {
        let is_kind = self.kind.is_empty() || self.kind.iter().any(|kind| **kind == *entry.kind);
        let at = i64::try_from(entry.time_ms).unwrap_or(i64::MAX);
        let since = self.since.is_none_or(|since| at >= since.as_millisecond());
        let until = self.until.is_none_or(|until| at < until.as_millisecond());
        is_kind && since && until
    }
}

fn write_line(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    write_flat(out, payload)?;
    out.write_all(b"\n")
}

/// A record and where it stands among those of its node: what messages have in their headers.
fn write_placed(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let Entry { lane, epoch, sequence, payload, .. } = entry;
    let stream = lane.name();
    write!(
        out,
        r#"{{"place":{{"stream":"{stream}","epoch":{epoch},"sequence":{sequence}}},"record":"#
    )?;
    write_flat(out, payload)?;
    out.write_all(b"}\n")
}

/// On one line, whatever is in the payload: line feeds of a JSON document stand between its parts.
fn write_flat(out: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    payload.split(|byte| *byte == b'\n').try_for_each(|part| out.write_all(part))
}

fn parse_lane(name: &str) -> Result<Lane, String> {
    Lane::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Lane::ALL.iter().map(|lane| lane.name()).collect();
        format!("the lanes are {}", names.join(", "))
    })
}
