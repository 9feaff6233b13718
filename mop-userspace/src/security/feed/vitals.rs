//! The numbers of a feed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::vitals::Family;

/// What became of findings and files.
#[derive(Debug, Default)]
pub(crate) struct FeedVitals {
    pub(super) taken: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) left_out: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) removed: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) not_restored: AtomicU64,
}

impl FeedVitals {
    /// As metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        vec![
            Family::counter("mop_misp_findings", "Findings that were told to the feed for MISP")
                .by("result", [("refused", of(&self.refused)), ("taken", of(&self.taken))]),
            Family::counter(
                "mop_misp_attributes_left_out",
                "Attributes that found no room in their events",
            )
            .is(of(&self.left_out)),
            Family::gauge("mop_misp_events", "Events of the feed for MISP").is(of(&self.events)),
            Family::counter("mop_misp_files", "Files of the feed for MISP that were changed")
                .by("change", [("removed", of(&self.removed)), ("written", of(&self.written))]),
            Family::counter(
                "mop_misp_write_failures",
                "Times that the feed for MISP could not be written",
            )
            .is(of(&self.failures)),
            Family::counter(
                "mop_misp_events_not_restored",
                "Files of the feed for MISP that were set aside at the start",
            )
            .is(of(&self.not_restored)),
        ]
    }
}
