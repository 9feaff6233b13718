//! The sign of life of a thread.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::clock;

/// When a thread last came by.
///
/// It publishes nothing but itself, so relaxed stores are enough.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat {
    /// Monotonic time; 0 while the thread waits for work, and before its first beat.
    last_ns: AtomicU64,
}

impl Heartbeat {
    /// The thread is at work.
    pub(crate) fn beat(&self) {
        self.beat_at(clock::monotonic_ns());
    }

    /// The same, where the time is known.
    pub(crate) fn beat_at(&self, monotonic_ns: u64) {
        self.last_ns.store(monotonic_ns.max(1), Ordering::Relaxed);
    }

    /// The thread waits for work, or has ended in good order: silence means nothing.
    pub(crate) fn rest(&self) {
        self.last_ns.store(0, Ordering::Relaxed);
    }

    /// How long a thread that should be at work has been silent.
    pub(crate) fn silence(&self, monotonic_ns: u64) -> Option<Duration> {
        let last_ns = self.last_ns.load(Ordering::Relaxed);
        (last_ns > 0).then(|| Duration::from_nanos(monotonic_ns.saturating_sub(last_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_at_work_can_be_silent() {
        let heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.silence(5_000), None, "before its first beat");
        heartbeat.beat_at(1_000);
        assert_eq!(heartbeat.silence(5_000), Some(Duration::from_nanos(4_000)));
        heartbeat.rest();
        assert_eq!(heartbeat.silence(5_000), None, "while it waits");
    }
}
