//! Free ports on loopback.

use std::{
    net::{Ipv6Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// A port that nobody listens on, below the range that the kernel takes for outgoing connections.
///
/// # Panics
///
/// When every port of the range is taken.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or(0);
    for _ in 0..PORTS {
        // The number only has to advance; nothing is published with it.
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (start.wrapping_add(step)) % PORTS;
        let v4 = TcpListener::bind(("127.0.0.1", port));
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        if v4.is_ok() && v6.is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST_PORT} and {}", FIRST_PORT + PORTS - 1);
}

const FIRST_PORT: u16 = 18_000;
const PORTS: u16 = 12_000;
