//! The numbers of one worker.

use std::sync::atomic::{AtomicU64, Ordering};

use mop_common::HoleCause;
use mop_wire::{Ending, FlowStats, Role};

use super::Heartbeat;
use crate::{quality::InspectorCounts, scope::Withheld, summary::ExchangeCounts};

/// What a worker counted, as of its last batch.
///
/// The worker owns its counts and is the only one that stores here, once a batch: a plain store
/// each, with no order between them. A reader may see numbers of two batches together.
#[derive(Debug, Default)]
pub(crate) struct WorkerVitals {
    pub(crate) alive: Heartbeat,
    exchanges: [[AtomicU64; Ending::ALL.len()]; Role::ALL.len()],
    incomplete: AtomicU64,
    reported: AtomicU64,
    withheld: [AtomicU64; Withheld::ALL.len()],
    panics: AtomicU64,
    judged: [AtomicU64; InspectorCounts::NUMBERS],
    flows: [AtomicU64; FlowNumber::ALL.len()],
    hole_bytes: [AtomicU64; HoleCause::ALL.len()],
}

/// What is told of the flows of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlowNumber {
    BufferedBytes,
    Connections,
    Evicted,
    Http2Connections,
    Malformed,
    Resynchronisations,
    Shed,
    SkippedBytes,
}

/// What all workers together counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worked {
    pub(crate) exchanges: [[u64; Ending::ALL.len()]; Role::ALL.len()],
    pub(crate) incomplete: u64,
    pub(crate) reported: u64,
    pub(crate) withheld: [u64; Withheld::ALL.len()],
    pub(crate) panics: u64,
    pub(crate) judged: InspectorCounts,
    flows: [u64; FlowNumber::ALL.len()],
    pub(crate) hole_bytes: [u64; HoleCause::ALL.len()],
}

impl WorkerVitals {
    /// Stores what was counted so far.
    pub(crate) fn store(
        &self,
        counts: &ExchangeCounts,
        flows: &FlowStats,
        judged: Option<&InspectorCounts>,
    ) {
        for (stored, counted) in self.exchanges.iter().zip(&counts.by_role_and_ending) {
            store_all(stored, counted);
        }
        store(&self.incomplete, counts.exchanges.saturating_sub(counts.complete));
        store(&self.reported, counts.reported);
        store_all(&self.withheld, &counts.withheld);
        store(&self.panics, counts.panics);
        if let Some(judged) = judged {
            store_all(&self.judged, &judged.numbers());
        }
        store_all(&self.flows, &FlowNumber::ALL.map(|number| number.of(flows)));
        store_all(&self.hole_bytes, &flows.hole_bytes);
    }

    /// Adds what was stored to a sum.
    pub(super) fn add_to(&self, sum: &mut Worked) {
        let Self {
            alive: _,
            exchanges,
            incomplete,
            reported,
            withheld,
            panics,
            judged,
            flows,
            hole_bytes,
        } = self;
        for (sum, counts) in sum.exchanges.iter_mut().zip(exchanges) {
            add_all(sum, counts);
        }
        sum.incomplete += incomplete.load(Ordering::Relaxed);
        sum.reported += reported.load(Ordering::Relaxed);
        add_all(&mut sum.withheld, withheld);
        sum.panics += panics.load(Ordering::Relaxed);
        let numbers = judged.each_ref().map(|number| number.load(Ordering::Relaxed));
        sum.judged.absorb(InspectorCounts::of(numbers));
        add_all(&mut sum.flows, flows);
        add_all(&mut sum.hole_bytes, hole_bytes);
    }
}

impl Worked {
    pub(crate) fn flows(&self, number: FlowNumber) -> u64 {
        self.flows.get(number as usize).copied().unwrap_or_default()
    }
}

impl FlowNumber {
    /// All, in their order.
    pub(crate) const ALL: [Self; 8] = [
        Self::BufferedBytes,
        Self::Connections,
        Self::Evicted,
        Self::Http2Connections,
        Self::Malformed,
        Self::Resynchronisations,
        Self::Shed,
        Self::SkippedBytes,
    ];

    fn of(self, flows: &FlowStats) -> u64 {
        match self {
            Self::BufferedBytes => flows.buffered_bytes as u64,
            Self::Connections => flows.connections as u64,
            Self::Evicted => flows.evicted,
            Self::Http2Connections => flows.http2_connections,
            Self::Malformed => flows.malformed,
            Self::Resynchronisations => flows.resynchronisations,
            Self::Shed => flows.shed,
            Self::SkippedBytes => flows.skipped_bytes,
        }
    }
}

fn store(place: &AtomicU64, value: u64) {
    place.store(value, Ordering::Relaxed);
}

fn store_all(places: &[AtomicU64], values: &[u64]) {
    for (place, value) in places.iter().zip(values) {
        store(place, *value);
    }
}

fn add_all(sums: &mut [u64], places: &[AtomicU64]) {
    for (sum, place) in sums.iter_mut().zip(places) {
        *sum += place.load(Ordering::Relaxed);
    }
}
