//! The thread that owns the module while it observes: workers judge, it reports.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use jiff::Timestamp;
use mop_insight::data::{analyst::Addresses, digest::Key, once::Sighting};
use mop_wire::FlowStats;

use super::{
    counts::InspectorCounts, inspector::QualityArguments, judged::JudgedCall, module::Module,
    reports::Reports, window::OpenWindow,
};
use crate::{
    data::State,
    failure::Failure,
    gathering::gather,
    observe::spawn,
    official::message::OfficialSource,
    output::Outlet,
    protection::Pace,
    rulebook::RuleBooks,
    summary::ExchangeCounts,
    vitals::{Vitals, WorkerVitals},
};

/// How sightings of one call are told from others, by all workers alike.
#[derive(Clone)]
pub(crate) struct Linking {
    /// Of digests that do not outlive the process.
    pub(crate) key: Key,
    /// Who is who, as far as it is configured.
    pub(crate) addresses: Arc<Addresses>,
}

/// What the thread works with.
pub(crate) struct Parts<'a> {
    pub(crate) books: Arc<RuleBooks>,
    pub(crate) arguments: &'a QualityArguments,
    pub(crate) report_clean: u32,
    /// Begins the ids of its windows.
    pub(crate) name: String,
    pub(crate) official: Option<Arc<OfficialSource>>,
    /// `None`: calls are only counted.
    pub(crate) outlet: Option<Outlet>,
    pub(crate) linking: Linking,
}

/// The running module.
pub(crate) struct Running {
    messages: Sender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    linking: Linking,
    thread: JoinHandle<InspectorCounts>,
}

/// A worker's way to it.
#[derive(Clone)]
pub(crate) struct Handover {
    messages: Sender<Message>,
    queued_bytes: Arc<AtomicUsize>,
}

/// A call that was judged, and how it is told from others.
struct Judged {
    sighting: Sighting,
    call: Box<JudgedCall>,
    end: Timestamp,
    bytes: usize,
}

/// What the thread is told.
enum Message {
    Judged(Box<Judged>),
    /// Nothing comes any more.
    Stop,
}

impl Linking {
    /// With a key of this process alone.
    pub(crate) fn new(addresses: Arc<Addresses>) -> Result<Self, Failure> {
        Ok(Self { key: State::beside(None).key()?, addresses })
    }
}

impl Running {
    /// Starts it.
    pub(crate) fn start(parts: Parts<'_>, vitals: &Vitals) -> Result<Self, Failure> {
        let Parts { books, arguments, report_clean, name, official, mut outlet, linking } = parts;
        let (messages, incoming) = bounded(QUEUE);
        let queued_bytes = Arc::<AtomicUsize>::default();
        let queued = Arc::clone(&queued_bytes);
        let report_clean = arguments.report_clean.unwrap_or(report_clean);
        let window = OpenWindow::new(arguments.window, name);
        let mut reports = Reports::new(books, window, report_clean);
        reports.official = official;
        let mut module = Module::new(reports);
        // It counts calls as a worker does.
        let vitals = vitals.worker();
        let thread = spawn("mop-quality", move || {
            work(&mut module, outlet.as_mut(), &incoming, &queued, &vitals)
        })?;
        Ok(Self { messages, queued_bytes, linking, thread })
    }

    /// A worker's way to it.
    pub(crate) fn handover(&self) -> Handover {
        let (messages, queued_bytes) = (self.messages.clone(), Arc::clone(&self.queued_bytes));
        Handover { messages, queued_bytes }
    }

    pub(crate) fn linking(&self) -> Linking {
        self.linking.clone()
    }

    /// Ends it after all that was handed to it, and gives what it counted.
    pub(crate) fn stop(self) -> Result<InspectorCounts, Failure> {
        let _gone = self.messages.send(Message::Stop);
        self.thread
            .join()
            .map_err(|_panic| Failure::runtime("the thread of the quality module panicked"))
    }
}

impl Handover {
    /// Hands a call over; gives it back when there is no room: capture must not wait for it.
    pub(super) fn hand(
        &self,
        sighting: Sighting,
        call: Box<JudgedCall>,
        end: Timestamp,
    ) -> Result<(), Box<JudgedCall>> {
        let bytes = call.bytes();
        // Relaxed: the number alone counts, and it may be off by what workers add at once.
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let unsent = if queued > MAX_QUEUED_BYTES {
            Err(call)
        } else {
            let judged = Message::Judged(Box::new(Judged { sighting, call, end, bytes }));
            match self.messages.try_send(judged).map_err(TrySendError::into_inner) {
                Err(Message::Judged(judged)) => Err(judged.call),
                Ok(()) | Err(Message::Stop) => Ok(()),
            }
        };
        if unsent.is_err() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        unsent
    }
}

fn work(
    module: &mut Module,
    mut outlet: Option<&mut Outlet>,
    incoming: &Receiver<Message>,
    queued_bytes: &AtomicUsize,
    vitals: &WorkerVitals,
) -> InspectorCounts {
    let publish = |counts: &InspectorCounts| {
        vitals.store(&ExchangeCounts::default(), &FlowStats::default(), Some(counts));
    };
    let mut lost = 0;
    let counts = |module: &Module, lost| InspectorCounts { lost, ..module.counts() };
    let mut advanced = Instant::now();
    let mut pace = Pace::of_this_thread();
    loop {
        match incoming.recv_timeout(ADVANCE_EVERY) {
            Ok(Message::Judged(judged)) => {
                let Judged { sighting, call, end, bytes } = *judged;
                queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                // A panic costs the call, not all that come after it.
                let taken = catch_unwind(AssertUnwindSafe(|| {
                    module.take(sighting, call, end, outlet.as_deref_mut());
                }));
                lost += u64::from(taken.is_err());
                gather(incoming, &mut pace);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if advanced.elapsed() >= ADVANCE_EVERY {
            advanced = Instant::now();
            module.advance(Timestamp::now(), outlet.as_deref_mut());
            if let Some(outlet) = &mut outlet {
                outlet.flush();
            }
            publish(&counts(module, lost));
        }
    }
    module.finish(outlet.as_deref_mut());
    if let Some(outlet) = outlet {
        outlet.flush();
    }
    let counts = counts(module, lost);
    publish(&counts);
    counts
}

/// A second of the busiest node.
const QUEUE: usize = 16_384;

/// Judged calls on their way: a few milliseconds of the worst that can be found.
const MAX_QUEUED_BYTES: usize = 32 << 20;

const ADVANCE_EVERY: Duration = Duration::from_millis(250);
