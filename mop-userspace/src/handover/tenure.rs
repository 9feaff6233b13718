//! Which calls are an observer's own.

use std::sync::atomic::{AtomicU64, Ordering};

use mop_wire::Exchange;

/// From when to when an observer reports calls, by the kernel's clock.
#[derive(Debug)]
pub(crate) struct Tenure {
    /// Requests that began earlier are another's.
    from_ns: u64,
    /// Responses to requests that were not seen, and that began earlier, are another's.
    alone_from_ns: u64,
    /// Requests that begin from then on are another's.
    until_ns: AtomicU64,
}

impl Default for Tenure {
    fn default() -> Self {
        Self::after(0, 0)
    }
}

impl Tenure {
    /// That of an observer that follows another: requests are its own from the first time on. Both
    /// observed until the second.
    pub(super) const fn after(from_ns: u64, alone_from_ns: u64) -> Self {
        Self { from_ns, alone_from_ns, until_ns: AtomicU64::new(u64::MAX) }
    }

    /// Whether this observer is the one that reports a call.
    pub(crate) fn covers(&self, exchange: &Exchange) -> bool {
        let timing = &exchange.timing;
        if timing.request_start_ns == 0 {
            // The other one, which was there before, saw its request.
            return timing.response_start_ns >= self.alone_from_ns;
        }
        let until_ns = self.until_ns.load(Ordering::Acquire);
        (self.from_ns..until_ns).contains(&timing.request_start_ns)
    }

    /// Requests that begin from then on are another's.
    pub(super) fn end_at(&self, ktime_ns: u64) {
        self.until_ns.store(ktime_ns, Ordering::Release);
    }

    /// Nobody follows after all.
    pub(super) fn go_on(&self) {
        self.end_at(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use mop_wire::{Completeness, Ending, Role, Seen, Timing};

    use super::*;

    fn exchange(request_start_ns: u64, response_start_ns: u64) -> Exchange {
        Exchange {
            connection: 1,
            sequence: 0,
            role: Role::Server,
            request: None,
            response: None,
            interim: Vec::new(),
            timing: Timing {
                request_start_ns,
                request_end_ns: 0,
                response_start_ns,
                response_end_ns: 0,
            },
            completeness: Completeness {
                request: Seen::default(),
                response: Seen::default(),
                ending: Ending::Complete,
                resynchronised: false,
            },
        }
    }

    #[test]
    fn each_request_is_of_one_of_two() {
        let (before, after) = (Tenure::default(), Tenure::after(100, 150));
        before.end_at(100);
        for start_ns in [1, 99, 100, 101, 1_000] {
            let call = exchange(start_ns, start_ns + 1);
            assert_eq!(before.covers(&call), start_ns < 100, "{start_ns}");
            assert_ne!(before.covers(&call), after.covers(&call), "{start_ns}");
        }
        before.go_on();
        assert!(before.covers(&exchange(1_000, 0)));
    }

    #[test]
    fn a_response_whose_request_the_other_saw_is_told_once() {
        let (before, after) = (Tenure::default(), Tenure::after(100, 150));
        before.end_at(100);
        for response_ns in [120, 150, 200] {
            assert_eq!(after.covers(&exchange(0, response_ns)), response_ns >= 150);
            assert!(before.covers(&exchange(0, response_ns)), "a hole took its request");
        }
    }
}
