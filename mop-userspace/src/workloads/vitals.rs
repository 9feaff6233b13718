//! The numbers of asking the cluster. None of them is by pod: pods come and go without end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::Directory;
use crate::vitals::{BoundedCounts, Family};

/// What was asked, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct WorkloadVitals {
    /// All pods were listed, and changes since then are being told.
    pub(super) is_current: AtomicBool,
    pub(super) lists: AtomicU64,
    pub(super) watches: AtomicU64,
    /// By kind.
    pub(super) events: [AtomicU64; EVENTS.len()],
    /// Pods that were not taken: their names are none, or there are too many.
    pub(super) refused: AtomicU64,
    /// Troubles by their reason.
    pub(super) troubles: BoundedCounts,
}

impl WorkloadVitals {
    pub(super) fn count_event(&self, kind: &'static str) {
        let counts = EVENTS.iter().zip(&self.events);
        if let Some((_, count)) = counts.into_iter().find(|(name, _)| **name == kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As metrics.
    pub(crate) fn families(&self, directory: &Arc<Directory>) -> Vec<Family> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (there, gone) = directory.counts();
        let Self { is_current, lists, watches, events, refused, troubles } = self;
        let events = EVENTS.into_iter().zip(events.iter().map(of));
        vec![
            Family::gauge("mop_kubernetes_current", "1 when the names of pods are kept up to date")
                .is(is_current.load(Ordering::Relaxed)),
            Family::gauge("mop_kubernetes_pods", "Pods whose names are known")
                .by("state", [("gone", gone), ("there", there)]),
            Family::counter("mop_kubernetes_requests", "Lists and watches of pods that were begun")
                .by("kind", [("list", of(lists)), ("watch", of(watches))]),
            Family::counter("mop_kubernetes_events", "Events of pods that were told")
                .by("kind", events),
            Family::counter(
                "mop_kubernetes_refused_pods",
                "Times that a pod was not taken: its names are none, or there are too many",
            )
            .is(of(refused)),
            Family::counter(
                "mop_kubernetes_troubles",
                "Times that the API server could not be asked",
            )
            .by(
                "reason",
                troubles.all().into_iter().map(|(reason, count)| (reason.into_string(), count)),
            ),
        ]
    }
}

/// Kinds of events, in order.
pub(super) const EVENTS: [&str; 4] = ["bookmark", "error", "gone", "there"];
