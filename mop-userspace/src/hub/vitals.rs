//! What a hub did, in numbers that any thread may read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::refusal::Refusal;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct HubVitals {
    /// Messages that came from the broker, or lines of a journal.
    pub(crate) received: AtomicU64,
    /// Records that were stored.
    pub(crate) stored: AtomicU64,
    /// Records that were there already.
    pub(crate) duplicates: AtomicU64,
    /// Records of days that are no longer kept.
    pub(crate) expired: AtomicU64,
    /// Messages that were not taken, by reason.
    refused: [AtomicU64; Refusal::ALL.len()],
    /// Transactions that were committed.
    pub(crate) batches: AtomicU64,
    /// Transactions that were begun again because of another one.
    pub(crate) retries: AtomicU64,
    /// Times that the broker was lost or could not be reached.
    pub(crate) broker_troubles: AtomicU64,
    /// Times that a store was lost or could not be reached.
    pub(crate) store_troubles: AtomicU64,
    /// Sequences found missing.
    pub(crate) gaps_opened: AtomicU64,
    /// Of these, sequences that came after all.
    pub(crate) gaps_filled: AtomicU64,
    pub(crate) is_broker_connected: AtomicBool,
    pub(crate) is_store_connected: AtomicBool,
}

impl HubVitals {
    pub(crate) fn refuse(&self, reason: Refusal) {
        for (known, counter) in Refusal::ALL.iter().zip(&self.refused) {
            if *known == reason {
                add(counter, 1);
            }
        }
    }

    /// Messages that were not taken, by reason.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL
            .into_iter()
            .zip(&self.refused)
            .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_reason() {
        let vitals = HubVitals::default();
        vitals.refuse(Refusal::Time);
        vitals.refuse(Refusal::Time);
        let counted: Vec<_> = vitals.refusals().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(Refusal::Time, 2)]);
    }
}
