//! `mop outbox verify`.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use mop_outbox::{Damage, LogReport, SegmentReport};
use serde::Serialize;

use super::{PlaceArguments, relative, unreadable};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop outbox verify --folder /var/lib/mop/outbox")]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Verdict {
    folder: PathBuf,
    segments: usize,
    records: u64,
    bytes: u64,
    /// Records whose sequences are missing within segments.
    lost: u64,
    damage: Vec<DamageLine>,
    unfinished: Vec<UnfinishedLine>,
}

#[derive(Serialize)]
struct DamageLine {
    file: String,
    what: &'static str,
    at: u64,
    bytes: u64,
}

/// The end of a file that is being written, or was when its writer ended.
#[derive(Serialize)]
struct UnfinishedLine {
    file: String,
    bytes: u64,
}

pub(super) fn run(arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let (folder, reader) = arguments.place.reader()?;
    let logs = reader.logs().map_err(|error| unreadable(&folder, &error))?;
    let segments = || logs.iter().flat_map(|log| &log.segments);
    let verdict = Verdict {
        segments: segments().count(),
        records: logs.iter().map(LogReport::records).sum(),
        bytes: logs.iter().map(LogReport::bytes).sum(),
        lost: segments().map(|segment| segment.lost).sum(),
        damage: segments()
            .flat_map(|segment| segment.damage.iter().map(|damage| line(segment, *damage, &folder)))
            .collect(),
        unfinished: segments()
            .filter(|segment| segment.unfinished_bytes > 0)
            .map(|segment| UnfinishedLine {
                file: relative(&segment.path, &folder),
                bytes: segment.unfinished_bytes,
            })
            .collect(),
        folder,
    };
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&verdict).map_err(Failure::runtime)?);
    } else {
        print(&text(&verdict));
    }
    Ok(if verdict.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Damage in one word, its place and its length.
pub(super) fn told(damage: Damage, file_bytes: u64) -> (&'static str, u64, u64) {
    match damage {
        Damage::Entries { at, bytes } => ("entries", at, bytes),
        Damage::End { at, bytes } => ("end", at, bytes),
        Damage::Header => ("header", 0, file_bytes),
    }
}

fn line(segment: &SegmentReport, damage: Damage, folder: &std::path::Path) -> DamageLine {
    let (what, at, bytes) = told(damage, segment.bytes);
    DamageLine { file: relative(&segment.path, folder), what, at, bytes }
}

fn text(verdict: &Verdict) -> String {
    let Verdict { folder, segments, records, bytes, lost, damage, unfinished } = verdict;
    let mut text = String::new();
    for DamageLine { file, what, at, bytes } in damage {
        let _ = writeln!(text, "{file}: {what} damaged at byte {at}, {bytes} bytes");
    }
    for UnfinishedLine { file, bytes } in unfinished {
        let _ = writeln!(
            text,
            "{file}: {bytes} bytes at the end are being written, or were when the writer ended; no record is lost by it"
        );
    }
    let _ = writeln!(
        text,
        "{}: {segments} segments, {records} entries, {bytes} bytes; {} damaged, {lost} records lost.",
        folder.display(),
        if damage.is_empty() { "nothing".to_owned() } else { format!("{} places", damage.len()) }
    );
    text
}
