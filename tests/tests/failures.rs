//! Clients that are killed, and bodies too large to hold.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, carried, curl, observing, run,
    seen_at, until,
};
use rustix::process::Signal;

#[test]
fn a_client_killed_in_an_upload_cuts_only_its_own_request() -> Result<()> {
    if !observing("a_client_killed_in_an_upload_cuts_only_its_own_request") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let marker = Marker::new("killed-upload");
    let observer = Observer::start()?;
    let mut command = curl(&stage.certificates);
    command
        .args(["--limit-rate", "2M", "--upload-file"])
        .arg(&stage.large.path)
        .arg(stage.url(&marker, "store/cut"));
    stage.kill_halfway(&mut command, READ_FROM_FILE)?;
    stage.whole_download(&marker)?;
    let exchanges = reported(observer, &marker, 4)?;
    for exchange in seen_at(&of(&exchanges, &marker.path("store/cut")), &TLS)? {
        ensure!(!exchange.complete(), "half an upload: {}", exchange.record());
        ensure!(exchange.ending() == "request_cut", "ending of {}", exchange.record());
    }
    stage.check_whole_download(&exchanges, &marker)
}

#[test]
fn a_client_killed_in_a_download_cuts_only_its_own_response() -> Result<()> {
    if !observing("a_client_killed_in_a_download_cuts_only_its_own_response") {
        return Ok(());
    }
    let stage = Stage::new()?;
    let marker = Marker::new("killed-download");
    let observer = Observer::start()?;
    let mut command = curl(&stage.certificates);
    command
        .args(["--limit-rate", "2M", "--output", "/dev/null"])
        .arg(stage.url(&marker, "cut/large.bin"));
    stage.kill_halfway(&mut command, WRITTEN_TO_FILE)?;
    stage.whole_download(&marker)?;
    let exchanges = reported(observer, &marker, 4)?;
    for exchange in seen_at(&of(&exchanges, &marker.path("cut/large.bin")), &TLS)? {
        ensure!(!exchange.complete(), "half a download: {}", exchange.record());
        ensure!(exchange.ending() == "response_cut", "ending of {}", exchange.record());
    }
    stage.check_whole_download(&exchanges, &marker)
}

#[test]
fn a_gibibyte_passes_in_bounded_memory_and_is_accounted_for() -> Result<()> {
    if !observing("a_gibibyte_passes_in_bounded_memory_and_is_accounted_for") {
        return Ok(());
    }
    let stage = Stage::new()?;
    // Without blocks on disk: reading it gives zeros.
    File::create(stage.folder.path().join("gibibyte.bin"))?.set_len(GIB)?;
    let marker = Marker::new("gibibyte");
    let observer = Observer::start()?;
    let url = stage.url(&marker, "file/gibibyte.bin");
    run(curl(&stage.certificates).args(["--output", "/dev/null"]).arg(url), LONG_LIMIT)?;
    let prefix = marker.to_string();
    observer.wait_for(2, LONG_LIMIT, |one| one.target().starts_with(&prefix))?;
    let peak = observer.process().peak_resident_bytes()?;
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&prefix);
    let mut missing = 0;
    for exchange in seen_at(&exchanges, &TLS)? {
        ensure!(exchange.response().body_bytes() == GIB, "length of {}", exchange.record());
        // Losses are allowed at this speed, but not without a count.
        let here = exchange.response().missing_bytes();
        ensure!((here == 0) == exchange.complete(), "{}", exchange.record());
        missing += here;
    }
    let counted: u64 = observation.summary["missing_bytes"]
        .as_object()
        .context("missing bytes by cause")?
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    ensure!(counted >= missing, "{missing} bytes are missing, {counted} were counted");
    ensure!(peak < MEMORY_LIMIT, "{} MiB of memory", peak >> 20);
    Ok(())
}

/// An nginx with TLS that serves and stores files.
struct Stage {
    nginx: Nginx,
    certificates: Certificates,
    large: Body,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let large = Body::write(folder.path(), "large.bin", 32 << 20)?;
        let shown = folder.path().display();
        let nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .location("~ /([^/]+[.]bin)$", &format!("alias {shown}/$1;"))
            .location(
                "~ /store/",
                &format!("root {shown}/store; dav_methods PUT; create_full_put_path on;"),
            )
            .start()?;
        Ok(Self { nginx, certificates, large, folder })
    }

    fn url(&self, marker: &Marker, resource: &str) -> String {
        format!("https://localhost:{}{}", self.nginx.port(), marker.path(resource))
    }

    /// Starts the client and kills it once it has moved two megabytes.
    fn kill_halfway(&self, command: &mut Command, counter: &str) -> Result<()> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut client = Process::start("curl", command)?;
        let io = format!("/proc/{}/io", client.pid());
        let moved = || {
            let text = fs::read_to_string(&io).ok()?;
            text.lines().find_map(|line| line.strip_prefix(counter)?.trim().parse::<u64>().ok())
        };
        until("two megabytes of progress", Duration::from_secs(20), || {
            moved().is_some_and(|bytes| bytes > 2 << 20)
        })?;
        ensure!(client.running(), "the client ended before it could be killed");
        client.signal(Signal::KILL);
        client.wait(Duration::from_secs(5))?;
        Ok(())
    }

    fn whole_download(&self, marker: &Marker) -> Result<()> {
        let url = self.url(marker, "whole/large.bin");
        // Slower than a disk, faster than any API: on a busy machine nothing may be missing.
        let command = &mut curl(&self.certificates);
        run(command.args(["--limit-rate", "32M", "--output", "/dev/null"]).arg(url), LONG_LIMIT)?;
        Ok(())
    }

    fn check_whole_download(&self, exchanges: &[Exchange], marker: &Marker) -> Result<()> {
        for exchange in seen_at(&of(exchanges, &marker.path("whole/large.bin")), &TLS)? {
            carried(exchange, exchange.response(), &self.large)?;
        }
        Ok(())
    }
}

fn reported(observer: Observer, marker: &Marker, count: usize) -> Result<Vec<Exchange>> {
    let prefix = marker.to_string();
    observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
    Ok(observer.stop()?.exchanges(&prefix))
}

fn of(exchanges: &[Exchange], target: &str) -> Vec<Exchange> {
    exchanges.iter().filter(|exchange| exchange.target() == target).cloned().collect()
}

/// Lines of /proc/PID/io. They count files only: what curl uploads it reads, what it downloads it
/// writes.
const READ_FROM_FILE: &str = "rchar:";
const WRITTEN_TO_FILE: &str = "wchar:";
const TLS: [&str; 2] = ["client/tls", "server/tls"];
const GIB: u64 = 1 << 30;
const REPORT_LIMIT: Duration = Duration::from_secs(20);
const LONG_LIMIT: Duration = Duration::from_secs(120);
/// Far less than the body: it cannot have been held.
const MEMORY_LIMIT: u64 = 320 << 20;
