//! HTTP/2 through real clients and servers: multiplexed, without TLS, through memory, and joined
//! midway.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, Process, Script, bound, carried, curl,
    observing, run, seen_at, sha256_hex,
};

#[test]
fn calls_that_share_a_connection_are_told_apart() -> Result<()> {
    if !observing("calls_that_share_a_connection_are_told_apart") {
        return Ok(());
    }
    let stage = Stage::set("http2")?;
    let nginx = stage.nginx().tls(&stage.certificates).http2().start()?;
    let observer = Observer::start()?;
    stage.download_at_once(nginx.port())?;
    let exchanges = stage.reported(observer, 2 * stage.bodies.len())?;
    stage.all_carried(&exchanges, ["client/tls", "server/tls"])
}

#[test]
fn http2_without_tls_is_seen() -> Result<()> {
    if !observing("http2_without_tls_is_seen") {
        return Ok(());
    }
    let stage = Stage::set("h2c")?;
    let nginx = stage.nginx().http2().start()?;
    let observer = Observer::start()?;
    for body in &stage.bodies {
        // Some versions of curl fail when they use such a connection again.
        let mut command = curl(&stage.certificates);
        command.arg("--http2-prior-knowledge").arg("--output").arg(stage.folder.path().join("got"));
        let url = format!("http://localhost:{}{}", nginx.port(), stage.target(body));
        run(command.arg(url), CALL_LIMIT)?;
    }
    let exchanges = stage.reported(observer, 2 * stage.bodies.len())?;
    stage.all_carried(&exchanges, ["client/socket", "server/socket"])
}

#[test]
fn http2_of_node_is_seen() -> Result<()> {
    if !observing("http2_of_node_is_seen") {
        return Ok(());
    }
    let stage = Stage::set("node-h2")?;
    let (server, key) = (stage.certificates.server(), stage.certificates.key());
    let arguments = [stage.folder.path().as_os_str(), server.as_os_str(), key.as_os_str()];
    let arguments = arguments.into_iter().chain(["http2".as_ref()]);
    let node = Script::serve("node_server.js", arguments)?;
    let observer = Observer::start()?;
    stage.download_at_once(node.port())?;
    let upload = &stage.bodies[3];
    let mut command = curl(&stage.certificates);
    command.args(["--http2", "--upload-file"]).arg(&upload.path);
    let target = stage.marker.path("up");
    run(command.arg(format!("https://localhost:{}{target}", node.port())), CALL_LIMIT)?;
    let exchanges = stage.reported(observer, 2 * stage.bodies.len() + 2)?;
    let (up, down): (Vec<_>, Vec<_>) =
        exchanges.into_iter().partition(|exchange| exchange.target() == target);
    for exchange in seen_at(&up, &["client/tls", "server/tls"])? {
        carried(exchange, exchange.request(), upload)?;
        ensure!(exchange.method() == "PUT" && exchange.status() == 200, "{}", exchange.record());
    }
    stage.all_carried(&down, ["client/tls", "server/tls"])
}

#[test]
fn http2_that_is_joined_midway_gives_bodies_and_marks_what_is_unknown() -> Result<()> {
    if !observing("http2_that_is_joined_midway_gives_bodies_and_marks_what_is_unknown") {
        return Ok(());
    }
    let stage = Stage::set("midway")?;
    let answer = "the same to everybody";
    let nginx = Nginx::builder(stage.folder.path())
        .location("/", &format!("return 200 \"{answer}\";"))
        .tls(&stage.certificates)
        .http2()
        .start()?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/node_http2_client.js");
    let mut command: Command = bound("node");
    let url = format!("https://localhost:{}{}", nginx.port(), stage.marker);
    command.arg(script).arg(url).arg(stage.certificates.authority()).args(["5", "300"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = Process::start("node", &mut command)?;
    let mut answers = BufReader::new(client.stdout().context("no output")?);
    let mut line = String::new();
    answers.read_line(&mut line)?;
    ensure!(line.trim() == "ready", "the client said {line:?}");

    let observer = Observer::builder().arg("--all").start()?;
    client.stdin().context("no input")?.write_all(b"go\n")?;
    ensure!(client.wait(CALL_LIMIT)?.success(), "the client failed");
    // The target of each call is new, and so is said in full.
    let last = stage.marker.path("304");
    observer.wait_for(2, REPORT_LIMIT, |one| one.target() == last)?;
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&stage.marker.to_string());
    ensure!(exchanges.len() == 600, "{} exchanges of 600", exchanges.len());
    for exchange in &exchanges {
        let ending = exchange.ending();
        ensure!(matches!(ending, "complete" | "fields_unknown"), "{}", exchange.record());
        ensure!(
            exchange.response().sha256() == sha256_hex(answer.as_bytes()),
            "{}",
            exchange.record()
        );
    }
    let first = exchanges.iter().find(|one| one.target() == stage.marker.path("5"));
    let unknown = first.map(|one| &one.record()["completeness"]["request"]["unknown_fields"]);
    ensure!(unknown.and_then(|it| it.as_u64()) > Some(0), "nothing was unknown: {first:?}");
    Ok(())
}

/// Bodies of many sizes, and what calls are known by.
struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    marker: Marker,
    bodies: Vec<Body>,
}

impl Stage {
    fn set(name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let sizes = [0, 1, 2000, 16_384, 70_000, 400_000, 1_500_000];
        let bodies = sizes.map(|bytes| Body::write(folder.path(), &format!("{bytes}.bin"), bytes));
        let bodies = bodies.into_iter().collect::<Result<_>>()?;
        Ok(Self { folder, certificates, marker: Marker::new(name), bodies })
    }

    fn nginx(&self) -> mop_tests::NginxBuilder {
        let files = format!("alias {}/$1;", self.folder.path().display());
        Nginx::builder(self.folder.path()).location("~ /([^/]+)$", &files)
    }

    fn target(&self, body: &Body) -> String {
        self.marker.path(&format!("file/{}.bin", body.bytes))
    }

    /// All bodies over one connection.
    fn download_at_once(&self, port: u16) -> Result<()> {
        let mut command = curl(&self.certificates);
        command.args(["--http2", "--parallel"]);
        for body in &self.bodies {
            command.arg("--output").arg(self.folder.path().join("got"));
            command.arg(format!("https://localhost:{port}{}", self.target(body)));
        }
        run(&mut command, CALL_LIMIT).map(|_output| ())
    }

    fn reported(&self, observer: Observer, count: usize) -> Result<Vec<Exchange>> {
        let prefix = self.marker.to_string();
        observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
        Ok(observer.stop()?.exchanges(&prefix))
    }

    fn all_carried(&self, exchanges: &[Exchange], views: [&str; 2]) -> Result<()> {
        ensure!(exchanges.len() == 2 * self.bodies.len(), "{} exchanges", exchanges.len());
        for body in &self.bodies {
            let target = self.target(body);
            let of_body: Vec<_> =
                exchanges.iter().filter(|exchange| exchange.target() == target).cloned().collect();
            for exchange in seen_at(&of_body, &views)? {
                carried(exchange, exchange.response(), body)?;
                let version = &exchange.record()["request"]["version"];
                ensure!(exchange.status() == 200 && version == "HTTP/2", "{}", exchange.record());
            }
        }
        Ok(())
    }
}

const CALL_LIMIT: Duration = Duration::from_secs(60);
const REPORT_LIMIT: Duration = Duration::from_secs(20);
