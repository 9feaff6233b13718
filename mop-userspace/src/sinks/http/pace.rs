//! How fast a sink may go on after failures: a circuit breaker.
//!
//! Single failures are answered by sending the record again. When [`OPEN_AFTER`] follow each other,
//! the sink says that it is in trouble, which makes the pump wait, longer each time; after that one
//! batch alone is tried, and only when it is taken does the sink send as many at once as before.
//! Whatever the other side asks for by `Retry-After` is waited for.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Answer, Meaning};
use crate::sinks::{Trouble, Verdict};

/// Shared by all batches of a sink.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Failures without a success between them.
    failures: u32,
    not_before: Option<Instant>,
    /// One batch is tried before others follow.
    is_probing: bool,
}

impl Pace {
    /// Waits as long as the other side asked for.
    pub(crate) async fn wait(&self) {
        let until = self.lock().not_before;
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
            let mut state = self.lock();
            if state.not_before == Some(until) {
                state.not_before = None;
            }
        }
    }

    /// [`Pace::wait`], as a sink's `connect` has it.
    pub(crate) async fn wait_ok(&self) -> Result<(), Trouble> {
        self.wait().await;
        Ok(())
    }

    /// What an answer means for the records of a request, called `what` in words, and for the pace.
    pub(crate) fn verdict(&self, answer: &Answer, what: &str) -> Result<Verdict, Trouble> {
        match answer.meaning() {
            Meaning::Taken => {
                self.succeeded();
                Ok(Verdict::Delivered)
            }
            Meaning::Refused(reason) => {
                self.succeeded();
                Ok(Verdict::Parked(reason))
            }
            Meaning::Later(reason) => {
                if self.failed(answer.retry_after) {
                    return Err(answer.as_trouble(what));
                }
                Ok(Verdict::Again(reason))
            }
            Meaning::Unauthorised | Meaning::Misdirected => {
                self.broke();
                Err(answer.as_trouble(what))
            }
        }
    }

    /// Something was taken.
    pub(crate) fn succeeded(&self) {
        let mut state = self.lock();
        state.failures = 0;
        state.is_probing = false;
    }

    /// Something was not, for now. True when the sink is in trouble by that.
    pub(crate) fn failed(&self, retry_after: Option<Duration>) -> bool {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if let Some(until) = retry_after.and_then(|wait| Instant::now().checked_add(wait)) {
            state.not_before = state.not_before.max(Some(until));
        }
        let is_trouble = state.is_probing || state.failures >= OPEN_AFTER;
        state.is_probing |= is_trouble;
        is_trouble
    }

    /// Nothing can be sent at all.
    pub(crate) fn broke(&self) {
        self.lock().is_probing = true;
    }

    /// How many of so many batches may be on their way.
    pub(crate) fn window(&self, most: usize) -> usize {
        if self.lock().is_probing { 1 } else { most }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With a third of all answers a failure, so many in a row come once in some 700.
const OPEN_AFTER: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_narrow_the_window_until_one_batch_is_taken() {
        let pace = Pace::default();
        for _ in 1..OPEN_AFTER {
            assert!(!pace.failed(None));
        }
        assert_eq!(pace.window(8), 8);
        assert!(pace.failed(None));
        assert_eq!(pace.window(8), 1);
        assert!(pace.failed(None), "a failed probe is trouble at once");
        pace.succeeded();
        assert_eq!(pace.window(8), 8);
        assert!(!pace.failed(None));
        pace.broke();
        assert_eq!(pace.window(8), 1);
    }

    #[tokio::test]
    async fn what_is_asked_for_is_waited_for() {
        let pace = Pace::default();
        pace.wait().await;
        let wait = Duration::from_millis(50);
        let before = Instant::now();
        pace.failed(Some(wait));
        pace.wait().await;
        assert!(before.elapsed() >= wait);
        assert_eq!(pace.lock().not_before, None, "it is waited for once");
    }
}
