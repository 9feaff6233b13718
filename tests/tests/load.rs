//! Much at once: connections that come and go as fast as they can, and a body of a gibibyte.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{
    Body, Certificates, Exchange, Marker, Nginx, Observer, accounted, carried, curl, observing,
    run, seen_at,
};

#[test]
fn connections_that_come_and_go_at_full_speed_are_never_mixed_up() -> Result<()> {
    if !observing("connections_that_come_and_go_at_full_speed_are_never_mixed_up") {
        return Ok(());
    }
    const SERVERS: usize = 4;
    const THREADS: usize = 4;
    const CALLS: usize = 12_000;
    let folder = tempfile::tempdir()?;
    let start = || Nginx::builder(folder.path()).location("/", "return 200 $uri;").start();
    let servers: Vec<Nginx> = (0..SERVERS).map(|_| start()).collect::<Result<_>>()?;
    let ports: Vec<u16> = servers.iter().map(Nginx::port).collect();
    let marker = Marker::new("churn");
    let observer = Observer::start()?;
    let began = Instant::now();
    // Threads of one process share its descriptors: each is closed and opened again at once, while the
    // ports of clients come round among the servers.
    let calls = thread::scope(|scope| -> Result<HashMap<String, Ends>> {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (marker, ports) = (&marker, &ports);
                scope.spawn(move || -> Result<Vec<(String, Ends)>> {
                    let call = |number: usize| {
                        let server = ports[(worker + number) % SERVERS];
                        let target = marker.path(&format!("{worker}/{number}"));
                        let client = call_once(server, &target)?;
                        Ok((target, Ends { server, client }))
                    };
                    (0..CALLS).map(call).collect()
                })
            })
            .collect();
        let mut calls = HashMap::new();
        for worker in workers {
            calls.extend(worker.join().ok().context("a worker panicked")??);
        }
        Ok(calls)
    })?;
    let took = began.elapsed();
    let prefix = marker.to_string();
    observer.wait_for_most(2 * calls.len(), |one| one.target().starts_with(&prefix));
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&prefix);
    let speed = calls.len() as f64 / took.as_secs_f64();
    println!("{speed:.0} connections/s, {} losses", observation.lost());
    accounted(&exchanges, 2 * calls.len(), &observation)?;
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for exchange in &exchanges {
        let Ends { server, client } = calls.get(exchange.target()).context("an unknown call")?;
        ensure!(
            exchange.server_port() == u64::from(*server)
                && exchange.client_port() == u64::from(*client),
            "the call went from {client} to {server}, reported was {}",
            exchange.record()
        );
        *seen.entry((exchange.role(), exchange.target())).or_default() += 1;
    }
    ensure!(seen.values().all(|count| *count == 1), "a call was reported twice");
    Ok(())
}

#[test]
fn gibibytes_over_http_1_and_http_2_at_once_are_seen_byte_by_byte() -> Result<()> {
    if !observing("gibibytes_over_http_1_and_http_2_at_once_are_seen_byte_by_byte") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let body = Body::write(folder.path(), "gibibyte.bin", 1 << 30)?;
    let files = format!("alias {}/$1;", folder.path().display());
    let nginx = Nginx::builder(folder.path())
        .tls(&certificates)
        .http2()
        .location("~ /([^/]+)$", &files)
        .start()?;
    let marker = Marker::new("gibibyte");
    let observer = Observer::start()?;
    let target = |version: &str| marker.path(&format!("{version}/gibibyte.bin"));
    thread::scope(|scope| -> Result<()> {
        let downloads = VERSIONS.map(|(version, option)| {
            // Faster than any API, and slow enough that nothing is missing where there is a core for MOP.
            let mut command = curl(&certificates);
            command.args([option, "--limit-rate", "32M", "--output", "/dev/null"]);
            command.arg(format!("https://localhost:{}{}", nginx.port(), target(version)));
            scope.spawn(move || run(&mut command, LONG_LIMIT))
        });
        for download in downloads {
            download.join().ok().context("a download panicked")??;
        }
        Ok(())
    })?;
    let prefix = marker.to_string();
    let count = 2 * VERSIONS.len();
    observer.wait_for_most(count, |one| one.target().starts_with(&prefix));
    let observation = observer.stop()?;
    let exchanges = observation.exchanges(&prefix);
    println!("{} losses", observation.lost());
    if observation.lost() > 0 {
        accounted(&exchanges, count, &observation)?;
        for exchange in exchanges.iter().filter(|exchange| exchange.complete()) {
            carried(exchange, exchange.response(), &body)?;
        }
        return Ok(());
    }
    for (version, _) in VERSIONS {
        let is_of_version = |exchange: &&Exchange| exchange.target() == target(version);
        let of_version: Vec<_> = exchanges.iter().filter(is_of_version).cloned().collect();
        for exchange in seen_at(&of_version, &["client/tls", "server/tls"])? {
            carried(exchange, exchange.response(), &body)?;
            let reported = &exchange.record()["request"]["version"];
            ensure!(reported == version, "{}", exchange.record());
        }
    }
    Ok(())
}

/// Ports of both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    server: u16,
    client: u16,
}

/// One call on a connection of its own; the port that it came from.
fn call_once(server: u16, target: &str) -> Result<u16> {
    let mut connection = TcpStream::connect(("127.0.0.1", server))?;
    let client = connection.local_addr()?.port();
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    ensure!(answer.ends_with(target), "the server answered {answer}");
    Ok(client)
}

const LONG_LIMIT: Duration = Duration::from_secs(120);

/// As they are reported, and what asks curl for them.
const VERSIONS: [(&str, &str); 2] = [("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2")];
