//! All numbers of a process in one place, for whoever asks: metrics, health, the ledger.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use mop_common::HoleCause;
use mop_outbox::{Lane, Stats};

use super::{Family, OwnProcess, SinkVitals, Worked, WorkerVitals};
use crate::{capture::CaptureCounters, clock, connections::LibraryNames, rulebook::RuleBooks};

/// What runs in this process. Parts that do not run are empty.
pub(crate) struct Vitals {
    pub(crate) started: SystemTime,
    pub(crate) process: OwnProcess,
    capture: OnceLock<Arc<CaptureCounters>>,
    libraries: OnceLock<Arc<LibraryNames>>,
    rules: OnceLock<Arc<RuleBooks>>,
    workers: Mutex<Vec<Arc<WorkerVitals>>>,
    sinks: Mutex<Vec<Arc<SinkVitals>>>,
    outbox: OnceLock<Box<dyn Fn() -> OutboxVitals + Send + Sync>>,
    /// Metrics of parts that this module does not know.
    more_families: Mutex<Vec<MoreFamilies>>,
    /// Whether parts that this module does not know do what they are for.
    more_checks: Mutex<Vec<MoreChecks>>,
    /// What has to be so before the process does its work; `Some`: why it is not.
    conditions: Mutex<BTreeMap<&'static str, Option<&'static str>>>,
}

/// Metrics of a part, made when somebody asks.
type MoreFamilies = Box<dyn Fn() -> Vec<Family> + Send + Sync>;
/// Whether a part does what it is for, found out when somebody asks.
type MoreChecks = Box<dyn Fn() -> Vec<Check> + Send + Sync>;

/// The numbers of the outbox and of the way into it.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutboxVitals {
    /// Per-sink numbers are in the order of [`Vitals::set_sinks`].
    pub(crate) stats: Stats,
    /// Records that the outbox had no room for.
    pub(crate) refused: u64,
    /// Records that never reached the writer, by lane.
    pub(crate) dropped_records: [u64; Lane::ALL.len()],
    /// Bytes of them, and of what was to be printed.
    pub(crate) dropped_bytes: u64,
}

/// What was captured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    /// Bytes that are missing in observed streams, by cause; causes without any are left out.
    pub(crate) lost_bytes: Vec<(&'static str, u64)>,
    pub(crate) exchanges: u64,
    pub(crate) incomplete_exchanges: u64,
}

/// A part that is asked for its health, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// `None`: all is well.
    pub(crate) trouble: Option<String>,
}

impl Vitals {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: SystemTime::now(),
            process: OwnProcess::open(),
            capture: OnceLock::new(),
            libraries: OnceLock::new(),
            rules: OnceLock::new(),
            workers: Mutex::default(),
            sinks: Mutex::default(),
            outbox: OnceLock::new(),
            more_families: Mutex::default(),
            more_checks: Mutex::default(),
            conditions: Mutex::default(),
        })
    }

    /// The capture thread and the libraries that are observed. The first call counts.
    pub(crate) fn set_capture(&self, counters: Arc<CaptureCounters>, libraries: Arc<LibraryNames>) {
        let _ = self.capture.set(counters);
        let _ = self.libraries.set(libraries);
    }

    /// The rules in use. The first call counts.
    pub(crate) fn set_rules(&self, rules: Arc<RuleBooks>) {
        let _ = self.rules.set(rules);
    }

    /// Where the numbers of the outbox are. The first call counts.
    pub(crate) fn set_outbox(&self, numbers: impl Fn() -> OutboxVitals + Send + Sync + 'static) {
        let _ = self.outbox.set(Box::new(numbers));
    }

    /// All sinks, in the order of the outbox's options.
    pub(crate) fn set_sinks(&self, sinks: Vec<Arc<SinkVitals>>) {
        *lock(&self.sinks) = sinks;
    }

    /// The numbers of one more worker.
    pub(crate) fn worker(&self) -> Arc<WorkerVitals> {
        let worker = Arc::<WorkerVitals>::default();
        lock(&self.workers).push(Arc::clone(&worker));
        worker
    }

    /// Something has to be done before the process is ready, or is no longer so.
    pub(crate) fn wants(&self, condition: &'static str, reason: &'static str) {
        lock(&self.conditions).insert(condition, Some(reason));
    }

    /// It is done.
    pub(crate) fn has(&self, condition: &'static str) {
        lock(&self.conditions).insert(condition, None);
    }

    /// Metrics of a part that this module does not know.
    pub(crate) fn add_families(&self, families: impl Fn() -> Vec<Family> + Send + Sync + 'static) {
        lock(&self.more_families).push(Box::new(families));
    }

    pub(crate) fn more_families(&self) -> Vec<Family> {
        lock(&self.more_families).iter().flat_map(|families| families()).collect()
    }

    /// What a part that this module does not know needs to do its work.
    pub(crate) fn add_checks(&self, checks: impl Fn() -> Vec<Check> + Send + Sync + 'static) {
        lock(&self.more_checks).push(Box::new(checks));
    }

    pub(crate) fn capture(&self) -> Option<&CaptureCounters> {
        self.capture.get().map(|counters| &**counters)
    }

    /// TLS libraries that are observed.
    pub(crate) fn libraries(&self) -> usize {
        self.libraries.get().map_or(0, |libraries| libraries.len())
    }

    pub(crate) fn rules(&self) -> Option<&RuleBooks> {
        self.rules.get().map(|rules| &**rules)
    }

    pub(crate) fn outbox(&self) -> Option<OutboxVitals> {
        self.outbox.get().map(|numbers| numbers())
    }

    pub(crate) fn sinks(&self) -> Vec<Arc<SinkVitals>> {
        lock(&self.sinks).clone()
    }

    /// What all workers together counted.
    pub(crate) fn worked(&self) -> Worked {
        let mut sum = Worked::default();
        for worker in lock(&self.workers).iter() {
            worker.add_to(&mut sum);
        }
        sum
    }

    /// What was captured, for the ledger.
    pub(crate) fn captured(&self) -> Captured {
        use std::sync::atomic::Ordering::Relaxed;
        let worked = self.worked();
        let lost = HoleCause::ALL.into_iter().map(HoleCause::name).zip(worked.hole_bytes);
        Captured {
            segments: self.capture().map_or(0, |counters| counters.received_segments.load(Relaxed)),
            bytes: self.capture().map_or(0, |counters| counters.received_bytes.load(Relaxed)),
            lost_bytes: lost.filter(|(_, bytes)| *bytes > 0).collect(),
            exchanges: worked.exchanges.iter().flatten().sum(),
            incomplete_exchanges: worked.incomplete,
        }
    }

    /// Whether every thread goes about its work.
    pub(crate) fn health(&self) -> Vec<Check> {
        let now_ns = clock::monotonic_ns();
        let mut checks = Vec::new();
        if let Some(counters) = self.capture() {
            let silence = counters.alive.silence(now_ns);
            checks.push(Check::of_silence("capture", silence, CAPTURE_SILENCE));
        }
        let workers = lock(&self.workers);
        if !workers.is_empty() {
            let silence = workers.iter().filter_map(|worker| worker.alive.silence(now_ns)).max();
            checks.push(Check::of_silence("workers", silence, WORKER_SILENCE));
        }
        checks
    }

    /// Whether the process does what it is for.
    pub(crate) fn readiness(&self) -> Vec<Check> {
        let mut checks: Vec<Check> = lock(&self.conditions)
            .iter()
            .map(|(name, reason)| Check { name, trouble: reason.map(str::to_owned) })
            .collect();
        checks.extend(lock(&self.more_checks).iter().flat_map(|checks| checks()));
        if let Some(outbox) = self.outbox() {
            // A sink that cannot deliver is no reason: what it would deliver is kept.
            checks.push(Check { name: "outbox", trouble: outbox.stats.degraded });
        }
        checks
    }
}

impl Check {
    fn of_silence(name: &'static str, silence: Option<Duration>, limit: Duration) -> Self {
        let trouble = silence
            .filter(|silence| *silence > limit)
            .map(|silence| format!("no sign of life for {} s", silence.as_secs()));
        Self { name, trouble }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is held is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The capture thread comes by 20 times a second, without traffic too.
const CAPTURE_SILENCE: Duration = Duration::from_secs(10);

/// A batch holds at most 512 KiB, which takes milliseconds.
const WORKER_SILENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_hangs_is_noticed_and_one_that_waits_is_not() {
        let vitals = Vitals::new();
        let (first, second) = (vitals.worker(), vitals.worker());
        first.alive.beat();
        second.alive.rest();
        assert!(vitals.health().iter().all(|check| check.trouble.is_none()));
        let long_ago = clock::monotonic_ns().saturating_sub(61_000_000_000);
        second.alive.beat_at(long_ago);
        let trouble = vitals.health().into_iter().find_map(|check| check.trouble);
        assert!(trouble.is_some_and(|trouble| trouble.starts_with("no sign of life for 6")));
    }

    #[test]
    fn readiness_needs_every_condition_and_a_disk_but_no_sink() {
        let vitals = Vitals::new();
        let unready = |vitals: &Vitals| {
            let checks = vitals.readiness();
            checks.into_iter().filter(|check| check.trouble.is_some()).count()
        };
        assert_eq!(unready(&vitals), 0);
        vitals.wants("probes", "they are not attached yet");
        assert_eq!(unready(&vitals), 1);
        vitals.has("probes");
        vitals.set_sinks(vec![SinkVitals::new("rabbitmq")]);
        assert_eq!(unready(&vitals), 0, "a sink without a connection");
        vitals.set_outbox(|| OutboxVitals {
            stats: Stats { degraded: Some("read-only".to_owned()), ..Stats::default() },
            ..OutboxVitals::default()
        });
        assert_eq!(unready(&vitals), 1);
    }
}
