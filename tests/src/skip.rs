//! Tests that cannot run here say so, with the reason, and are counted.

use std::{fs::OpenOptions, io::Write, process::Command, sync::OnceLock, time::Duration};

use serde_json::Value;

use crate::{mop_binary, run};

/// Whether MOP can observe on this machine. When it cannot, the test is reported as skipped.
///
/// ```no_run
/// # fn main() -> anyhow::Result<()> {
/// if !mop_tests::observing("name_of_the_test") {
///     return Ok(());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn observing(test: &str) -> bool {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    match REFUSAL.get_or_init(refusal) {
        None => true,
        Some(reason) => {
            skip(test, reason);
            false
        }
    }
}

/// Reports a test as skipped: on the terminal, and in the file that `cargo xtask test` reads.
pub fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    // Past the capture of the test harness, so that it is seen without --nocapture.
    let _shown = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = std::env::var_os(SKIPPED_FILE) {
        let file = OpenOptions::new().create(true).append(true).open(path);
        if let Ok(mut file) = file {
            let _noted = writeln!(file, "{line}");
        }
    }
}

/// Why MOP cannot observe here, as its own doctor says it.
fn refusal() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("loading kernel programs needs root".to_owned());
    }
    if !mop_binary().is_file() {
        // Not a property of the machine: a missing binary must fail, not skip.
        return None;
    }
    let mut command = Command::new(mop_binary());
    command.args(["doctor", "--json"]);
    let Err(error) = run(&mut command, Duration::from_secs(60)) else {
        return None;
    };
    let report = Command::new(mop_binary()).args(["doctor", "--json"]).output().ok()?;
    let report: Value = serde_json::from_slice(&report.stdout).unwrap_or(Value::Null);
    if report["can_observe"] != false {
        // The doctor itself is broken: the tests must run and fail.
        return None;
    }
    let failed = report["checks"].as_array().into_iter().flatten().find(|check| {
        check["status"].as_str().is_some_and(|status| status != "ok" && status != "warning")
    });
    if failed.is_some_and(|check| check["detail"].as_str().is_some_and(is_of_the_programs)) {
        // A program that is refused is a defect of the program: the tests must run and fail.
        return None;
    }
    Some(match failed {
        Some(check) => format!(
            "the doctor says no: {}: {}",
            check["name"].as_str().unwrap_or("?"),
            check["detail"].as_str().unwrap_or("?")
        ),
        None => format!("the doctor says no: {error}"),
    })
}

/// Whether the kernel read a program and found fault with it.
fn is_of_the_programs(detail: &str) -> bool {
    detail.contains("Verifier output: ") && detail.contains("processed ")
}

/// Names the file that skipped tests are noted in.
const SKIPPED_FILE: &str = "MOP_SKIPPED_TESTS";
