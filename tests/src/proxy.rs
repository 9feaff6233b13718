//! A TCP proxy that does what networks do to connections.
//!
//! Its troubles, the *toxics*, have the names and meanings that toxiproxy gave them. They are
//! switched on and off while connections run, and hold for those that are open as for new ones.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// A proxy in front of one server; it closes all connections when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    setting: watch::Sender<Setting>,
    connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// Which way the bytes go that a toxic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the server to the client.
    Downstream,
    /// From the client to the server.
    Upstream,
}

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toxic {
    /// No more than so many bytes a second pass.
    Bandwidth {
        /// At least one.
        bytes_per_second: u32,
    },
    /// Bytes arrive later.
    Latency {
        /// By so much.
        delay: Duration,
    },
    /// The connection is closed after so many bytes.
    LimitData {
        /// Counted from the start of the connection or of the toxic, whichever is later.
        bytes: usize,
    },
    /// The connection is reset, as by a machine that was restarted.
    ResetPeer {
        /// So long after the toxic or the connection began.
        after: Duration,
    },
    /// Bytes arrive in small pieces.
    Slicer {
        /// Bytes of a piece; at least one.
        bytes: usize,
        /// Between two pieces.
        delay: Duration,
    },
    /// The end of the connection arrives later.
    SlowClose {
        /// By so much.
        delay: Duration,
    },
    /// Bytes vanish: the connection looks open, and nobody hears anything.
    Timeout {
        /// Closed after so long; `None`: it stays as it is.
        after: Option<Duration>,
    },
}

/// What is in force, and since when.
#[derive(Clone, Debug)]
struct Setting {
    toxics: Vec<(Direction, Toxic)>,
    /// Refuses connections and closes those that are open.
    is_down: bool,
    is_over: bool,
    since: Instant,
}

/// Why a connection ends before its peers end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    Reset,
}

impl Proxy {
    /// Listens on a free port of loopback and carries every connection to this address.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let (setting, settings) = watch::channel(Setting {
            toxics: Vec::new(),
            is_down: false,
            is_over: false,
            since: Instant::now(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (started, start) = mpsc::channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => {
                    let _heard = started.send(Ok(()));
                    runtime.block_on(accept(listener, server, settings, &counter));
                }
                Err(error) => {
                    let _heard = started.send(Err(error));
                }
            }
        })?;
        start.recv().context("the proxy did not start")??;
        Ok(Self { address, setting, connections, thread: Some(thread) })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made through it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Adds a toxic, for this direction; [`Toxic::ResetPeer`] and [`Toxic::Timeout`] with a time end
    /// both.
    pub fn add(&self, direction: Direction, toxic: Toxic) {
        self.change(|setting| setting.toxics.push((direction, toxic)));
    }

    /// Takes all toxics away, and lets connections in again.
    pub fn heal(&self) {
        self.change(|setting| {
            setting.toxics.clear();
            setting.is_down = false;
        });
    }

    /// Closes all connections and, until [`Proxy::heal`], every new one.
    pub fn take_down(&self) {
        self.change(|setting| setting.is_down = true);
    }

    fn change(&self, change: impl FnOnce(&mut Setting)) {
        self.setting.send_modify(|setting| {
            change(setting);
            setting.since = Instant::now();
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|setting| setting.is_over = true);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Setting {
    /// When connections are ended, and how, unless the setting changes before.
    fn ending(&self, connected: Instant) -> Option<(Instant, Ending)> {
        let since = self.since.max(connected);
        if self.is_down || self.is_over {
            return Some((since, Ending::Closed));
        }
        let endings = self.toxics.iter().filter_map(|(_, toxic)| match *toxic {
            Toxic::ResetPeer { after } => Some((since + after, Ending::Reset)),
            Toxic::Timeout { after: Some(after) } => Some((since + after, Ending::Closed)),
            Toxic::Bandwidth { .. }
            | Toxic::Latency { .. }
            | Toxic::LimitData { .. }
            | Toxic::Slicer { .. }
            | Toxic::SlowClose { .. }
            | Toxic::Timeout { after: None } => None,
        });
        endings.min_by_key(|(when, _)| *when)
    }

    fn of(&self, direction: Direction) -> impl Iterator<Item = Toxic> {
        self.toxics.iter().filter(move |(way, _)| *way == direction).map(|(_, toxic)| *toxic)
    }
}

async fn accept(
    listener: std::net::TcpListener,
    server: SocketAddr,
    mut settings: watch::Receiver<Setting>,
    connections: &AtomicUsize,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        tokio::select! {
            changed = settings.changed() => {
                if changed.is_err() || settings.borrow().is_over {
                    return;
                }
            }
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(serve(client, server, settings.clone()));
                }
            }
        }
    }
}

/// Carries one connection until it ends or is ended.
async fn serve(mut client: TcpStream, server: SocketAddr, settings: watch::Receiver<Setting>) {
    if settings.borrow().is_down {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let ended = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            biased;
            ending = forced_ending(settings.clone()) => Err(ending),
            carried = async {
                tokio::try_join!(
                    carry(Direction::Upstream, from_client, to_server, settings.clone()),
                    carry(Direction::Downstream, from_server, to_client, settings.clone()),
                )
            } => carried.map(drop),
        }
    };
    if ended == Err(Ending::Reset) {
        // With nothing to linger for, the kernel sends RST instead of FIN.
        let _is_set = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn forced_ending(mut settings: watch::Receiver<Setting>) -> Ending {
    let connected = Instant::now();
    loop {
        let planned = settings.borrow_and_update().ending(connected);
        let due = async {
            match planned {
                Some((when, ending)) => {
                    sleep_until(when).await;
                    ending
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ending = due => return ending,
            changed = settings.changed() => {
                if changed.is_err() {
                    return Ending::Closed;
                }
            }
        }
    }
}

/// Carries one direction to its end.
async fn carry(
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    settings: watch::Receiver<Setting>,
) -> Result<(), Ending> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut passed = 0;
    let mut limited_since = None;
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(read) => read,
            // A peer that resets its connection resets the other one too.
            Err(_broken) => return Err(Ending::Reset),
        };
        // The receiver of a future must not be held while it waits.
        let setting = settings.borrow().clone();
        let toxics: Vec<Toxic> = setting.of(direction).collect();
        let mut rest = buffer.get(..read).unwrap_or_default();
        let mut slice = (PIECE_BYTES, Duration::ZERO);
        let mut is_swallowed = false;
        let mut is_last = read == 0;
        for toxic in toxics {
            match toxic {
                Toxic::Bandwidth { bytes_per_second } => {
                    let piece = (bytes_per_second / STEPS_PER_SECOND).max(1);
                    slice = (piece as usize, Duration::from_secs(1) / STEPS_PER_SECOND);
                }
                Toxic::Latency { delay } if read > 0 => sleep(delay).await,
                Toxic::LimitData { bytes } => {
                    if limited_since != Some(setting.since) {
                        limited_since = Some(setting.since);
                        passed = 0;
                    }
                    let left = bytes.saturating_sub(passed);
                    is_last |= rest.len() >= left;
                    rest = rest.get(..left).unwrap_or(rest);
                }
                Toxic::Slicer { bytes, delay } => slice = (bytes.max(1), delay),
                Toxic::SlowClose { delay } if read == 0 => sleep(delay).await,
                Toxic::Timeout { .. } => is_swallowed = true,
                Toxic::Latency { .. } | Toxic::ResetPeer { .. } | Toxic::SlowClose { .. } => {}
            }
        }
        if is_swallowed {
            if read == 0 {
                // Nobody hears of the end either.
                std::future::pending::<()>().await;
            }
            continue;
        }
        passed += rest.len();
        let (slice_bytes, pause) = slice;
        for (number, piece) in rest.chunks(slice_bytes).enumerate() {
            if number > 0 || slice_bytes < PIECE_BYTES {
                sleep(pause).await;
            }
            to.write_all(piece).await.map_err(|_broken| Ending::Reset)?;
        }
        if read == 0 {
            let _shut = to.shutdown().await;
            return Ok(());
        }
        if is_last {
            return Err(Ending::Closed);
        }
    }
}

/// One read of a busy connection.
const PIECE_BYTES: usize = 64 * 1024;
/// Bandwidth is given out in steps: fine enough for connections of some kilobytes a second.
const STEPS_PER_SECOND: u32 = 20;

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        thread,
    };

    use super::*;

    /// Sends back what it gets; ends its side when the client has ended its own.
    fn echo() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(read) = (&stream).read(&mut buffer) {
                        if read == 0 || (&stream).write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Ok(address)
    }

    fn connected() -> Result<(Proxy, TcpStream)> {
        let proxy = Proxy::start(echo()?)?;
        let client = TcpStream::connect(proxy.address())?;
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok((proxy, client))
    }

    /// Sends it, ends, and gives what came back with the time that it took.
    fn echoed(mut client: TcpStream, bytes: &[u8]) -> Result<(Vec<u8>, Duration)> {
        let start = std::time::Instant::now();
        client.write_all(bytes)?;
        client.shutdown(Shutdown::Write)?;
        let mut back = Vec::new();
        client.read_to_end(&mut back)?;
        Ok((back, start.elapsed()))
    }

    #[test]
    fn bytes_pass_unchanged_and_both_ends_end() -> Result<()> {
        let (_proxy, client) = connected()?;
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut reader = client.try_clone()?;
        let writer = thread::spawn({
            let (mut client, bytes) = (client, bytes.clone());
            move || {
                let written = client.write_all(&bytes);
                let ended = client.shutdown(Shutdown::Write);
                (written.is_ok(), ended.is_ok())
            }
        });
        let mut back = Vec::new();
        reader.read_to_end(&mut back)?;
        assert_eq!(writer.join().ok(), Some((true, true)));
        assert!(back == bytes, "{} of {} bytes", back.len(), bytes.len());
        Ok(())
    }

    #[test]
    fn what_slows_a_connection_takes_its_time_and_loses_nothing() -> Result<()> {
        let ms = Duration::from_millis;
        let table = [
            (Toxic::Latency { delay: ms(150) }, ms(150)),
            (Toxic::Bandwidth { bytes_per_second: 10_000 }, ms(150)),
            (Toxic::Slicer { bytes: 100, delay: ms(10) }, ms(150)),
            (Toxic::SlowClose { delay: ms(150) }, ms(150)),
        ];
        for (toxic, at_least) in table {
            for direction in [Direction::Upstream, Direction::Downstream] {
                let (proxy, client) = connected()?;
                proxy.add(direction, toxic);
                let (back, took) = echoed(client, &[7; 2_000])?;
                assert_eq!(back, [7; 2_000], "{toxic:?} {direction:?}");
                assert!(took >= at_least, "{toxic:?} {direction:?} took {took:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_limit_lets_exactly_so_many_bytes_through() -> Result<()> {
        let (proxy, client) = connected()?;
        proxy.add(Direction::Downstream, Toxic::LimitData { bytes: 1_000 });
        let mut client = client;
        client.write_all(&[7; 3_000])?;
        let mut back = vec![0; 1_000];
        client.read_exact(&mut back)?;
        assert_eq!(back, [7; 1_000]);
        // What the proxy has not read any more makes the kernel reset instead of close.
        let rest = client.read(&mut back);
        assert!(matches!(&rest, Ok(0)) || rest.is_err(), "{rest:?}");
        Ok(())
    }

    #[test]
    fn a_reset_is_a_reset_for_the_client() -> Result<()> {
        let (proxy, mut client) = connected()?;
        client.write_all(b"a")?;
        client.read_exact(&mut [0])?;
        proxy.add(Direction::Downstream, Toxic::ResetPeer { after: Duration::from_millis(10) });
        let error = client.read(&mut [0]).expect_err("the connection goes on");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        Ok(())
    }

    #[test]
    fn bytes_vanish_in_a_half_open_connection_until_it_is_healed() -> Result<()> {
        let (proxy, mut client) = connected()?;
        proxy.add(Direction::Upstream, Toxic::Timeout { after: None });
        client.write_all(b"lost")?;
        client.set_read_timeout(Some(Duration::from_millis(200)))?;
        let error = client.read(&mut [0; 4]).expect_err("bytes passed");
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        proxy.heal();
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        client.write_all(b"here")?;
        let mut back = [0; 4];
        client.read_exact(&mut back)?;
        assert_eq!(&back, b"here");
        Ok(())
    }

    #[test]
    fn a_timeout_with_an_end_closes() -> Result<()> {
        let (proxy, mut client) = connected()?;
        proxy.add(Direction::Upstream, Toxic::Timeout { after: Some(Duration::from_millis(10)) });
        assert_eq!(client.read(&mut [0])?, 0);
        Ok(())
    }

    #[test]
    fn a_proxy_that_is_down_closes_and_comes_back() -> Result<()> {
        let (proxy, mut client) = connected()?;
        client.write_all(b"a")?;
        client.read_exact(&mut [0])?;
        proxy.take_down();
        assert_eq!(client.read(&mut [0])?, 0);
        let mut refused = TcpStream::connect(proxy.address())?;
        assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
        proxy.heal();
        let again = TcpStream::connect(proxy.address())?;
        assert_eq!(echoed(again, b"back")?.0, b"back");
        assert_eq!(proxy.connections(), 3);
        Ok(())
    }
}
