//! Tasks of sinks that end with who started them.

use std::future::Future;

use tokio::task::JoinHandle;

use super::{Confirmation, Trouble, Verdict};

/// A task that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(JoinHandle<()>);

impl Running {
    /// Needs a runtime to be entered.
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A delivery that goes on whether it is polled or not, and ends when nobody waits for it any more.
pub(crate) fn confirm(
    delivery: impl Future<Output = Result<Vec<Verdict>, Trouble>> + Send + 'static,
) -> Confirmation {
    let task = AbortOnDrop(tokio::spawn(delivery));
    Box::pin(async move {
        let mut task = task;
        match (&mut task.0).await {
            Ok(verdicts) => verdicts,
            Err(_) => Err(Trouble::passing("lost", "the delivery ended before its answer")),
        }
    })
}

struct AbortOnDrop(JoinHandle<Result<Vec<Verdict>, Trouble>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
