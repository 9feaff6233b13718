//! What a probe costs the thread that meets it: at instructions that the kernel emulates, and at the
//! entry and the return of a function.
//!
//! Both ends of a TLS connection stand in one process, joined by memory; a pair of `SSL_write` and
//! `SSL_read` is measured by the processor time of its thread. All programs return at once, so that what
//! remains is the price of the probes.

use std::path::Path;

use anyhow::{Context, Result};
use mop_tests::{Certificates, c_program};
use serde_json::json;

use super::{
    Cores,
    load::on_core,
    report::{Report, median},
    rounded,
    subject::Subject,
};
use crate::shell;

/// Measures each way in turn.
pub(super) fn run(folder: &Path, cores: Cores, rounds: u32, is_quick: bool) -> Result<()> {
    let certificates = Certificates::create(folder)?;
    let program = c_program("tls_pairs", folder, ["-lssl", "-lcrypto"])?;
    let pairs = if is_quick { 20_000 } else { 200_000 };
    let subjects = [Subject::Nothing, Subject::EmptyProbes, Subject::EmptyProbesAtEntries];
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (subject, costs) in subjects.iter().zip(&mut costs) {
            let running = subject.start(cores)?;
            let mut command = on_core(&program.to_string_lossy(), cores.load);
            command.arg(certificates.server()).arg(certificates.key());
            command.args([pairs.to_string(), MESSAGE_BYTES.to_string()]);
            let said = shell::run_quietly(&mut command)?;
            running.stop()?;
            costs.push(said.trim().parse().context("the program told no time")?);
        }
    }
    let [nothing, emulated, at_entries] = costs.map(|costs| median(&costs));
    let (emulated, at_entries) = (emulated - nothing, at_entries - nothing);
    Report.line(&json!({
        "figure": "probe_sites", "pair_us": rounded(nothing),
        "emulated_us": rounded(emulated), "entry_and_return_us": rounded(at_entries),
        "entry_and_return_to_emulated": rounded(at_entries / emulated),
    }));
    Ok(())
}

/// A small message: encryption costs little beside the probes.
const MESSAGE_BYTES: u32 = 200;
