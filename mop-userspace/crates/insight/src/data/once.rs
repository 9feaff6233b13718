//! Each call once, even when several processes of a node show it.
//!
//! A proxy ends TLS and passes the call on to the application behind it, and all three ends that
//! are on the node are observed:
//!
//! ```text
//! time ──────────────────────────────────────▶
//! proxy, server   ├────────────────────────┤     reported
//! proxy, client     ├────────────────────┤       hop: passed on
//! app, server         ├────────────────┤         hop: the same call, further inside
//! ```
//!
//! A sighting is a *hop* of another, and not a call of its own, when all of this holds:
//!
//! 1. Both have the same interaction, method and path. Where neither has an interaction, they also
//!    have the same status.
//! 2. They are on different connections, and the hop lies within the other's time. The clock is
//!    the kernel's and the same for both; its end may be [`TOLERANCE_NS`] late, since the last
//!    write is stamped when it returns.
//! 3. It is plausible that one passed the other on, by the roles of the observed processes:
//!
//! | outer | inner | hop when |
//! |---|---|---|
//! | server | client | the outer one is a tenant's, and the same process, where both are known, does not call another organisation |
//! | server | server | the inner caller is another address than the outer caller, or is on this node |
//! | client | client | another process shows it (a proxy on the way out), or, where processes are unknown, it calls another address |
//! | client | server | never: these are the two sides of one call, and each side reports |
//!
//! Both ends of one connection are never hops of each other. When a receiver and a transmitter share a
//! node, both are seen, and the client's time is taken to cover the server's: a client that is
//! preempted when it has sent is stamped later than its server, which must not make it a hop of what
//! happens behind that.
//!
//! Where neither has an interaction, server within server needs a caller on this node, and client
//! within client is never taken for a hop.
//!
//! So a client's second try with the same interaction is a second call: it comes after the first.
//! Two tries at the same time from one address are two calls too. A proxy that tries its upstream
//! twice has two hops. Of several that contain each other, the outermost is reported: it is nearest
//! to the edge, and its time is what the other side saw.
//!
//! Sightings come when they end, the inner ones mostly first, so each waits for `settle` before what
//! it is is decided and it is given out, and is remembered for as long again. Limits: `held <= limit`; where one more
//! comes, the oldest is given out early.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};
use mop_wire::Role;

use super::{
    call::{Call, Ends, Method, Span},
    digest::Digest,
};

/// What tells sightings of one call from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The exchange, by which a hop names its call.
    pub exchange: String,
    /// Digest of the interaction.
    pub interaction: Option<Digest>,
    /// Method.
    pub method: Method,
    /// Digest of the path.
    pub path: Digest,
    /// Status that is reported.
    pub status: Option<u16>,
    /// Part of the observed process.
    pub role: Role,
    /// Connection.
    pub connection: u64,
    /// Time.
    pub span: Span,
    /// Ends of the connection.
    pub ends: Ends,
    /// The observed process.
    pub process: Option<u32>,
    /// Organisation that was called.
    pub server: Option<String>,
}

/// Sightings that are waited for or remembered.
#[derive(Debug)]
pub struct OnceWindow<T> {
    held: BTreeMap<u64, Held<T>>,
    groups: HashMap<GroupKey, VecDeque<u64>>,
    /// Those that are not given out, in the order in which they came.
    waiting: VecDeque<u64>,
    /// All, in the order in which they came; numbers that are gone are passed over.
    remembered: VecDeque<u64>,
    next: u64,
    settle: SignedDuration,
    limit: usize,
    /// What happened.
    pub counts: OnceCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnceCounts {
    /// Given out as calls.
    pub calls: u64,
    /// Given out as hops.
    pub hops: u64,
    /// Given out before their time, since there was no room.
    pub hurried: u64,
    /// Calls that turned out to be hops after they were given out: reported twice.
    pub late: u64,
}

/// A sighting that is given out.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// What came with it.
    pub item: T,
    /// What it is.
    pub place: Place,
}

/// What a sighting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A call, which was seen this many times more.
    Edge {
        /// Further sightings of it.
        hops: u32,
    },
    /// A further sighting of another exchange's call.
    Hop {
        /// That exchange.
        of: String,
    },
}

type GroupKey = (Option<Digest>, Method, Digest);

#[derive(Debug)]
struct Held<T> {
    sighting: Sighting,
    came: Timestamp,
    /// Until it is given out.
    item: Option<T>,
    /// It was given out as a call.
    is_call: bool,
}

impl Sighting {
    /// What tells a call.
    #[must_use]
    pub fn of(call: &Call, server: Option<String>) -> Self {
        Self {
            exchange: call.exchange.clone(),
            interaction: call.interaction.as_ref().map(|interaction| interaction.digest),
            method: call.method,
            path: call.path_digest,
            status: call.status(),
            role: call.role,
            connection: call.connection,
            span: call.span,
            ends: call.ends,
            process: call.process,
            server,
        }
    }

    /// Whether this is a hop of another sighting.
    #[must_use]
    pub fn is_hop_of(&self, outer: &Self) -> bool {
        let is_within = outer.span.start_ns <= self.span.start_ns
            && self.span.start_ns <= outer.span.end_ns
            && self.span.end_ns <= outer.span.end_ns.saturating_add(TOLERANCE_NS);
        // Of two that lie within each other, one only.
        let is_later = outer.extent() < self.extent();
        let is_same_call = self.group() == outer.group() && self.connection != outer.connection;
        if !is_same_call || !is_within || !is_later || self.is_other_end_of(outer) {
            return false;
        }
        if self.interaction.is_none() && self.status != outer.status {
            return false;
        }
        let remote = |sighting: &Self| sighting.ends.remote.map(|remote| remote.ip());
        let has_other_remote = match (remote(self), remote(outer)) {
            (Some(inner), Some(outer)) => inner.to_canonical() != outer.to_canonical(),
            // Where an address is unknown, time and interaction decide.
            _ => true,
        };
        match (outer.role, self.role) {
            (Role::Client, Role::Server) => false,
            (Role::Client, Role::Client) => {
                // A proxy beside the application may keep the address that was called.
                let is_passed_on = match (self.process, outer.process) {
                    (Some(inner), Some(outer)) => inner != outer,
                    _ => has_other_remote,
                };
                self.interaction.is_some() && is_passed_on
            }
            (Role::Server, Role::Client) => {
                // Whoever took the request passes it on.
                let is_passed_on = match (self.process, outer.process) {
                    (Some(inner), Some(outer)) => inner == outer,
                    _ => true,
                };
                is_passed_on
                    && outer.server.is_some()
                    && (self.server.is_none() || self.server == outer.server)
            }
            (Role::Server, Role::Server) => {
                self.has_caller_on(outer) || (self.interaction.is_some() && has_other_remote)
            }
        }
    }

    /// Takes the time of the server into the time of the client, if these are the two ends of one
    /// connection at the same time: not of a second try on it.
    fn cover(&mut self, other: &Self) {
        let is_client = (self.role, other.role) == (Role::Client, Role::Server);
        let overlaps =
            self.span.start_ns <= other.span.end_ns && other.span.start_ns <= self.span.end_ns;
        if is_client && overlaps && self.is_other_end_of(other) {
            self.span.start_ns = self.span.start_ns.min(other.span.start_ns);
            self.span.end_ns = self.span.end_ns.max(other.span.end_ns);
        }
    }

    /// Less for what is further outside; never the same for two.
    fn extent(&self) -> (u64, Reverse<u64>, u64) {
        (self.span.start_ns, Reverse(self.span.end_ns), self.connection)
    }

    /// Whether both were seen at the two ends of one connection.
    fn is_other_end_of(&self, other: &Self) -> bool {
        let Ends { local: Some(local), remote: Some(remote) } = self.ends else { return false };
        other.ends == Ends { local: Some(remote), remote: Some(local) }
    }

    /// Whether its caller is on the same node as the process that showed `outer`.
    fn has_caller_on(&self, outer: &Self) -> bool {
        let Some(caller) = self.ends.remote.map(|remote| remote.ip().to_canonical()) else {
            return false;
        };
        let is_local =
            |ends: &Ends| ends.local.map(|local| local.ip().to_canonical()) == Some(caller);
        is_loopback(caller) || is_local(&self.ends) || is_local(&outer.ends)
    }

    fn group(&self) -> GroupKey {
        (self.interaction, self.method, self.path)
    }
}

impl<T> OnceWindow<T> {
    /// An empty window.
    #[must_use]
    pub fn new(settle: SignedDuration, limit: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            groups: HashMap::new(),
            waiting: VecDeque::new(),
            remembered: VecDeque::new(),
            next: 0,
            settle,
            limit: limit.max(1),
            counts: OnceCounts::default(),
        }
    }

    /// Takes a sighting in. What it gives out had to make room.
    #[must_use]
    pub fn see(&mut self, sighting: Sighting, item: T, now: Timestamp) -> Option<Settled<T>> {
        let hurried = self.make_room();
        let mut held = Held { sighting, came: now, item: Some(item), is_call: false };
        let group = self.groups.entry(held.sighting.group()).or_default();
        for number in group.iter().rev().take(MAX_COMPARED) {
            let Some(other) = self.held.get_mut(number) else { continue };
            held.sighting.cover(&other.sighting);
            other.sighting.cover(&held.sighting);
            if other.is_call && other.sighting.is_hop_of(&held.sighting) {
                self.counts.late += 1;
            }
        }
        let number = self.next;
        self.next += 1;
        group.push_back(number);
        self.held.insert(number, held);
        self.waiting.push_back(number);
        self.remembered.push_back(number);
        hurried
    }

    /// One whose time has come; call it until there is none.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Settled<T>> {
        self.forget(now);
        let first = self.held.get(self.waiting.front()?)?;
        (now.duration_since(first.came) >= self.settle).then(|| self.take_first())?
    }

    /// The oldest that was not given out yet.
    pub fn take_first(&mut self) -> Option<Settled<T>> {
        let number = self.waiting.pop_front()?;
        let place = self.place_of(self.held.get(&number)?);
        let held = self.held.get_mut(&number)?;
        let item = held.item.take()?;
        match place {
            Place::Hop { .. } => self.counts.hops += 1,
            Place::Edge { .. } => {
                held.is_call = true;
                self.counts.calls += 1;
            }
        }
        Some(Settled { item, place })
    }

    /// What a sighting is, by all of the same call that came until now.
    fn place_of(&self, held: &Held<T>) -> Place {
        let sighting = &held.sighting;
        let numbers = self.groups.get(&sighting.group()).into_iter().flatten();
        let group = numbers.rev().take(MAX_COMPARED).filter_map(|number| self.held.get(number));
        let (mut outermost, mut hops): (Option<&Sighting>, u32) = (None, 0);
        for Held { sighting: other, .. } in group {
            if sighting.is_hop_of(other)
                && outermost.is_none_or(|found| other.extent() < found.extent())
            {
                outermost = Some(other);
            }
            hops = hops.saturating_add(u32::from(other.is_hop_of(sighting)));
        }
        match outermost {
            Some(outermost) => Place::Hop { of: outermost.exchange.clone() },
            None => Place::Edge { hops },
        }
    }

    /// How many are not given out yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many are held or remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn make_room(&mut self) -> Option<Settled<T>> {
        if self.held.len() < self.limit {
            return None;
        }
        let first = self.remembered.pop_front()?;
        let hurried = if self.waiting.front() == Some(&first) {
            self.counts.hurried += 1;
            self.take_first()
        } else {
            None
        };
        self.remove(first);
        hurried
    }

    /// Forgets what was given out long enough ago.
    fn forget(&mut self, now: Timestamp) {
        // However late it is: what came at about the same time and still waits is decided first.
        let first = self.waiting.front().and_then(|number| self.held.get(number));
        let due = first.and_then(|first| first.came.checked_add(self.settle).ok());
        let now = due.map_or(now, |due| now.min(due));
        while let Some(first) = self.remembered.front().copied() {
            let is_over = match self.held.get(&first) {
                Some(held) => {
                    held.item.is_none() && now.duration_since(held.came) >= self.settle * 2
                }
                None => true,
            };
            if !is_over {
                break;
            }
            self.remembered.pop_front();
            self.remove(first);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(held) = self.held.remove(&number) else { return };
        let key = held.sighting.group();
        if let Some(group) = self.groups.get_mut(&key) {
            // The oldest goes first, so this is at the front.
            if group.front() == Some(&number) {
                group.pop_front();
            }
            if group.is_empty() {
                self.groups.remove(&key);
            }
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// A write returns at most some milliseconds after its bytes were read at the other end.
pub const TOLERANCE_NS: u64 = 5_000_000;

/// Long enough for two workers that are one batch apart.
pub const DEFAULT_SETTLE: SignedDuration = SignedDuration::from_secs(2);

/// Five thousand calls in a second, held and remembered for two seconds each.
pub const DEFAULT_LIMIT: usize = 32_768;

/// Sightings of one interaction and path, or of one path where there is no interaction, that one is
/// compared with: the newest, since those overlap.
const MAX_COMPARED: usize = 64;
