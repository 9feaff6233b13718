//! Programs that move the cipher text of a TLS connection themselves: which socket is under it.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use mop_tests::{Certificates, Marker, Observer, Script, bound, complete, observing, python, run};

#[test]
fn sockets_under_tls_in_memory_are_found_and_never_mistaken() -> Result<()> {
    if !observing("sockets_under_tls_in_memory_are_found_and_never_mistaken") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let arguments = [certificates.server(), certificates.key()];
    let asyncio = Script::serve(
        "asyncio_peer.py",
        ["serve".as_ref()].into_iter().chain(arguments.iter().map(|it| it.as_os_str())),
    )?;
    let node = Script::serve(
        "node_server.js",
        [folder.path().as_os_str(), arguments[0].as_os_str(), arguments[1].as_os_str()],
    )?;
    for count in 0..CALLS {
        let name: String =
            format!("{count:04}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        std::fs::write(folder.path().join(name), [b'.'; 500])?;
    }
    for server in [&asyncio, &node] {
        let marker = Marker::new("memory");
        let observer = Observer::start()?;
        let mut command = bound(python());
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/asyncio_peer.py"));
        command.arg(server.port().to_string()).arg("call").arg(certificates.authority());
        command.arg(marker.to_string()).args([CONNECTIONS.to_string(), CALLS.to_string()]);
        let printed = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
        let made = printed.lines().map(|line| {
            let (port, target) = line.split_once(' ').context("no target")?;
            Ok((target.to_owned(), port.parse::<u64>()?))
        });
        let made: HashMap<_, _> = made.collect::<Result<_>>()?;
        ensure!(made.len() == CONNECTIONS * CALLS, "{} calls", made.len());

        let prefix = marker.to_string();
        observer.wait_for(2 * made.len(), LIMIT, |one| one.target().starts_with(&prefix))?;
        let exchanges = observer.stop()?.exchanges(&prefix);
        ensure!(exchanges.len() == 2 * made.len(), "{} exchanges", exchanges.len());
        let mut unknown = 0;
        for exchange in &exchanges {
            complete(exchange)?;
            let port = made.get(exchange.target()).context("a call that nobody made")?;
            if exchange.client_port() == 0 {
                unknown += 1;
                continue;
            }
            let is_right = exchange.client_port() == *port
                && exchange.server_port() == u64::from(server.port());
            ensure!(is_right, "not from {port}: {}", exchange.record());
        }
        // The first call of a connection may be over before two records have shown its socket.
        ensure!(unknown <= 2 * CONNECTIONS, "{unknown} of {} are unknown", exchanges.len());
    }
    Ok(())
}

/// All at the same time, and all of the same lengths.
const CONNECTIONS: usize = 40;
/// Of each connection.
const CALLS: usize = 25;
const LIMIT: Duration = Duration::from_secs(60);
