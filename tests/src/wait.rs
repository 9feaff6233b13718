//! Waiting for a fact instead of for a time.

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Waits until the condition holds.
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            bail!("{what} did not happen within {limit:?}");
        }
        thread::sleep(STEP);
    }
    Ok(())
}

/// Waits until somebody accepts connections there.
pub fn listening(address: SocketAddr) -> Result<()> {
    until(&format!("a listener on {address}"), LISTEN_LIMIT, || {
        TcpStream::connect_timeout(&address, STEP * 10).is_ok()
    })
}

const STEP: Duration = Duration::from_millis(10);
/// Node on a loaded machine needs about two seconds.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
