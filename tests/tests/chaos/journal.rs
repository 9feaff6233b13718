//! The outbox seen from outside: what it holds, what it says, and how its files are damaged.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use mop_tests::{mop_command, run};
use serde_json::Value;

use crate::random::Random;

/// Ids of the records that the agent set aside.
pub(crate) fn parked(outbox: &Path) -> Result<HashSet<String>> {
    let lines = export(outbox, &["--parked", "rabbitmq"])?;
    Ok(lines.iter().filter_map(|record| Some(record["id"].as_str()?.to_owned())).collect())
}

/// How many records agents said were damaged.
pub(crate) fn damaged(said: &[String]) -> Result<usize> {
    let mut sum = 0;
    for line in said.iter().filter(|line| line.contains(" of the outbox were damaged")) {
        let number = line.split_ascii_whitespace().find_map(|word| word.parse::<usize>().ok());
        sum += number.with_context(|| format!("no number in: {line}"))?;
    }
    Ok(sum)
}

/// Checks the ledger: its chain, its identities, and that the last agent, which had its whole life
/// to itself, made of each line that it was given one record. Gives what is wrong.
pub(crate) fn ledger(
    outbox: &Path,
    arrived: &[(String, Vec<u8>)],
    given_to_last: usize,
) -> Result<Vec<String>> {
    let mut records: BTreeMap<u64, Value> = BTreeMap::new();
    let kept = export(outbox, &["--kind", "ops.ledger"])?;
    let arrived = arrived.iter().filter_map(|(_, content)| serde_json::from_slice(content).ok());
    for record in kept.into_iter().chain(arrived) {
        if record["kind"] == "ops.ledger" {
            records.insert(record["number"].as_u64().context("a ledger without number")?, record);
        }
    }
    let mut complaints = verify(records.values())?;
    let Some(last) = records.values().next_back() else {
        complaints.push("there is no ledger".to_owned());
        return Ok(complaints);
    };
    let accepted: u64 = ["violations", "data", "security", "samples"]
        .iter()
        .filter_map(|lane| last["records"]["accepted"][*lane].as_u64())
        .sum();
    if last["last"] != true || accepted != given_to_last as u64 {
        complaints.push(format!(
            "the last agent was given {given_to_last} records, its last ledger says {accepted}: {last}"
        ));
    }
    Ok(complaints)
}

/// Changes one bit of the longest segment, behind its header.
pub(crate) fn flip_bit(outbox: &Path, random: &mut Random) -> Result<()> {
    let (path, mut bytes) = longest_segment(outbox)?;
    let place = HEADER_BYTES + random.below(bytes.len() - HEADER_BYTES);
    bytes[place] ^= 1 << random.below(8);
    fs::write(path, bytes)?;
    Ok(())
}

/// Cuts the longest segment off somewhere behind its header.
pub(crate) fn cut_tail(outbox: &Path, random: &mut Random) -> Result<()> {
    let (path, mut bytes) = longest_segment(outbox)?;
    bytes.truncate(HEADER_BYTES + random.below(bytes.len() - HEADER_BYTES));
    fs::write(path, bytes)?;
    Ok(())
}

fn longest_segment(outbox: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for lane in ["violations", "data", "security", "samples"] {
        let Ok(entries) = fs::read_dir(outbox.join(lane)) else { continue };
        for entry in entries {
            let path = entry?.path();
            let bytes = fs::read(&path)?;
            if bytes.len() > HEADER_BYTES {
                found.push((path, bytes));
            }
        }
    }
    found
        .into_iter()
        .max_by_key(|(_, bytes)| bytes.len())
        .with_context(|| format!("no segment to damage in {}", outbox.display()))
}

/// Its records, by `mop outbox export`.
pub(crate) fn export(outbox: &Path, options: &[&str]) -> Result<Vec<Value>> {
    let mut command = mop_command();
    command.args(["outbox", "export", "--folder"]).arg(outbox).args(options);
    let output = run(&mut command, LIMIT)?;
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no record: {line}")))
        .collect()
}

/// What `mop ledger verify` says about it.
fn verify<'a>(records: impl Iterator<Item = &'a Value>) -> Result<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new()?;
    for record in records {
        writeln!(file, "{record}")?;
    }
    let mut command: Command = mop_command();
    command.args(["ledger", "verify", "--json"]).arg(file.path()).stdin(Stdio::null());
    let output = command.output()?;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let problems = said["problems"].as_array().cloned().unwrap_or_default();
    let mut complaints: Vec<String> =
        problems.iter().map(|problem| format!("mop ledger verify: {problem}")).collect();
    if !output.status.success() && complaints.is_empty() {
        complaints.push(format!(
            "mop ledger verify ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(complaints)
}

/// Of a segment: without it nothing of the segment can be told, and `--repair` is for people.
const HEADER_BYTES: usize = 128;
const LIMIT: Duration = Duration::from_secs(60);
