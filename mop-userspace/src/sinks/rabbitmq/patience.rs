//! How long a record that the broker refuses is tried again.
//!
//! RabbitMQ refuses when a queue is full or has no leader, which is the queue's fault, not the
//! record's, and passes. Only when the same record was refused again and again for a long time is it
//! set aside, so that it cannot hold up the others for ever.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Remembers what was refused.
pub(super) struct Patience {
    limit: Duration,
    refused: Mutex<HashMap<Box<str>, Refused>>,
}

#[derive(Clone, Copy)]
struct Refused {
    first: Instant,
    last: Instant,
    times: u32,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, refused: Mutex::new(HashMap::new()) }
    }

    /// A record was taken.
    pub(super) fn taken(&self, id: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.is_empty() {
            refused.remove(id);
        }
    }

    /// A record was refused; true when it was the last time.
    pub(super) fn ends(&self, id: &str) -> bool {
        let now = Instant::now();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= REMEMBERED && !refused.contains_key(id) {
            // Those that are not sent any more were never taken, and would stay for ever.
            let oldest = refused.iter().min_by_key(|(_, refused)| refused.last);
            if let Some(id) = oldest.map(|(id, _)| id.clone()) {
                refused.remove(&id);
            }
        }
        let seen = refused.entry(id.into()).or_insert(Refused { first: now, last: now, times: 0 });
        seen.last = now;
        seen.times += 1;
        let ends = seen.times >= LEAST_TIMES && now.duration_since(seen.first) >= self.limit;
        if ends {
            refused.remove(id);
        }
        ends
    }
}

/// A record that was refused less often was not really tried.
const LEAST_TIMES: u32 = 3;
/// More are never on their way at once: the largest window.
const REMEMBERED: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Patience, REMEMBERED};

    #[test]
    fn patience_ends_for_the_same_record_only_and_not_before_three_times() {
        let patience = Patience::new(Duration::ZERO);
        let ends: Vec<bool> = ["a", "b", "a", "a", "b"].map(|id| patience.ends(id)).to_vec();
        assert_eq!(ends, [false, false, false, true, false]);
        patience.taken("b");
        assert!(!patience.ends("b"), "a record that was taken begins anew");
        let patience = Patience::new(Duration::from_secs(3600));
        assert!((0..100).all(|_| !patience.ends("a")), "the time was not up");
    }

    #[test]
    fn no_more_than_a_window_is_remembered() {
        let patience = Patience::new(Duration::ZERO);
        for number in 0..2 * REMEMBERED {
            patience.ends(&number.to_string());
        }
        let refused = patience.refused.lock().expect("not poisoned");
        assert_eq!(refused.len(), REMEMBERED);
    }
}
