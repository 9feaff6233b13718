//! Runs every test and counts what passed, failed and was skipped.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    build,
    setup::{self, UsedBy},
    shell,
};

/// Options of `cargo xtask test`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only the end-to-end tests.
    #[arg(long)]
    e2e: bool,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// Builds, then runs unit, property, fuzz smoke and end-to-end tests.
///
/// The last line is `N passed, N failed, N skipped`. A test that was skipped has passed for cargo;
/// here it is counted apart, with its reason.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure_parts(UsedBy::Tests)?;
    let binary = build::mop(true)?;
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let skipped_file = folder.path().join("skipped");
    let mut counts = Counts::default();

    if !options.e2e {
        println!("test     unit, property and fuzz smoke tests");
        let mut command = shell::cargo();
        command.args(["test", "--workspace", "--exclude", "mop-tests", "--no-fail-fast"]);
        command.args(options.filter.as_slice());
        command.env("MOP_SKIPPED_TESTS", &skipped_file);
        counts.add(&run_tests(&mut command)?);
    }
    println!("test     end-to-end tests against real servers");
    let mut command = shell::cargo();
    command
        .args(["test", "--package", "mop-tests", "--no-fail-fast"])
        .args(options.filter.as_slice())
        // One at a time: every MOP sees the traffic of all tests, and two cores have no room for that.
        .args(["--", "--test-threads=1"])
        .env("MOP_BINARY", &binary)
        .env("MOP_SKIPPED_TESTS", &skipped_file);
    counts.add(&run_tests(&mut command)?);

    let skipped = fs::read_to_string(&skipped_file).unwrap_or_default();
    counts.skipped += skipped.lines().count();
    counts.passed = counts.passed.saturating_sub(skipped.lines().count());
    println!();
    for line in skipped.lines() {
        println!("{line}");
    }
    for name in &counts.failures {
        println!("FAILED {name}");
    }
    let Counts { passed, failed, skipped, .. } = counts;
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        bail!("{failed} tests failed");
    }
    if passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    failures: Vec<String>,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend_from_slice(&other.failures);
    }

    /// Takes what one line of cargo's output says.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| {
            rest.strip_suffix(" ... FAILED")
                .or_else(|| rest.strip_suffix(" - should panic ... FAILED"))
        }) {
            self.failures.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_ascii_whitespace();
            if let (Some(count), Some(what)) = (words.next(), words.next())
                && let Ok(count) = count.parse::<usize>()
            {
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.skipped += count,
                    _ => {}
                }
            }
        }
    }
}

/// Runs cargo's tests with their output shown, and counts them.
fn run_tests(command: &mut Command) -> Result<Counts> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo test")?;
    let output = child.stdout.take().context("no standard output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read the output of cargo test")?;
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        // The tests did not build, or a test ended its process.
        counts.failed += 1;
        counts.failures.push(format!("cargo test ended with {status}"));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut counts = Counts::default();
        counts.read("test framing::head ... FAILED");
        counts.read("test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered");
        counts.read("test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; finished in 0.1s");
        assert_eq!((counts.passed, counts.failed, counts.skipped), (7, 1, 2));
        assert_eq!(counts.failures, ["framing::head"]);
    }
}
