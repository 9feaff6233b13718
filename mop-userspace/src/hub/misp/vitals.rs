//! The numbers of a relay.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::vitals::Family;

/// What became of findings, since the start.
#[derive(Debug, Default)]
pub(crate) struct RelayVitals {
    /// Findings whose events were told.
    pub(super) told: AtomicU64,
    /// Findings that can be in no event.
    pub(super) unspeakable: AtomicU64,
    /// Findings that wait.
    pub(super) waiting: AtomicU64,
    pub(super) events_added: AtomicU64,
    pub(super) events_edited: AtomicU64,
    pub(super) events_published: AtomicU64,
    pub(super) sightings: AtomicU64,
    pub(super) troubles: AtomicU64,
    pub(super) is_connected: AtomicBool,
    /// By step.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl RelayVitals {
    pub(super) fn refuse(&self, step: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let count = refused.entry(step).or_default();
        *count = count.saturating_add(1);
    }

    /// As metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_connected = self.is_connected.load(Ordering::Relaxed);
        vec![
            Family::counter("mop_hub_misp_findings", "Findings that were relayed to MISP")
                .by("result", [("refused", of(&self.unspeakable)), ("taken", of(&self.told))]),
            Family::gauge(
                "mop_hub_misp_waiting_findings",
                "Findings that MISP was not told of yet",
            )
            .is(of(&self.waiting)),
            Family::counter("mop_hub_misp_events", "Events that MISP was told of").by(
                "change",
                [
                    ("added", of(&self.events_added)),
                    ("edited", of(&self.events_edited)),
                    ("published", of(&self.events_published)),
                ],
            ),
            Family::counter("mop_hub_misp_sightings", "Sightings that MISP was told of")
                .is(of(&self.sightings)),
            Family::counter("mop_hub_misp_refusals", "Requests that MISP will never take")
                .by("step", refused),
            Family::counter("mop_hub_misp_troubles", "Times that MISP was lost or not reached")
                .is(of(&self.troubles)),
            Family::gauge("mop_hub_misp_connected", "1 while MISP takes what it is told")
                .is(u64::from(is_connected)),
        ]
    }
}
