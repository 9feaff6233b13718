//! Orderly stop at Ctrl-C and SIGTERM, and of a core whose prober has ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR2};

use crate::failure::Failure;

/// Becomes true when the process is asked to stop. A second request ends it at once.
#[derive(Clone, Debug)]
pub(crate) struct StopRequest {
    flag: Arc<AtomicBool>,
}

impl StopRequest {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let failed = |error| Failure::runtime(format!("cannot listen for signals: {error}"));
        // However often it comes: see where the core is bound to its prober.
        signal_hook::flag::register(SIGUSR2, Arc::clone(&flag)).map_err(failed)?;
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal finds the flag unset and does nothing here.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .map_err(failed)?;
        }
        Ok(Self { flag })
    }

    /// True once the process was asked to stop.
    pub(crate) fn is_requested(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Waits for a request, or until `duration` has passed, or until `done` says so.
    pub(crate) fn wait(&self, duration: Option<Duration>, mut done: impl FnMut() -> bool) {
        let end = duration.and_then(|duration| Instant::now().checked_add(duration));
        while !self.is_requested() && !done() {
            match end.map(|end| end.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return,
                Some(left) => std::thread::sleep(left.min(LOOK_EVERY)),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

/// Soon enough for a person, seldom enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
