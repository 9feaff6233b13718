//! What is not decoded is named, with its volume and the reason.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Certificates, Marker, Nginx, Observer, Peer, bound, curl, mop_command, observing, python, run,
    skip, tool,
};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn bytes_of_another_protocol_are_named_with_their_process() -> Result<()> {
    if !observing("bytes_of_another_protocol_are_named_with_their_process") {
        return Ok(());
    }
    // The prober looks at sockets, or the one process that does all.
    for split in [&[][..], &["--no-privilege-split"]] {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let mut plain = python_peer(&[], &["plain", "keep", "2", "2097152"])?;
        let (server, key) = (certificates.server(), certificates.key());
        let tls = ["memory_bio", "keep", "1", "4194304", text(&server)?, text(&key)?];
        let mut tls = python_peer(&[], &tls)?;
        // These begin and end between two looks.
        let mut short = python_peer(&[], &["plain", "close", "64", "65536"])?;
        let observer = observer(&folder, split)?;
        first_window(&observer)?;
        for peer in [&mut plain, &mut tls, &mut short] {
            peer.transfer()?;
        }
        // TLS adds 22 bytes to 16 KiB, and handshakes; the answers are a few bytes.
        let moved = 4 * MIB..4 * MIB + 4 * MIB / 50;
        for peer in [&plain, &tls] {
            let told = observed(&observer, &peer.pid().into(), (moved.start, moved.start))?;
            ensure!(told.reason == "not_http", "{told:?}");
            ensure!(told.command.starts_with("python"), "{told:?}");
            ensure!(moved.contains(&told.received_bytes), "{told:?}");
            ensure!(moved.contains(&told.sent_bytes), "{told:?}");
        }
        // Whose the end of a client was is not known any more, and that of a server is by its port.
        let told = observed(&observer, &short.pid().into(), (moved.start, 0))?;
        ensure!(moved.contains(&told.received_bytes), "{told:?}");
        ensure!(told.sent_bytes < MIB / 50, "{told:?}");
        let told = observed(&observer, &Value::Null, (0, moved.start))?;
        ensure!(told.reason == "unattributed", "{told:?}");
        let windows = windows(&observer.stop()?.records);
        for window in &windows {
            ensure!(window["known"] == true, "{window}");
            let bytes: Vec<u64> = ["decoded", "undecoded"]
                .iter()
                .filter_map(|state| window["bytes"][state].as_u64())
                .collect();
            ensure!(bytes.len() == 2, "{window}");
            let of_processes: u64 = processes(window).iter().map(bytes_of).sum();
            ensure!(of_processes + bytes_of(&window["others"]) == bytes[1], "{window}");
        }
    }
    Ok(())
}

#[test]
fn bytes_that_are_decoded_are_not_named() -> Result<()> {
    if !observing("bytes_that_are_decoded_are_not_named") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    fs::write(folder.path().join("large"), vec![b'x'; 1 << 20])?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", &format!("rewrite ^ /large break; root {};", folder.path().display()))
        .start()?;
    let marker = Marker::new("coverage");
    let observer = observer(&folder, &[])?;
    first_window(&observer)?;
    let before = total(&observer, "decoded");
    for call in 0..CALLS {
        let url = format!("https://localhost:{}{}", nginx.port(), marker.path(&call.to_string()));
        run(curl(&certificates).args(["--fail", "--output", "/dev/null"]).arg(url), LIMIT)?;
    }
    // Both ends of every call are on this node.
    let least = 2 * CALLS * MIB;
    let deadline = Instant::now() + LIMIT;
    while total(&observer, "decoded") - before < least {
        ensure!(Instant::now() < deadline, "{} of {least}", total(&observer, "decoded") - before);
        thread::sleep(Duration::from_millis(200));
    }
    // And a window more, in which whatever came late is told.
    thread::sleep(2 * INTERVAL);
    let windows = windows(&observer.stop()?.records);
    let untold = |pid: u32| -> u64 {
        let all = windows.iter().flat_map(processes);
        all.filter(|process| process["pid"] == pid).map(|process| bytes_of(&process)).sum()
    };
    for pid in children(nginx.pid())?.into_iter().chain([nginx.pid()]) {
        let bytes = untold(pid);
        ensure!(bytes < CALLS * MIB / 100, "{bytes} bytes of {pid} are not decoded: {windows:#?}");
    }
    Ok(())
}

#[test]
fn java_programs_are_named_by_their_class_and_ports() -> Result<()> {
    const TEST: &str = "java_programs_are_named_by_their_class_and_ports";
    if !observing(TEST) {
        return Ok(());
    }
    let Some(java) = tool("java") else {
        skip(TEST, "Java is not installed");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut command = bound(java);
    command.arg("-Dsecret=hunter2").arg(fixture("CoveragePeer.java")).arg(MIB.to_string());
    let mut peer = Peer::start(command)?;
    let observer = observer(&folder, &[])?;
    first_window(&observer)?;
    peer.transfer()?;
    let told = observed(&observer, &peer.pid().into(), (MIB, MIB))?;
    ensure!(told.reason == "jvm" && told.program == "CoveragePeer.java", "{told:?}");
    ensure!(told.listeners == [peer.port()], "{told:?}");
    for bytes in [told.received_bytes, told.sent_bytes] {
        ensure!((MIB..MIB + MIB / 50).contains(&bytes), "{told:?}");
    }
    let observation = observer.stop()?;
    let text = Value::from(windows(&observation.records)).to_string();
    ensure!(!text.contains("hunter2") && !text.contains("/fixtures/"), "{text}");
    Ok(())
}

#[test]
fn programs_with_rustls_inside_and_without_names_are_named() -> Result<()> {
    if !observing("programs_with_rustls_inside_and_without_names_are_named") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let program = folder.path().join("rustls_peer");
    fs::copy(env!("CARGO_BIN_EXE_rustls_peer"), &program)?;
    run(Command::new("strip").arg(&program), LIMIT)?;
    let mut command = bound(&program);
    command
        .arg("both")
        .arg(certificates.server())
        .arg(certificates.key())
        .arg(certificates.authority());
    command.arg(MIB.to_string());
    let mut peer = Peer::start(command)?;
    let observer = observer(&folder, &[])?;
    first_window(&observer)?;
    for _time in 0..2 {
        peer.transfer()?;
    }
    // Both ends are in it, and each has sent and received as much.
    let told = observed(&observer, &peer.pid().into(), (4 * MIB, 4 * MIB))?;
    ensure!(told.reason == "rustls" && told.command == "rustls_peer", "{told:?}");
    ensure!(told.listeners == [peer.port()], "{told:?}");
    for bytes in [told.received_bytes, told.sent_bytes] {
        ensure!((4 * MIB..4 * MIB + 4 * MIB / 50).contains(&bytes), "{told:?}");
    }
    let exchanges = observer.stop()?.exchanges("/open-insurance/rustls");
    ensure!(exchanges.is_empty(), "decoded after all: {exchanges:#?}");
    Ok(())
}

#[test]
fn other_network_namespaces_are_looked_into_and_end_in_time() -> Result<()> {
    const TEST: &str = "other_network_namespaces_are_looked_into_and_end_in_time";
    if !observing(TEST) {
        return Ok(());
    }
    if let Err(error) = run(Command::new("unshare").args(["--net", "true"]), LIMIT) {
        skip(TEST, &format!("no network namespace can be made here: {error}"));
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut before = python_peer(&["unshare", "--net"], &["plain", "keep", "1", "1048576"])?;
    let observer = observer(&folder, &[])?;
    first_window(&observer)?;
    let mut after = python_peer(&["unshare", "--net"], &["plain", "keep", "1", "1048576"])?;
    for peer in [&mut before, &mut after] {
        peer.transfer()?;
        let told = observed(&observer, &peer.pid().into(), (MIB, MIB))?;
        for bytes in [told.received_bytes, told.sent_bytes] {
            ensure!((MIB..MIB + MIB / 50).contains(&bytes), "{told:?}");
        }
    }
    observer.stop()?;
    Ok(())
}

#[test]
fn without_looking_there_is_no_number() -> Result<()> {
    if !observing("without_looking_there_is_no_number") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("mop.toml");
    fs::write(&file, "[coverage]\nenabled = false\n[admin]\nenabled = false\n")?;
    let observer = Observer::builder().arg("--config").arg(&file).start()?;
    thread::sleep(INTERVAL);
    ensure!(windows(&observer.stop()?.records).is_empty(), "a window was told");
    Ok(())
}

#[test]
fn the_doctor_tells_what_sockets_moved() -> Result<()> {
    if !observing("the_doctor_tells_what_sockets_moved") {
        return Ok(());
    }
    let output = run(mop_command().args(["doctor", "--json"]), LIMIT)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let checks = report["checks"].as_array().context("checks")?;
    let check = checks.iter().find(|check| check["name"] == "sockets").context("a check")?;
    ensure!(check["status"] == "ok", "{check}");
    for process in report["uncovered"].as_array().context("uncovered")? {
        ensure!(process["open_sockets"]["received_bytes"].is_u64(), "{process}");
    }
    Ok(())
}

/// A peer in Python, behind these words of a command line.
fn python_peer(before: &[&str], arguments: &[&str]) -> Result<Peer> {
    let python = python();
    let mut words = before.iter().map(std::ffi::OsStr::new).chain([python.as_os_str()]);
    let mut command = bound(words.next().context("a program")?);
    command.args(words).arg(fixture("coverage_peer.py")).args(arguments);
    Peer::start(command)
}

/// What is told of a process, over all windows.
#[derive(Debug, Default)]
struct Told {
    command: String,
    reason: String,
    program: String,
    listeners: Vec<u64>,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Waits until so many bytes of a process are told: received and sent ones.
fn observed(observer: &Observer, pid: &Value, (received, sent): (u64, u64)) -> Result<Told> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let told = RefCell::new(Told::default());
        each_record(observer, |record| {
            let mut told = told.borrow_mut();
            for process in processes(record).iter().filter(|process| process["pid"] == *pid) {
                told.command = process["command"].as_str().unwrap_or_default().to_owned();
                told.reason = process["reason"].as_str().unwrap_or_default().to_owned();
                told.program = process["program"].as_str().unwrap_or_default().to_owned();
                let listeners = process["listeners"].as_array().into_iter().flatten();
                told.listeners = listeners.filter_map(Value::as_u64).collect();
                told.received_bytes += process["received_bytes"].as_u64().unwrap_or_default();
                told.sent_bytes += process["sent_bytes"].as_u64().unwrap_or_default();
            }
        });
        let told = told.into_inner();
        if told.received_bytes >= received && told.sent_bytes >= sent {
            return Ok(told);
        }
        ensure!(Instant::now() < deadline, "of {pid}: {told:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Looks at every record so far, once.
fn each_record(observer: &Observer, look: impl Fn(&Value)) {
    let _none = observer.wait_for_record("all", Duration::ZERO, |record| {
        look(record);
        false
    });
}

/// Bytes of all windows so far.
fn total(observer: &Observer, state: &str) -> u64 {
    let sum = Cell::new(0);
    each_record(observer, |record| {
        sum.set(sum.get() + record["bytes"][state].as_u64().unwrap_or_default());
    });
    sum.get()
}

fn first_window(observer: &Observer) -> Result<Value> {
    observer.wait_for_record("window", LIMIT, |record| record["kind"] == "node.coverage")
}

fn observer(folder: &TempDir, more: &[&str]) -> Result<Observer> {
    let file = folder.path().join("mop.toml");
    let text = format!(
        "[coverage]\ninterval_seconds = {}\n[admin]\nenabled = false\n",
        INTERVAL.as_secs()
    );
    fs::write(&file, text)?;
    Observer::builder().arg("--config").arg(&file).args(more).start()
}

fn windows(records: &[Value]) -> Vec<Value> {
    records.iter().filter(|record| record["kind"] == "node.coverage").cloned().collect()
}

fn processes(record: &Value) -> Vec<Value> {
    if record["kind"] != "node.coverage" {
        return Vec::new();
    }
    record["processes"].as_array().cloned().unwrap_or_default()
}

fn bytes_of(record: &Value) -> u64 {
    ["received_bytes", "sent_bytes"].iter().filter_map(|way| record[way].as_u64()).sum()
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().filter_map(|child| child.parse().ok()).collect())
}

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path")
}

const MIB: u64 = 1 << 20;
const CALLS: u64 = 3;
const INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(30);
