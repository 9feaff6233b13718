//! What part of the server's core the kernel programs take, as the kernel itself counts their time.
//!
//! Rates of a machine that others share differ from one second to the next by more than the programs
//! cost. The time that they take of a core that is busy throughout does not: whatever slows the server
//! slows them as well.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context, Result};
use mop_tests::{Nginx, free_port};
use serde_json::json;

use super::{
    Cores,
    load::on_core,
    report::{Report, median},
    rounded,
    subject::Subject,
};
use crate::shell;

/// Measures bodies of some sizes, with programs that return at once and with MOP's.
pub(super) fn run(folder: &Path, nginx: &Nginx, cores: Cores, rounds: u32) -> Result<()> {
    let port = free_port();
    let configuration = folder.join("share.toml");
    fs::write(&configuration, format!("[admin]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n"))?;
    for (bytes, file) in SIZES {
        let url = format!("https://localhost:{}/{file}", nginx.port());
        let measured = |subject: &Subject| {
            (0..rounds).map(|_| share(subject, &url, port, cores)).collect::<Result<Vec<_>>>()
        };
        let empty = measured(&Subject::EmptyProbesTelling(configuration.clone()))?;
        let mop = measured(&Subject::MopTelling(configuration.clone()))?;
        let left = |shares: &[f64]| 1.0 - median(shares);
        Report.line(&json!({
            "figure": "capture_share", "bytes": bytes, "empty_probes": empty, "mop": mop,
            "left_to_the_server": rounded(left(&mop) / left(&empty)),
        }));
    }
    Ok(())
}

/// Processors that the programs take while the server is under load.
fn share(subject: &Subject, url: &str, port: u16, cores: Cores) -> Result<f64> {
    let running = subject.start(cores)?;
    let mut load = on_core("wrk", cores.load);
    load.args(["--threads", "1", "--connections", "32", "--duration", LOAD_SECONDS, url]);
    let load = thread::spawn(move || shell::run_quietly(&mut load));
    thread::sleep(MEASURED_BY);
    let address = format!("http://127.0.0.1:{port}/metrics");
    let metrics = shell::run_quietly(Command::new("curl").args(["--silent", "--fail", &address]))?;
    load.join().ok().context("the load panicked")??;
    running.stop()?;
    processors(&metrics).context("MOP tells no time of programs")
}

/// The sum over all programs; `None` when there is none.
fn processors(metrics: &str) -> Option<f64> {
    metrics
        .lines()
        .filter(|line| line.starts_with("mop_kernel_program_processors{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .reduce(|sum, value| sum + value)
}

/// Sizes of bodies, and their files.
const SIZES: [(u64, &str); 3] =
    [(2 << 10, "body-2048"), (16 << 10, "body-16384"), (256 << 10, "body-262144")];
/// The first measurement is of the fourth second after the start.
const LOAD_SECONDS: &str = "6s";
const MEASURED_BY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_all_programs_counts() {
        let metrics = "# HELP x\nmop_kernel_program_processors{program=\"a\"} 0.25\n\
                       mop_kernel_program_processors{program=\"b\"} 1e-1\nmop_other 3\n";
        assert!(processors(metrics).is_some_and(|sum| (sum - 0.35).abs() < 1e-9));
        assert_eq!(processors("mop_other 3\n"), None);
    }
}
