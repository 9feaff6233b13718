//! The thread that all sinks share: one small runtime, one pump a sink.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use mop_outbox::Feed;
use tokio::sync::{Notify, watch};

use super::{Sink, Trouble, pump::Pump};
use crate::{failure::Failure, observe::spawn, vitals::SinkVitals};

/// A sink that is ready to run.
pub(crate) struct Connected {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) feed: Feed,
    pub(crate) vitals: Arc<SinkVitals>,
}

/// Rings all pumps: the outbox has something new.
#[derive(Clone, Default)]
pub(crate) struct Bells(Vec<Arc<Notify>>);

impl Bells {
    /// One a sink.
    pub(crate) fn new(sinks: usize) -> Self {
        Self((0..sinks).map(|_| Arc::default()).collect())
    }

    /// Never waits.
    pub(crate) fn ring(&self) {
        for bell in &self.0 {
            bell.notify_one();
        }
    }
}

/// The running sinks.
pub(crate) struct Forwarder {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Forwarder {
    /// Starts the thread.
    pub(crate) fn start(sinks: Vec<Connected>, bells: Bells) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::runtime(format!("cannot start the sinks: {error}")))?;
        let (stop, stopped) = watch::channel(false);
        let pumps: Vec<Pump> = sinks
            .into_iter()
            .zip(bells.0)
            .map(|(Connected { sink, feed, vitals }, wake)| Pump {
                sink,
                feed,
                vitals,
                wake,
                stop: stopped.clone(),
            })
            .collect();
        let thread = spawn("mop-sinks", move || {
            runtime.block_on(async move {
                let running: Vec<_> = pumps
                    .into_iter()
                    .map(|pump| (Arc::clone(&pump.vitals), tokio::spawn(pump.run())))
                    .collect();
                for (vitals, pump) in running {
                    // A panic was reported by the hook. Its records stay in the outbox, and the other
                    // sinks go on.
                    if pump.await.is_err() {
                        vitals.set_trouble(Some(Trouble::lasting(
                            "internal_error",
                            "the sink ended; restart the program and report it",
                        )));
                    }
                }
            });
            // Whatever a library left running must not hold up the end.
            runtime.shutdown_timeout(SHUTDOWN_LIMIT);
        })?;
        Ok(Self { stop, thread })
    }

    /// Waits until `is_empty` says that all is delivered, or the time is over, or `is_stopped`.
    pub(crate) fn drain(
        &self,
        limit: Duration,
        mut is_empty: impl FnMut() -> bool,
        is_stopped: impl Fn() -> bool,
    ) -> bool {
        let end = Instant::now() + limit;
        loop {
            if is_empty() {
                return true;
            }
            if is_stopped() || self.thread.is_finished() || Instant::now() >= end {
                return false;
            }
            std::thread::sleep(DRAIN_LOOK);
        }
    }

    /// Lets what is on its way be answered, and ends the thread.
    pub(crate) fn stop(self) {
        let Self { stop, thread } = self;
        let _ = stop.send(true);
        // A panic was reported by the hook.
        let _ = thread.join();
    }
}

/// What a library may take to end its own tasks.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(500);

/// Often enough that nobody waits for it.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
