//! Outbox and sinks together, as every command that forwards has them.

use std::{sync::Arc, time::Duration};

use crate::{
    configuration::Configuration,
    failure::Failure,
    ledger::CaptureAccount,
    output::Dropped,
    sinks::{
        configured,
        forwarder::{Bells, Connected, Forwarder},
    },
    spool::{Spool, SpoolVitals},
    vitals::SinkVitals,
};

/// The running sinks.
pub(crate) struct Forwarding {
    forwarder: Option<Forwarder>,
    pub(crate) vitals: Arc<SpoolVitals>,
}

impl Forwarding {
    /// Opens the outbox and starts the sinks; `None` when the configuration has no outbox. The spool
    /// goes to the thread that writes.
    pub(crate) fn start(
        configuration: &Configuration,
        dropped: Arc<Dropped>,
        capture: Box<dyn Fn() -> CaptureAccount + Send + Sync>,
    ) -> Result<Option<(Spool, Self)>, Failure> {
        let sinks = configured::sinks(configuration)?;
        if configuration.outbox.folder.is_none() && sinks.is_empty() {
            return Ok(None);
        }
        let sink_vitals: Vec<_> = sinks.iter().map(|sink| SinkVitals::new(sink.name())).collect();
        let vitals = SpoolVitals::new(sink_vitals.clone(), dropped, capture);
        let bells = Bells::new(sinks.len());
        let spool = Spool::open(configuration, bells.clone(), Arc::clone(&vitals))?;
        let connected: Vec<Connected> = sinks
            .into_iter()
            .zip(sink_vitals)
            .filter_map(|(sink, vitals)| {
                Some(Connected { feed: spool.feed(sink.name())?, sink, vitals })
            })
            .collect();
        let forwarder =
            if connected.is_empty() { None } else { Some(Forwarder::start(connected, bells)?) };
        Ok(Some((spool, Self { forwarder, vitals })))
    }

    /// Waits until the sinks have all that is committed, or the time is over, or `is_stopped`. False
    /// when something is left.
    pub(crate) fn drain(
        &self,
        spool: &mut Spool,
        limit: Duration,
        is_stopped: impl Fn() -> bool,
    ) -> bool {
        let Some(forwarder) = &self.forwarder else { return true };
        let is_empty = || {
            spool.commit();
            self.vitals.spooled() == 0
        };
        forwarder.drain(limit, is_empty, is_stopped)
    }

    /// Ends in good order: a last ledger record, a short time for what is left, then the sinks, then
    /// the outbox.
    pub(crate) fn stop(self, mut spool: Spool) {
        spool.finish();
        self.drain(&mut spool, LAST_DRAIN, || false);
        if let Some(forwarder) = self.forwarder {
            forwarder.stop();
        }
        spool.close();
    }
}

/// Of the ten seconds that a stop may take. What is left is sent by the next run.
const LAST_DRAIN: Duration = Duration::from_secs(2);
