//! Memory that was given back, back to the system.

use std::time::{Duration, Instant};

use mop_probe::environment;

/// Gives memory back in quiet moments. What a burst of calls took stays with the allocator otherwise: with
/// 20,000 of them in a second, a third of what the process has.
#[derive(Debug)]
pub(crate) struct Tidying {
    looked_at: Instant,
    bytes: u64,
    done_at: Instant,
}

impl Tidying {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { looked_at: now, bytes: 0, done_at: now }
    }

    /// To be called several times a second, with the bytes that were captured so far.
    pub(crate) fn look(&mut self, bytes: u64) {
        if self.is_due(bytes, Instant::now()) {
            environment::return_freed_memory();
        }
    }

    /// Every thread waits that allocates meanwhile, for some milliseconds: not while there is much to do.
    fn is_due(&mut self, bytes: u64, now: Instant) -> bool {
        if now.duration_since(self.looked_at) < LOOK_EVERY {
            return false;
        }
        let since = bytes.saturating_sub(self.bytes);
        (self.looked_at, self.bytes) = (now, bytes);
        let is_due = since < QUIET_BYTES && now.duration_since(self.done_at) >= TIDY_EVERY;
        if is_due {
            self.done_at = now;
        }
        is_due
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Captured in a second: a lane of 8 MiB has room for what comes in the time that this takes.
const QUIET_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_in_quiet_moments_only() {
        let mut tidying = Tidying::new();
        let begin = tidying.done_at;
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!tidying.is_due(0, at(20)));
        assert!(tidying.is_due(0, at(31)));
        assert!(!tidying.is_due(0, at(33)));
        // A second with much in it.
        assert!(!tidying.is_due(1 << 30, at(70)));
        assert!(!tidying.is_due(1 << 30, at(70)));
        assert!(tidying.is_due(1 << 30, at(71)));
    }
}
