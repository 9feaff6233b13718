//! GnuTLS at either end, with OpenSSL at the other.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Result, ensure};
use mop_tests::{
    Body, Certificates, Marker, Nginx, Observer, Process, bound, carried, complete, curl,
    free_port, listening, observing, run, seen_at, sha256_hex,
};

#[test]
fn what_a_client_with_gnutls_receives_and_sends_is_seen() -> Result<()> {
    if !observing("what_a_client_with_gnutls_receives_and_sends_is_seen") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let sizes = [0, 1, 2000, 70_000, 3_000_000];
    let bodies = sizes.map(|bytes| Body::write(folder.path(), &format!("{bytes}.bin"), bytes));
    let bodies = bodies.into_iter().collect::<Result<Vec<_>>>()?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("~ /up$", "client_body_buffer_size 8m; return 200 taken;")
        .location("~ /([^/]+)$", &format!("alias {}/$1;", folder.path().display()))
        .start()?;
    let marker = Marker::new("gnutls-client");
    let observer = Observer::start()?;
    let url = |target: &str| format!("https://localhost:{}{target}", nginx.port());
    let target = |body: &Body| marker.path(&format!("file/{}.bin", body.bytes));
    let wget = || {
        let mut command = bound("wget");
        command.args(["--no-config", "--quiet", "--no-proxy", "--output-document=/dev/null"]);
        command.arg("--ca-certificate").arg(certificates.authority());
        command
    };
    let mut command = wget();
    run(command.args(bodies.iter().map(|body| url(&target(body)))), CALL_LIMIT)?;
    let up = marker.path("up");
    let mut command = wget();
    command.arg("--post-file").arg(&bodies[3].path).arg(url(&up));
    run(&mut command, CALL_LIMIT)?;

    let prefix = marker.to_string();
    let count = 2 * bodies.len() + 2;
    observer.wait_for(count, REPORT_LIMIT, |one| one.target().starts_with(&prefix))?;
    let exchanges = observer.stop()?.exchanges(&prefix);
    let of = |target: &str| {
        exchanges.iter().filter(|one| one.target() == target).cloned().collect::<Vec<_>>()
    };
    for body in &bodies {
        for exchange in seen_at(&of(&target(body)), &VIEWS)? {
            carried(exchange, exchange.response(), body)?;
            let library = if exchange.role() == "client" { "libgnutls" } else { "libssl" };
            ensure!(exchange.library().contains(library), "{}", exchange.record());
            ensure!(exchange.server_port() == u64::from(nginx.port()), "{}", exchange.record());
        }
    }
    for exchange in seen_at(&of(&up), &VIEWS)? {
        carried(exchange, exchange.request(), &bodies[3])?;
    }
    Ok(())
}

#[test]
fn what_a_server_with_gnutls_answers_is_seen() -> Result<()> {
    if !observing("what_a_server_with_gnutls_answers_is_seen") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let port = free_port();
    let mut command = bound("gnutls-serv");
    command.args(["--http", "--quiet", "--port", &port.to_string(), "--x509certfile"]);
    command.arg(certificates.server()).arg("--x509keyfile").arg(certificates.key());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Process::start("gnutls-serv", &mut command)?;
    listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
    let marker = Marker::new("gnutls-server");
    let observer = Observer::start()?;
    let target = marker.path("page");
    let mut command = curl(&certificates);
    let page = run(command.arg(format!("https://localhost:{port}{target}")), CALL_LIMIT)?.stdout;
    observer.wait_for(2, REPORT_LIMIT, |one| one.target() == target)?;
    let exchanges = observer.stop()?.exchanges(&marker.to_string());
    for exchange in seen_at(&exchanges, &VIEWS)? {
        complete(exchange)?;
        ensure!(exchange.response().sha256() == sha256_hex(&page), "{}", exchange.record());
    }
    Ok(())
}

const VIEWS: [&str; 2] = ["client/tls", "server/tls"];
const CALL_LIMIT: Duration = Duration::from_secs(60);
const REPORT_LIMIT: Duration = Duration::from_secs(15);
