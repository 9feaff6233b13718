//! Judged calls, each reported once: what was judged waits until it is known what it is.
//!
//! ```text
//! worker: Inspector ──▶ JudgedCall ──▶ once ──▶ edge: report, counts of the window
//!                                        └────▶ hop: waits for its call, and is told with it
//! ```
//!
//! What waits is bounded in number by the window of sightings, and by [`MAX_HELD_BYTES`]; what there is
//! no room for is reported at once, as if it had been seen only there, and counted.

use std::{collections::HashMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use mop_insight::data::once::{self, OnceWindow, Place, Settled, Sighting};

use super::{
    counts::InspectorCounts,
    judged::JudgedCall,
    reports::{MAX_HOPS, Reports},
};
use crate::output::Outlet;

/// Reports judged calls.
pub(crate) struct Module {
    once: OnceWindow<Held>,
    /// Further sightings that are known, by the call that they wait for.
    hops: HashMap<Arc<str>, Vec<Held>>,
    held_bytes: usize,
    most_bytes: usize,
    pub(super) reports: Reports,
    now: Timestamp,
}

/// A call that waits, and the memory that is counted for it.
struct Held {
    call: Box<JudgedCall>,
    bytes: usize,
}

impl Module {
    pub(super) fn new(reports: Reports) -> Self {
        Self::with_limits(reports, once::DEFAULT_LIMIT, MAX_HELD_BYTES)
    }

    fn with_limits(reports: Reports, most_sightings: usize, most_bytes: usize) -> Self {
        Self {
            once: OnceWindow::new(SETTLE, most_sightings),
            hops: HashMap::new(),
            held_bytes: 0,
            most_bytes,
            reports,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Takes a judged call in, whose last byte was seen at `end`.
    pub(super) fn take(
        &mut self,
        sighting: Sighting,
        call: Box<JudgedCall>,
        end: Timestamp,
        mut outlet: Option<&mut Outlet>,
    ) {
        self.advance(end, outlet.as_deref_mut());
        let bytes = call.bytes();
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        let held = Held { call, bytes };
        for settled in self.once.see(sighting, held, self.now) {
            self.settled(settled, outlet.as_deref_mut());
        }
        while self.held_bytes > self.most_bytes
            && let Some(settled) = self.once.hurry()
        {
            self.settled(settled, outlet.as_deref_mut());
        }
    }

    /// Reports a call that nothing is known of by which it could be told from others, or for which
    /// there is no room.
    pub(super) fn take_alone(&mut self, call: &JudgedCall, outlet: Option<&mut Outlet>) {
        self.reports.call(call, &[], &[], outlet);
    }

    /// The time has come this far.
    pub(super) fn advance(&mut self, now: Timestamp, mut outlet: Option<&mut Outlet>) {
        self.now = self.now.max(now);
        while let Some(settled) = self.once.take_due(self.now) {
            self.settled(settled, outlet.as_deref_mut());
        }
        // Whatever began before was given out.
        let begun = self.now.checked_sub(SETTLE).unwrap_or(self.now);
        self.reports.advance(begun, self.once.waiting() == 0, outlet);
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, mut outlet: Option<&mut Outlet>) {
        while let Some(settled) = self.once.take_first() {
            self.settled(settled, outlet.as_deref_mut());
        }
        self.reports.finish(outlet);
    }

    /// What happened, since the start.
    pub(super) fn counts(&self) -> InspectorCounts {
        let mut counts = self.reports.counts;
        counts.apart = self.once.counts.late;
        counts.hurried += self.once.counts.hurried;
        counts
    }

    fn settled(&mut self, settled: Settled<Held>, mut outlet: Option<&mut Outlet>) {
        let Settled { item: held, place } = settled;
        // Those that waited for it while it was taken for the edge.
        let mut inner = self.hops.remove(held.call.id.as_str()).unwrap_or_default();
        match place {
            Place::Edge { hops: _, apart } => {
                self.let_go(inner.iter().chain([&held]).map(|held| held.bytes).sum());
                let hops: Vec<Box<JudgedCall>> = inner.into_iter().map(|hop| hop.call).collect();
                self.reports.call(&held.call, &hops, &apart, outlet);
            }
            Place::Hop { of, is_late } => {
                self.reports.link(&held.call, &of, outlet.as_deref_mut());
                inner.insert(0, held);
                for Held { call, bytes } in inner {
                    let known = self.hops.get(&of).map_or(0, Vec::len);
                    if is_late || known >= MAX_HOPS {
                        self.let_go(bytes);
                        self.reports.lone_hop(&call, &of, outlet.as_deref_mut());
                    } else {
                        let held = Held { call: call.as_hop(), bytes };
                        self.hops.entry(of.clone()).or_default().push(held);
                    }
                }
            }
        }
    }

    fn let_go(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }
}

/// How long a sighting waits for one that contains it: what the other modules wait as well, so that all
/// decide alike.
const SETTLE: SignedDuration = once::DEFAULT_SETTLE;

/// A second of the busiest node with something wrong in every call.
const MAX_HELD_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests;
