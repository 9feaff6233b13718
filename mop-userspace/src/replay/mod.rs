//! `mop replay`: reports the calls of a file, without privileges.

mod capture_file;
mod exchange_lines;

use std::{fs::File, io::BufReader, process::ExitCode};

use crate::{
    cli::ReplayArguments,
    failure::Failure,
    observe,
    output::{Format, Output},
    summary::Summary,
};

/// Reads the file in the format that its name says.
pub(crate) fn run(arguments: &ReplayArguments) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let read = if name.ends_with(".mopcap") {
        capture_file::replay
    } else if name.ends_with(".exchanges.jsonl") {
        exchange_lines::replay
    } else {
        return Err(Failure::usage(format!(
            "{} is of no known kind: its name must end in .mopcap or .exchanges.jsonl",
            path.display()
        )));
    };
    let format = Format::of(&arguments.report, false)?;
    let file = File::open(path)
        .map_err(|error| Failure::runtime(format!("cannot open {}: {error}", path.display())))?;
    let output = Output::start(format, None)?;
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    let read = read(&mut file, &arguments.report, format, &output);
    // What was read before an error is reported all the same.
    let dropped = output.finish();
    let mut totals = read.map_err(|failure| failure.in_context(&path.display().to_string()))?;
    totals.output_dropped_bytes = dropped?;
    observe::finish(arguments.report.output, &Summary::new(totals))
}

const READ_BYTES: usize = 256 << 10;
