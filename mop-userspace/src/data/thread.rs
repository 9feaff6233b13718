//! The thread that owns the module while it observes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use mop_insight::data::{
    call::Call,
    funnel::{FunnelRules, HookRefusal, HookStep},
};
use tokio::sync::oneshot;

use super::{
    Module, Port, alarms::AlarmVitals, figures::Question, module::ModuleCounts, peers::Peers,
};
use crate::{
    failure::Failure,
    gathering::gather,
    observe::spawn,
    output::Outlet,
    protection::Pace,
    vitals::{Family, Vitals},
};

/// What the thread is told.
pub(crate) enum Message {
    /// A call that was seen.
    Call(Box<Call>),
    /// A step that a program told, and where to say what became of it.
    Hook(Box<HookStep>, oneshot::Sender<Result<(), HookRefusal>>),
    /// Figures that are asked for, and where to say them.
    Figures(Box<Question>, oneshot::Sender<Option<serde_json::Value>>),
    /// Nothing comes any more.
    Stop,
}

/// The running module.
pub(crate) struct Running {
    messages: Sender<Message>,
    rules: Arc<FunnelRules>,
    peers: Arc<Peers>,
    dropped: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Its numbers, as of a moment ago.
#[derive(Debug, Default)]
pub(crate) struct DataVitals {
    counts: Mutex<ModuleCounts>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(
        mut module: Module,
        mut outlet: Outlet,
        vitals: &Vitals,
    ) -> Result<Self, Failure> {
        let (messages, incoming) = bounded(QUEUE);
        let rules = Arc::clone(&module.rules);
        let peers = Arc::clone(&module.peers);
        let own = Arc::<DataVitals>::default();
        let dropped = Arc::<AtomicU64>::default();
        let directory = module.directory_counts();
        vitals.add_families(move || directory.families());
        // Whoever asks at once is told of every metric.
        own.store(module.counts());
        let (told, lost) = (Arc::clone(&own), Arc::clone(&dropped));
        let failed = Arc::clone(&dropped);
        vitals.add_families(move || told.families(lost.load(Ordering::Relaxed)));
        let thread = spawn("mop-data", move || {
            work(&mut module, &mut outlet, &incoming, &own, &failed);
        })?;
        Ok(Self { messages, rules, peers, dropped, thread })
    }

    /// A worker's way into it.
    pub(crate) fn port(&self) -> Port {
        Port::new(self.messages.clone(), Arc::clone(&self.dropped))
    }

    /// What workers know of the other ends of connections.
    pub(crate) fn peers(&self) -> Arc<Peers> {
        Arc::clone(&self.peers)
    }

    /// How programs reach it.
    pub(super) fn hook(&self) -> (Sender<Message>, Arc<FunnelRules>) {
        (self.messages.clone(), Arc::clone(&self.rules))
    }

    /// Ends it after all that was handed to it.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        let _gone = self.messages.send(Message::Stop);
        self.thread
            .join()
            .map_err(|_panic| Failure::runtime("the thread of the data module panicked"))
    }
}

fn work(
    module: &mut Module,
    outlet: &mut Outlet,
    incoming: &Receiver<Message>,
    vitals: &DataVitals,
    failed: &AtomicU64,
) {
    let mut saved = Instant::now();
    let mut advanced = Instant::now();
    let mut pace = Pace::of_this_thread();
    loop {
        match incoming.recv_timeout(ADVANCE_EVERY) {
            // A panic costs the call, not all that come after it.
            Ok(Message::Call(call)) => {
                let observed =
                    catch_unwind(AssertUnwindSafe(|| module.observe(*call, Some(outlet))));
                failed.fetch_add(u64::from(observed.is_err()), Ordering::Relaxed);
                gather(incoming, &mut pace);
            }
            Ok(Message::Hook(step, answer)) => {
                // Whoever asked may be gone.
                let _nobody = answer.send(module.hook(*step));
            }
            Ok(Message::Figures(question, answer)) => {
                let _nobody = answer.send(module.figures.answer(&question, Timestamp::now()));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if advanced.elapsed() >= ADVANCE_EVERY {
            advanced = Instant::now();
            module.figures.lose(failed.load(Ordering::Relaxed));
            module.refresh_directory();
            module.advance(Timestamp::now(), Some(outlet));
            outlet.flush();
            vitals.store(module.counts());
        }
        if saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            module.save();
        }
    }
    module.advance(Timestamp::now(), Some(outlet));
    module.finish(Some(outlet));
    outlet.flush();
    vitals.store(module.counts());
}

impl DataVitals {
    fn store(&self, counts: ModuleCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn families(&self, dropped: u64) -> Vec<Family> {
        let ModuleCounts { analyst, funnel, held_steps, consents, figures, alarms } =
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let joins = &analyst.joins;
        let mut families = vec![
            Family::counter("mop_data_calls", "Calls that the data module took in")
                .is(analyst.calls),
            Family::counter(
                "mop_data_dropped_calls",
                "Calls that it had no room for, or could not work on",
            )
            .is(dropped),
            Family::counter("mop_data_events", "Calls to be reported")
                .by("side", [("client", analyst.client_events), ("server", analyst.server_events)]),
            Family::counter("mop_data_excluded_calls", "Calls that are none of the ecosystem's")
                .by("reason", analyst.excluded.iter().map(|(why, count)| (why.name(), *count))),
            Family::counter("mop_data_hops", "Further sightings of calls").is(analyst.hops),
            Family::counter("mop_data_unlisted_calls", "Calls that the platform does not take")
                .by("reason", analyst.unlisted.iter().map(|(why, count)| (why.name(), *count))),
            Family::counter("mop_data_unreportable", "What calls lack to be reported")
                .by("reason", analyst.unreportable.iter().map(|(why, count)| (why.name(), *count))),
            Family::counter("mop_data_unknown_parties", "Parties of calls that are not known")
                .by("reason", analyst.gaps.iter().map(|(why, count)| (why.name(), *count))),
            Family::counter("mop_data_joined_calls", "Calls whose consent is known")
                .by("by", joins.joined.iter().map(|(by, count)| (by.name(), *count))),
            Family::counter(
                "mop_data_unjoined_calls",
                "Calls whose consent is wanted and not known",
            )
            .by("reason", joins.unjoined.iter().map(|(why, count)| (why.name(), *count))),
            Family::gauge("mop_data_held_calls", "Calls that wait for their consent")
                .is(analyst.held),
            Family::gauge("mop_data_tokens", "Tokens whose consent is known").is(analyst.tokens),
            Family::counter("mop_data_funnel_steps", "Steps of funnels to be reported")
                .by("step", funnel.by_step.iter().map(|(step, count)| (step.name(), *count))),
            Family::counter("mop_data_unreported_steps", "Steps that are not reported")
                .by("reason", funnel.unreported.iter().map(|(why, count)| (why.name(), *count))),
            Family::gauge("mop_data_held_steps", "Steps that wait for others")
                .is(held_steps as u64),
            Family::gauge("mop_data_consents", "Consents that are remembered").is(consents as u64),
        ];
        families.extend(figures.families());
        families.extend(alarms.iter().flat_map(AlarmVitals::families));
        families
    }
}

/// A second of the busiest node.
const QUEUE: usize = 16_384;
const ADVANCE_EVERY: Duration = Duration::from_millis(250);
/// A crash costs what was learnt since; tokens live for minutes.
const SAVE_EVERY: Duration = Duration::from_secs(10);
