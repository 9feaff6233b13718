//! Servers with TLS of their own: what MOP says of a call to each, of bytes that it cannot decode, and how
//! it is switched off.

use std::{fs, io::Write as _, process::Stdio, time::Duration};

use anyhow::{Context, Result};
use mop_tests::{
    Certificates, Exchange, GoBuild, Observer, Process, Script, bound, curl, free_port, go_program,
    listening, python, run, shared_folder,
};
use serde_json::Value;

/// Calls servers in Go, JavaScript and Python; has bytes move that are no HTTP; turns the switch.
pub(super) fn show() -> Result<()> {
    let folder = shared_folder()?;
    let certificates = Certificates::create(folder.path())?;
    let (certificate, key) = (certificates.server(), certificates.key());
    fs::write(folder.path().join("quotes"), "{}")?;

    let go_port = free_port();
    let mut go = bound(go_program("peer", GoBuild::StrippedPie)?);
    go.arg("serve").arg(go_port.to_string()).arg(folder.path()).arg(&certificate).arg(&key);
    go.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _go = Process::start("peer", &mut go)?;
    listening(([127, 0, 0, 1], go_port).into())?;
    let node = Script::serve(
        "node_server.js",
        [folder.path().as_os_str(), certificate.as_os_str(), key.as_os_str()],
    )?;
    let asyncio = Script::serve(
        "asyncio_peer.py",
        ["serve".as_ref(), certificate.as_os_str(), key.as_os_str()],
    )?;

    let switch = folder.path().join("off");
    let configuration = folder.path().join("mop.toml");
    let text = format!(
        "[admin]\nenabled = false\n[coverage]\ninterval_seconds = {COVERAGE_SECONDS}\n\
         [protection]\nswitch = \"{}\"\n",
        switch.display()
    );
    fs::write(&configuration, text)?;
    let observer = Observer::builder().arg("--config").arg(&configuration).start()?;
    println!(
        "demo     a server in Go without symbols, one in JavaScript, one in Python: TLS of their own"
    );
    let servers = [("Go", go_port), ("Node.js", node.port()), ("Python", asyncio.port())];
    for (name, port) in servers {
        let base = format!("https://localhost:{port}");
        let target = format!("/open-insurance/demo/{port}/again/quotes");
        // Whose TLS bytes pass through memory is bound to its socket by what it says first.
        let first = format!("{base}/open-insurance/demo/{port}/quotes");
        let mut command = curl(&certificates);
        command.args(["--http1.1", "--output", "/dev/null", &first, "--output", "/dev/null"]);
        run(command.arg(format!("{base}{target}")), CALL_LIMIT)?;
        let is_whole = |one: &Exchange| one.target() == target && one.complete();
        let exchanges = observer.wait_for(2, CALL_LIMIT, is_whole)?;
        let at_server = exchanges.iter().find(|one| one.role() == "server");
        println!("demo       {name:<8} {}", told(at_server.context("the server's view")?));
    }

    let mut peer = bound(python());
    peer.arg(COVERAGE_PEER).args(["plain", "keep", "1", "1048576"]);
    let mut other = Process::start("peer", peer.stdin(Stdio::piped()).stdout(Stdio::null()))?;
    let known = |record: &Value| record["kind"] == "node.coverage";
    observer.wait_for_record("a report of coverage", CALL_LIMIT, known)?;
    let mut words = other.stdin().context("standard input")?;
    words.write_all(b"go\n")?;
    let is_named = |process: &&Value| process["pid"] == other.pid();
    let names = |record: &Value| known(record) && processes(record).any(|it| is_named(&it));
    let record = observer.wait_for_record("the process that is not decoded", CALL_LIMIT, names)?;
    let process = processes(&record).find(is_named).context("the process")?;
    println!(
        "demo     not decoded: {} ({}), {} bytes received, {} sent",
        process["command"], process["reason"], process["received_bytes"], process["sent_bytes"],
    );

    fs::write(&switch, "")?;
    observer.wait_for_message("nothing is observed while", 1, CALL_LIMIT)?;
    println!("demo     {} is there: nothing is attached any more", switch.display());
    fs::remove_file(&switch)?;
    observer.wait_for_message("Observing", 2, CALL_LIMIT)?;
    println!("demo     it is gone: MOP observes again");
    observer.stop().map(|_observation| ())
}

/// What is known of a call beside its messages.
fn told(exchange: &Exchange) -> String {
    let record = exchange.record();
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    format!(
        "{} {}, {}, JA4 {}",
        text("/tls/version"),
        text("/tls/cipher"),
        text("/transport/library"),
        text("/tls/ja4"),
    )
}

fn processes(record: &Value) -> impl Iterator<Item = &Value> {
    record["processes"].as_array().into_iter().flatten()
}

/// Bytes that are no HTTP, when it is told so.
const COVERAGE_PEER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/coverage_peer.py");
const COVERAGE_SECONDS: u64 = 2;
const CALL_LIMIT: Duration = Duration::from_secs(30);
