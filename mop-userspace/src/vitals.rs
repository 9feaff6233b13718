//! What runs, in numbers that any thread may read: for the metrics, the ledger and the summary.

mod bounded;
mod family;
mod heartbeat;
mod process;
mod shared;
mod worker;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

pub(crate) use bounded::BoundedCounts;
pub(crate) use family::{Family, FamilyKind, FamilyUnit, Number};
pub(crate) use heartbeat::Heartbeat;
pub(crate) use process::OwnProcess;
pub(crate) use shared::{Captured, Check, OutboxVitals, Vitals};
pub(crate) use worker::{FlowNumber, Worked, WorkerVitals};

/// The numbers of one sink.
#[derive(Debug, Default)]
pub(crate) struct SinkVitals {
    pub(crate) name: &'static str,
    /// Records the other side has.
    pub(crate) delivered: AtomicU64,
    /// Records set aside.
    pub(crate) parked: AtomicU64,
    /// Records that passed by because the sink does not take them.
    pub(crate) passed: AtomicU64,
    /// Records sent again, after a trouble or a nack.
    pub(crate) resent: AtomicU64,
    /// Records that were set aside and taken later.
    pub(crate) unparked: AtomicU64,
    /// Troubles.
    pub(crate) troubles: AtomicU64,
    /// Records on their way.
    pub(crate) in_flight: AtomicU64,
    pub(crate) is_connected: AtomicBool,
    /// Held while records are counted and acknowledged to the outbox: who holds it sees both or
    /// neither.
    pub(crate) books: Mutex<()>,
    /// Why it does not send at the moment.
    trouble: Mutex<Option<crate::sinks::Trouble>>,
    /// Troubles by their reason.
    pub(crate) reasons: BoundedCounts,
}

impl SinkVitals {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, ..Self::default() })
    }

    /// Notes what is wrong, or that nothing is.
    pub(crate) fn set_trouble(&self, trouble: Option<crate::sinks::Trouble>) {
        if let Some(trouble) = &trouble {
            self.troubles.fetch_add(1, Ordering::Relaxed);
            self.reasons.add(trouble.reason, 1);
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What is wrong.
    pub(crate) fn trouble(&self) -> Option<crate::sinks::Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
