//! `mop ledger verify`: checks hashes, links and identities.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::{KIND, LedgerRecord, digest};
use crate::{failure::Failure, stdout::print_line};

/// Arguments of `mop ledger`.
#[derive(Args, Debug)]
pub(crate) struct LedgerArguments {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check that the ledger is whole: hashes, links, and that all records are accounted for.
    /// Exit code 1 when it is not.
    #[command(after_help = "Example: mop outbox export --kind ops.ledger | mop ledger verify")]
    Verify(VerifyArguments),
}

#[derive(Args, Debug)]
struct VerifyArguments {
    /// Records as JSON Lines, as `mop outbox export` or the hub gives them; other kinds are passed
    /// over. Without a file, or with `-`: the standard input.
    file: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What a ledger amounts to.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    nodes: BTreeMap<String, NodeVerdict>,
    problems: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct NodeVerdict {
    records: u64,
    epochs: u64,
    first: u64,
    last: u64,
    #[serde(skip)]
    epoch: u64,
    #[serde(skip)]
    hash: String,
}

pub(crate) fn run(arguments: &LedgerArguments) -> Result<ExitCode, Failure> {
    let LedgerCommand::Verify(VerifyArguments { file, json }) = &arguments.command;
    let verdict = match file.as_deref().filter(|path| path.as_os_str() != "-") {
        None => verify(io::stdin().lock())?,
        Some(path) => {
            let file = File::open(path).map_err(|error| {
                Failure::runtime(format!("cannot open {}: {error}", path.display()))
            })?;
            verify(BufReader::new(file))?
        }
    };
    if *json {
        print_line(&serde_json::to_string(&verdict).map_err(Failure::runtime)?);
    } else {
        for (node, NodeVerdict { records, epochs, first, last, .. }) in &verdict.nodes {
            print_line(&format!("{node}: {records} records, {first} to {last}, {epochs} epochs"));
        }
        for problem in &verdict.problems {
            print_line(&format!("  ✗ {problem}"));
        }
    }
    if verdict.nodes.is_empty() {
        return Err(Failure::runtime("there is no ledger record in it"));
    }
    Ok(if verdict.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ledger records are in their order by node; other records may lie between them.
fn verify(lines: impl BufRead) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    let mut lines = lines;
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let length = lines
            .by_ref()
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::runtime(format!("cannot read: {error}")))?;
        if length == 0 {
            break;
        }
        if !line.windows(KIND.len()).any(|part| part == KIND.as_bytes()) {
            continue;
        }
        // The hash covers whatever is there, known or not.
        let read = serde_json::from_slice::<Value>(&line).and_then(|tree| {
            if tree.get("kind").is_none_or(|kind| kind != KIND) {
                return Ok(None);
            }
            let hash = digest(&tree);
            serde_json::from_value::<LedgerRecord>(tree).map(|record| Some((record, hash)))
        });
        match read {
            Ok(Some((record, hash))) => verdict.check(&record, &hash),
            Ok(None) => {}
            Err(error) => {
                verdict.problems.push(format!("line {number} is no ledger record: {error}"));
            }
        }
    }
    Ok(verdict)
}

impl Verdict {
    fn check(&mut self, record: &LedgerRecord, hash: &str) {
        let at = format!("{} record {}", record.node, record.number);
        let mut problems = Vec::new();
        if hash != record.hash {
            problems.push("was changed: its hash is another".to_owned());
        }
        let node = self.nodes.entry(record.node.clone()).or_default();
        if node.records == 0 {
            node.first = record.number;
        } else if record.number == node.last && record.hash == node.hash {
            // Delivered twice.
            return;
        } else if record.number != node.last + 1 {
            problems.push(format!("does not follow record {}: some are missing", node.last));
        } else if record.previous != node.hash {
            problems.push("does not link to the one before".to_owned());
        }
        if node.records == 0 || node.epoch != record.epoch {
            node.epochs += 1;
        }
        node.records += 1;
        node.last = record.number;
        node.epoch = record.epoch;
        node.hash = record.hash.clone();
        problems.extend(record.account.discrepancies());
        self.problems.extend(problems.into_iter().map(|problem| format!("{at} {problem}")));
    }
}

/// A ledger record has some kilobytes.
const MAX_LINE_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::ledger::{Account, Ledger, RecordsAccount, SinkAccount};

    fn account() -> Account {
        Account {
            records: RecordsAccount::new([0, 0, 3, 4, 0, 2], [0, 0, 0, 1, 0, 0], [0; 6]),
            sinks: vec![SinkAccount {
                name: "rabbitmq".to_owned(),
                spooled_at_start: 2,
                delivered: 5,
                parked: 1,
                spooled: 3,
                ..SinkAccount::default()
            }],
            ..Account::default()
        }
    }

    fn chain(folder: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        for epoch in [7, 8] {
            let mut ledger =
                Ledger::open(folder, "node-1".to_owned(), epoch, Timestamp::UNIX_EPOCH);
            for last in [false, true] {
                lines.push(ledger.record(account(), Timestamp::UNIX_EPOCH, last).json);
            }
        }
        lines
    }

    fn problems(lines: &[String]) -> Vec<String> {
        verify(lines.join("\n").as_bytes()).expect("readable").problems
    }

    #[test]
    fn a_whole_ledger_is_right_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = chain(folder.path());
        assert_eq!(problems(&lines), [] as [&str; 0]);
        let verdict = verify(lines.join("\n").as_bytes()).expect("readable");
        let node = verdict.nodes.get("node-1").expect("the node");
        assert_eq!((node.records, node.epochs, node.first, node.last), (4, 2, 1, 4));
    }

    #[test]
    fn members_may_be_in_any_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines: Vec<String> = chain(folder.path())
            .iter()
            .map(|line| {
                // As a database gives it back: sorted otherwise, with blanks.
                let tree: Value = serde_json::from_str(line).expect("JSON");
                serde_json::to_string(&tree).expect("JSON").replace(',', ", ")
            })
            .collect();
        assert_eq!(problems(&lines), [] as [&str; 0]);
    }

    #[test]
    fn what_was_changed_or_taken_out_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = chain(folder.path());
        let mut changed = lines.clone();
        changed[1] = changed[1].replace("\"delivered\":5", "\"delivered\":6");
        let found = problems(&changed);
        assert!(found.iter().any(|problem| problem.contains("hash")), "{found:?}");
        assert!(found.iter().any(|problem| problem.contains("accounted for")), "{found:?}");
        let mut short = lines.clone();
        short.remove(2);
        assert!(problems(&short).iter().any(|problem| problem.contains("missing")));
        let mut swapped = lines;
        swapped.swap(1, 2);
        assert!(!problems(&swapped).is_empty());
    }

    #[test]
    fn other_records_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lines = chain(folder.path());
        lines.insert(1, r#"{"kind":"quality.report","id":"mentions ops.ledger"}"#.to_owned());
        assert_eq!(problems(&lines), [] as [&str; 0]);
    }
}
