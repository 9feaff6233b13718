//! The thread that owns the module while it observes.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use mop_insight::security::watch::Seen;

use super::{
    Module, Port,
    module::{FindingCounts, ModuleCounts, Shared},
};
use crate::{
    failure::Failure,
    gathering::gather,
    observe::spawn,
    output::Outlet,
    protection::Pace,
    rulebook::RuleBooks,
    vitals::{Family, Vitals},
};

/// The way to the thread. Its room is counted in calls: several workers hand over one or many at a time.
#[derive(Clone)]
pub(super) struct Queue {
    messages: Sender<Message>,
    /// Calls that wait in it.
    waiting: Arc<AtomicUsize>,
    /// Calls that it had no room for, or that could not be worked on.
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Takes calls, if there is room for them; capture must not wait for it.
    pub(super) fn offer(&self, seen: Vec<Seen>) {
        let calls = seen.len();
        let before = self.waiting.fetch_add(calls, Ordering::Relaxed);
        let is_full = before + calls > QUEUE_CALLS;
        if is_full || self.messages.try_send(Message::Seen(seen)).is_err() {
            self.waiting.fetch_sub(calls, Ordering::Relaxed);
            self.dropped.fetch_add(calls as u64, Ordering::Relaxed);
        }
    }
}

/// What the thread is told.
enum Message {
    /// Calls that were inspected.
    Seen(Vec<Seen>),
    /// Nothing comes any more.
    Stop,
}

/// The running module.
pub(crate) struct Running {
    queue: Queue,
    shared: Shared,
    thread: JoinHandle<()>,
}

/// Its numbers, as of a moment ago.
#[derive(Debug, Default)]
struct SecurityVitals {
    counts: Mutex<ModuleCounts>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(
        mut module: Module,
        mut outlet: Outlet,
        vitals: &Vitals,
    ) -> Result<Self, Failure> {
        let (messages, incoming) = bounded(QUEUE_CALLS);
        let shared = module.shared.clone();
        let own = Arc::<SecurityVitals>::default();
        let queue = Queue { messages, waiting: Arc::default(), dropped: Arc::default() };
        let (told, lost) = (Arc::clone(&own), Arc::clone(&queue.dropped));
        let (waiting, failed) = (Arc::clone(&queue.waiting), Arc::clone(&queue.dropped));
        vitals.add_families(move || told.families(lost.load(Ordering::Relaxed)));
        let thread = spawn("mop-security", move || {
            work(&mut module, &mut outlet, (&incoming, &waiting), &own, &failed);
        })?;
        Ok(Self { queue, shared, thread })
    }

    /// A worker's way into it.
    pub(crate) fn port(&self, books: Arc<RuleBooks>) -> Port {
        Port::new(books, self.shared.clone(), self.queue.clone())
    }

    /// Ends it after all that was handed to it.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        let _gone = self.queue.messages.send(Message::Stop);
        self.thread
            .join()
            .map_err(|_panic| Failure::runtime("the thread of the security module panicked"))
    }
}

fn work(
    module: &mut Module,
    outlet: &mut Outlet,
    (incoming, waiting): (&Receiver<Message>, &AtomicUsize),
    vitals: &SecurityVitals,
    failed: &AtomicU64,
) {
    let (mut advanced, mut saved) = (Instant::now(), Instant::now());
    let mut pace = Pace::of_this_thread();
    loop {
        match incoming.recv_timeout(ADVANCE_EVERY) {
            Ok(Message::Seen(seen)) => {
                for seen in seen {
                    // A panic costs the call, not all that come after it.
                    let observed = catch_unwind(AssertUnwindSafe(|| {
                        module.observe(seen, Some(outlet));
                    }));
                    failed.fetch_add(u64::from(observed.is_err()), Ordering::Relaxed);
                    let left = waiting.fetch_sub(1, Ordering::Relaxed);
                    pace.step(|| left as f64 / QUEUE_CALLS as f64);
                }
                gather(incoming, &mut pace);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if advanced.elapsed() >= ADVANCE_EVERY {
            advanced = Instant::now();
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
    module.finish(Timestamp::now(), Some(outlet));
    module.save();
    outlet.flush();
    vitals.store(module.counts());
}

impl SecurityVitals {
    fn store(&self, counts: ModuleCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn families(&self, dropped: u64) -> Vec<Family> {
        let ModuleCounts { watch, findings } =
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let FindingCounts { by_rule, by_severity } = findings;
        vec![
            Family::counter("mop_security_calls", "Calls that were inspected").is(watch.calls),
            Family::counter(
                "mop_security_dropped_calls",
                "Inspected calls that the module had no room for, or could not work on",
            )
            .is(dropped),
            Family::counter("mop_security_hops", "Further sightings of calls").is(watch.hops),
            Family::counter("mop_security_findings", "Findings that were told")
                .by("severity", by_severity.iter().map(|(by, count)| (by.name(), *count))),
            Family::counter("mop_security_rule_findings", "Findings that were told, by rule")
                .by("rule", by_rule.into_iter()),
            Family::counter(
                "mop_security_folded_findings",
                "Findings that were told in the number of another one",
            )
            .is(watch.folds.folded),
            Family::counter(
                "mop_security_untold_matches",
                "Matches of rules that are above the level of suspicion, or whose words make no record",
            )
            .is(watch.beyond_paranoia + watch.unspeakable),
            Family::counter(
                "mop_security_unscanned_bytes",
                "Bytes of calls that rules did not look at, since there were too many",
            )
            .is(watch.unscanned_bytes),
            Family::counter(
                "mop_security_unread_messages",
                "Messages that were not looked at, or not in all their parts",
            )
            .by("reason", watch.unread),
            Family::counter(
                "mop_security_evicted_groups",
                "What correlations and points forgot before its time, since there was no room",
            )
            .is(watch.correlator.evicted + watch.points.evicted + watch.folds.evicted),
            Family::gauge("mop_security_clients", "Organisations that are known as clients")
                .is(watch.clients.known),
        ]
    }
}

/// What a crash forgets at most.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// A fifth of a second of the busiest node, and seconds of others, in which the module may save what it
/// knows; 4 MiB where calls come many at a time, 16 MiB where each comes alone.
const QUEUE_CALLS: usize = 16_384;
const ADVANCE_EVERY: Duration = Duration::from_millis(250);
