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
//! | server | client | the same process, where both are known, does not call another organisation: the outer one is a tenant's and the inner one calls the same or nobody who is known, or, where it is not known who is who, it calls an address of this node or a private one |
//! | server | server | the inner caller is another address than the outer caller, or is on this node |
//! | client | client | another process shows it (a proxy on the way out), or, where processes are unknown, it calls another address |
//! | client | server | never: these are the two sides of one call, and each side reports |
//!
//! Both ends of one connection are never hops of each other. When a receiver and a transmitter share a
//! node, both are seen, and the client's time is taken to cover the server's: a client that is
//! preempted when it has sent is stamped later than its server, which must not make it a hop of what
//! happens behind that.
//!
//! Where neither has an interaction, server within server needs a caller on this node and, where both
//! processes are known, another process: calls that a client makes side by side are told apart. Client
//! within client is never taken for a hop.
//!
//! So a client's second try with the same interaction is a second call: it comes after the first.
//! Two tries at the same time from one address are two calls too. A proxy that tries its upstream
//! twice has two hops. Of several that contain each other, the outermost is reported: it is nearest
//! to the edge, and its time is what the other side saw. A hop leads outward step by step, through
//! whoever took the request before whoever sent it, and its call is where that ends.
//!
//! Sightings come when they end, the inner ones mostly first, so each waits for `settle` before what
//! it is is decided and it is given out, and is remembered for as long again. The hops of a call that
//! are there by then are given out before it. Limits: `held <= limit`; where one more comes, the oldest
//! is given out early.

mod group;
mod outline;
mod settled;
mod shelf;
mod sighting;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mop_wire::Role;

use self::{
    group::{ByDigests, Group, Member},
    outline::Outline,
    shelf::Shelf,
    sighting::GroupKey,
};
pub use self::{
    outline::TOLERANCE_NS,
    settled::{OnceCounts, Place, Settled},
    sighting::Sighting,
};

/// Sightings that are waited for or remembered.
#[derive(Debug)]
pub struct OnceWindow<T> {
    /// All, in the order in which they came.
    held: Shelf<Held<T>>,
    groups: HashMap<GroupKey, Group, ByDigests>,
    /// Those that are not given out, in the order in which they came; numbers of hops that were
    /// given out with their call are passed over.
    waiting: VecDeque<u64>,
    /// How many are not given out.
    undecided: usize,
    /// A call and its hops, on their way out.
    ready: VecDeque<Settled<T>>,
    settle: SignedDuration,
    limit: usize,
    /// What happened.
    pub counts: OnceCounts,
}

#[derive(Debug)]
struct Held<T> {
    sighting: Sighting,
    /// Its place in its group.
    place: u64,
    came: Timestamp,
    /// Until it is given out.
    item: Option<T>,
    /// It was given out as a call.
    is_call: bool,
}

/// A hop by its number.
type Hop<'a> = (u64, Outline, &'a Sighting);

impl<T> OnceWindow<T> {
    /// An empty window.
    #[must_use]
    pub fn new(settle: SignedDuration, limit: usize) -> Self {
        Self {
            held: Shelf::default(),
            groups: HashMap::default(),
            waiting: VecDeque::new(),
            undecided: 0,
            ready: VecDeque::new(),
            settle,
            limit: limit.max(1),
            counts: OnceCounts::default(),
        }
    }

    /// Takes a sighting in. What it gives out had to make room.
    #[must_use]
    pub fn see(&mut self, sighting: Sighting, item: T, now: Timestamp) -> Vec<Settled<T>> {
        let hurried = self.make_room();
        let mut member = Member::of(self.held.next(), &sighting);
        let group = self.groups.entry(sighting.group()).or_default();
        let place = group.next();
        let mut held = Held { sighting, place, came: now, item: Some(item), is_call: false };
        // None that waits was given out, and nearly all that are compared wait.
        let first_waiting = self.waiting.front().copied().unwrap_or(u64::MAX);
        for known in group.newest_mut(MAX_COMPARED) {
            let may_be_other_end = known.may_be_other_end_of(&member);
            let may_be_late =
                known.number < first_waiting && known.outline.may_be_hop_of(&member.outline);
            if !may_be_other_end && !may_be_late {
                continue;
            }
            let Some(other) = self.held.get_mut(known.number) else { continue };
            if may_be_other_end {
                held.sighting.cover(&other.sighting);
                other.sighting.cover(&held.sighting);
                member.outline = held.sighting.outline();
                known.outline = other.sighting.outline();
            }
            if other.is_call && other.sighting.is_hop_of(&held.sighting) {
                self.counts.late += 1;
            }
        }
        group.add(member);
        self.waiting.push_back(self.held.push(held));
        self.undecided += 1;
        hurried
    }

    /// One whose time has come; call it until there is none.
    pub fn take_due(&mut self, now: Timestamp) -> Option<Settled<T>> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        self.forget(now);
        let first = self.first_waiting()?;
        let first = self.held.get(first)?;
        (now.duration_since(first.came) >= self.settle).then(|| self.take_first())?
    }

    /// The oldest that was not given out yet; the hops of a call before it.
    pub fn take_first(&mut self) -> Option<Settled<T>> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let number = self.first_waiting()?;
        self.waiting.pop_front();
        let held = self.held.get(number)?;
        let (outer, hops) = self.beside(held);
        let (place, hops) = match outer.and_then(|outer| self.hop_within(outer)) {
            Some(place) => (place, Vec::new()),
            None => self.edge_with_hops(number, held, hops),
        };
        for hop in hops {
            let place = self.outer_of(hop).and_then(|outer| self.hop_within(outer));
            let settled = place.and_then(|place| self.take(hop, place));
            self.ready.extend(settled);
        }
        let settled = self.take(number, place);
        self.ready.extend(settled);
        self.ready.pop_front()
    }

    /// As [`Self::take_first`], since there is no room for what comes with it.
    pub fn hurry(&mut self) -> Option<Settled<T>> {
        let settled = self.take_first();
        self.counts.hurried += u64::from(settled.is_some());
        settled
    }

    fn take(&mut self, number: u64, place: Place) -> Option<Settled<T>> {
        let held = self.held.get_mut(number)?;
        let item = held.item.take()?;
        self.undecided = self.undecided.saturating_sub(1);
        match place {
            Place::Hop { .. } => self.counts.hops += 1,
            Place::Edge { .. } => {
                held.is_call = true;
                self.counts.calls += 1;
            }
        }
        Some(Settled { item, place })
    }

    /// Where the call at the edge is of which a hop of this one is a hop, by all that came until now.
    fn hop_within(&self, outer: u64) -> Option<Place> {
        let mut edge = outer;
        for _ in 1..MAX_STEPS {
            let Some(outer) = self.outer_of(edge) else { break };
            edge = outer;
        }
        let edge = self.held.get(edge)?;
        Some(Place::Hop { of: Arc::clone(&edge.sighting.exchange), is_late: edge.item.is_none() })
    }

    /// The outermost that it is a hop of, see [`Self::outermost`].
    fn outer_of(&self, number: u64) -> Option<u64> {
        self.beside(self.held.get(number)?).0
    }

    /// The outermost that a sighting is a hop of, and those that are hops of itself, the newest first.
    fn beside(&self, held: &Held<T>) -> (Option<u64>, Vec<Hop<'_>>) {
        let (sighting, outline) = (&held.sighting, held.sighting.outline());
        let (mut outer, mut hops) = (Vec::new(), Vec::new());
        for Member { number, outline: other, .. } in self.around(held) {
            let may_be_outer = outline.may_be_hop_of(other);
            if !may_be_outer && !other.may_be_hop_of(&outline) {
                continue;
            }
            let Some(Held { sighting: known, .. }) = self.held.get(*number) else { continue };
            if may_be_outer && sighting.is_hop_of(known) {
                outer.push((*number, known));
            } else if !may_be_outer && known.is_hop_of(sighting) {
                hops.push((*number, *other, known));
            }
        }
        (Self::outermost(outer), hops)
    }

    /// Whoever took the request goes before whoever sent it, since the latter is the other side where both
    /// sides are on the node.
    fn outermost(outer: Vec<(u64, &Sighting)>) -> Option<u64> {
        let outer = outer.into_iter();
        let outermost = outer.min_by_key(|(_, it)| (it.role == Role::Client, it.extent()));
        outermost.map(|(number, _)| number)
    }

    /// A call, and its hops that are not given out, direct ones, which are `found`, and hops of those; the
    /// outer ones last.
    fn edge_with_hops<'a>(
        &'a self,
        edge: u64,
        held_edge: &Held<T>,
        mut found: Vec<Hop<'a>>,
    ) -> (Place, Vec<u64>) {
        let hops = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let calls = found.iter().filter_map(|(number, ..)| self.held.get(*number));
        let apart = calls.filter(|hop| hop.is_call).map(|hop| Arc::clone(&hop.sighting.exchange));
        let place = Place::Edge { hops, apart: apart.collect() };
        for _ in 0..MAX_STEPS {
            let known = found.len();
            if known == 0 {
                break;
            }
            for Member { number, outline, .. } in self.around(held_edge) {
                let is_new = found.iter().all(|(known, ..)| known != number);
                let may_be_hop = found.iter().any(|(_, outer, _)| outline.may_be_hop_of(outer));
                if *number == edge || !is_new || !may_be_hop {
                    continue;
                }
                // Those that were given out lead to others that were not.
                let Some(held) = self.held.get(*number) else { continue };
                if found.iter().any(|(.., hop)| held.sighting.is_hop_of(hop)) {
                    found.push((*number, *outline, &held.sighting));
                }
            }
            if found.len() == known {
                break;
            }
        }
        found.sort_unstable_by_key(|(number, ..)| *number);
        let waits = |number: &u64| self.held.get(*number).is_some_and(|held| held.item.is_some());
        let waiting = found.into_iter().map(|(number, ..)| number).filter(waits);
        (place, waiting.collect())
    }

    /// Those that may be of the same call, itself among them, the newest first.
    fn around(&self, held: &Held<T>) -> impl Iterator<Item = &Member> {
        let (group, place) = (self.groups.get(&held.sighting.group()), held.place);
        group.into_iter().flat_map(move |group| group.around(place, MAX_COMPARED))
    }

    /// How many are not given out yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.undecided + self.ready.len()
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

    fn make_room(&mut self) -> Vec<Settled<T>> {
        let mut hurried = Vec::new();
        if self.held.len() < self.limit {
            return hurried;
        }
        if self.held.front().is_some_and(|first| first.item.is_some()) {
            // All that came before it was given out, so it is the first that waits.
            hurried.extend(self.hurry());
            hurried.extend(std::mem::take(&mut self.ready));
        }
        self.remove_first();
        hurried
    }

    /// The oldest that is not given out.
    fn first_waiting(&mut self) -> Option<u64> {
        while let Some(number) = self.waiting.front() {
            if self.held.get(*number).is_some_and(|held| held.item.is_some()) {
                return Some(*number);
            }
            self.waiting.pop_front();
        }
        None
    }

    /// Forgets what was given out long enough ago.
    fn forget(&mut self, now: Timestamp) {
        // However late it is: what came at about the same time and still waits is decided first.
        let first = self.first_waiting().and_then(|number| self.held.get(number));
        let due = first.and_then(|first| first.came.checked_add(self.settle).ok());
        let now = due.map_or(now, |due| now.min(due));
        let long = self.settle * 2;
        let is_over = |held: &Held<T>| held.item.is_none() && now.duration_since(held.came) >= long;
        while self.held.front().is_some_and(is_over) {
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        let Some((number, held)) = self.held.pop_front() else { return };
        let key = held.sighting.group();
        if let Some(group) = self.groups.get_mut(&key)
            && group.remove_first(number)
        {
            self.groups.remove(&key);
        }
    }
}

/// Long enough for two workers that are one batch apart.
pub const DEFAULT_SETTLE: SignedDuration = SignedDuration::from_secs(2);

/// Five thousand calls in a second, held and remembered for two seconds each.
pub const DEFAULT_LIMIT: usize = 32_768;

/// Sightings of one interaction and path, or of one path where there is no interaction, that one is
/// compared with: so many that came before it, and so many that came after it, since those overlap.
pub const MAX_COMPARED: usize = 64;

/// Of a call through this node, one behind the other: a sidecar, a gateway and a proxy before the
/// application show seven.
const MAX_STEPS: usize = 16;
