//! Go's own TLS at either end, with OpenSSL or Go at the other.

use std::{ffi::OsStr, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, GoBuild, Marker, Nginx, Observer, Process, bound, carried,
    complete, curl, free_port, go_program, listening, observing, run, seen_at, tool,
};

#[test]
fn a_server_in_go_is_seen() -> Result<()> {
    if !observing("a_server_in_go_is_seen") {
        return Ok(());
    }
    for build in BUILDS {
        let stage = Stage::set("go-server", build)?;
        let server = stage.serve()?;
        let observer = Observer::start()?;
        for version in ["--http1.1", "--http2"] {
            let mut command = curl(&stage.certificates);
            command.arg(version);
            for body in &stage.bodies {
                let url = stage.url(&server, &stage.target(version, body));
                command.arg("--output").arg(stage.folder.path().join("got")).arg(url);
            }
            run(&mut command, CALL_LIMIT)?;
            let mut command = curl(&stage.certificates);
            command.arg(version).arg("--upload-file").arg(&stage.largest().path);
            command.arg(stage.url(&server, &stage.marker.path(&format!("up{version}"))));
            run(&mut command, CALL_LIMIT)?;
        }
        let exchanges = stage.reported(observer, 2 * 2 * (stage.bodies.len() + 1))?;
        for version in ["--http1.1", "--http2"] {
            for body in &stage.bodies {
                for exchange in seen_at(&stage.of(&exchanges, version, body), &VIEWS)? {
                    carried(exchange, exchange.response(), body)?;
                    stage.is_at(&server, exchange)?;
                }
            }
            let up = stage.marker.path(&format!("up{version}"));
            let up: Vec<_> = exchanges.iter().filter(|it| it.target() == up).cloned().collect();
            for exchange in seen_at(&up, &VIEWS)? {
                carried(exchange, exchange.request(), stage.largest())?;
                stage.is_at(&server, exchange)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_client_in_go_is_seen() -> Result<()> {
    if !observing("a_client_in_go_is_seen") {
        return Ok(());
    }
    for build in BUILDS {
        let stage = Stage::set("go-client", build)?;
        let (nginx, server) = (stage.nginx()?, stage.serve()?);
        let observer = Observer::start()?;
        for version in ["1", "2"] {
            let mut command = bound(&stage.program);
            command.args(["get", version]).arg(stage.certificates.authority());
            let url = |body: &Body| {
                format!("https://localhost:{}{}", nginx.port(), stage.target(version, body))
            };
            run(command.args(stage.bodies.iter().map(url)), CALL_LIMIT)?;
            let mut command = bound(&stage.program);
            command.args(["put", version]).arg(stage.certificates.authority());
            command.arg(&stage.largest().path);
            let up = stage.marker.path(&format!("{version}/up"));
            run(command.arg(stage.url(&server, &up)), CALL_LIMIT)?;
        }
        let exchanges = stage.reported(observer, 2 * 2 * (stage.bodies.len() + 1))?;
        for version in ["1", "2"] {
            for body in &stage.bodies {
                for exchange in seen_at(&stage.of(&exchanges, version, body), &VIEWS)? {
                    carried(exchange, exchange.response(), body)?;
                    ensure!(
                        exchange.server_port() == u64::from(nginx.port()),
                        "{}",
                        exchange.record()
                    );
                }
            }
            let up = stage.marker.path(&format!("{version}/up"));
            let up: Vec<_> = exchanges.iter().filter(|it| it.target() == up).cloned().collect();
            for exchange in seen_at(&up, &VIEWS)? {
                carried(exchange, exchange.request(), stage.largest())?;
                stage.is_at(&server, exchange)?;
            }
        }
    }
    Ok(())
}

#[test]
fn buffers_on_a_stack_that_moves_are_followed() -> Result<()> {
    if !observing("buffers_on_a_stack_that_moves_are_followed") {
        return Ok(());
    }
    let stage = Stage::set("go-stack", GoBuild::Plain)?;
    // A program is known once it was seen running, a moment after its start.
    let (nginx, _known) = (stage.nginx()?, stage.serve()?);
    let observer = Observer::start()?;
    let calls = 24;
    let body = &stage.bodies[1];
    let targets = (0..calls).map(|number| stage.deep_target(number, body));
    let mut command = bound(&stage.program);
    command.arg("deep").arg(nginx.port().to_string()).arg(stage.certificates.authority());
    run(command.arg("localhost").args(targets), CALL_LIMIT)?;
    let exchanges = stage.reported(observer, 2 * calls)?;
    for number in 0..calls {
        let target = stage.deep_target(number, body);
        let of: Vec<_> = exchanges.iter().filter(|it| it.target() == target).cloned().collect();
        for exchange in seen_at(&of, &VIEWS)? {
            carried(exchange, exchange.response(), body)?;
        }
    }
    Ok(())
}

#[test]
fn no_call_of_many_connections_at_once_is_mistaken_for_another() -> Result<()> {
    if !observing("no_call_of_many_connections_at_once_is_mistaken_for_another") {
        return Ok(());
    }
    let stage = Stage::set("go-churn", GoBuild::Plain)?;
    let server = stage.serve()?;
    let observer = Observer::start()?;
    for version in ["1", "2"] {
        let mut command = bound(&stage.program);
        command.args(["churn", version]).arg(stage.certificates.authority());
        command.args([CONNECTIONS.to_string(), "16".to_owned()]);
        let url = stage.url(&server, &stage.marker.path(&format!("{version}/none-")));
        run(command.arg(url), CALL_LIMIT)?;
    }
    let exchanges = stage.reported(observer, 2 * 2 * CONNECTIONS)?;
    ensure!(exchanges.len() == 2 * 2 * CONNECTIONS, "{} exchanges", exchanges.len());
    for exchange in &exchanges {
        complete(exchange)?;
        stage.is_at(&server, exchange)?;
        // The server answers with the path, whose digest the response has.
        let wanted = mop_tests::sha256_hex(exchange.target().as_bytes());
        ensure!(exchange.response().sha256() == wanted, "{}", exchange.record());
    }
    let mut views: Vec<_> =
        exchanges.iter().map(|it| (it.target().to_owned(), it.role().to_owned())).collect();
    views.sort();
    views.dedup();
    ensure!(views.len() == exchanges.len(), "a call was seen twice at one end");
    Ok(())
}

#[test]
fn who_calls_a_server_in_go_is_known_by_the_certificate() -> Result<()> {
    if !observing("who_calls_a_server_in_go_is_known_by_the_certificate") {
        return Ok(());
    }
    let stage = Stage::set("go-mutual", GoBuild::Plain)?;
    let subject = format!("/organizationIdentifier=OPIBR-{ORGANISATION}/UID={SOFTWARE}/CN=x");
    let client = stage.certificates.issue_client_of("caller", &subject)?;
    let authority = stage.certificates.authority();
    let server = stage.serve_with(&[authority.as_os_str()])?;
    let settings = stage.folder.path().join("mop.toml");
    std::fs::write(
        &settings,
        format!(
            "[outbox]\nfolder = \"{}/outbox\"\n\n[data]\n\n[[data.servers]]\nhosts = [\"localhost\"]\n\
             organisation_id = \"{SERVER}\"\nauthorisation_server_id = \"{SERVER}\"\n",
            stage.folder.path().display()
        ),
    )?;
    let observer = Observer::builder().arg("--config").arg(&settings).start()?;
    let name = stage.marker.to_string().rsplit('/').next().unwrap_or_default().to_owned();
    let consent = |version: &str, number: usize| {
        let letter = char::from(b'a' + u8::try_from(number).unwrap_or_default());
        format!("urn:{name}:{version}{letter}")
    };
    for version in TLS_VERSIONS {
        let mut command = curl(&stage.certificates);
        command.args([
            "--tlsv1.2",
            "--tls-max",
            version,
            "--http1.1",
            "--header",
            "Connection: close",
        ]);
        command.args(["--header", "x-fapi-interaction-id: 0b9d3d1e-1c0a-4f0e-8f3a-7d3a6c1f2e4b"]);
        command.arg("--cert").arg(&client.certificate).arg("--key").arg(&client.key);
        for number in 0..CALLS {
            let path = format!("/open-insurance/consents/v3/consents/{}", consent(version, number));
            command.arg("--output").arg("/dev/null").arg(stage.url(&server, &path));
        }
        run(&mut command, CALL_LIMIT)?;
    }
    let is_event = |record: &serde_json::Value| {
        record["kind"] == "data.call"
            && record["side"] == "server"
            && record["event"]["additionalInfo"]["consentId"]
                .as_str()
                .is_some_and(|it| it.contains(&name))
    };
    let wanted = CALLS * TLS_VERSIONS.len();
    // Calls wait for their hops before they are reported.
    std::thread::sleep(SETTLED);
    let records = observer.stop()?.records;
    let events: Vec<_> = records.iter().filter(|record| is_event(record)).collect();
    ensure!(events.len() == wanted, "{} events of {wanted}: {events:#?}", events.len());
    for event in events {
        ensure!(event["event"]["clientOrgId"] == ORGANISATION, "{event}");
        ensure!(event["event"]["clientSSId"] == SOFTWARE, "{event}");
    }
    Ok(())
}

#[test]
fn caddy_is_seen_at_both_its_sides() -> Result<()> {
    if !observing("caddy_is_seen_at_both_its_sides") {
        return Ok(());
    }
    let stage = Stage::set("caddy", GoBuild::Plain)?;
    let folder = stage.folder.path();
    let files = format!("alias {}/$1;", folder.display());
    let upstream = Nginx::builder(folder).location("~ /([^/]+)$", &files).start()?;
    let port = free_port();
    let configuration = format!(
        "{{\n admin off\n auto_https off\n storage file_system {0}/caddy\n}}\n\
         https://localhost:{port} {{\n bind 127.0.0.1\n tls {1} {2}\n \
         reverse_proxy 127.0.0.1:{3}\n}}\n",
        folder.display(),
        stage.certificates.server().display(),
        stage.certificates.key().display(),
        upstream.port()
    );
    let file = folder.join("Caddyfile");
    std::fs::write(&file, configuration)?;
    let mut command = bound(tool("caddy").unwrap_or_else(|| "caddy".into()));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file).env("HOME", folder);
    let _caddy = Process::start("caddy", command.stdin(Stdio::null()).stdout(Stdio::null()))?;
    listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let observer = Observer::start()?;
    for version in ["--http1.1", "--http2"] {
        let mut command = curl(&stage.certificates);
        command.arg(version);
        for body in &stage.bodies {
            let url = format!("https://localhost:{port}{}", stage.target(version, body));
            command.arg("--output").arg(folder.join("got")).arg(url);
        }
        run(&mut command, CALL_LIMIT)?;
    }
    let exchanges = stage.reported(observer, 4 * 2 * stage.bodies.len())?;
    for version in ["--http1.1", "--http2"] {
        for body in &stage.bodies {
            let views = ["client/tls", "server/tls", "client/socket", "server/socket"];
            for exchange in seen_at(&stage.of(&exchanges, version, body), &views)? {
                carried(exchange, exchange.response(), body)?;
            }
        }
    }
    Ok(())
}

/// Bodies of many sizes, a program in Go, and what calls are known by.
struct Stage {
    folder: tempfile::TempDir,
    certificates: Certificates,
    marker: Marker,
    bodies: Vec<Body>,
    program: std::path::PathBuf,
}

/// The program, serving.
struct Server {
    _process: Process,
    port: u16,
}

impl Stage {
    fn set(name: &str, build: GoBuild) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificates = Certificates::create(folder.path())?;
        let body = |bytes: u64| Body::write(folder.path(), &format!("{bytes}.bin"), bytes);
        let bodies = [1, 2000, 16_384, 100_000, 2_000_000].map(body);
        let bodies = bodies.into_iter().collect::<Result<_>>()?;
        let program = go_program("peer", build)?;
        Ok(Self { certificates, marker: Marker::new(name), bodies, program, folder })
    }

    fn serve(&self) -> Result<Server> {
        self.serve_with(&[])
    }

    fn serve_with(&self, more: &[&OsStr]) -> Result<Server> {
        let port = free_port();
        let mut command = bound(&self.program);
        command.arg("serve").arg(port.to_string()).arg(self.folder.path());
        command.arg(self.certificates.server()).arg(self.certificates.key()).args(more);
        let process = Process::start("a server in Go", command.stdin(Stdio::null()))?;
        listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Server { _process: process, port })
    }

    /// Serves the bodies.
    fn nginx(&self) -> Result<Nginx> {
        Nginx::builder(self.folder.path())
            .tls(&self.certificates)
            .http2()
            .location("~ /([^/]+)$", &format!("alias {}/$1;", self.folder.path().display()))
            .start()
    }

    fn largest(&self) -> &Body {
        &self.bodies[self.bodies.len() - 1]
    }

    fn url(&self, server: &Server, target: &str) -> String {
        format!("https://localhost:{}{target}", server.port)
    }

    fn target(&self, version: &str, body: &Body) -> String {
        self.marker.path(&format!("{version}/{}.bin", body.bytes))
    }

    fn deep_target(&self, number: usize, body: &Body) -> String {
        let letter = char::from(b'a' + u8::try_from(number).unwrap_or_default());
        self.marker.path(&format!("{letter}/{}.bin", body.bytes))
    }

    fn reported(&self, observer: Observer, count: usize) -> Result<Vec<Exchange>> {
        let prefix = self.marker.to_string();
        observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
        Ok(observer.stop()?.exchanges(&prefix))
    }

    fn of(&self, exchanges: &[Exchange], version: &str, body: &Body) -> Vec<Exchange> {
        let target = self.target(version, body);
        exchanges.iter().filter(|exchange| exchange.target() == target).cloned().collect()
    }

    /// The connection is one to this server, and the view of an end in Go names its program.
    fn is_at(&self, server: &Server, exchange: &Exchange) -> Result<()> {
        ensure!(exchange.server_port() == u64::from(server.port), "{}", exchange.record());
        let name = self.program.file_name().map(Path::new).unwrap_or(&self.program);
        let is_in_go = Path::new(exchange.library()).file_name().map(Path::new) == Some(name);
        ensure!(is_in_go || exchange.library().contains("libssl"), "{}", exchange.record());
        ensure!(is_in_go || exchange.role() == "client", "{}", exchange.record());
        Ok(())
    }
}

/// Of the caller.
const ORGANISATION: &str = "0c0a0000-0000-4000-8000-00000000000c";
const SOFTWARE: &str = "0c0b0000-0000-4000-8000-00000000000c";
/// Of the server.
const SERVER: &str = "05050000-0000-4000-8000-000000000005";
const TLS_VERSIONS: [&str; 2] = ["1.2", "1.3"];
/// Over a connection each, of which all but the first take up its session.
const CALLS: usize = 4;
/// Longer than a call waits for its hops.
const SETTLED: Duration = Duration::from_secs(8);
const BUILDS: [GoBuild; 2] = [GoBuild::Plain, GoBuild::StrippedPie];
const VIEWS: [&str; 2] = ["client/tls", "server/tls"];
/// Each over a connection of its own, for each version.
const CONNECTIONS: usize = 500;
const CALL_LIMIT: Duration = Duration::from_secs(120);
const REPORT_LIMIT: Duration = Duration::from_secs(30);
