//! How long to wait before the next try.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// Waits that grow, with jitter: nodes that lost the same broker must not all come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Something worked: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure. A lasting trouble waits long at once.
    pub(crate) fn after_failure(&mut self, is_lasting: bool) -> Duration {
        let full = if is_lasting {
            LASTING
        } else {
            FIRST.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(LONGEST)
        };
        self.failures = self.failures.saturating_add(1);
        // Between a half and the whole.
        let random = u32::try_from(RandomState::new().hash_one(self.failures) & 0xffff);
        full / 2 + full / 2 * random.unwrap_or(0) / 0x1_0000
    }
}

/// A broker that restarts is back in seconds; one that drops a connection, at once.
const FIRST: Duration = Duration::from_millis(200);

/// After an outage nobody waits longer than this for the first record.
const LONGEST: Duration = Duration::from_secs(15);

/// Somebody has to change a password or a queue first.
const LASTING: Duration = Duration::from_secs(20);

/// Enough to reach the longest wait, and no overflow.
const MAX_DOUBLINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::default();
        let mut limit = FIRST;
        for _ in 0..40 {
            let wait = backoff.after_failure(false);
            assert!(wait >= limit / 2 && wait <= limit, "{wait:?} of {limit:?}");
            limit = (limit * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.after_failure(false) <= FIRST);
    }

    #[test]
    fn a_lasting_trouble_waits_long_at_once() {
        let wait = Backoff::default().after_failure(true);
        assert!(wait >= LASTING / 2 && wait <= LASTING, "{wait:?}");
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<_> =
            (0..20).map(|_| Backoff::default().after_failure(false)).collect();
        assert!(waits.len() > 1);
    }
}
