//! What is known of a connection apart from its bytes: who talks to whom.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use mop_common::{ControlEvent, ControlKind, Layer, SegmentHead};
use mop_insight::data::identity::certificate::CertificateFacts;
use mop_probe::process;

use crate::data::peers::{Peers, Place};

/// Names of the TLS libraries by the number that their probes carry. Asked once per connection.
#[derive(Debug, Default)]
pub(crate) struct LibraryNames {
    names: Mutex<HashMap<u64, Arc<str>>>,
}

impl LibraryNames {
    pub(crate) fn insert(&self, id: u64, name: &str) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::from(name));
    }

    pub(crate) fn name(&self, id: u64) -> Option<Arc<str>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Whether one of them is in this file.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.values().any(|name| &**name == path)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The facts of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The observed process.
    pub(crate) process: ProcessFacts,
    /// Where its bytes were seen.
    pub(crate) layer: Layer,
    /// Path of the TLS library.
    pub(crate) library: Option<Arc<str>>,
    /// Both ends of the socket, the observed process's first; `None` when it is not known.
    pub(crate) ends: Option<(SocketAddr, SocketAddr)>,
    /// What the other side showed in the handshake.
    pub(crate) peer_certificate: Option<Arc<CertificateFacts>>,
}

/// The process at this end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessFacts {
    /// Its id.
    pub(crate) tgid: u32,
    /// Name of the thread that was seen first.
    pub(crate) command: Arc<str>,
    /// Identifier of its container.
    pub(crate) container: Option<Arc<str>>,
}

/// Where the facts about processes come from.
pub(crate) trait ProcessSource {
    /// Identifier of the container of a process; an error when the process is gone.
    fn container(&mut self, tgid: u32) -> io::Result<Option<String>>;
}

/// The node that this process runs on.
#[derive(Debug)]
pub(crate) struct Node;

impl ProcessSource for Node {
    fn container(&mut self, tgid: u32) -> io::Result<Option<String>> {
        process::container(tgid)
    }
}

/// No node: a capture from elsewhere.
#[derive(Debug)]
pub(crate) struct Elsewhere;

impl ProcessSource for Elsewhere {
    fn container(&mut self, _tgid: u32) -> io::Result<Option<String>> {
        Ok(None)
    }
}

/// The facts of all connections of one worker.
pub(crate) struct Connections<S> {
    known: HashMap<u64, Known>,
    /// Certificates of connections that nothing else is known of yet, and when they were seen: a
    /// handshake comes before the first bytes.
    certificates: HashMap<u64, (u64, Arc<CertificateFacts>)>,
    /// Containers that were found; emptied when it grows too large.
    containers: HashMap<Home, Option<Arc<str>>>,
    libraries: Arc<LibraryNames>,
    /// Who was at the other end in an earlier run; `None` where nobody wants to know.
    peers: Option<Arc<Peers>>,
    source: S,
}

/// What determines the container of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Home {
    /// Its cgroup: what was found for one process holds for those that follow it there, however
    /// short they live.
    Cgroup(u64),
    /// Itself, where the kernel side sees no cgroups (version 1): its id and its start.
    Process(u32, u64),
}

struct Known {
    facts: Arc<Facts>,
    /// Number of the TLS library.
    library: u64,
    /// Its first bytes; 0 when nothing that came before them is of use.
    opened_ns: u64,
    /// Where an earlier and a later run find it again.
    place: Option<Place>,
    /// When the connection ended; its last exchanges may still be waiting for their bytes.
    closed_at_ns: Option<u64>,
}

impl<S: ProcessSource> Connections<S> {
    pub(crate) fn new(libraries: Arc<LibraryNames>, source: S) -> Self {
        Self {
            known: HashMap::new(),
            certificates: HashMap::new(),
            containers: HashMap::new(),
            libraries,
            peers: None,
            source,
        }
    }

    /// Takes up what an earlier run knew, and keeps it for a later one.
    pub(crate) fn with_peers(self, peers: Option<Arc<Peers>>) -> Self {
        Self { peers, ..self }
    }

    /// Takes in what an event says.
    pub(crate) fn learn(&mut self, event: &ControlEvent) {
        match ControlKind::from_number(event.kind) {
            Some(ControlKind::Open) => {
                // Two threads that use a connection for the first time at once both tell of it.
                if self.known.contains_key(&event.connection) {
                    return;
                }
                if self.known.len() >= MAX_CONNECTIONS {
                    self.forget_closed(u64::MAX);
                }
                let facts = self.facts(event);
                let wants_certificate =
                    facts.layer == Layer::Tls && facts.peer_certificate.is_none();
                let mut known = Known {
                    library: event.library,
                    opened_ns: if wants_certificate { event.ktime_ns } else { 0 },
                    facts: Arc::new(facts),
                    place: None,
                    closed_at_ns: None,
                };
                known.settle(event, self.peers.as_deref());
                self.known.insert(event.connection, known);
            }
            Some(ControlKind::Bind) => {
                if let Some(known) = self.known.get_mut(&event.connection) {
                    Arc::make_mut(&mut known.facts).ends = ends(event);
                    known.settle(event, self.peers.as_deref());
                }
            }
            Some(ControlKind::Close) => self.close(event.connection, event.ktime_ns),
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

    /// Takes in the certificate that the peer of a connection showed. What cannot be read is none.
    pub(crate) fn certify(&mut self, head: &SegmentHead, bytes: &[u8]) {
        let Ok(certificate) = CertificateFacts::from_der(bytes) else { return };
        let certificate = Arc::new(certificate);
        if let Some(known) = self.known.get_mut(&head.connection) {
            // A later handshake on the same connection, or its first bytes came by sooner.
            if let (Some(peers), Some(place)) = (&self.peers, known.place) {
                peers.note(place, &certificate);
            }
            Arc::make_mut(&mut known.facts).peer_certificate = Some(certificate);
            known.opened_ns = 0;
        } else if self.certificates.len() < MAX_CERTIFICATES {
            self.certificates.insert(head.connection, (head.ktime_ns, certificate));
        }
    }

    /// Forgets certificates that were seen before this time on connections that never were of use.
    pub(crate) fn forget_certificates(&mut self, before_ns: u64) {
        if !self.certificates.is_empty() {
            self.certificates.retain(|_, (seen_ns, _)| *seen_ns >= before_ns);
        }
    }

    /// The facts of a connection; `None` when its opening was not seen.
    pub(crate) fn facts_of(&self, connection: u64) -> Option<&Arc<Facts>> {
        self.known.get(&connection).map(|known| &known.facts)
    }

    /// Names the TLS library of a connection whose opening came by sooner than the library's name:
    /// that comes from another thread, or from another process.
    pub(crate) fn name_library(&mut self, connection: u64) {
        let Some(known) = self.known.get_mut(&connection) else { return };
        if known.facts.layer == Layer::Tls
            && known.facts.library.is_none()
            && let Some(name) = self.libraries.name(known.library)
        {
            Arc::make_mut(&mut known.facts).library = Some(name);
        }
    }

    /// First bytes of a connection whose certificate may still come by; 0 for any other.
    pub(crate) fn opened_ns(&self, connection: u64) -> u64 {
        self.known.get(&connection).map_or(0, |known| known.opened_ns)
    }

    /// No certificate of this connection is waited for any more.
    pub(crate) fn expect_no_certificate(&mut self, connection: u64) {
        if let Some(known) = self.known.get_mut(&connection) {
            known.opened_ns = 0;
        }
    }

    /// When a connection ended, by the kernel's clock, if it did.
    pub(crate) fn closed_at_ns(&self, connection: u64) -> Option<u64> {
        self.known.get(&connection)?.closed_at_ns
    }

    /// Connections through TLS libraries of a process: they end with it, without an event of
    /// their own.
    pub(crate) fn tls_of_process(&self, tgid: u32) -> Vec<u64> {
        self.known
            .iter()
            .filter(|(_, known)| {
                known.facts.layer == Layer::Tls
                    && known.facts.process.tgid == tgid
                    && known.closed_at_ns.is_none()
            })
            .map(|(connection, _)| *connection)
            .collect()
    }

    /// Marks a connection as ended.
    pub(crate) fn close(&mut self, connection: u64, at_ns: u64) {
        if let Some(known) = self.known.get_mut(&connection) {
            known.closed_at_ns = Some(at_ns);
            if let (Some(peers), Some(place)) = (&self.peers, known.place.take()) {
                peers.forget(place);
            }
        }
    }

    /// Forgets connections that ended before this time.
    pub(crate) fn forget_closed(&mut self, before_ns: u64) {
        self.known.retain(|_, known| known.closed_at_ns.is_none_or(|closed| closed >= before_ns));
        if self.known.len() >= MAX_CONNECTIONS {
            // More connections than the flow table can hold are open: start over. Exchanges on
            // them are then reported without names, never with wrong ones.
            self.known.clear();
        }
    }

    fn facts(&mut self, event: &ControlEvent) -> Facts {
        let layer = Layer::from_number(event.layer).unwrap_or(Layer::Socket);
        let name = event.command.split(|&byte| byte == 0).next().unwrap_or_default();
        Facts {
            process: ProcessFacts {
                tgid: event.tgid,
                command: Arc::from(String::from_utf8_lossy(name)),
                container: self.container(event),
            },
            layer,
            library: match layer {
                Layer::Tls => self.libraries.name(event.library),
                Layer::Socket => None,
            },
            ends: ends(event),
            peer_certificate: self
                .certificates
                .remove(&event.connection)
                .map(|(_, certificate)| certificate),
        }
    }

    fn container(&mut self, event: &ControlEvent) -> Option<Arc<str>> {
        if self.containers.len() >= MAX_PROCESSES {
            self.containers.clear();
        }
        let place = if event.cgroup > ROOT_CGROUP {
            Home::Cgroup(event.cgroup)
        } else {
            Home::Process(event.tgid, event.process_start_ns)
        };
        if let Some(container) = self.containers.get(&place) {
            return container.clone();
        }
        // A process that is gone leaves the question open for the next one.
        let container = self.source.container(event.tgid).ok()?.map(Arc::from);
        self.containers.insert(place, container.clone());
        container
    }
}

impl Known {
    /// Notes who is at the other end for a later run, or takes up what an earlier one noted.
    fn settle(&mut self, event: &ControlEvent, peers: Option<&Peers>) {
        let (Some(peers), Some((local, remote))) = (peers, self.facts.ends) else { return };
        if self.facts.layer != Layer::Tls {
            return;
        }
        let process = self.facts.process.tgid;
        let place = Place { process, started_ns: event.process_start_ns, local, remote };
        self.place = Some(place);
        match &self.facts.peer_certificate {
            Some(certificate) => peers.note(place, certificate),
            None if event.from_start == 0 => {
                let earlier = peers.take_up(place);
                Arc::make_mut(&mut self.facts).peer_certificate = earlier;
            }
            None => peers.supersede(place),
        }
    }
}

/// Both ends of a connection, this side's first; `None` when its socket is not known.
pub(crate) fn ends(event: &ControlEvent) -> Option<(SocketAddr, SocketAddr)> {
    let address = |bytes: [u8; 16]| match event.family {
        4 => {
            let [a, b, c, d, ..] = bytes;
            Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        // An IPv6 socket with an IPv4 peer is an IPv4 connection.
        6 => Some(Ipv6Addr::from(bytes).to_canonical()),
        _ => None,
    };
    let local = SocketAddr::new(address(event.local)?, event.local_port);
    let remote = SocketAddr::new(address(event.remote)?, event.remote_port);
    Some((local, remote))
}

/// As many as a flow table holds, and those that ended a moment ago.
const MAX_CONNECTIONS: usize = 131_072;

/// Handshakes of a minute, at some hundred a second; half a kilobyte each.
const MAX_CERTIFICATES: usize = 16_384;

/// The root of the cgroup hierarchy, in which every process is where version 2 is not used.
const ROOT_CGROUP: u64 = 1;

/// Places whose container is remembered.
const MAX_PROCESSES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(connection: u64, tgid: u32) -> ControlEvent {
        ControlEvent {
            connection,
            tgid,
            kind: ControlKind::Open as u8,
            layer: Layer::Tls as u8,
            family: 4,
            local: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            remote: [10, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            local_port: 443,
            remote_port: 40112,
            library: 1,
            command: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            ..ControlEvent::EMPTY
        }
    }

    fn connections() -> Connections<Elsewhere> {
        let libraries = Arc::new(LibraryNames::default());
        libraries.insert(1, "/usr/lib/libssl.so.3");
        Connections::new(libraries, Elsewhere)
    }

    #[test]
    fn an_opening_names_process_library_and_both_ends() {
        let mut connections = connections();
        connections.learn(&open(5, 42));
        let facts = connections.facts_of(5).expect("known");
        assert_eq!(&*facts.process.command, "nginx");
        assert_eq!(facts.library.as_deref(), Some("/usr/lib/libssl.so.3"));
        let (local, remote) = facts.ends.expect("bound");
        assert_eq!(local.to_string(), "127.0.0.1:443");
        assert_eq!(remote.to_string(), "10.0.0.7:40112");
        assert!(connections.facts_of(6).is_none());
    }

    #[test]
    fn a_library_whose_name_comes_later_is_named() {
        let libraries = Arc::new(LibraryNames::default());
        let mut connections = Connections::new(Arc::clone(&libraries), Elsewhere);
        connections.learn(&open(5, 42));
        connections.name_library(5);
        assert_eq!(connections.facts_of(5).expect("known").library, None);
        libraries.insert(1, "/usr/lib/libssl.so.3");
        connections.name_library(5);
        let facts = connections.facts_of(5).expect("known");
        assert_eq!(facts.library.as_deref(), Some("/usr/lib/libssl.so.3"));
    }

    #[test]
    fn an_opening_that_is_told_twice_is_one() {
        let mut connections = connections();
        connections.learn(&open(5, 42));
        connections.learn(&ControlEvent { kind: ControlKind::Bind as u8, ..open(5, 42) });
        connections.learn(&ControlEvent { family: 0, ..open(5, 42) });
        assert!(connections.facts_of(5).expect("known").ends.is_some());
    }

    #[test]
    fn a_later_binding_completes_an_opening_without_socket() {
        let mut connections = connections();
        connections.learn(&ControlEvent { family: 0, ..open(5, 42) });
        assert_eq!(connections.facts_of(5).expect("known").ends, None);
        connections.learn(&ControlEvent { kind: ControlKind::Bind as u8, ..open(5, 42) });
        assert!(connections.facts_of(5).expect("known").ends.is_some());
    }

    #[test]
    fn a_mapped_ipv4_address_is_an_ipv4_address() {
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
        let event = ControlEvent { family: 6, local: mapped, remote: mapped, ..open(5, 42) };
        let (local, _) = ends(&event).expect("bound");
        assert_eq!(local.to_string(), "127.0.0.1:443");
    }

    #[test]
    fn a_container_is_known_by_its_cgroup_when_the_process_is_gone() {
        struct Living(Vec<u32>);
        impl ProcessSource for Living {
            fn container(&mut self, tgid: u32) -> io::Result<Option<String>> {
                let is_alive = self.0.contains(&tgid);
                if is_alive {
                    Ok(Some("c".to_owned()))
                } else {
                    Err(io::ErrorKind::NotFound.into())
                }
            }
        }
        let mut connections = Connections::new(Arc::default(), Living(vec![42]));
        let in_cgroup = |connection, tgid| ControlEvent { cgroup: 9, ..open(connection, tgid) };
        for (connection, tgid) in [(1, 7), (2, 42), (3, 8)] {
            connections.learn(&in_cgroup(connection, tgid));
        }
        let container =
            |connection| connections.facts_of(connection).expect("known").process.container.clone();
        assert_eq!(container(1), None);
        assert_eq!(container(2).as_deref(), Some("c"));
        assert_eq!(container(3).as_deref(), Some("c"));
    }

    #[test]
    fn ended_connections_are_forgotten_and_those_of_a_process_are_found() {
        let mut connections = connections();
        connections.learn(&open(5, 42));
        connections.learn(&open(6, 43));
        assert_eq!(connections.tls_of_process(42), [5]);
        connections.learn(&ControlEvent {
            connection: 5,
            kind: ControlKind::Close as u8,
            ktime_ns: 10,
            ..ControlEvent::EMPTY
        });
        connections.forget_closed(10);
        assert!(connections.facts_of(5).is_some());
        connections.forget_closed(11);
        assert!(connections.facts_of(5).is_none());
        assert!(connections.facts_of(6).is_some());
    }
}
