//! The capture thread: from the lanes into batches for the workers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use mop_common::{ControlEvent, ControlKind, Counters, HoleCause, SegmentHead, flags};
use mop_probe::{RecordSink, Rings};

use crate::{
    batch::Batch, clock, discovery::Find, hellos::Hellos, protection::Loads, vitals::Heartbeat,
};

/// Where the capture thread sends what it reads.
pub(crate) struct Destinations {
    /// One queue per worker.
    pub(crate) workers: Vec<Sender<Batch>>,
    /// Emptied batches come back here.
    pub(crate) empties: Receiver<Batch>,
    /// Processes and files to look into.
    pub(crate) finds: Sender<Find>,
    /// Where hellos are put; `None`: they travel like all other segments.
    pub(crate) hellos: Option<Arc<Hellos>>,
}

/// What the capture thread counts.
#[derive(Debug, Default)]
pub(crate) struct CaptureCounters {
    /// Segments read from the lanes.
    pub(crate) received_segments: AtomicU64,
    /// Bytes of them.
    pub(crate) received_bytes: AtomicU64,
    /// Segments whose bytes were dropped because a worker was behind.
    pub(crate) queue_dropped_segments: AtomicU64,
    /// Processes and files that were not looked into because discovery was behind.
    pub(crate) dropped_finds: AtomicU64,
    /// Beats each time that the lanes are looked at.
    pub(crate) alive: Heartbeat,
    /// Counters of the kernel side, as of a few seconds ago; `None` before they were first read.
    kernel: Mutex<Option<Counters>>,
    /// Those of programs that were unloaded since.
    earlier: Mutex<Option<Counters>>,
    /// What the kernel programs cost when they were last measured.
    loads: Mutex<Loads>,
}

impl CaptureCounters {
    /// Stores what the kernel side counted so far.
    pub(crate) fn set_kernel(&self, counters: Counters) {
        *self.kernel.lock().unwrap_or_else(PoisonError::into_inner) = Some(counters);
    }

    /// What the kernel side had counted when it was last asked.
    pub(crate) fn kernel(&self) -> Option<Counters> {
        let now = *self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = *self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        match (earlier, now) {
            (Some(mut sum), Some(now)) => {
                sum.add(&now);
                Some(sum)
            }
            (earlier, now) => now.or(earlier),
        }
    }

    /// The programs are unloaded, and this is what they counted at last: those that are loaded next
    /// count from nothing.
    pub(crate) fn end_session(&self, last: Option<Counters>) {
        let mut now = self.kernel.lock().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.or(*now) {
            earlier.get_or_insert_default().add(&last);
        }
        *now = None;
        drop((now, earlier));
        self.set_loads(Loads::default());
    }

    /// Stores what the kernel programs cost when they were last measured.
    pub(crate) fn set_loads(&self, loads: Loads) {
        *self.loads.lock().unwrap_or_else(PoisonError::into_inner) = loads;
    }

    /// What the kernel programs cost when they were last measured.
    pub(crate) fn loads(&self) -> Loads {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads the lanes until `stop` is set, then once more until they are empty.
///
/// The caller detaches the probes before it sets `stop`, so that the last drain is complete.
pub(crate) fn run(
    mut rings: Rings,
    destinations: Destinations,
    counters: &Arc<CaptureCounters>,
    stop: &AtomicBool,
) {
    let mut router = Router::new(destinations, Arc::clone(counters));
    let mut watermark = Watermark::default();
    let mut idle_rounds: u32 = 0;
    let mut last_rounds: u32 = 0;
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let began_ns = clock::monotonic_ns();
        counters.alive.beat_at(began_ns);
        let drained = rings.drain(&mut router, DRAIN_LIMIT);
        if drained.emptied
            && let Some(ktime_ns) = watermark.after_drain(began_ns, drained.records > 0)
        {
            router.watermark(ktime_ns);
        }
        router.flush();
        if stopping {
            last_rounds = if drained.records > 0 { 0 } else { last_rounds + 1 };
            if drained.emptied || last_rounds > LAST_ROUNDS {
                counters.alive.rest();
                router.finish();
                return;
            }
        }
        idle_rounds = if drained.records > 0 { 0 } else { idle_rounds.saturating_add(1) };
        if !drained.emptied && drained.records > 0 {
            continue;
        }
        // While there is traffic, let some gather; a lane that fills wakes the second wait.
        if drained.records > 0 {
            std::thread::sleep(if drained.records > MANY { SHORT_PAUSE } else { PAUSE });
        }
        let timeout = if idle_rounds > IDLE_AFTER { IDLE_WAIT } else { PAUSE };
        if rings.wait(timeout).is_err() {
            std::thread::sleep(timeout);
        }
    }
}

/// Decides when it is proven that nothing older is still on its way.
#[derive(Debug, Default)]
struct Watermark {
    /// Watermarks below this tell the workers nothing new.
    needed_until_ns: u64,
    sent_ns: u64,
}

impl Watermark {
    /// A drain that began at `began_ns` saw every lane empty. A segment that was stamped but not
    /// yet submitted at that time is younger than [`SUBMIT_MARGIN`].
    fn after_drain(&mut self, began_ns: u64, had_records: bool) -> Option<u64> {
        if had_records {
            self.needed_until_ns = began_ns + 2 * SUBMIT_MARGIN_NS;
        }
        let ktime_ns = began_ns.saturating_sub(SUBMIT_MARGIN_NS);
        let is_due = ktime_ns >= self.sent_ns + SEND_EVERY_NS;
        if !is_due || ktime_ns > self.needed_until_ns {
            return None;
        }
        self.sent_ns = ktime_ns;
        Some(ktime_ns)
    }
}

/// Sends each record to the worker of its connection.
struct Router {
    destinations: Destinations,
    pending: Vec<Batch>,
    counters: Arc<CaptureCounters>,
}

impl Router {
    fn new(destinations: Destinations, counters: Arc<CaptureCounters>) -> Self {
        let pending = destinations.workers.iter().map(|_| Batch::default()).collect();
        Self { destinations, pending, counters }
    }

    fn watermark(&mut self, ktime_ns: u64) {
        for batch in &mut self.pending {
            batch.push_watermark(ktime_ns);
        }
    }

    /// Hands over what is there, without waiting.
    fn flush(&mut self) {
        for worker in 0..self.pending.len() {
            if !self.may_gather(worker) {
                self.hand_over(worker);
            }
        }
    }

    /// True when a worker is behind and more fits into its batch: many small ones would fill its queue.
    fn may_gather(&self, worker: usize) -> bool {
        let is_behind = self
            .destinations
            .workers
            .get(worker)
            .is_some_and(|queue| queue.len() >= BEHIND_BATCHES);
        is_behind && self.pending.get(worker).is_some_and(|batch| !batch.is_full())
    }

    /// Hands over what is there, however long it takes: the last of a run.
    fn finish(self) {
        let Self { destinations, pending, counters: _ } = self;
        for (batch, queue) in pending.into_iter().zip(destinations.workers) {
            // A worker that is gone is reported by its own end.
            let _ = queue.send(batch);
        }
    }

    fn find(&self, find: Find) {
        if self.destinations.finds.try_send(find).is_err() {
            self.counters.dropped_finds.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// True when the queue took the batch, or there was nothing to take.
    fn hand_over(&mut self, worker: usize) -> bool {
        let Self { destinations, pending, .. } = self;
        let (Some(batch), Some(queue)) =
            (pending.get_mut(worker), destinations.workers.get(worker))
        else {
            return true;
        };
        if batch.is_empty() {
            return true;
        }
        let full = std::mem::replace(batch, destinations.empties.try_recv().unwrap_or_default());
        match queue.try_send(full) {
            Ok(()) => true,
            Err(TrySendError::Full(back)) => {
                *batch = back;
                false
            }
            // The worker is gone: the daemon is stopping, or the worker died and that is reported.
            Err(TrySendError::Disconnected(_)) => true,
        }
    }

    fn worker_of(&self, connection: u64) -> usize {
        let workers = self.pending.len().max(1) as u64;
        // Cookies count up per CPU; the multiplication spreads both parts over all bits.
        let mixed = connection.wrapping_mul(SPREAD) >> 32;
        usize::try_from(mixed % workers).unwrap_or(0)
    }
}

impl RecordSink for Router {
    fn segment(&mut self, head: &SegmentHead, bytes: &[u8]) {
        let Self { counters, .. } = self;
        counters.received_segments.fetch_add(1, Ordering::Relaxed);
        counters.received_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if head.flags & flags::HELLO != 0
            && let Some(hellos) = &self.destinations.hellos
        {
            // A panic in the decoder costs this hello.
            let _taken = catch_unwind(AssertUnwindSafe(|| hellos.take(head, bytes)));
            return;
        }
        let worker = self.worker_of(head.connection);
        let has_room = match self.pending.get(worker) {
            Some(batch) if batch.is_full() => self.hand_over(worker),
            _ => true,
        };
        let Some(batch) = self.pending.get_mut(worker) else { return };
        if has_room {
            batch.push_segment(head, bytes);
        } else {
            // Keep the head: the hole then has its place, its size and its reason.
            self.counters.queue_dropped_segments.fetch_add(1, Ordering::Relaxed);
            let hole = SegmentHead { cause: HoleCause::QueueFull as u8, ..*head };
            batch.push_segment(&hole, &[]);
        }
    }

    fn control(&mut self, event: &ControlEvent) {
        match ControlKind::from_number(event.kind) {
            Some(ControlKind::Exec) => {
                self.find(Find::Executable(event.tgid));
            }
            Some(ControlKind::Map) => {
                let [inode, device] = event.positions;
                self.find(Find::Mapping { tgid: event.tgid, inode, device });
            }
            Some(ControlKind::Exit) => {
                for batch in &mut self.pending {
                    batch.push_control(event);
                }
            }
            Some(ControlKind::Open | ControlKind::Bind | ControlKind::End | ControlKind::Close) => {
                let worker = self.worker_of(event.connection);
                if let Some(batch) = self.pending.get_mut(worker) {
                    batch.push_control(event);
                }
            }
            // It woke this thread, which is all that it is for.
            Some(ControlKind::Wake) | None => {}
        }
    }
}

/// Batches that wait for one worker: 128 of 512 KiB, 64 MiB. Beyond it the worker is so far behind
/// that bytes are dropped, and counted, rather than memory filled.
pub(crate) const QUEUE_BATCHES: usize = 128;

/// A worker that has so many before it would not come to another one soon.
const BEHIND_BATCHES: usize = 8;

/// Records of one drain, after which full batches are handed over and the stop flag is looked at.
const DRAIN_LIMIT: usize = 16_384;

/// How long records gather before they are read. Latency of a report, against the cost of coming
/// by; a lane of 8 MiB takes in this time what comes at 4 GB/s.
const PAUSE: Duration = Duration::from_millis(2);

/// The same when there is much: on a machine that is busy throughout, this thread comes back late, and a
/// lane of 8 MiB is full soon. With bodies of 256 KiB a third as many bytes were lost as with the long one.
const SHORT_PAUSE: Duration = Duration::from_micros(300);

/// Records of a drain that are much.
const MANY: usize = 32;

/// At the end, a record that is not whole after this many looks, half a second, never will be.
const LAST_ROUNDS: u32 = 100;

/// Without traffic the reader comes by 20 times a second.
const IDLE_WAIT: Duration = Duration::from_millis(50);
const IDLE_AFTER: u32 = 50;

/// A program runs for microseconds between stamping a segment and submitting it, unless the thread
/// is preempted inside it.
const SUBMIT_MARGIN_NS: u64 = 100_000_000;

/// Often enough that a hole delays a report by less than people notice.
const SEND_EVERY_NS: u64 = 20_000_000;

/// 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
