//! The writer's side of the outbox: puts records in, commits in time, keeps the ledger.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use mop_outbox::{Admission, Draft, Feed, Keep, Lane, Options, Outbox, OutboxError, Stats};

use crate::{
    configuration::Configuration,
    drafts::Drafts,
    failure::Failure,
    ledger::{Account, CaptureAccount, Ledger, OutboxAccount, RecordsAccount, SinkAccount},
    output::{Dropped, Spooling},
    sinks::forwarder::Bells,
    vitals::SinkVitals,
};

/// An open outbox with what is counted around it.
pub(crate) struct Spool {
    outbox: Outbox,
    ledger: Ledger,
    /// What lay in it when it was opened.
    at_start: Stats,
    /// Records that the outbox had no room for, by lane.
    refused: [u64; Lane::ALL.len()],
    vitals: Arc<SpoolVitals>,
    stats_due: Instant,
}

/// What other threads may know of a spool.
pub(crate) struct SpoolVitals {
    pub(crate) sinks: Vec<Arc<SinkVitals>>,
    /// Records that never reached the outbox because the writer was behind.
    pub(crate) dropped: Arc<Dropped>,
    /// Records that the outbox had no room for.
    pub(crate) refused: AtomicU64,
    stats: Mutex<Stats>,
    /// What was captured, for the ledger.
    pub(crate) capture: Box<dyn Fn() -> CaptureAccount + Send + Sync>,
}

impl SpoolVitals {
    pub(crate) fn new(
        sinks: Vec<Arc<SinkVitals>>,
        dropped: Arc<Dropped>,
        capture: Box<dyn Fn() -> CaptureAccount + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            sinks,
            dropped,
            refused: AtomicU64::new(0),
            stats: Mutex::default(),
            capture,
        })
    }

    /// What the outbox held a moment ago.
    pub(crate) fn stats(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that no sink has yet, of the sink that is furthest behind.
    pub(crate) fn spooled(&self) -> u64 {
        self.stats().spooled.iter().copied().max().unwrap_or(0)
    }

    fn set_stats(&self, stats: Stats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

impl Spool {
    /// Opens the outbox of the configuration.
    pub(crate) fn open(
        configuration: &Configuration,
        bells: Bells,
        vitals: Arc<SpoolVitals>,
    ) -> Result<Self, Failure> {
        let section = &configuration.outbox;
        let Some(folder) = section.folder.clone() else {
            return Err(Failure::configuration(
                "there is no outbox to forward from: set `folder` in [outbox], or give \
                 --outbox FOLDER",
            ));
        };
        let outbox = Outbox::open(Options {
            folder: folder.clone(),
            max_bytes: section.max_mib << 20,
            max_age: section.max_age,
            segment_bytes: section.segment_mib << 20,
            commit_every: section.commit_every,
            memory_bytes: section.memory_mib << 20,
            keep: match spooling(configuration) {
                Spooling::Everything => Keep::UntilBounds,
                Spooling::Nothing | Spooling::Forwarded => Keep::UntilDelivered,
            },
            sinks: vitals.sinks.iter().map(|sink| sink.name.to_owned()).collect(),
            wake: Arc::new(move || bells.ring()),
        })
        .map_err(|error| match error {
            OutboxError::Locked { .. } => {
                Failure::configuration(format!("{error}: give each its own, or stop the other"))
            }
            error => Failure::configuration(error),
        })?;
        let at_start = outbox.stats();
        if let Some(reason) = &at_start.degraded {
            eprintln!("mop: the outbox is held in memory until its disk works: {reason}");
        }
        if at_start.damaged > 0 {
            eprintln!(
                "mop: {} records of the outbox were damaged and are lost; `mop outbox verify` says \
                 where",
                at_start.damaged
            );
        }
        let ledger =
            Ledger::open(&folder, configuration.node.name(), at_start.epoch, Timestamp::now());
        vitals.set_stats(at_start.clone());
        Ok(Self {
            outbox,
            ledger,
            at_start,
            refused: [0; Lane::ALL.len()],
            vitals,
            stats_due: Instant::now(),
        })
    }

    /// The reading end of a sink.
    pub(crate) fn feed(&self, sink: &str) -> Option<Feed> {
        self.outbox.feed(sink)
    }

    /// Puts records in.
    pub(crate) fn put(&mut self, drafts: &Drafts) {
        let now_ms = unix_ms();
        for draft in drafts.iter() {
            self.append(draft, now_ms);
        }
    }

    /// Puts one record in. Gives its place in its lane, when there was room for it.
    pub(crate) fn append(&mut self, draft: Draft<'_>, now_ms: u64) -> Admission {
        let admission = self.outbox.append(draft, now_ms);
        if admission == Admission::Shed {
            if let Some(refused) = self.refused.get_mut(draft.lane as usize) {
                *refused += 1;
            }
            self.vitals.refused.fetch_add(1, Ordering::Relaxed);
        }
        admission
    }

    /// The last record of a lane that is safe on disk.
    pub(crate) fn durable(&self, lane: Lane) -> u64 {
        self.outbox.durable(lane)
    }

    /// Does what is due. Gives how long until something is due again.
    pub(crate) fn tend(&mut self) -> Duration {
        let now = Instant::now();
        if self.outbox.commit_due().is_some_and(|due| due.is_zero()) {
            self.outbox.commit(unix_ms());
        }
        if self.stats_due <= now {
            self.stats_due = now + STATS_EVERY;
            // Age, size and the health of the disk are looked after here, traffic or none.
            self.outbox.commit(unix_ms());
            self.vitals.set_stats(self.outbox.stats());
            if self.ledger.is_due(now) {
                self.write_ledger(false);
            }
        }
        let stats = self.stats_due.saturating_duration_since(now);
        self.outbox.commit_due().map_or(stats, |commit| commit.min(stats))
    }

    /// Commits at once.
    pub(crate) fn commit(&mut self) {
        self.outbox.commit(unix_ms());
        self.vitals.set_stats(self.outbox.stats());
    }

    /// Writes the last ledger record of this run and commits.
    pub(crate) fn finish(&mut self) {
        self.write_ledger(true);
        self.commit();
    }

    /// Ends. The sinks must have ended before.
    pub(crate) fn close(self) {
        self.vitals.set_stats(self.outbox.close());
    }

    fn write_ledger(&mut self, is_last: bool) {
        let account = self.account();
        let line = self.ledger.record(account, Timestamp::now(), is_last);
        let draft = Draft {
            lane: Lane::Operations,
            kind: crate::ledger::KIND,
            id: &line.id,
            payload: line.json.as_bytes(),
        };
        if self.append(draft, unix_ms()) == Admission::Shed {
            eprintln!("mop: the outbox has no room for a ledger record");
        }
    }

    /// All counts, as of one moment.
    fn account(&self) -> Account {
        // While the books are held, no sink counts a record or acknowledges it.
        let books: Vec<_> = self
            .vitals
            .sinks
            .iter()
            .map(|sink| sink.books.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        let stats = self.outbox.stats();
        let sinks = self
            .vitals
            .sinks
            .iter()
            .enumerate()
            .map(|(number, sink)| SinkAccount {
                name: sink.name.to_owned(),
                spooled_at_start: self.at_start.spooled.get(number).copied().unwrap_or(0),
                delivered: sink.delivered.load(Ordering::Relaxed),
                parked: sink.parked.load(Ordering::Relaxed),
                passed: sink.passed.load(Ordering::Relaxed),
                spooled: stats.spooled.get(number).copied().unwrap_or(0),
                dropped: stats.undelivered_drops.get(number).copied().unwrap_or(0),
            })
            .collect();
        drop(books);
        let dropped = std::array::from_fn(|lane| {
            self.vitals.dropped.records.get(lane).map_or(0, |count| count.load(Ordering::Relaxed))
        });
        Account {
            records: RecordsAccount::new(stats.appended, self.refused, dropped),
            outbox: OutboxAccount {
                held_at_start: self.at_start.held.iter().sum(),
                held: stats.held.iter().sum(),
                shed: stats.shed.iter().sum(),
                expired: stats.expired.iter().sum(),
                damaged: stats.damaged,
            },
            sinks,
            capture: (self.vitals.capture)(),
        }
    }
}

/// Which records the outbox of a configuration is for.
pub(crate) fn spooling(configuration: &Configuration) -> Spooling {
    let is_journal = configuration.outbox.keep_delivered || configuration.sinks.is_empty();
    match configuration.outbox.folder {
        None => Spooling::Nothing,
        Some(_) if is_journal => Spooling::Everything,
        Some(_) => Spooling::Forwarded,
    }
}

/// The time of day, in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// How old the published numbers may be.
const STATS_EVERY: Duration = Duration::from_secs(1);
