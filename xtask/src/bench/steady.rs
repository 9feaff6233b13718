//! What an observer with all modules takes while little or nothing happens: processor time without calls,
//! and memory, before and while ten thousand TLS connections are open that have each had a call.
//!
//! Both ends of each connection are on this node, and are observed. Memory is that of both processes
//! together, by proportional set size: what they share counts once.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{Certificates, Nginx, Process, bound, python};
use serde_json::json;

use super::{Cores, modules, report::Report, rounded, subject::Subject};

/// Measures both.
pub(super) fn run(cores: Cores, is_quick: bool) -> Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", &format!("default_type application/json; return 200 '{ANSWER}';"))
        .start()?;
    let configuration = folder.path().join("steady.toml");
    fs::write(&configuration, modules::CONFIGURATION)?;
    let seconds = |full, quick| Duration::from_secs(if is_quick { quick } else { full });
    let running = Subject::MopWithAll(configuration).start(cores)?;
    thread::sleep(seconds(5, 1));

    let (before, quiet) = (running.watch()?, seconds(20, 3));
    thread::sleep(quiet);
    let idle = running.watch()?;
    let share = idle.cpu.saturating_sub(before.cpu).as_secs_f64() / quiet.as_secs_f64();
    Report.line(&json!({
        "figure": "idle", "cpu_percent_of_one_core": rounded(share * 100.0),
        "memory_mib": idle.memory_bytes >> 20, "seconds": quiet.as_secs(),
    }));

    let connections = if is_quick { 1_000 } else { 10_000 };
    let clients = clients(&nginx, &certificates, connections)?;
    thread::sleep(seconds(60, 3));
    let open = running.watch()?;
    drop(clients);
    let observed = running.stop()?.context("MOP gave no summary")?;
    let complete = observed.number("/complete");
    ensure!(complete >= 2 * connections, "{complete} complete calls: {}", observed.summary);
    let grown = open.memory_bytes.saturating_sub(idle.memory_bytes);
    Report.line(&json!({
        "figure": "open_connections", "connections": connections, "observed_ends": 2 * connections,
        "memory_mib": open.memory_bytes >> 20, "bytes_an_end": grown / (2 * connections),
        "seconds_after_the_calls": seconds(60, 3).as_secs(),
    }));
    Ok(())
}

/// A process that has opened so many connections and made a call on each.
fn clients(nginx: &Nginx, certificates: &Certificates, connections: u64) -> Result<Process> {
    let mut command = bound(python());
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/open_connections.py"))
        .args([nginx.port().to_string(), connections.to_string()])
        .arg(certificates.authority())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut clients = Process::start("open_connections.py", &mut command)?;
    let output = clients.stdout().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(line.trim() == "open", "the clients said {line:?}");
    Ok(clients)
}

const ANSWER: &str = r#"{"data":{"status":"AUTHORISED"},"links":{},"meta":{}}"#;
