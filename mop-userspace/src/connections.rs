//! What is known of a connection apart from its bytes: who talks to whom.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use mop_common::{ControlEvent, ControlKind, Layer, SegmentHead};
use mop_insight::data::identity::certificate::CertificateFacts;
use mop_probe::process::Placement;
use mop_wire::OwnKeyHasher;

use crate::{
    data::peers::{Peers, Place},
    hellos::{Hellos, TlsFacts},
    kept_once::KeptOnce,
    workloads::{Directory, Whereabouts},
};

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
    /// What both sides said in clear text; `None` for plain connections, and when it was not seen.
    pub(crate) tls: Option<Arc<TlsFacts>>,
}

/// The process at this end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessFacts {
    /// Its id.
    pub(crate) tgid: u32,
    /// Name of the thread that was seen first.
    pub(crate) command: Arc<str>,
    /// Its container and its pod.
    pub(crate) whereabouts: Whereabouts,
}

/// Where the facts about processes come from.
pub(crate) trait ProcessSource {
    /// Container and pod of a process; an error when the process is gone.
    fn placement(&mut self, tgid: u32) -> io::Result<Placement>;
}

/// The node that this process runs on.
#[derive(Debug)]
pub(crate) struct Node;

impl ProcessSource for Node {
    fn placement(&mut self, tgid: u32) -> io::Result<Placement> {
        Placement::of_process(tgid)
    }
}

/// No node: a capture from elsewhere.
#[derive(Debug)]
pub(crate) struct Elsewhere;

impl ProcessSource for Elsewhere {
    fn placement(&mut self, _tgid: u32) -> io::Result<Placement> {
        Ok(Placement::default())
    }
}

/// The facts of all connections of one worker.
pub(crate) struct Connections<S> {
    known: HashMap<u64, Known, BuildHasherDefault<OwnKeyHasher>>,
    /// Certificates of connections that nothing else is known of yet, and when they were seen: a
    /// handshake comes before the first bytes.
    certificates: HashMap<u64, (u64, Arc<CertificateFacts>)>,
    /// Placements that were found; emptied when it grows too large.
    placements: HashMap<Home, Arc<Placement>>,
    /// Names of threads.
    commands: KeptOnce<str>,
    /// What peers showed.
    shown: KeptOnce<CertificateFacts>,
    libraries: Arc<LibraryNames>,
    /// Who was at the other end in an earlier run; `None` where nobody wants to know.
    peers: Option<Arc<Peers>>,
    /// What TLS connections said in clear text.
    hellos: Arc<Hellos>,
    /// What the cluster calls pods; `None` where no cluster is asked.
    directory: Option<Arc<Directory>>,
    source: S,
}

/// What determines the placement of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Home {
    /// Its cgroup: what was found for one process holds for those that follow it there, however
    /// short they live.
    Cgroup(u64),
    /// Itself, where the kernel side sees no cgroups (version 1): its id and its start.
    Process(u32, u64),
}

struct Known {
    facts: Facts,
    /// Number of the TLS library.
    library: u64,
    /// Its first bytes; 0 when nothing that came before them is of use.
    opened_ns: u64,
    /// The socket underneath, while its hello is not known in full.
    hello: Option<Awaited>,
    /// Where an earlier and a later run find it again.
    place: Option<Place>,
    /// When the connection ended; its last exchanges may still be waiting for their bytes.
    closed_at_ns: Option<u64>,
    /// The change of the directory after which its workload was looked for.
    named_at: Option<u64>,
}

/// A hello that was not read yet, or not in full.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    /// Number of the socket that carries it.
    socket: u64,
    /// First bytes of the connection, when these were seen: its hello was read no later than they.
    opened_ns: u64,
    /// How often it will still be asked for.
    questions: u8,
}

impl<S: ProcessSource> Connections<S> {
    pub(crate) fn new(libraries: Arc<LibraryNames>, source: S) -> Self {
        Self {
            known: HashMap::default(),
            certificates: HashMap::new(),
            placements: HashMap::new(),
            commands: KeptOnce::up_to(MAX_PROCESSES),
            shown: KeptOnce::up_to(MAX_SHOWN),
            libraries,
            peers: None,
            hellos: Arc::default(),
            directory: None,
            source,
        }
    }

    /// Takes up what an earlier run knew, and keeps it for a later one.
    pub(crate) fn with_peers(self, peers: Option<Arc<Peers>>) -> Self {
        Self { peers, ..self }
    }

    /// Asks for hellos where they are put by others.
    pub(crate) fn with_hellos(self, hellos: Arc<Hellos>) -> Self {
        Self { hellos, ..self }
    }

    /// Asks there what the cluster calls pods.
    pub(crate) fn with_directory(self, directory: Option<Arc<Directory>>) -> Self {
        Self { directory, ..self }
    }

    /// Takes in bytes of a hello.
    pub(crate) fn hello(&self, head: &SegmentHead, bytes: &[u8]) {
        self.hellos.take(head, bytes);
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
                    hello: Awaited::of(event),
                    facts,
                    place: None,
                    closed_at_ns: None,
                    named_at: None,
                };
                known.settle(event, self.peers.as_deref());
                known.hear(&self.hellos);
                self.known.insert(event.connection, known);
            }
            Some(ControlKind::Bind) => {
                if let Some(known) = self.known.get_mut(&event.connection) {
                    let facts = &mut known.facts;
                    (facts.ends, facts.tls) = (ends(event), None);
                    known.hello = Awaited::of(event);
                    known.settle(event, self.peers.as_deref());
                    known.hear(&self.hellos);
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
        let certificate = self.shown.get(certificate);
        if let Some(known) = self.known.get_mut(&head.connection) {
            // A later handshake on the same connection, or its first bytes came by sooner.
            if let (Some(peers), Some(place)) = (&self.peers, known.place) {
                peers.note(place, &certificate);
            }
            known.facts.peer_certificate = Some(certificate);
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

    /// What is known of a connection by now, and when it ended, by the kernel's clock, if it did. Some
    /// comes by later than its first bytes: the name of its library, which another thread or process
    /// tells; what it said in clear text; and the workload, as the cluster calls it now.
    pub(crate) fn as_of_now(&mut self, connection: u64) -> Option<(&Facts, Option<u64>)> {
        let known = self.known.get_mut(&connection)?;
        if known.facts.layer == Layer::Tls
            && known.facts.library.is_none()
            && let Some(name) = self.libraries.name(known.library)
        {
            known.facts.library = Some(name);
        }
        if let Some(directory) = &self.directory {
            known.name_workload(directory);
        }
        known.hear(&self.hellos);
        Some((&known.facts, known.closed_at_ns))
    }

    /// First bytes of a connection of whose handshake more may still come by: what was said in clear
    /// text, or, where that is of use, a certificate; 0 for any other.
    pub(crate) fn opened_ns(&mut self, connection: u64, wants_certificate: bool) -> u64 {
        let Some(known) = self.known.get_mut(&connection) else { return 0 };
        known.hear(&self.hellos);
        let of_hello = known.hello.map_or(0, |hello| hello.opened_ns);
        if wants_certificate { known.opened_ns.max(of_hello) } else { of_hello }
    }

    /// Nothing of the handshake of this connection is waited for any more.
    pub(crate) fn expect_nothing(&mut self, connection: u64) {
        if let Some(known) = self.known.get_mut(&connection) {
            known.opened_ns = 0;
            known.hello = None;
        }
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
                command: self.commands.get(&*String::from_utf8_lossy(name)),
                whereabouts: Whereabouts::at(self.placement(event)),
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
            tls: None,
        }
    }

    fn placement(&mut self, event: &ControlEvent) -> Option<Arc<Placement>> {
        if self.placements.len() >= MAX_PROCESSES {
            self.placements.clear();
        }
        let home = if event.cgroup > ROOT_CGROUP {
            Home::Cgroup(event.cgroup)
        } else {
            Home::Process(event.tgid, event.process_start_ns)
        };
        if let Some(placement) = self.placements.get(&home) {
            return Some(Arc::clone(placement));
        }
        // A process that is gone leaves the question open for the next one.
        let placement = Arc::new(self.source.placement(event.tgid).ok()?);
        self.placements.insert(home, Arc::clone(&placement));
        Some(placement)
    }
}

impl Awaited {
    /// What the socket that an event names carries; `None` when it names none.
    fn of(event: &ControlEvent) -> Option<Self> {
        let opened_ns = if event.from_start != 0 { event.ktime_ns } else { 0 };
        let awaited = Self { socket: event.socket, opened_ns, questions: HELLO_QUESTIONS };
        (event.socket != 0).then_some(awaited)
    }
}

impl Known {
    /// Takes what was said in clear text, as far as that was read by now.
    fn hear(&mut self, hellos: &Hellos) {
        let Some(awaited) = &mut self.hello else { return };
        awaited.questions = awaited.questions.saturating_sub(1);
        let is_last = awaited.questions == 0;
        let heard = hellos.of_socket(awaited.socket);
        let is_whole = heard.as_ref().is_some_and(|facts| facts.is_whole());
        if heard != self.facts.tls {
            self.facts.tls = heard;
        }
        if is_whole || is_last {
            self.hello = None;
        }
    }

    /// Names the workload as the cluster calls it now. One that is forgotten there keeps its name here.
    fn name_workload(&mut self, directory: &Directory) {
        let changes = directory.changes();
        if self.named_at.replace(changes) == Some(changes) {
            return;
        }
        let Whereabouts { placement, workload } = &self.facts.process.whereabouts;
        let found = placement.as_ref().and_then(|placement| directory.find(placement));
        if found.is_some() && found != *workload {
            self.facts.process.whereabouts.workload = found;
        }
    }

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
                self.facts.peer_certificate = earlier;
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

/// The first calls of a connection ask for its hello. It was read by then, or never will be.
const HELLO_QUESTIONS: u8 = 16;

/// Peers that show a certificate, each with those of its predecessors.
const MAX_SHOWN: usize = 1024;

/// Handshakes of a minute, at some hundred a second; half a kilobyte each.
const MAX_CERTIFICATES: usize = 16_384;

/// The root of the cgroup hierarchy, in which every process is where version 2 is not used.
const ROOT_CGROUP: u64 = 1;

/// Processes and cgroups whose placement is remembered, and names of threads.
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

    fn known_facts<S>(connections: &Connections<S>, connection: u64) -> &Facts {
        &connections.known.get(&connection).expect("known").facts
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
        let facts = known_facts(&connections, 5);
        assert_eq!(&*facts.process.command, "nginx");
        assert_eq!(facts.library.as_deref(), Some("/usr/lib/libssl.so.3"));
        let (local, remote) = facts.ends.expect("bound");
        assert_eq!(local.to_string(), "127.0.0.1:443");
        assert_eq!(remote.to_string(), "10.0.0.7:40112");
        assert!(!connections.known.contains_key(&6));
    }

    #[test]
    fn a_library_whose_name_comes_later_is_named() {
        let libraries = Arc::new(LibraryNames::default());
        let mut connections = Connections::new(Arc::clone(&libraries), Elsewhere);
        connections.learn(&open(5, 42));
        connections.as_of_now(5);
        assert_eq!(known_facts(&connections, 5).library, None);
        libraries.insert(1, "/usr/lib/libssl.so.3");
        connections.as_of_now(5);
        let facts = known_facts(&connections, 5);
        assert_eq!(facts.library.as_deref(), Some("/usr/lib/libssl.so.3"));
    }

    #[test]
    fn an_opening_that_is_told_twice_is_one() {
        let mut connections = connections();
        connections.learn(&open(5, 42));
        connections.learn(&ControlEvent { kind: ControlKind::Bind as u8, ..open(5, 42) });
        connections.learn(&ControlEvent { family: 0, ..open(5, 42) });
        assert!(known_facts(&connections, 5).ends.is_some());
    }

    #[test]
    fn a_later_binding_completes_an_opening_without_socket() {
        let mut connections = connections();
        connections.learn(&ControlEvent { family: 0, ..open(5, 42) });
        assert_eq!(known_facts(&connections, 5).ends, None);
        connections.learn(&ControlEvent { kind: ControlKind::Bind as u8, ..open(5, 42) });
        assert!(known_facts(&connections, 5).ends.is_some());
    }

    #[test]
    fn what_was_said_is_of_the_socket_underneath() {
        let hello = server_hello();
        let said = |connections: &Connections<Elsewhere>, socket| {
            connections.hello(&hello_of(socket, hello.len()), &hello);
        };
        let mut connections = connections();
        said(&connections, 70);
        connections.learn(&ControlEvent { socket: 70, from_start: 1, ..open(5, 42) });
        // Of which nothing was said yet, and one whose socket is not known.
        connections.learn(&ControlEvent { socket: 71, from_start: 1, ktime_ns: 9, ..open(6, 42) });
        connections.learn(&open(7, 42));
        let version = |connections: &Connections<Elsewhere>, connection| {
            let facts = known_facts(connections, connection);
            facts.tls.as_ref().and_then(|tls| tls.version).and_then(|version| version.name())
        };
        assert_eq!(version(&connections, 5), Some("TLS 1.2"));
        assert_eq!(version(&connections, 6), None);
        assert_eq!(connections.opened_ns(6, false), 9);
        assert_eq!(connections.opened_ns(7, false), 0);
        said(&connections, 71);
        connections.as_of_now(6);
        assert_eq!(version(&connections, 6), Some("TLS 1.2"));
        // Bound later, to another socket than at first.
        let bind = ControlEvent { kind: ControlKind::Bind as u8, socket: 70, ..open(7, 42) };
        connections.learn(&bind);
        assert_eq!(version(&connections, 7), Some("TLS 1.2"));
        connections.learn(&ControlEvent { socket: 72, ..bind });
        assert_eq!(version(&connections, 7), None);
        // A descriptor that is used again has another socket.
        connections.learn(&ControlEvent { socket: 73, ..open(8, 42) });
        assert_eq!(version(&connections, 8), None);
    }

    fn hello_of(socket: u64, bytes: usize) -> SegmentHead {
        let length = u32::try_from(bytes).expect("short");
        SegmentHead {
            connection: socket,
            position: 0,
            ktime_ns: 1,
            cpu_sequence: 1,
            len_total: length,
            len_captured: length,
            cpu: 0,
            direction: 0,
            cause: 0,
            flags: mop_common::flags::HELLO,
            caller: 0,
        }
    }

    fn server_hello() -> Vec<u8> {
        [&[22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3][..], &[9; 32], &[0, 0xc0, 0x2f, 0]].concat()
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
            fn placement(&mut self, tgid: u32) -> io::Result<Placement> {
                let is_alive = self.0.contains(&tgid);
                if is_alive {
                    Ok(Placement { container: Some("c".to_owned()), pod: None })
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
        let container = |connection| {
            let facts = known_facts(&connections, connection);
            let placement = facts.process.whereabouts.placement.as_ref();
            placement.map(|placement| placement.container.clone())
        };
        assert_eq!(container(1), None, "nobody knows");
        assert_eq!(container(2), Some(Some("c".to_owned())));
        assert_eq!(container(3), Some(Some("c".to_owned())));
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
        assert!(connections.known.contains_key(&5));
        connections.forget_closed(11);
        assert!(!connections.known.contains_key(&5));
        assert!(connections.known.contains_key(&6));
    }
}
