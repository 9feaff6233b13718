//! Peers that check every byte that they get, and what an observer says of their calls.

use std::{
    collections::HashMap, iter, net::SocketAddr, path::Path, process::Stdio, time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    Certificates, Exchange, Marker, Observer, Process, accounted, bound, complete, free_port,
    listening, run, sha256_hex,
};

/// What an observer said of calls of which every byte is known.
pub struct KnownCalls {
    /// Each call at both ends, without those of which MOP lost a part, and counted that.
    pub exchanges: Vec<Exchange>,
    /// How many of them are without their addresses.
    pub without_addresses: usize,
}

impl KnownCalls {
    /// Has two of these programs, which take arguments as `fixtures/tls_peer.c` does, make
    /// [`Self::CONNECTIONS`] times [`Self::CALLS`] calls, and holds all that MOP says of them against what
    /// follows from their targets.
    pub fn between(peers: &Path, mode: &str, certificates: &Certificates) -> Result<Self> {
        let port = free_port();
        let started = |role: &str| {
            let mut command = bound(peers);
            command.arg(port.to_string()).args([role, mode]);
            command
        };
        let mut command = started("serve");
        command.arg(certificates.server()).arg(certificates.key()).stdin(Stdio::null());
        let server = Process::start("peer", &mut command)?;
        listening(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let marker = Marker::new("known");
        let observer = Observer::start()?;
        let mut command = started("call");
        command.arg(certificates.authority()).arg(marker.to_string());
        command.args([Self::CONNECTIONS.to_string(), Self::CALLS.to_string()]);
        let printed = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
        let made = printed.lines().map(|line| {
            let (port, target) = line.split_once(' ').context("no target")?;
            Ok((target.to_owned(), port.parse::<u64>()?))
        });
        let made: HashMap<_, _> = made.collect::<Result<_>>()?;
        ensure!(made.len() == Self::CONNECTIONS * Self::CALLS, "{} calls", made.len());

        let prefix = marker.to_string();
        observer.wait_for_most(2 * made.len(), |one| one.target().starts_with(&prefix));
        let observation = observer.stop()?;
        let mut exchanges = observation.exchanges(&prefix);
        accounted(&exchanges, 2 * made.len(), &observation)?;
        // All of them are, unless something was lost, and counted.
        exchanges.retain(Exchange::complete);
        let mut without_addresses = 0;
        for exchange in &exchanges {
            let client_port = made.get(exchange.target()).context("a call that nobody made")?;
            has_its_bodies(exchange)?;
            let is_client = exchange.pid() != u64::from(server.pid());
            ensure!((exchange.role() == "client") == is_client, "{}", exchange.record());
            if exchange.client_port() == 0 {
                without_addresses += 1;
                continue;
            }
            let is_right = exchange.client_port() == *client_port
                && exchange.server_port() == u64::from(port)
                && [exchange.client_ip(), exchange.server_ip()] == ["127.0.0.1"; 2];
            ensure!(is_right, "not from {client_port}: {}", exchange.record());
        }
        Ok(Self { exchanges, without_addresses })
    }

    /// At the same time.
    pub const CONNECTIONS: usize = 20;
    /// Of each connection: twice what the peers have lengths for.
    pub const CALLS: usize = 18;
}

/// The body of a call by its name; `from` tells the request's (1) from the response's (2).
pub fn known_body(name: &str, from: u32, bytes: usize) -> Vec<u8> {
    let seed = name
        .bytes()
        .fold(from, |state, letter| state.wrapping_mul(31).wrapping_add(u32::from(letter)));
    let states = iter::successors(Some(seed), |state| {
        Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    });
    states.skip(1).take(bytes).map(|state| state.to_be_bytes()[0]).collect()
}

fn has_its_bodies(exchange: &Exchange) -> Result<()> {
    complete(exchange)?;
    let mut parts = exchange.target().rsplit('/');
    let mut part = || parts.next().context("a part of the target");
    let (received, sent, name) = (part()?.parse()?, part()?.parse()?, part()?);
    for (message, from, bytes) in
        [(exchange.request(), 1, sent), (exchange.response(), 2, received)]
    {
        // A message without content may come without a digest.
        let is_right = message.sha256() == sha256_hex(&known_body(name, from, bytes))
            || bytes == 0 && message.body_bytes() == 0;
        ensure!(is_right, "{}", exchange.record());
    }
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(60);
