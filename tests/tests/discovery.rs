//! What is attached where, as processes come and go, and what is left when MOP has ended.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, Script, accounted, bound,
    carried, complete, curl, free_port, listening, mop_command, observing, python, run, skip, tool,
};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_library_that_appears_later_is_found_by_its_process() -> Result<()> {
    if !observing("a_library_that_appears_later_is_found_by_its_process") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let library = copied_library(&folder.path().join("copy"))?;
    let marker = Marker::new("later");
    let observer = Observer::start()?;
    let mut command = python_server(folder.path(), &certificates);
    command.command.env("LD_LIBRARY_PATH", library.parent().context("a folder")?);
    let (_server, port) = command.start()?;
    let exchange = first_seen(&observer, &certificates, &marker, port)?;
    ensure!(
        exchange.library().ends_with(&library.display().to_string()),
        "the library is {}, reported was {}",
        library.display(),
        exchange.record()
    );
    observer.stop()?;
    Ok(())
}

#[test]
fn a_library_in_another_mount_namespace_is_found_before_and_after_the_start() -> Result<()> {
    const TEST: &str = "a_library_in_another_mount_namespace_is_found_before_and_after_the_start";
    if !observing(TEST) {
        return Ok(());
    }
    if let Err(error) = run(Command::new("unshare").args(["--mount", "true"]), CALL_LIMIT) {
        skip(TEST, &format!("no mount namespace can be made here: {error}"));
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let original = library_path()?;
    // Seen from outside the namespace this folder stays empty.
    let inside = folder.path().join("inside");
    fs::create_dir(&inside)?;
    let server = || -> Result<(Process, u16)> {
        let mut server = python_server(folder.path(), &certificates);
        let script = format!(
            "mount -t tmpfs tmpfs {inside} && cp {original} {inside}/libssl.so.3 && \
             LD_LIBRARY_PATH={inside} exec \"$@\"",
            inside = inside.display(),
            original = original.display()
        );
        let mut command = bound("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
        command.arg(server.command.get_program()).args(server.command.get_args());
        server.command = command;
        server.start()
    };

    let (before, before_port) = server()?;
    let marker = Marker::new("namespace");
    let observer = Observer::start()?;
    let (after, after_port) = server()?;
    ensure!(fs::read_dir(&inside)?.next().is_none(), "the library is visible from outside");
    for (process, port) in [(&before, before_port), (&after, after_port)] {
        let exchange = first_seen(&observer, &certificates, &marker, port)?;
        ensure!(exchange.pid() == u64::from(process.pid()), "{}", exchange.record());
        ensure!(
            exchange.library().contains("inside/libssl.so.3"),
            "the library is another one: {}",
            exchange.record()
        );
    }
    observer.stop()?;
    Ok(())
}

#[test]
fn a_library_inside_the_executable_is_found() -> Result<()> {
    if !observing("a_library_inside_the_executable_is_found") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    fs::write(folder.path().join("x"), "static")?;
    let server = Script::serve(
        "node_server.js",
        [folder.path(), &certificates.server(), &certificates.key()],
    )?;
    let marker = Marker::new("static");
    let observer = Observer::start()?;
    let exchange = first_seen(&observer, &certificates, &marker, server.port())?;
    complete(&exchange)?;
    ensure!(exchange.pid() == u64::from(server.pid()), "{}", exchange.record());
    ensure!(exchange.library().ends_with("node"), "{}", exchange.record());
    observer.stop()?;
    Ok(())
}

#[test]
fn emulated_sites_count_the_same_calls_as_entry_and_return() -> Result<()> {
    if !observing("emulated_sites_count_the_same_calls_as_entry_and_return") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "return 200 $uri;")
        .start()?;
    let python = Script::serve(
        "http_server.py",
        [folder.path(), &certificates.server(), &certificates.key()],
    )?;
    fs::write(folder.path().join("x"), "sites")?;

    // Both watch the same calls. What other programs on the machine call while only one of the two is
    // attached would differ, so a busy machine gets further tries; a miscount would be in each.
    let mut differences = Vec::new();
    for _ in 0..TRIES {
        let marker = Marker::new("sites");
        let start = |sites: &str| Observer::builder().args(&["--probe-sites", sites]).start();
        let observers = [start("auto")?, start("entry")?];
        for version in ["1.2", "1.3"] {
            for server in [nginx.port(), python.port()] {
                let mut command = curl(&certificates);
                command.args(["--tls-max", version]);
                for call in 0..25 {
                    let target = marker.path(&format!("{version}/{server}/{call}/file/x"));
                    command.args(["--output", "/dev/null"]);
                    command.arg(format!("https://localhost:{server}{target}"));
                }
                run(&mut command, CALL_LIMIT)?;
            }
        }
        let prefix = marker.to_string();
        let mut counts = Vec::new();
        for observer in observers {
            observer.wait_for(200, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
            let observation = observer.stop()?;
            let exchanges = observation.exchanges(&prefix);
            for exchange in &exchanges {
                complete(exchange)?;
            }
            let [entries, exits] =
                ["tls_entries", "tls_exits"].map(|counter| observation.kernel(counter));
            counts.push((exchanges.len(), entries, exits));
        }
        // A call of another program that is in progress when the probes come off has begun only.
        let all_ended = counts.iter().all(|(_, entries, exits)| entries == exits);
        if counts[0] == counts[1] && all_ended {
            return Ok(());
        }
        differences.push(counts);
    }
    bail!("exchanges and calls at emulated sites, at entry and return: {differences:?}")
}

/// The counters of the kernel side are not compared: other programs of the machine call as well.
#[test]
fn many_places_in_one_link_see_the_same_calls_as_an_event_for_each() -> Result<()> {
    const TEST: &str = "many_places_in_one_link_see_the_same_calls_as_an_event_for_each";
    if !observing(TEST) {
        return Ok(());
    }
    if by_the_doctor()?["attach"]["method"] != "uprobe_multi" {
        skip(TEST, "this kernel has no uprobe_multi");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "body", 300_007)?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("~ /file$", &format!("alias {};", body.path.display()))
        .start()?;
    let marker = Marker::new("ways");
    let ways = ["uprobe_multi", "perf_event"];
    let start = |way: &str| -> Result<Observer> {
        let observer = Observer::builder().args(&["--attach", way]).start()?;
        observer.wait_for_message(&format!("Probes: {way}"), 1, CALL_LIMIT)?;
        Ok(observer)
    };
    let observers = [start(ways[0])?, start(ways[1])?];
    for version in ["1.2", "1.3"] {
        let mut command = curl(&certificates);
        command.args(["--tls-max", version]);
        for call in 0..25 {
            let target = marker.path(&format!("{version}/{call}/file"));
            command.args(["--output", "/dev/null"]);
            command.arg(format!("https://localhost:{}{target}", nginx.port()));
        }
        run(&mut command, CALL_LIMIT)?;
    }
    let prefix = marker.to_string();
    let mut seen = Vec::new();
    let mut losses = 0;
    for observer in observers {
        observer.wait_for_most(100, |one| one.target().starts_with(&prefix));
        let observation = observer.stop()?;
        losses += observation.lost();
        let exchanges = observation.exchanges(&prefix);
        accounted(&exchanges, 100, &observation)?;
        let mut calls = HashMap::new();
        for exchange in exchanges.into_iter().filter(Exchange::complete) {
            carried(&exchange, exchange.response(), &body)?;
            let call = (exchange.target().to_owned(), exchange.role().to_owned());
            let facts = (
                exchange.layer().to_owned(),
                exchange.pid(),
                exchange.client_port(),
                exchange.library().to_owned(),
            );
            ensure!(calls.insert(call, facts).is_none(), "told twice: {}", exchange.record());
        }
        seen.push(calls);
    }
    for (mine, other) in [(&seen[0], &seen[1]), (&seen[1], &seen[0])] {
        for (call, facts) in mine {
            // Two observers on a busy machine may lose something, each its own.
            let is_same = other.get(call).map_or(losses > 0, |told| told == facts);
            ensure!(is_same, "{call:?} by {ways:?}: {facts:?} and {:?}", other.get(call));
        }
    }
    Ok(())
}

#[test]
fn an_observer_finds_the_same_sites_while_another_one_observes() -> Result<()> {
    if !observing("an_observer_finds_the_same_sites_while_another_one_observes") {
        return Ok(());
    }
    let alone = probes_by_the_doctor()?;
    let observer = Observer::start()?;
    let beside = probes_by_the_doctor()?;
    observer.stop()?;
    // The kernel writes breakpoints into memory that the file is mapped to, not into the file.
    ensure!(beside == alone, "{alone} alone, {beside} beside another observer");
    Ok(())
}

fn by_the_doctor() -> Result<Value> {
    let output = run(mop_command().args(["doctor", "--json"]), CALL_LIMIT)?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// How the doctor would probe OpenSSL.
fn probes_by_the_doctor() -> Result<Value> {
    let report = by_the_doctor()?;
    let library = report["libraries"].as_array().into_iter().flatten().find(|library| {
        library["path"].as_str().is_some_and(|path| path.ends_with("/libssl.so.3"))
    });
    let functions = library.context("no OpenSSL 3")?["functions"].clone();
    ensure!(functions.to_string().contains("emulated"), "{functions}");
    Ok(functions)
}

#[test]
fn mop_does_not_observe_itself() -> Result<()> {
    if !observing("mop_does_not_observe_itself") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let marker = Marker::new("itself");
    let observer = Observer::builder().arg("--all").start()?;
    let own = [observer.process().pid(), observer.core()?].map(u64::from);
    for call in 0..20 {
        let target = marker.path(&call.to_string());
        let url = format!("http://localhost:{}{target}", nginx.port());
        run(curl(&certificates).arg(url), CALL_LIMIT)?;
    }
    let prefix = marker.to_string();
    observer.wait_for(40, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
    let observation = observer.stop()?;
    ensure!(
        observation
            .records
            .iter()
            .filter_map(Exchange::from_record)
            .all(|one| !own.contains(&one.pid())),
        "MOP reported a call of its own"
    );
    ensure!(observation.exchanges(&prefix).len() == 40, "a call was reported twice");
    Ok(())
}

#[test]
fn nothing_is_left_in_the_kernel_after_the_end() -> Result<()> {
    const TEST: &str = "nothing_is_left_in_the_kernel_after_the_end";
    if !observing(TEST) {
        return Ok(());
    }
    if tool("bpftool").is_none() {
        skip(TEST, "bpftool is not installed");
        return Ok(());
    }
    let kinds = ["prog", "link", "map"];
    let all = || kinds.iter().map(|kind| loaded(kind)).collect::<Result<Vec<_>>>();
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let before = all()?;
        let mut observer = Observer::start()?;
        let own = owned_by(observer.process().pid())?;
        ensure!(!own.is_empty(), "bpftool shows no program of MOP, so this tests nothing");
        observer.process().signal(signal);
        if signal == Signal::KILL {
            drop(observer);
        } else {
            observer.finish()?;
        }
        // The kernel frees programs a moment after the last reference is gone.
        let deadline = Instant::now() + REPORT_LIMIT;
        loop {
            let left: Vec<Vec<u64>> = all()?
                .iter()
                .zip(&before)
                .map(|(now, before)| now.difference(before).copied().collect())
                .collect();
            let left_programs: Vec<u64> =
                left[0].iter().copied().filter(|id| own.contains(id)).collect();
            if left_programs.is_empty() && left.iter().all(Vec::is_empty) {
                break;
            }
            ensure!(Instant::now() < deadline, "after {signal:?} {kinds:?} {left:?} are left");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

/// A Python server over TLS that is not started yet.
struct PythonServer {
    command: Command,
    port: u16,
}

impl PythonServer {
    fn start(mut self) -> Result<(Process, u16)> {
        self.command.stdin(Stdio::null());
        let process = Process::start("python", &mut self.command)?;
        listening(([127, 0, 0, 1], self.port).into())?;
        Ok((process, self.port))
    }
}

fn python_server(folder: &Path, certificates: &Certificates) -> PythonServer {
    let port = free_port();
    // Whatever is asked for as file/x exists.
    let _written = fs::write(folder.join("x"), "content");
    let mut command = bound(python());
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/http_server.py"))
        .arg(port.to_string())
        .arg(folder)
        .arg(certificates.server())
        .arg(certificates.key());
    PythonServer { command, port }
}

/// Calls the server until MOP reports one call with the server's role, and returns that exchange.
///
/// Attaching to a process that has just begun takes a moment, and what it did before is not seen.
fn first_seen(
    observer: &Observer,
    certificates: &Certificates,
    marker: &Marker,
    port: u16,
) -> Result<Exchange> {
    let deadline = Instant::now() + REPORT_LIMIT;
    let mut call = 0;
    loop {
        call += 1;
        let target = marker.path(&format!("{port}/{call}/file/x"));
        let url = format!("https://localhost:{port}{target}");
        run(curl(certificates).args(["--output", "/dev/null"]).arg(url), CALL_LIMIT)?;
        let seen = observer.wait_for(1, Duration::from_millis(300), |exchange| {
            exchange.target() == target && exchange.role() == "server"
        });
        match seen {
            Ok(mut exchanges) => return Ok(exchanges.swap_remove(0)),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => {}
        }
    }
}

/// Where the system's libssl lies, as Python loads it.
fn library_path() -> Result<PathBuf> {
    let script =
        "import ssl; print([l.split()[-1] for l in open('/proc/self/maps') if 'libssl' in l][0])";
    let output = run(Command::new(python()).args(["-c", script]), CALL_LIMIT)?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn copied_library(folder: &Path) -> Result<PathBuf> {
    fs::create_dir(folder)?;
    let original = library_path()?;
    let copy = folder.join(original.file_name().context("a name")?);
    fs::copy(&original, &copy)?;
    Ok(copy)
}

/// The ids of everything of this kind that is loaded now.
fn loaded(kind: &str) -> Result<BTreeSet<u64>> {
    Ok(list(kind)?.iter().filter_map(|entry| entry["id"].as_u64()).collect())
}

/// The programs that a process holds.
fn owned_by(pid: u32) -> Result<BTreeSet<u64>> {
    let programs = list("prog")?;
    let own: BTreeSet<u64> = programs
        .iter()
        .filter(|entry| entry["pids"].as_array().into_iter().flatten().any(|one| one["pid"] == pid))
        .filter_map(|entry| entry["id"].as_u64())
        .collect();
    if own.is_empty() {
        // Without bpf_iter bpftool knows no owners.
        return loaded("prog");
    }
    Ok(own)
}

fn list(kind: &str) -> Result<Vec<Value>> {
    let bpftool = tool("bpftool").context("bpftool is not installed")?;
    let output = run(Command::new(bpftool).args(["--json", kind, "show"]), CALL_LIMIT)?;
    Ok(serde_json::from_slice::<Value>(&output.stdout)?.as_array().cloned().unwrap_or_default())
}

const TRIES: u32 = 3;
const CALL_LIMIT: Duration = Duration::from_secs(30);
const REPORT_LIMIT: Duration = Duration::from_secs(20);
