//! Long sets of the chaos suite: kills by the hundred, and a verdict about each round.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    build,
    setup::{self, UsedBy},
    shell,
};

/// Options of `cargo xtask chaos`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds go on until agent, broker or hub were killed so many times.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Of the whole set: the same seed plans the same faults. Without it: from the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// Only one round, with the seed that its verdict tells; needs --scenario.
    #[arg(long, requires = "scenario", conflicts_with_all = ["seed", "runs"])]
    round: Option<u64>,
    /// Only rounds of this scenario: `docs/chaos.md` has their names.
    #[arg(long)]
    scenario: Option<String>,
    /// Also write all verdicts and their sum into this file, as one JSON document.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Builds `mop`, runs rounds and sums their verdicts up; an error when one of them is not valid.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { runs, seed, round, scenario, json } = options;
    setup::ensure_parts(UsedBy::Tests)?;
    let binary = build::mop(true)?;
    let runs = if round.is_some() { 1 } else { *runs };
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        now.as_secs()
    });
    let mut command = shell::cargo();
    command
        .args(["test", "--package", "mop-tests", "--test", "chaos", "--"])
        .args(["--exact", TEST, "--nocapture"])
        .env("MOP_BINARY", binary)
        .env("MOP_CHAOS_RUNS", runs.to_string())
        .env("MOP_CHAOS_SEED", seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(scenario) = scenario {
        command.env("MOP_CHAOS_SCENARIO", scenario);
    }
    if let Some(round) = round {
        command.env("MOP_CHAOS_SEED_OF_ROUND", round.to_string());
    }
    println!("chaos    {runs} kills, seed {seed}");
    let mut child = command.spawn().context("cannot start cargo test")?;
    let output = child.stdout.take().context("no standard output")?;
    let mut sum = Sum::default();
    let begin = Instant::now();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read the output of cargo test")?;
        if let Some(verdict) = line.strip_prefix(VERDICT_MARK) {
            let verdict: Value = serde_json::from_str(verdict).context("a verdict is no JSON")?;
            sum.add(verdict);
            println!("{:>5}s  {}", begin.elapsed().as_secs(), sum.progress(runs));
        }
    }
    let status = child.wait()?;
    let total = sum.total(seed, begin.elapsed().as_secs());
    println!("{total:#}");
    if let Some(path) = json {
        let document = json!({ "total": total, "rounds": sum.rounds });
        fs::write(path, format!("{document:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !status.success() {
        bail!("the set is not valid, or could not be ended ({status})");
    }
    if sum.rounds.is_empty() {
        bail!("no round was run");
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Sum {
    rounds: Vec<Value>,
}

impl Sum {
    fn add(&mut self, verdict: Value) {
        self.rounds.push(verdict);
    }

    fn count(&self, name: &str) -> u64 {
        self.rounds.iter().filter_map(|round| round[name].as_u64()).sum()
    }

    /// One line about the last round.
    fn progress(&self, runs: u32) -> String {
        let last = self.rounds.last().unwrap_or(&Value::Null);
        format!(
            "{}/{runs} kills  {:<12} {} of {} acknowledged arrived, {} lost, {} twice, {}{}",
            self.count("kill-count"),
            last["scenario"].as_str().unwrap_or("?"),
            last["ok-count"],
            last["acknowledged-count"],
            last["lost-count"],
            last["duplicated-count"],
            if last["valid?"] == true { "valid" } else { "NOT VALID: " },
            if last["valid?"] == true { String::new() } else { last.to_string() },
        )
    }

    fn total(&self, seed: u64, seconds: u64) -> Value {
        let mut total = json!({ "seed": seed, "rounds": self.rounds.len(), "seconds": seconds });
        for name in COUNTS {
            total[name] = self.count(name).into();
        }
        let mut faults = serde_json::Map::new();
        for fault in self.rounds.iter().filter_map(|round| round["faults"].as_array()).flatten() {
            let name = fault.as_str().unwrap_or("?");
            let before = faults.get(name).and_then(Value::as_u64).unwrap_or(0);
            faults.insert(name.to_owned(), (before + 1).into());
        }
        total["faults"] = faults.into();
        let is_valid = self.rounds.iter().all(|round| round["valid?"] == true);
        total["valid?"] = (is_valid && !self.rounds.is_empty()).into();
        total
    }
}

const TEST: &str = "what_was_acknowledged_survives_every_fault";

/// Begins the lines of the test that hold verdicts.
const VERDICT_MARK: &str = "VERDICT ";

/// What is summed over all rounds.
const COUNTS: [&str; 14] = [
    "kill-count",
    "attempt-count",
    "acknowledged-count",
    "ok-count",
    "lost-count",
    "counted-count",
    "duplicated-count",
    "recovered-count",
    "unexpected-count",
    "reordered-count",
    "parked-count",
    "misacknowledged-count",
    "clashing-count",
    "gap-count",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_round_makes_the_set_invalid() {
        let mut sum = Sum::default();
        assert_eq!(sum.total(1, 0)["valid?"], false);
        let round = |faults: &[&str], kills, is_valid| json!({ "faults": faults, "kill-count": kills, "valid?": is_valid });
        sum.add(round(&["agent-killed", "network-slow"], 1, true));
        assert_eq!(sum.total(1, 0)["valid?"], true);
        sum.add(round(&["agent-killed"], 1, false));
        let total = sum.total(7, 3);
        assert_eq!(total["valid?"], false);
        assert_eq!((&total["kill-count"], &total["seed"]), (&json!(2), &json!(7)));
        assert_eq!(total["faults"], json!({ "agent-killed": 2, "network-slow": 1 }));
    }
}
