//! What TLS connections said in clear text, by the socket that carried it.
//!
//! The hello of a handshake is seen at the socket, whatever library makes it; calls are seen inside the
//! library, mostly later, and belong to another connection, which another worker may own. So hellos are
//! taken in by whoever reads the lanes, before anything that was read later is handed on, and workers
//! ask here with the number of the socket that the kernel side names. Numbers are never used twice in a
//! run: what is found is of this socket, or nothing is.
//!
//! Limits: [`MAX_SOCKETS`] sockets, the oldest of which make room; [`MAX_PIECES`] pieces of one
//! direction, and [`MAX_WAITING_BYTES`] of all hellos that are not whole yet.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mop_common::{Direction, SegmentHead, limits::MAX_HELLO_BYTES};
use mop_insight::security::handshake::Handshake;
use mop_wire::tls::{CipherSuite, ClientHello, Hello, ProtocolVersion, ServerHello, read_hello};

use crate::{kept_once::KeptOnce, vitals::Family};

/// What both sides of a TLS connection said in clear text, as far as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsFacts {
    /// Of the connection, as the server chose.
    pub(crate) version: Option<ProtocolVersion>,
    /// Of the connection, as the server chose.
    pub(crate) cipher_suite: Option<CipherSuite>,
    /// Application protocol that the server chose; only up to TLS 1.2 in clear text.
    pub(crate) alpn: Option<String>,
    /// What the client offers.
    pub(crate) client: Option<ClientFacts>,
}

/// What a client offers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientFacts {
    /// Name of the server that it asks for.
    pub(crate) server_name: Option<String>,
    /// The true name may be an encrypted one, and this that of a front.
    pub(crate) has_encrypted_hello: bool,
    /// Application protocols.
    pub(crate) alpn: Vec<String>,
    /// Fingerprints of its software.
    pub(crate) ja3: [u8; 16],
    pub(crate) ja4: String,
}

/// How many hellos were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HelloCounts {
    /// Of clients.
    client: u64,
    /// Of servers.
    server: u64,
    /// Directions whose bytes were none, or had holes.
    unreadable: u64,
}

/// Hellos of all sockets.
#[derive(Debug, Default)]
pub(crate) struct Hellos {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sockets: HashMap<u64, Socket>,
    /// The same, the oldest first.
    order: VecDeque<u64>,
    /// What was said more than once is kept once: the connections of a client mostly say the same.
    said: KeptOnce<TlsFacts>,
    /// Bytes of hellos that are not whole yet.
    waiting_bytes: usize,
    counts: HelloCounts,
}

#[derive(Debug, Default)]
struct Socket {
    facts: Arc<TlsFacts>,
    /// Per [`Direction`].
    directions: [Reading; 2],
}

/// How far the hello of a direction has come.
#[derive(Debug)]
enum Reading {
    /// Pieces with their positions, in order of these.
    Pieces(Vec<(u64, Box<[u8]>)>),
    /// It was read, or cannot be.
    Over,
}

impl TlsFacts {
    /// Whether both sides were heard.
    pub(crate) fn is_whole(&self) -> bool {
        self.version.is_some() && self.client.is_some()
    }

    /// The same for the security module.
    pub(crate) fn handshake(&self) -> Handshake<'_> {
        let Self { version, cipher_suite, alpn: _, client } = self;
        Handshake {
            version: version.map(|version| version.0),
            cipher: cipher_suite.map(|suite| suite.0),
            cipher_name: cipher_suite.and_then(CipherSuite::name),
            server_name: client.as_ref().and_then(|client| client.server_name.as_deref()),
            ja3: client.as_ref().map(|client| client.ja3),
            ja4: client.as_ref().map(|client| client.ja4.as_str()),
        }
    }

    fn take(&mut self, hello: Hello) {
        match hello {
            Hello::Client(hello) => self.client = Some(ClientFacts::of(hello)),
            Hello::Server(ServerHello { version, cipher_suite, alpn }) => {
                self.version = Some(version);
                self.cipher_suite = Some(cipher_suite);
                self.alpn = alpn;
            }
        }
    }
}

impl ClientFacts {
    fn of(hello: ClientHello) -> Self {
        let (ja3, ja4) = (hello.ja3(), hello.ja4());
        let ClientHello { server_name, alpn, has_encrypted_hello, .. } = hello;
        Self { server_name, has_encrypted_hello, alpn, ja3, ja4 }
    }
}

impl Hellos {
    /// Takes in bytes of a hello.
    pub(crate) fn take(&self, head: &SegmentHead, bytes: &[u8]) {
        let Some(direction) = Direction::from_number(head.direction) else { return };
        self.state().take(head, direction, bytes);
    }

    /// Forgets all sockets: another session numbers them anew.
    pub(crate) fn forget_all(&self) {
        let mut state = self.state();
        let counts = state.counts;
        *state = State { counts, ..State::default() };
    }

    /// What was said on a socket so far; `None` when nothing was.
    pub(crate) fn of_socket(&self, socket: u64) -> Option<Arc<TlsFacts>> {
        let state = self.state();
        let socket = state.sockets.get(&socket)?;
        (*socket.facts != TlsFacts::default()).then(|| Arc::clone(&socket.facts))
    }

    /// Its numbers as metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let HelloCounts { client, server, unreadable } = self.counts();
        let outcomes = [("client", client), ("server", server), ("unreadable", unreadable)];
        let what = "Hello messages of TLS on sockets, by whose they are";
        vec![Family::counter("mop_capture_tls_hellos", what).by("outcome", outcomes)]
    }

    /// How many were read.
    fn counts(&self) -> HelloCounts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            sockets: HashMap::new(),
            order: VecDeque::new(),
            said: KeptOnce::up_to(MAX_SAID),
            waiting_bytes: 0,
            counts: HelloCounts::default(),
        }
    }
}

impl State {
    fn take(&mut self, head: &SegmentHead, direction: Direction, bytes: &[u8]) {
        let Self { sockets, order, said, waiting_bytes, counts } = self;
        let socket = sockets.entry(head.connection).or_insert_with(|| {
            order.push_back(head.connection);
            Socket::default()
        });
        let [read, write] = &mut socket.directions;
        let reading = match direction {
            Direction::Read => read,
            Direction::Write => write,
        };
        let before = reading.waiting_bytes();
        match reading.take(head, bytes) {
            None => {}
            Some(Ok(hello)) => {
                match &hello {
                    Hello::Client(_) => counts.client += 1,
                    Hello::Server(_) => counts.server += 1,
                }
                let mut facts = TlsFacts::clone(&socket.facts);
                facts.take(hello);
                socket.facts = said.get(facts);
            }
            Some(Err(())) => counts.unreadable += 1,
        }
        *waiting_bytes = (*waiting_bytes + reading.waiting_bytes()).saturating_sub(before);
        self.make_room();
    }

    /// Forgets the oldest sockets while there is too much.
    fn make_room(&mut self) {
        while self.sockets.len() > MAX_SOCKETS || self.waiting_bytes > MAX_WAITING_BYTES {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(Socket { directions, .. }) = self.sockets.remove(&oldest) else { continue };
            for reading in directions {
                let bytes = reading.waiting_bytes();
                self.waiting_bytes -= bytes;
                self.counts.unreadable += u64::from(bytes > 0);
            }
        }
    }
}

impl Reading {
    /// What the bytes complete: a hello, or the end of hope; `None` while there may be more.
    fn take(&mut self, head: &SegmentHead, bytes: &[u8]) -> Option<Result<Hello, ()>> {
        let Self::Pieces(pieces) = self else { return None };
        let whole = if pieces.is_empty() && head.position == 0 && head.cause == 0 {
            read_hello(bytes)
        } else {
            Ok(None)
        };
        let read = match whole {
            Ok(None) if head.cause != 0 || pieces.len() >= MAX_PIECES => Err(()),
            Ok(None) => {
                let at = pieces.partition_point(|(position, _)| *position < head.position);
                pieces.insert(at, (head.position, Box::from(bytes)));
                read_hello(&joined(pieces)).map_err(|_error| ())
            }
            Ok(Some(hello)) => Ok(Some(hello)),
            Err(_error) => Err(()),
        };
        let over = read.transpose()?;
        *self = Self::Over;
        Some(over)
    }

    fn waiting_bytes(&self) -> usize {
        match self {
            Self::Pieces(pieces) => pieces.iter().map(|(_, bytes)| bytes.len()).sum(),
            Self::Over => 0,
        }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::Pieces(Vec::new())
    }
}

/// The bytes from the start of the stream up to the first that is missing.
fn joined(pieces: &[(u64, Box<[u8]>)]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (position, bytes) in pieces {
        // A kernel side of the same version shows no more, and none twice.
        if *position != stream.len() as u64 || *position >= MAX_HELLO_BYTES {
            break;
        }
        stream.extend_from_slice(bytes);
    }
    stream
}

/// Connections of a node that are open and have not carried a call yet, and those of libraries that are
/// not observed. A few hundred bytes each.
const MAX_SOCKETS: usize = 32_768;

/// Programs that talk to a node, each with the names that it asks for.
const MAX_SAID: usize = 1024;

/// The kernel side shows no more of both directions.
const MAX_PIECES: usize = mop_common::limits::MAX_HELLO_CALLS as usize * 3;

/// Hellos of a thousand connections whose second half is on its way.
const MAX_WAITING_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use mop_common::{HoleCause, flags};

    use super::*;

    fn head(connection: u64, direction: Direction, position: u64, bytes: usize) -> SegmentHead {
        let length = u32::try_from(bytes).expect("short");
        SegmentHead {
            connection,
            position,
            ktime_ns: 1,
            cpu_sequence: 1,
            len_total: length,
            len_captured: length,
            cpu: 0,
            direction: direction as u8,
            cause: 0,
            flags: flags::HELLO,
            caller: 0,
        }
    }

    /// A message in one record.
    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).expect("short");
        [&[22, 3, 1, 0, length + 4, kind, 0, 0, length], body].concat()
    }

    fn client_hello() -> Vec<u8> {
        let name = [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"localhost"].concat();
        let extensions = [&[0, 18][..], &name].concat();
        record(1, &[&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0], &extensions].concat())
    }

    fn server_hello() -> Vec<u8> {
        record(2, &[&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2f, 0]].concat())
    }

    #[test]
    fn what_both_sides_say_is_known_by_the_socket() {
        let hellos = Hellos::default();
        let (client, server) = (client_hello(), server_hello());
        hellos.take(&head(5, Direction::Read, 0, client.len()), &client);
        assert!(!hellos.of_socket(5).expect("half").is_whole());
        hellos.take(&head(5, Direction::Write, 0, server.len()), &server);
        let facts = hellos.of_socket(5).expect("known");
        assert!(facts.is_whole());
        assert_eq!(facts.version, Some(ProtocolVersion::TLS_1_2));
        assert_eq!(facts.cipher_suite, Some(CipherSuite(0xc02f)));
        let client = facts.client.as_ref().expect("seen");
        assert_eq!(client.server_name.as_deref(), Some("localhost"));
        assert!(client.ja4.starts_with("t12d010100_"), "{}", client.ja4);
        assert_eq!(hellos.of_socket(6), None);
        assert_eq!(hellos.counts(), HelloCounts { client: 1, server: 1, unreadable: 0 });
    }

    #[test]
    fn what_is_said_by_many_is_kept_once() {
        let hellos = Hellos::default();
        let hello = client_hello();
        for socket in 0..3 {
            hellos.take(&head(socket, Direction::Read, 0, hello.len()), &hello);
        }
        let [first, last] = [0, 2].map(|socket| hellos.of_socket(socket).expect("known"));
        assert!(Arc::ptr_eq(&first, &last));
        let server = server_hello();
        hellos.take(&head(2, Direction::Write, 0, server.len()), &server);
        assert!(!hellos.of_socket(1).expect("known").is_whole());
        assert!(hellos.of_socket(2).expect("known").is_whole());
    }

    #[test]
    fn pieces_may_come_in_any_order() {
        let hello = client_hello();
        for cut in 1..hello.len() {
            for is_swapped in [false, true] {
                let hellos = Hellos::default();
                let (first, second) = hello.split_at(cut);
                let mut pieces = [(0, first), (cut as u64, second)];
                if is_swapped {
                    pieces.reverse();
                }
                for (position, bytes) in pieces {
                    hellos.take(&head(1, Direction::Write, position, bytes.len()), bytes);
                }
                assert!(hellos.of_socket(1).is_some(), "{cut} {is_swapped}");
                assert_eq!(hellos.state().waiting_bytes, 0);
            }
        }
    }

    #[test]
    fn a_hole_or_another_message_leaves_nothing_known() {
        let hellos = Hellos::default();
        let hello = client_hello();
        let lost = SegmentHead {
            cause: HoleCause::Fault as u8,
            len_captured: 0,
            ..head(1, Direction::Read, 5, hello.len() - 5)
        };
        hellos.take(&head(1, Direction::Read, 0, 5), &hello[..5]);
        hellos.take(&lost, &[]);
        hellos.take(&head(1, Direction::Read, 5, hello.len() - 5), &hello[5..]);
        assert_eq!(hellos.of_socket(1), None);
        let finished = record(20, &[0; 12]);
        hellos.take(&head(2, Direction::Read, 0, finished.len()), &finished);
        assert_eq!(hellos.of_socket(2), None);
        assert_eq!(hellos.counts().unreadable, 2);
    }

    #[test]
    fn the_oldest_make_room() {
        let hellos = Hellos::default();
        let hello = server_hello();
        for socket in 0..=MAX_SOCKETS as u64 {
            hellos.take(&head(socket, Direction::Read, 0, hello.len()), &hello);
        }
        assert!(hellos.of_socket(0).is_none() && hellos.of_socket(1).is_some());
        let hellos = Hellos::default();
        let half = [&[22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0][..], &[0; 8000]].concat();
        for socket in 0..2000 {
            hellos.take(&head(socket, Direction::Read, 0, half.len()), &half);
        }
        let state = hellos.state();
        assert!(state.waiting_bytes <= MAX_WAITING_BYTES && state.sockets.len() > 1000);
        assert_eq!(state.sockets.len(), state.order.len());
    }
}
