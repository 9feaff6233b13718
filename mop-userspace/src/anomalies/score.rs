//! `mop anomalies score`: a series of CSV in, its scores out, line by line.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use mop_insight::anomaly::series::{CSV_HEADER, SeriesScorer};

use crate::failure::Failure;

/// What is scored.
#[derive(Args, Debug)]
#[command(after_help = "The input has the columns timestamp and value, with a header or without, \
    one row each interval; timestamps are RFC 3339, or like 2014-04-01 00:00:00. The output has the \
    columns timestamp, value, anomaly_score (0 usual, near 1 most unlike the series so far) and alarm \
    (1 while one is open). The first rows only teach what is usual.\n\n\
    Examples:\n  \
    mop anomalies score requests.csv\n  \
    producer | mop anomalies score - --json | jq -c 'select(.alarm == 1)'\n\n\
    Exit codes: 0 scored; 1 the input cannot be read, or one of its lines is wrong; 2 wrong usage.")]
pub(crate) struct ScoreArguments {
    /// The series as CSV; `-` for the standard input.
    file: PathBuf,
    /// Print one JSON document a line, with what was expected and why a value is unusual.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ScoreArguments) -> Result<ExitCode, Failure> {
    let path = arguments.file.as_path();
    let mut out = BufWriter::new(io::stdout().lock());
    if path == Path::new("-") {
        score(io::stdin().lock(), &mut out, arguments.json)
            .map_err(|failure| failure.in_context("standard input"))?;
    } else {
        let name = path.display().to_string();
        let file = File::open(path)
            .map_err(|error| Failure::runtime(format!("cannot open {name}: {error}")))?;
        score(file, &mut out, arguments.json).map_err(|failure| failure.in_context(&name))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Scores until the input ends, or until nobody reads any more. What is scored before a wrong line is
/// printed.
fn score(input: impl Read, out: &mut impl Write, json: bool) -> Result<(), Failure> {
    let mut input = BufReader::new(input);
    let mut scorer = SeriesScorer::default();
    let (mut line, mut number) = (Vec::new(), 0_u64);
    if !json && written(writeln!(out, "{CSV_HEADER}"))?.is_none() {
        return Ok(());
    }
    loop {
        // Whoever waits for a line that the input has ended with gets it before the next one comes.
        if input.buffer().is_empty() && written(out.flush())?.is_none() {
            return Ok(());
        }
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = (&mut input).take(limit).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::runtime(format!("cannot be read: {error}")))? == 0 {
            return Ok(());
        }
        number += 1;
        let wrong =
            |what: &dyn std::fmt::Display| Failure::runtime(format!("line {number}: {what}"));
        if line.len() > MAX_LINE_BYTES {
            return Err(wrong(&format_args!("longer than {MAX_LINE_BYTES} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|_not_text| wrong(&"not text in UTF-8"))?;
        let Some(row) = scorer.line(text).map_err(|error| wrong(&error))? else { continue };
        let text = if json { row.to_json().map_err(Failure::runtime)? } else { row.to_csv() };
        if written(writeln!(out, "{text}"))?.is_none() {
            return Ok(());
        }
    }
}

/// Nothing when the reader of the output went away: it has what it wanted.
fn written(result: io::Result<()>) -> Result<Option<()>, Failure> {
    match result {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(Failure::runtime(format!("cannot write the scores: {error}"))),
    }
}

/// A row has two short fields; others may stand beside them.
const MAX_LINE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(input: &str, json: bool) -> (String, Result<(), String>) {
        let mut out = Vec::new();
        let result = score(input.as_bytes(), &mut out, json);
        (String::from_utf8(out).expect("text"), result.map_err(|failure| failure.to_string()))
    }

    #[test]
    fn rows_come_out_scored_in_their_order() {
        let (out, result) =
            scored("timestamp,value\n2014-04-01 00:00:00,1.50\r\n\n2014-04-01T00:05:00Z,2", false);
        assert_eq!(result, Ok(()));
        assert_eq!(
            out,
            "timestamp,value,anomaly_score,alarm\n2014-04-01 00:00:00,1.50,0.000000,0\n\
             2014-04-01T00:05:00Z,2,0.000000,0\n"
        );
        let (out, result) = scored("2014-04-01 00:00:00,1\n2014-04-01 00:05:00,2\n", true);
        assert_eq!((out.lines().count(), result), (2, Ok(())));
        assert!(out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_wrong_line_is_named_and_what_was_before_is_printed() {
        let (out, result) = scored("timestamp,value\n2014-04-01 00:00:00,1\n\nx,2\n", false);
        assert_eq!(out.lines().count(), 2);
        let message = result.expect_err("a wrong line");
        assert!(message.starts_with("line 4: the timestamp cannot be read"), "{message}");
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        assert_eq!(scored(&long, false).1, Err("line 1: longer than 65536 bytes".into()));
    }

    #[test]
    fn nothing_in_is_nothing_out() {
        assert_eq!(scored("", false), ("timestamp,value,anomaly_score,alarm\n".into(), Ok(())));
        assert_eq!(scored("timestamp,value\n", true), (String::new(), Ok(())));
    }
}
