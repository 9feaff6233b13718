//! `mop hub backfill`: records from files, with the same care as those from the broker.
//!
//! A record that is there already, from the broker or from another file, changes nothing; so a
//! back-fill may be repeated, and may overlap with what the broker still brings.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;

use super::{
    configuration::HubConfiguration,
    consumer::count,
    message::Arrival,
    refusal::Refusal,
    run::{configuration, runtime, stores, sum},
    store::{Batch, Fate, Store},
    vitals::{HubVitals, add},
};
use crate::{configuration::ConfigurationArguments, failure::Failure};

/// Arguments of `mop hub backfill`.
#[derive(Args, Debug)]
#[command(after_help = "Example: mop outbox export --places --config node.toml > node.jsonl && \
    mop hub backfill --config hub.toml --node node-1 node.jsonl")]
pub(crate) struct BackfillArguments {
    /// Files of JSON Lines, or folders with files whose names end in `.jsonl`.
    #[arg(required = true, value_name = "FILE|FOLDER")]
    sources: Vec<PathBuf>,
    /// The node that the records are of.
    #[arg(long, value_name = "NAME", default_value = "")]
    node: String,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

/// Stores what the files hold. Exits with 1 when a line was refused.
pub(crate) fn run(arguments: &BackfillArguments) -> Result<ExitCode, Failure> {
    let configuration = configuration(&arguments.configuration)?;
    let vitals = Arc::new(HubVitals::default());
    let mut stores = stores(&configuration, &vitals)?;
    let mut files = Vec::new();
    for source in &arguments.sources {
        files.extend(files_of(source)?);
    }
    let runtime = runtime()?;
    for store in &mut stores {
        let name = store.name();
        runtime
            .block_on(async {
                store.connect().await?;
                store.maintain().await
            })
            .map_err(|trouble| Failure::runtime(format!("{name}: {trouble}")))?;
    }
    let mut filler = Filler { configuration, stores, vitals: Arc::clone(&vitals), passed: 0 };
    for file in &files {
        runtime.block_on(filler.fill(file, &arguments.node))?;
    }
    let passed = filler.passed;
    eprintln!("{} Passed by {passed} lines that never leave a node.", sum(&vitals));
    let is_refused = vitals.refusals().any(|(_, count)| count > 0);
    Ok(if is_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Filler {
    configuration: HubConfiguration,
    stores: Vec<Box<dyn Store>>,
    vitals: Arc<HubVitals>,
    /// Lines of kinds that are for the node alone.
    passed: u64,
}

impl Filler {
    async fn fill(&mut self, file: &Path, node: &str) -> Result<(), Failure> {
        let unreadable =
            |error: io::Error| Failure::runtime(format!("{}: {error}", file.display()));
        let mut lines = BufReader::new(File::open(file).map_err(unreadable)?);
        let source: Arc<str> = Arc::from(format!("backfill {}", file.display()));
        let max_bytes = self.configuration.max_message_kib * 1024;
        let mut batch = Batch::default();
        // Numbers of the lines of the batch.
        let mut numbers: Vec<u64> = Vec::new();
        let mut line = Vec::new();
        for number in 1_u64.. {
            let is_end = read_line(&mut lines, &mut line, max_bytes).map_err(unreadable)? == 0;
            let text = line.trim_ascii();
            if !text.is_empty() && is_local(text) {
                self.passed += 1;
            } else if !text.is_empty() {
                add(&self.vitals.received, 1);
                match Arrival::from_line(&source, node, text, max_bytes) {
                    Ok(arrival) => {
                        batch.arrivals.push(arrival);
                        numbers.push(number);
                    }
                    Err(reason) => {
                        *batch.refused.entry((source.to_string(), reason)).or_default() += 1;
                        self.refuse(file, number, reason);
                    }
                }
            }
            if batch.arrivals.len() >= self.configuration.batch_messages
                || is_end && !batch.is_empty()
            {
                let fates = self.store(&batch).await?;
                for (number, fate) in numbers.iter().zip(fates) {
                    if let Fate::Refused(reason) = fate {
                        self.refuse(file, *number, reason);
                    }
                }
                batch = Batch::default();
                numbers.clear();
            }
            if is_end {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn store(&mut self, batch: &Batch) -> Result<Vec<Fate>, Failure> {
        let mut fates = vec![Fate::Duplicate; batch.arrivals.len()];
        for store in &mut self.stores {
            let name = store.name();
            let found = store.store(batch).await.map_err(|trouble| {
                Failure::runtime(format!(
                    "{name}: {trouble}; nothing is lost when the same command is given again"
                ))
            })?;
            for (fate, found) in fates.iter_mut().zip(found) {
                *fate = found.max(*fate);
            }
        }
        count(&self.vitals, &fates);
        Ok(fates)
    }

    fn refuse(&self, file: &Path, number: u64, reason: Refusal) {
        self.vitals.refuse(reason);
        eprintln!("mop: {}:{number}: not taken: {}", file.display(), reason.name());
    }
}

fn files_of(source: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: io::Error| Failure::usage(format!("{}: {error}", source.display()));
    if !fs::metadata(source).map_err(unreadable)?.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(source).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no file whose name ends in .jsonl; `mop outbox export` makes one of an outbox",
            source.display()
        )));
    }
    Ok(files)
}

/// Reads a line; of one that is too long, enough to see that it is. Zero at the end.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>, max_bytes: usize) -> io::Result<usize> {
    line.clear();
    let limit = max_bytes as u64 + LINE_END;
    let read = lines.by_ref().take(limit).read_until(b'\n', line)?;
    if !line.ends_with(b"\n") && read as u64 == limit {
        lines.skip_until(b'\n')?;
    }
    Ok(read)
}

/// Journals also hold records that are for the node alone: they have no identifier.
fn is_local(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Line<'l> {
        #[serde(borrow)]
        kind: Option<std::borrow::Cow<'l, str>>,
        #[serde(borrow)]
        record: Option<Record<'l>>,
    }
    #[derive(serde::Deserialize)]
    struct Record<'l> {
        #[serde(borrow)]
        kind: std::borrow::Cow<'l, str>,
    }
    serde_json::from_slice::<Line<'_>>(line).is_ok_and(|Line { kind, record }| {
        let kind = kind.or_else(|| record.map(|record| record.kind));
        kind.is_some_and(|kind| LOCAL_KINDS.contains(&&*kind))
    })
}

const LOCAL_KINDS: [&str; 3] = ["exchange", "exchange.hop", "observe.summary"];
/// One byte more than allowed, so that a line which is too long shows, and the end of the line.
const LINE_END: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_too_long_are_skipped_to_their_end() {
        let text = format!("{{}}\n{}\nlast", "x".repeat(100));
        let mut lines = BufReader::with_capacity(7, text.as_bytes());
        let mut line = Vec::new();
        assert_eq!(read_line(&mut lines, &mut line, 10).ok(), Some(3));
        assert_eq!(read_line(&mut lines, &mut line, 10).ok(), Some(12));
        assert!(line.len() > 10);
        assert_eq!(read_line(&mut lines, &mut line, 10).ok(), Some(4));
        assert_eq!(line, b"last");
        assert_eq!(read_line(&mut lines, &mut line, 10).ok(), Some(0));
    }

    #[test]
    fn records_for_the_node_alone_are_known() {
        assert!(is_local(br#"{"kind":"exchange","exchange":"e1"}"#));
        assert!(is_local(br#"{"place":{},"record":{"kind":"exchange"}}"#));
        assert!(!is_local(br#"{"kind":"quality.report","id":"e1/quality"}"#));
        assert!(!is_local(b"no json"));
    }
}
