//! Outbox and sinks together, as every command that forwards has them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    configuration::Configuration,
    data::tally::{self, Made, SharedMade},
    failure::Failure,
    ledger::CaptureAccount,
    official::message::{OfficialMessages, OfficialSource},
    output::Dropped,
    sinks::{
        configured::Configured,
        forwarder::{Bells, Connected, Forwarder},
    },
    spool::{Spool, SpoolVitals},
    vitals::{SinkVitals, Vitals},
};

/// The running sinks.
pub(crate) struct Forwarding {
    forwarder: Option<Forwarder>,
    pub(crate) vitals: Arc<SpoolVitals>,
    official: Option<Arc<OfficialSource>>,
    /// What became of calls, for the report.
    made: SharedMade,
}

impl Forwarding {
    /// Opens the outbox and starts the sinks; `None` when the configuration has no outbox. The spool
    /// goes to the thread that writes.
    pub(crate) fn start(
        configuration: &Configuration,
        dropped: Arc<Dropped>,
        vitals: &Arc<Vitals>,
    ) -> Result<Option<(Spool, Self)>, Failure> {
        let made = SharedMade::default();
        let Configured { sinks, official, metrics } =
            Configured::new(configuration, vitals, &made)?;
        if configuration.outbox.folder.is_none() && sinks.is_empty() {
            return Ok(None);
        }
        let sink_vitals: Vec<_> = sinks.iter().map(|sink| SinkVitals::new(sink.name())).collect();
        let captured = Arc::clone(vitals);
        let capture = Box::new(move || CaptureAccount::from(captured.captured()));
        let numbers = SpoolVitals::new(sink_vitals.clone(), dropped, capture);
        vitals.set_sinks(sink_vitals.clone());
        vitals.set_outbox({
            let numbers = Arc::clone(&numbers);
            move || numbers.published()
        });
        if let Some(official) = official.clone() {
            vitals.add_families(move || official.families());
        }
        let bells = Bells::new(sinks.len());
        let spool = Spool::open(configuration, bells.clone(), Arc::clone(&numbers))?;
        let is_counted = configuration.data.is_some() || configuration.sinks.pcm.is_some();
        if let Some(folder) = configuration.outbox.folder.as_ref().filter(|_| is_counted) {
            tally::repair(folder, Timestamp::now());
            *made.lock() = Made::open(Some(folder), Timestamp::now());
        }
        let connected: Vec<Connected> = sinks
            .into_iter()
            .zip(sink_vitals)
            .filter_map(|(sink, vitals)| {
                Some(Connected { feed: spool.feed(sink.name())?, sink, vitals })
            })
            .collect();
        let forwarder = if connected.is_empty() {
            None
        } else {
            Some(Forwarder::start(connected, bells, metrics)?)
        };
        Ok(Some((spool, Self { forwarder, vitals: numbers, official, made })))
    }

    /// Who counts what became of calls; nobody without an outbox.
    pub(crate) fn made(forwarding: Option<&Self>) -> SharedMade {
        forwarding.map(|it| it.made.clone()).unwrap_or_default()
    }

    /// What messages for the official server are made with.
    pub(crate) fn official_source(&self) -> Option<Arc<OfficialSource>> {
        self.official.clone()
    }

    /// What makes messages for the official server, one for each thread that judges.
    pub(crate) fn official(&self) -> Option<OfficialMessages> {
        self.official.clone().map(OfficialMessages::new)
    }

    /// Waits, a little, until messages for the official server can be made.
    pub(crate) fn wait_for_fields(&self, limit: Duration) {
        let Some(source) = &self.official else { return };
        let end = Instant::now() + limit;
        while source.policies.current().is_none() && Instant::now() < end {
            std::thread::sleep(FIELDS_LOOK);
        }
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

/// The lists are there after one round trip.
const FIELDS_LOOK: Duration = Duration::from_millis(20);
