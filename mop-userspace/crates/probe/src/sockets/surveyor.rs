//! Goes around, and remembers what it saw the last time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    link::{Heard, Link},
    message::Socket,
    namespaces,
    owners::Owners,
    survey::{Owner, Survey, Traffic, Unseen},
    talker::{Executables, MAX_LISTENERS, Talker},
};
use crate::process;

/// Finds what every process moves over TCP.
///
/// The first survey only takes note of what there is: what moved before it belongs to no window.
pub struct Surveyor {
    /// Processes of this program.
    own: Vec<u32>,
    own_namespace: u64,
    places: BTreeMap<u64, Place>,
    /// Sockets of the last survey, by their cookies.
    known: HashMap<u64, Known>,
    /// Sockets that closed since then, and their namespaces.
    closed: Vec<(u64, Socket)>,
    /// Sockets that closed and found no room there.
    closed_beyond: u32,
    overruns: u32,
    executables: Executables,
    /// Those of the last survey: a process may be gone when its last bytes are counted.
    talkers: HashMap<u32, Talker>,
    witnessed: Instant,
    has_begun: bool,
}

/// A network namespace.
struct Place {
    link: Link,
    /// A process that lives in it.
    witness: u32,
}

/// A socket at the time of the last survey.
#[derive(Clone, Copy)]
struct Known {
    owner: Owner,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Surveyor {
    /// Begins in the network namespace of this thread. The processes named are left out of all
    /// surveys.
    ///
    /// # Errors
    ///
    /// When the kernel has no `sock_diag`, or does not let this process ask.
    pub fn open(own: Vec<u32>) -> io::Result<Self> {
        let own_namespace = namespaces::own()?;
        let mut link = Link::open()?;
        // Whether it answers at all.
        link.sockets(0)?;
        let place = Place { link, witness: std::process::id() };
        Ok(Self {
            own,
            own_namespace,
            places: BTreeMap::from([(own_namespace, place)]),
            known: HashMap::new(),
            closed: Vec::new(),
            closed_beyond: 0,
            overruns: 0,
            executables: Executables::default(),
            talkers: HashMap::new(),
            witnessed: Instant::now(),
            has_begun: false,
        })
    }

    /// Hears of sockets that close, for so long at most.
    pub fn listen(&mut self, limit: Duration) {
        if self.witnessed.elapsed() >= WITNESS_EVERY {
            self.witnessed = Instant::now();
            let own = self.own_namespace;
            // A namespace in which nobody lives is to end, and a link would keep it.
            self.places.retain(|&number, place| {
                number == own || namespaces::of(place.witness).is_ok_and(|of| of == number)
            });
        }
        let mut waits: Vec<PollFd<'_>> = self
            .places
            .values()
            .filter_map(|place| Some(PollFd::from_borrowed_fd(place.link.hears()?, PollFlags::IN)))
            .collect();
        let limit = limit.min(WITNESS_EVERY);
        let timeout = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        if poll(&mut waits, Some(&timeout)).is_ok_and(|ready| ready > 0) {
            drop(waits);
            self.hear();
            // Where sockets close all the time, they are heard of together.
            std::thread::sleep(GATHER);
        }
    }

    /// Finds what moved since the last survey.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer any more: then nothing is known of what moved.
    pub fn survey(&mut self) -> io::Result<Survey> {
        self.hear();
        let mut unseen = Unseen::default();
        let mut tgids = process::all();
        tgids.sort_unstable();
        let sockets = self.sockets(&tgids, &mut unseen)?;
        self.hear();
        let wanted: HashSet<u32> =
            sockets.iter().map(|(_, socket)| socket.inode).filter(|inode| *inode != 0).collect();
        let owners = Owners::find(&tgids, &wanted);
        unseen.processes = owners.hidden;
        let listeners = Listeners::of(&sockets, &owners);
        let mut traffic = Vec::new();
        let before = std::mem::take(&mut self.known);
        for (namespace, socket) in sockets.iter().filter(|(_, socket)| !socket.is_listening()) {
            let last = before.get(&socket.cookie);
            let owner = owner(*namespace, socket, last, &owners, &listeners);
            let Socket { received_bytes, sent_bytes, .. } = *socket;
            self.known.insert(socket.cookie, Known { owner, received_bytes, sent_bytes });
            traffic.extend(moved(socket, owner, last));
        }
        for (namespace, socket) in std::mem::take(&mut self.closed) {
            // What the survey has just counted is not counted again.
            let last = self.known.remove(&socket.cookie);
            let last = last.as_ref().or_else(|| before.get(&socket.cookie));
            let owner = owner(namespace, &socket, last, &owners, &listeners);
            traffic.extend(moved(&socket, owner, last));
        }
        unseen.sockets = unseen.sockets.saturating_add(std::mem::take(&mut self.closed_beyond));
        unseen.overruns = std::mem::take(&mut self.overruns);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first {
            traffic.clear();
        }
        let own = &self.own;
        traffic.retain(|one| !matches!(one.owner, Owner::Process(tgid) if own.contains(&tgid)));
        let talkers = self.describe(&traffic, &listeners);
        Ok(Survey { is_first, traffic, talkers, unseen })
    }

    /// What the sockets that are open now moved since they were opened.
    ///
    /// # Errors
    ///
    /// As [`Self::survey`].
    pub fn since_opened(&mut self) -> io::Result<Survey> {
        self.known.clear();
        self.closed.clear();
        self.has_begun = true;
        self.survey()
    }

    /// All sockets of all namespaces, with the namespace of each.
    fn sockets(&mut self, tgids: &[u32], unseen: &mut Unseen) -> io::Result<Vec<(u64, Socket)>> {
        let mut namespaces = namespaces::all(tgids);
        namespaces.insert(self.own_namespace, std::process::id());
        self.places.retain(|number, _| namespaces.contains_key(number));
        let mut found = Vec::new();
        for (number, witness) in namespaces {
            let room = MAX_SOCKETS.saturating_sub(found.len());
            match self.sockets_in(number, witness, room) {
                Ok((sockets, beyond)) => {
                    unseen.sockets = unseen.sockets.saturating_add(beyond);
                    found.extend(sockets.into_iter().map(|socket| (number, socket)));
                }
                Err(error) if number == self.own_namespace => return Err(error),
                Err(_) => {
                    self.places.remove(&number);
                    // It may have ended meanwhile.
                    if namespaces::of(witness).is_ok_and(|of| of == number) {
                        unseen.namespaces = unseen.namespaces.saturating_add(1);
                    }
                }
            }
        }
        let is_deaf = |place: &&Place| place.link.hears().is_none();
        unseen.deaf_namespaces =
            u32::try_from(self.places.values().filter(is_deaf).count()).unwrap_or(u32::MAX);
        Ok(found)
    }

    fn sockets_in(
        &mut self,
        number: u64,
        witness: u32,
        room: usize,
    ) -> io::Result<(Vec<Socket>, u32)> {
        if !self.places.contains_key(&number) {
            if self.places.len() >= MAX_NAMESPACES {
                return Err(io::Error::other("too many network namespaces"));
            }
            let link = namespaces::enter(number, witness)?;
            self.places.insert(number, Place { link, witness });
        }
        let Some(place) = self.places.get_mut(&number) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        place.witness = witness;
        place.link.sockets(room)
    }

    fn hear(&mut self) {
        let Self { places, closed, closed_beyond, overruns, .. } = self;
        for (number, place) in places {
            let heard = place.link.closed(|socket| {
                if closed.len() < MAX_CLOSED {
                    closed.push((*number, socket));
                } else {
                    *closed_beyond = closed_beyond.saturating_add(1);
                }
            });
            if heard == Heard::Overrun {
                *overruns = overruns.saturating_add(1);
            }
        }
    }

    /// The processes that moved something.
    fn describe(&mut self, traffic: &[Traffic], listeners: &Listeners) -> Vec<Talker> {
        let tgids: BTreeSet<u32> = traffic
            .iter()
            .filter_map(|one| match one.owner {
                Owner::Process(tgid) => Some(tgid),
                Owner::Kernel | Owner::Unknown => None,
            })
            .collect();
        let before = std::mem::take(&mut self.talkers);
        for tgid in tgids {
            let talker = Talker::of(tgid, listeners.ports(tgid), &mut self.executables);
            if let Some(talker) = talker.or_else(|| before.get(&tgid).cloned()) {
                self.talkers.insert(tgid, talker);
            }
        }
        self.talkers.values().cloned().collect()
    }
}

/// What listens where.
#[derive(Debug, Default)]
struct Listeners {
    /// The first process that listens on a port of a namespace.
    by_port: HashMap<(u64, u16), u32>,
    by_process: HashMap<u32, BTreeSet<u16>>,
}

impl Listeners {
    fn of(sockets: &[(u64, Socket)], owners: &Owners) -> Self {
        let mut listeners = Self::default();
        for (namespace, socket) in sockets.iter().filter(|(_, socket)| socket.is_listening()) {
            let port = socket.local.port();
            for &tgid in owners.of(socket.inode) {
                let first = listeners.by_port.entry((*namespace, port)).or_insert(tgid);
                *first = tgid.min(*first);
                listeners.by_process.entry(tgid).or_default().insert(port);
            }
        }
        listeners
    }

    fn ports(&self, tgid: u32) -> Vec<u16> {
        self.by_process.get(&tgid).into_iter().flatten().copied().take(MAX_LISTENERS).collect()
    }
}

/// Whose a socket is: who holds it, held it, or will accept it.
fn owner(
    namespace: u64,
    socket: &Socket,
    last: Option<&Known>,
    owners: &Owners,
    listeners: &Listeners,
) -> Owner {
    if let Some(&tgid) = owners.of(socket.inode).first() {
        return Owner::Process(tgid);
    }
    if let Some(Known { owner: Owner::Process(tgid), .. }) = last {
        return Owner::Process(*tgid);
    }
    if let Some(&tgid) = listeners.by_port.get(&(namespace, socket.local.port())) {
        return Owner::Process(tgid);
    }
    match last {
        Some(Known { owner, .. }) => *owner,
        None if socket.inode == 0 && socket.is_established() => Owner::Kernel,
        None => Owner::Unknown,
    }
}

/// What a socket moved since it was last counted.
fn moved(socket: &Socket, owner: Owner, last: Option<&Known>) -> Option<Traffic> {
    let (received, sent) = last.map_or((0, 0), |last| (last.received_bytes, last.sent_bytes));
    let received_bytes = socket.received_bytes.saturating_sub(received);
    let sent_bytes = socket.sent_bytes.saturating_sub(sent);
    // The first and last packets of a connection count as a byte each way, and carry none.
    (received_bytes > 1 || sent_bytes > 1).then_some(Traffic {
        owner,
        local: socket.local,
        remote: socket.remote,
        received_bytes,
        sent_bytes,
    })
}

/// How long a link may keep a network namespace in which nobody lives any more.
pub const WITNESS_EVERY: Duration = Duration::from_secs(2);

/// Some hundred closings fit the kernel's buffer: so often it is emptied where many come.
const GATHER: Duration = Duration::from_millis(10);

/// Connections of a busy proxy; a survey of so many takes about a second.
const MAX_SOCKETS: usize = 262_144;

/// Short connections of a minute, at four thousand a second; some 27 MB while they wait.
const MAX_CLOSED: usize = 262_144;

/// Pods and containers of a node are fewer; each takes two descriptors.
const MAX_NAMESPACES: usize = 400;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener, TcpStream},
    };

    use super::*;

    fn transfer(listener: &TcpListener, bytes: usize) -> (TcpStream, TcpStream) {
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("connected");
        let (mut server, _) = listener.accept().expect("accepted");
        client.write_all(&vec![7; bytes]).expect("sent");
        server.read_exact(&mut vec![0; bytes]).expect("received");
        (client, server)
    }

    fn received_by(survey: &Survey, address: SocketAddr) -> u64 {
        let own = Owner::Process(std::process::id());
        let here = survey.traffic.iter().filter(|one| one.local == address && one.owner == own);
        here.map(|one| one.received_bytes).sum()
    }

    #[test]
    fn bytes_are_counted_once_for_sockets_that_stay_and_for_those_that_close() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut surveyor = Surveyor::open(Vec::new()).expect("the kernel has sock_diag");
        let before = transfer(&listener, 30_000);
        let first = surveyor.survey().expect("told");
        assert!(
            first.is_first && first.traffic.is_empty(),
            "what moved before belongs to no window"
        );

        let stays = transfer(&listener, 5_000);
        drop(transfer(&listener, 70_000));
        surveyor.listen(Duration::from_millis(50));
        let second = surveyor.survey().expect("told");
        assert!(!second.is_first);
        let count = received_by(&second, address);
        assert!((75_000..75_010).contains(&count), "{count}");
        let own = std::process::id();
        let talker = second.talkers.iter().find(|one| one.tgid == own).expect("described");
        assert!(talker.listeners.contains(&address.port()), "{talker:?}");

        drop((before, stays));
        surveyor.listen(Duration::from_millis(50));
        let third = surveyor.survey().expect("told");
        assert!(received_by(&third, address) < 10, "nothing but ends: {third:?}");
    }

    #[test]
    fn sockets_that_are_open_are_counted_from_their_beginning() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let _open = transfer(&listener, 9_000);
        let mut surveyor = Surveyor::open(Vec::new()).expect("the kernel has sock_diag");
        for _ in 0..2 {
            let survey = surveyor.since_opened().expect("told");
            assert_eq!(received_by(&survey, address), 9_000);
        }
    }

    #[test]
    fn own_processes_are_left_out() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut surveyor =
            Surveyor::open(vec![std::process::id()]).expect("the kernel has sock_diag");
        surveyor.survey().expect("told");
        let _open = transfer(&listener, 9_000);
        let survey = surveyor.survey().expect("told");
        assert_eq!(received_by(&survey, address), 0);
    }
}
