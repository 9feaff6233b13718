//! How long to wait before the next try.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// Waits that double, each shortened at random, so that many hubs do not come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// It worked: the next trouble begins anew.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait: between half and the whole of twice the one before.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(MAX_DOUBLINGS)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        // The keys of each state are other ones: no better randomness is needed here.
        let random = RandomState::new().hash_one(self.tries) % 1024;
        let part = 512 + u32::try_from(random / 2).unwrap_or(0);
        whole * part / 1024
    }
}

/// A restart of a broker takes some seconds: soon enough not to add to it.
const FIRST: Duration = Duration::from_millis(250);
/// What is down for long is not worth more than two tries a minute.
const LONGEST: Duration = Duration::from_secs(30);
/// More would be longer than the longest.
const MAX_DOUBLINGS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..100).map(|_| backoff.next()).collect();
        for (tries, wait) in waits.iter().enumerate() {
            let whole = FIRST * (1 << tries.min(7));
            let whole = whole.min(LONGEST);
            assert!(*wait >= whole / 2 && *wait <= whole, "{tries}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
