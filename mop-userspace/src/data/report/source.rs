//! Where the records of a report are from: a file, the standard input, or what waits in the outbox.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use mop_outbox::{Entry, Lane, Reader};

use super::{PlaceArguments, Progress};
use crate::{data::tally, failure::Failure};

/// Which records of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All that it has.
    All,
    /// What waits for the metrics platform.
    OwedToPlatform,
}

/// Gives each record, with its kind where that is known without reading it.
pub(crate) fn each_record(
    file: Option<&Path>,
    place: &PlaceArguments,
    kept: Kept,
    look: &mut dyn FnMut(Option<&str>, &[u8]),
) -> Result<(), Failure> {
    match file {
        Some(file) if file == Path::new("-") => read_lines(&mut io::stdin().lock(), look),
        Some(file) => {
            let open = File::open(file).map_err(|error| {
                Failure::usage(format!("cannot open {}: {error}", file.display()))
            })?;
            read_lines(&mut BufReader::new(open), look)
        }
        None => {
            let folder = place.folder()?;
            let mut progress = Progress::new();
            let mut visit = |entry: &Entry| {
                progress.count();
                look(Some(&entry.kind), &entry.payload);
            };
            let read = match kept {
                Kept::OwedToPlatform => tally::each_waiting(&folder, visit),
                Kept::All => Reader::open(&folder).and_then(|reader| {
                    Lane::ALL.into_iter().try_for_each(|lane| {
                        reader.entries(lane, |entry| {
                            visit(&entry);
                            true
                        })
                    })
                }),
            };
            read.map_err(|error| {
                Failure::runtime(format!("the outbox {} cannot be read: {error}", folder.display()))
            })
        }
    }
}

pub(super) fn read_lines(
    input: &mut impl BufRead,
    look: &mut dyn FnMut(Option<&str>, &[u8]),
) -> Result<(), Failure> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) if line.len() as u64 >= MAX_LINE_BYTES => {
                return Err(Failure::usage(format!(
                    "a line has {MAX_LINE_BYTES} bytes or more: records of one line each are wanted"
                )));
            }
            Ok(_) => look(None, line.trim_ascii()),
            Err(error) => {
                return Err(Failure::runtime(format!("cannot read records: {error}")));
            }
        }
    }
}

/// As much as the outbox takes of one record.
const MAX_LINE_BYTES: u64 = 16 << 20;
