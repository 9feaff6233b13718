//! The generation of indicators in use.

use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use mop_insight::security::intelligence::store::Store;

use super::load::{Loaded, SourceReport};
use crate::vitals::Family;

/// The generation in use, and what became of its sources.
pub(crate) struct IndicatorStores {
    current: RwLock<Arc<Store>>,
    generation: AtomicU64,
    /// Generations that were refused because of a bad source.
    refused: AtomicU64,
    reports: Mutex<Vec<SourceReport>>,
    fetched: AtomicU64,
    unchanged: AtomicU64,
    failed: AtomicU64,
    /// Seconds since 1970 of the last look at all remote sources that went well; 0 for none.
    refreshed: AtomicI64,
}

/// What became of a look at a remote source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Failed,
    Fetched,
    Unchanged,
}

impl IndicatorStores {
    pub(super) fn new(loaded: Loaded) -> Self {
        let Loaded { store, sources } = loaded;
        Self {
            current: RwLock::new(Arc::new(store)),
            generation: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            reports: Mutex::new(sources),
            fetched: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refreshed: AtomicI64::new(0),
        }
    }

    /// Number of the generation: a cheap way to see that there is a new one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The generation in use.
    pub(crate) fn current(&self) -> Arc<Store> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another generation in its place.
    pub(super) fn replace(&self, loaded: Loaded) {
        let Loaded { store, sources } = loaded;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(store);
        *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = sources;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Another generation was bad.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A remote source was looked at.
    pub(super) fn looked(&self, look: Look) {
        let count = match look {
            Look::Failed => &self.failed,
            Look::Fetched => &self.fetched,
            Look::Unchanged => &self.unchanged,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// All remote sources were looked at, and none failed.
    pub(super) fn refreshed(&self, now: i64) {
        self.refreshed.store(now, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn refusals(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// As metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let store = self.current();
        let counts = store.counts();
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = reports.iter().map(|it| (it.name.clone(), it.indicators as u64));
        let unreadable = reports.iter().map(|it| (it.name.clone(), it.unreadable as u64));
        let refreshed = self.refreshed.load(Ordering::Relaxed);
        vec![
            Family::gauge("mop_indicators", "Indicators of each source").by("source", entries),
            Family::gauge(
                "mop_indicators_unreadable",
                "Entries of each source that are not what they should be",
            )
            .by("source", unreadable),
            Family::gauge("mop_indicators_warned", "Indicators that are on a warninglist")
                .is(counts.warned as u64),
            Family::gauge("mop_indicators_refused", "Indicators that the store had no room for")
                .is(counts.refused as u64),
            Family::gauge("mop_indicators_memory", "Size of the tables of indicators")
                .in_bytes()
                .is(store.bytes() as u64),
            Family::counter("mop_indicators_generations", "Generations of indicators").by(
                "result",
                [("refused", of(&self.refused)), ("taken", self.generation().saturating_add(1))],
            ),
            Family::counter("mop_indicators_looks", "Looks at remote sources of indicators").by(
                "result",
                [
                    ("failed", of(&self.failed)),
                    ("fetched", of(&self.fetched)),
                    ("unchanged", of(&self.unchanged)),
                ],
            ),
            Family::gauge(
                "mop_indicators_refreshed_timestamp",
                "When all remote sources of indicators were last seen to be current",
            )
            .in_seconds()
            .maybe(u64::try_from(refreshed).ok().filter(|at| *at > 0)),
        ]
    }
}
