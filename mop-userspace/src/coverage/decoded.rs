//! Which connections are decoded: what workers see, kept for the next account.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mop_common::{ControlEvent, ControlKind, SegmentHead, flags};

use crate::connections::ends;

/// Connections that are decoded, of all workers.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By the number of the connection.
    connections: HashMap<u64, Followed>,
    /// Bytes of connections whose socket is not known, by process, since the last account.
    loose_bytes: HashMap<u32, u64>,
    /// The same at the time of the last survey: what came since then moved after it, or just before.
    marked_bytes: HashMap<u32, u64>,
    /// What came between the last survey and its account, for the next one too.
    carried_bytes: HashMap<u32, u64>,
    /// Connections that found no room.
    beyond: u64,
}

/// A connection that is decoded.
#[derive(Clone, Copy, Debug)]
struct Followed {
    tgid: u32,
    ends: (SocketAddr, SocketAddr),
    /// Accounts that were made since it ended; `None` while it is open.
    ended: Option<u32>,
}

/// What is decoded, at the time of an account.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// This end and the other one.
    pub(super) sockets: HashSet<(SocketAddr, SocketAddr)>,
    /// Bytes of decoded connections whose socket is not known, by process.
    pub(super) loose_bytes: HashMap<u32, u64>,
    /// Connections since the last account that found no room: they count as not decoded.
    pub(super) beyond: u64,
}

impl Decoded {
    /// A survey was made just now: its account follows when workers have caught up.
    pub(super) fn mark(&self) {
        let mut table = self.lock();
        table.marked_bytes = table.loose_bytes.clone();
    }

    /// What was decoded since the last account, and may still be. Forgets what has ended long ago.
    pub(super) fn account(&self) -> Snapshot {
        let mut table = self.lock();
        let mut alive = HashMap::new();
        let mut is_alive = |tgid: u32| {
            *alive.entry(tgid).or_insert_with(|| Path::new("/proc").join(tgid.to_string()).exists())
        };
        let sockets = table.connections.values().map(|followed| followed.ends).collect();
        table.connections.retain(|_, followed| {
            // Connections through TLS libraries end with their process, without an event.
            let ended = followed.ended.or_else(|| (!is_alive(followed.tgid)).then_some(0));
            followed.ended = ended.map(|accounts| accounts + 1);
            followed.ended.is_none_or(|accounts| accounts <= KEPT_ACCOUNTS)
        });
        let marked = std::mem::take(&mut table.marked_bytes);
        let mut loose_bytes = std::mem::take(&mut table.loose_bytes);
        let late = |(tgid, bytes): (&u32, &u64)| {
            let before = marked.get(tgid).copied().unwrap_or_default();
            (*bytes > before).then(|| (*tgid, *bytes - before))
        };
        let carried = loose_bytes.iter().filter_map(late).collect();
        for (tgid, bytes) in std::mem::replace(&mut table.carried_bytes, carried) {
            *loose_bytes.entry(tgid).or_default() += bytes;
        }
        Snapshot { sockets, loose_bytes, beyond: std::mem::take(&mut table.beyond) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's end: takes note of what its pipeline is given.
///
/// Whoever shares it is asked once for the opening and the end of a connection, and once a batch;
/// never for a segment.
#[derive(Debug)]
pub(crate) struct Sight {
    shared: Arc<Decoded>,
    /// Processes of connections whose socket is not known.
    loose: HashMap<u64, u32>,
    /// Their bytes, since they were last told.
    moved: HashMap<u32, u64>,
}

impl Sight {
    pub(crate) fn new(shared: Arc<Decoded>) -> Self {
        Self { shared, loose: HashMap::new(), moved: HashMap::new() }
    }

    /// Something happened to a connection or process.
    pub(crate) fn control(&mut self, event: &ControlEvent) {
        let connection = event.connection;
        match ControlKind::from_number(event.kind) {
            Some(ControlKind::Open | ControlKind::Bind) => match ends(event) {
                Some(ends) => {
                    self.loose.remove(&connection);
                    self.follow(connection, Followed { tgid: event.tgid, ends, ended: None });
                }
                None if self.loose.len() < MAX_CONNECTIONS => {
                    self.loose.insert(connection, event.tgid);
                }
                None => self.shared.lock().beyond += 1,
            },
            Some(ControlKind::Close) => {
                self.loose.remove(&connection);
                let mut table = self.shared.lock();
                // Some protocols begin as if they were HTTP, for three bytes.
                let [read, written] = event.positions;
                if read.saturating_add(written) < SHORTEST_MESSAGE_BYTES {
                    table.connections.remove(&connection);
                } else if let Some(followed) = table.connections.get_mut(&connection) {
                    followed.ended = followed.ended.or(Some(0));
                }
            }
            Some(ControlKind::Exit) if !self.loose.is_empty() => {
                self.loose.retain(|_, tgid| *tgid != event.tgid);
            }
            Some(
                ControlKind::End
                | ControlKind::Exec
                | ControlKind::Exit
                | ControlKind::Map
                | ControlKind::Wake,
            )
            | None => {}
        }
    }

    /// Bytes of a stream.
    pub(crate) fn segment(&mut self, head: &SegmentHead) {
        if self.loose.is_empty() || head.flags & flags::CERTIFICATE != 0 {
            return;
        }
        if let Some(tgid) = self.loose.get(&head.connection) {
            *self.moved.entry(*tgid).or_default() += u64::from(head.len_total);
        }
    }

    /// Lets others know of bytes so far.
    pub(crate) fn publish(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut table = self.shared.lock();
        for (tgid, bytes) in self.moved.drain() {
            if table.loose_bytes.len() < MAX_CONNECTIONS || table.loose_bytes.contains_key(&tgid) {
                *table.loose_bytes.entry(tgid).or_default() += bytes;
            }
        }
    }

    fn follow(&self, connection: u64, followed: Followed) {
        let mut table = self.shared.lock();
        if table.connections.len() < MAX_CONNECTIONS || table.connections.contains_key(&connection)
        {
            table.connections.insert(connection, followed);
        } else {
            table.beyond += 1;
        }
    }
}

/// Those that are open, and those that ended in the last two windows: of a minute each, two thousand a
/// second. Some 26 MB.
const MAX_CONNECTIONS: usize = 262_144;

/// The last bytes of a connection are counted by the account after its end, or by the one after that
/// when a survey was under way.
const KEPT_ACCOUNTS: u32 = 1;

/// `GET / HTTP/1.1` and the end of the line.
const SHORTEST_MESSAGE_BYTES: u64 = 16;

#[cfg(test)]
mod tests {
    use mop_common::Layer;

    use super::*;

    fn event(kind: ControlKind, connection: u64, family: u8) -> ControlEvent {
        ControlEvent {
            connection,
            tgid: std::process::id(),
            kind: kind as u8,
            layer: Layer::Tls as u8,
            family,
            positions: [500, 500],
            local_port: 443,
            remote_port: u16::try_from(connection).expect("small"),
            ..ControlEvent::EMPTY
        }
    }

    fn segment(connection: u64, bytes: u32) -> SegmentHead {
        SegmentHead {
            connection,
            position: 0,
            ktime_ns: 0,
            cpu_sequence: 0,
            len_total: bytes,
            len_captured: 0,
            cpu: 0,
            direction: 0,
            cause: 0,
            flags: 0,
            caller: 0,
        }
    }

    fn pair() -> (Arc<Decoded>, Sight) {
        let shared = Arc::<Decoded>::default();
        (Arc::clone(&shared), Sight::new(shared))
    }

    #[test]
    fn a_connection_is_decoded_from_its_opening_until_after_its_end() {
        let (shared, mut sight) = pair();
        sight.control(&event(ControlKind::Open, 5, 4));
        assert_eq!(shared.account().sockets.len(), 1);
        sight.control(&event(ControlKind::Close, 5, 0));
        for _ in 0..=KEPT_ACCOUNTS {
            assert_eq!(shared.account().sockets.len(), 1);
        }
        assert_eq!(shared.account().sockets.len(), 0);
    }

    #[test]
    fn connections_of_a_process_that_is_gone_are_forgotten() {
        let (shared, mut sight) = pair();
        sight.control(&ControlEvent { tgid: u32::MAX, ..event(ControlKind::Open, 5, 4) });
        for _ in 0..KEPT_ACCOUNTS + 1 {
            assert_eq!(shared.account().sockets.len(), 1);
        }
        assert_eq!(shared.account().sockets.len(), 0);
    }

    #[test]
    fn what_only_began_as_http_is_not_decoded() {
        let (shared, mut sight) = pair();
        sight.control(&event(ControlKind::Open, 5, 4));
        sight.control(&ControlEvent { positions: [3, 0], ..event(ControlKind::Close, 5, 0) });
        assert_eq!(shared.account().sockets.len(), 0);
    }

    #[test]
    fn bytes_without_a_socket_are_those_of_their_process_until_it_is_known() {
        let (shared, mut sight) = pair();
        let own = std::process::id();
        sight.control(&event(ControlKind::Open, 5, 0));
        sight.segment(&segment(5, 100));
        sight.segment(&segment(6, 1_000));
        sight.publish();
        shared.mark();
        assert_eq!(shared.account().loose_bytes, HashMap::from([(own, 100)]));
        sight.segment(&segment(5, 7));
        sight.control(&event(ControlKind::Bind, 5, 4));
        sight.segment(&segment(5, 50));
        sight.publish();
        shared.mark();
        let now = shared.account();
        assert_eq!((now.loose_bytes[&own], now.sockets.len()), (7, 1));
    }

    #[test]
    fn bytes_that_come_after_a_survey_count_for_the_next_one_too() {
        let (shared, mut sight) = pair();
        let own = std::process::id();
        sight.control(&event(ControlKind::Open, 5, 0));
        let mut moves = |bytes| {
            sight.segment(&segment(5, bytes));
            sight.publish();
        };
        moves(100);
        shared.mark();
        moves(7);
        assert_eq!(shared.account().loose_bytes[&own], 107);
        moves(1);
        shared.mark();
        assert_eq!(shared.account().loose_bytes[&own], 8);
        shared.mark();
        assert!(shared.account().loose_bytes.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let (shared, mut sight) = pair();
        for connection in 0..MAX_CONNECTIONS as u64 + 5 {
            let open = ControlEvent { connection, ..event(ControlKind::Open, 1, 4) };
            sight.control(&open);
        }
        let table = shared.lock();
        assert_eq!((table.connections.len(), table.beyond), (MAX_CONNECTIONS, 5));
    }
}
