//! Many connections, their ends, and whose is whose.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Ipv6Addr, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Certificates, Exchange, Marker, Nginx, Observation, Observer, accounted, complete, curl,
    observing, python, run, seen_at,
};

#[test]
fn two_hundred_keep_alive_connections_at_once() -> Result<()> {
    if !observing("two_hundred_keep_alive_connections_at_once") {
        return Ok(());
    }
    const CONNECTIONS: usize = 200;
    const CALLS: usize = 20;
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "return 200 $uri;")
        .start()?;
    let marker = Marker::new("keep-alive");
    let observer = Observer::start()?;
    let mut clients = Command::new(python());
    clients
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/keep_alive_clients.py"))
        .args([nginx.port().to_string(), CONNECTIONS.to_string(), CALLS.to_string()])
        .arg(marker.to_string())
        .arg(certificates.authority());
    run(&mut clients, Duration::from_secs(90))?;

    let count = 2 * CONNECTIONS * CALLS;
    let observation = reported(observer, &marker, count)?;
    let exchanges = observation.exchanges(&marker.to_string());
    accounted(&exchanges, count, &observation)?;
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    let mut ports: HashMap<(&str, String), Vec<u64>> = HashMap::new();
    for exchange in &exchanges {
        *seen.entry((exchange.role(), exchange.target())).or_default() += 1;
        let connection = exchange.target().rsplit_once('/').context("a number")?.0.to_owned();
        ports.entry((exchange.role(), connection)).or_default().push(exchange.client_port());
    }
    ensure!(seen.values().all(|count| *count == 1), "an exchange was reported twice");
    for ((role, connection), mut ports) in ports {
        ports.dedup();
        ensure!(
            ports.len() == 1 && ports[0] != 0,
            "{role} {connection} was reported on ports {ports:?}"
        );
    }
    Ok(())
}

#[test]
fn ten_thousand_connections_opened_and_closed() -> Result<()> {
    if !observing("ten_thousand_connections_opened_and_closed") {
        return Ok(());
    }
    const CONNECTIONS: usize = 10_000;
    let folder = tempfile::tempdir()?;
    let nginx = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let marker = Marker::new("short");
    let observer = Observer::start()?;
    for number in 0..CONNECTIONS {
        call_once(nginx.port(), &marker.path(&number.to_string()))?;
    }
    let peak = {
        let prefix = marker.to_string();
        observer.wait_for_most(2 * CONNECTIONS, |one| one.target().starts_with(&prefix));
        observer.process().peak_resident_bytes()?
    };
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&marker.to_string());
    accounted(&exchanges, 2 * CONNECTIONS, &observation)?;
    ensure!(peak < MEMORY_LIMIT, "{} MiB of memory", peak >> 20);
    Ok(())
}

#[test]
fn reused_descriptors_never_mix_connections_up() -> Result<()> {
    if !observing("reused_descriptors_never_mix_connections_up") {
        return Ok(());
    }
    const THREADS: usize = 4;
    const CALLS: usize = 1_500;
    let folder = tempfile::tempdir()?;
    let one = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let two = Nginx::builder(folder.path()).location("/", "return 200 $uri;").start()?;
    let marker = Marker::new("reuse");
    let observer = Observer::start()?;
    let ports = [one.port(), two.port()];
    // Threads of one process share its descriptors: each is closed and opened again at once.
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let marker = &marker;
                scope.spawn(move || -> Result<()> {
                    for call in 0..CALLS {
                        let port = ports[(worker + call) % 2];
                        call_once(port, &marker.path(&format!("{port}/{worker}/{call}")))?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().ok().context("a worker panicked")??;
        }
        Ok(())
    })?;
    let observation = reported(observer, &marker, 2 * THREADS * CALLS)?;
    check_ports(&observation, &marker, 2 * THREADS * CALLS)
}

#[test]
fn reused_tls_connections_are_never_mixed_up() -> Result<()> {
    if !observing("reused_tls_connections_are_never_mixed_up") {
        return Ok(());
    }
    const CALLS: usize = 300;
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let start = || {
        Nginx::builder(folder.path()).tls(&certificates).location("/", "return 200 $uri;").start()
    };
    let (one, two) = (start()?, start()?);
    let ports = [one.port(), two.port()];
    let marker = Marker::new("reuse-tls");
    let observer = Observer::start()?;
    // One process opens and closes a TLS connection for every call, to each server in turn.
    let mut command = curl(&certificates);
    command.args(["--header", "connection: close", "--output", "/dev/null"]);
    for call in 0..CALLS {
        let port = ports[call % 2];
        let target = marker.path(&format!("{port}/{call}"));
        command.arg(format!("https://localhost:{port}{target}"));
        command.args(["--output", "/dev/null"]);
    }
    run(&mut command, Duration::from_secs(60))?;
    let observation = reported(observer, &marker, 2 * CALLS)?;
    check_ports(&observation, &marker, 2 * CALLS)
}

#[test]
fn ipv6_peers_are_reported_as_they_are() -> Result<()> {
    if !observing("ipv6_peers_are_reported_as_they_are") {
        return Ok(());
    }
    if TcpStream::connect((Ipv6Addr::LOCALHOST, 1))
        .is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused)
    {
        mop_tests::skip("ipv6_peers_are_reported_as_they_are", "there is no ::1 here");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let tls = Nginx::builder(folder.path())
        .tls(&certificates)
        .location("/", "return 200 six;")
        .start()?;
    let plain = Nginx::builder(folder.path()).location("/", "return 200 six;").start()?;
    let marker = Marker::new("six");
    let observer = Observer::start()?;
    for (scheme, port) in [("https", tls.port()), ("http", plain.port())] {
        let url = format!("{scheme}://[::1]:{port}{}", marker.path(scheme));
        run(curl(&certificates).arg(url), CALL_LIMIT)?;
    }
    let observation = reported(observer, &marker, 4)?;
    for (scheme, layer, port) in [("https", "tls", tls.port()), ("http", "socket", plain.port())] {
        let target = marker.path(scheme);
        let exchanges: Vec<Exchange> = observation
            .exchanges(&target)
            .into_iter()
            .filter(|exchange| exchange.target() == target)
            .collect();
        let views = [format!("client/{layer}"), format!("server/{layer}")];
        let both = seen_at(&exchanges, &[&views[0], &views[1]])?;
        for exchange in &both {
            complete(exchange)?;
            ensure!(
                exchange.server_ip() == "::1"
                    && exchange.client_ip() == "::1"
                    && exchange.server_port() == u64::from(port),
                "{}",
                exchange.record()
            );
        }
        ensure!(both[0].client_port() == both[1].client_port(), "two ports of one client");
    }
    Ok(())
}

/// Each exchange names the server whose port stands in its path.
fn check_ports(observation: &Observation, marker: &Marker, count: usize) -> Result<()> {
    let exchanges = observation.exchanges(&marker.to_string());
    accounted(&exchanges, count, observation)?;
    for exchange in &exchanges {
        let path = exchange.target().trim_start_matches(&marker.path(""));
        let port: u64 = path.split('/').next().context("a port")?.parse()?;
        ensure!(
            exchange.server_port() == port,
            "the server is {port}, reported was {}",
            exchange.record()
        );
    }
    Ok(())
}

/// One call on a connection of its own.
fn call_once(port: u16, target: &str) -> Result<()> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.ends_with(target), "the server answered {answer}");
    Ok(())
}

fn reported(observer: Observer, marker: &Marker, count: usize) -> Result<Observation> {
    let prefix = marker.to_string();
    observer.wait_for_most(count, |one| one.target().starts_with(&prefix));
    observer.stop()
}

const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Rings and flows of a busy node; what grows with every connection would exceed it.
const MEMORY_LIMIT: u64 = 256 << 20;
