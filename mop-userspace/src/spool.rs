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
    vitals::{OutboxVitals, SinkVitals},
};

/// An open outbox with what is counted around it.
pub(crate) struct Spool {
    outbox: Outbox,
    ledger: Ledger,
    /// Records that lay in it when it was opened.
    held_at_start: u64,
    /// Records that the outbox had no room for, by lane.
    refused: [u64; Lane::ALL.len()],
    vitals: Arc<SpoolVitals>,
    stats_due: Instant,
    /// Damaged records that were told of.
    told_damaged: u64,
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

    /// All numbers, for whoever watches.
    pub(crate) fn published(&self) -> OutboxVitals {
        OutboxVitals {
            stats: self.stats(),
            refused: self.refused.load(Ordering::Relaxed),
            dropped_records: self.dropped.by_lane(),
            dropped_bytes: self.dropped.bytes.load(Ordering::Relaxed),
        }
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
        let options = Options {
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
        };
        let outbox = open_when_free(&options).map_err(|error| match error {
            OutboxError::Locked { .. } => {
                Failure::configuration(format!("{error}: give each its own, or stop the other"))
            }
            error => Failure::configuration(error),
        })?;
        let at_start = outbox.stats();
        if let Some(reason) = &at_start.degraded {
            eprintln!("mop: the outbox is held in memory until its disk works: {reason}");
        }
        tell_damaged(at_start.damaged);
        let ledger =
            Ledger::open(&folder, configuration.node.name(), at_start.epoch, Timestamp::now());
        vitals.set_stats(at_start.clone());
        Ok(Self {
            outbox,
            ledger,
            held_at_start: at_start.held.iter().sum(),
            refused: [0; Lane::ALL.len()],
            vitals,
            stats_due: Instant::now(),
            told_damaged: at_start.damaged,
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

    /// Records of a lane that were dropped to make room.
    pub(crate) fn shed(&self, lane: Lane) -> u64 {
        self.outbox.stats().shed.get(lane as usize).copied().unwrap_or(0)
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
            let stats = self.outbox.stats();
            // Older segments are read when their turn comes, so that damage may be found late.
            tell_damaged(stats.damaged - self.told_damaged.min(stats.damaged));
            self.told_damaged = stats.damaged;
            self.vitals.set_stats(stats);
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
        let refused: u64 = Lane::ALL
            .into_iter()
            .zip(self.refused)
            .filter(|(lane, _)| lane.is_forwarded())
            .map(|(_, count)| count)
            .sum();
        let sinks = self
            .vitals
            .sinks
            .iter()
            .enumerate()
            .map(|(number, sink)| {
                let of = |counts: &[u64]| counts.get(number).copied().unwrap_or(0);
                let parked = sink.parked.load(Ordering::Relaxed);
                let passed = sink.passed.load(Ordering::Relaxed);
                // The outbox counts what it refused among the drops of every sink.
                let dropped = of(&stats.undelivered_drops) + of(&stats.undelivered_damage);
                SinkAccount {
                    name: sink.name.to_owned(),
                    spooled_at_start: of(&stats.opened_with),
                    delivered: of(&stats.acknowledged).saturating_sub(parked + passed),
                    parked,
                    passed,
                    spooled: of(&stats.spooled),
                    dropped: dropped.saturating_sub(refused),
                }
            })
            .collect();
        drop(books);
        let mut accepted = stats.appended;
        for (accepted, refused) in accepted.iter_mut().zip(self.refused) {
            *accepted = accepted.saturating_sub(refused);
        }
        Account {
            records: RecordsAccount::new(accepted, self.refused, self.vitals.dropped.by_lane()),
            outbox: OutboxAccount {
                held_at_start: self.held_at_start,
                held: stats.held.iter().sum(),
                shed: stats.shed.iter().sum::<u64>().saturating_sub(self.refused.iter().sum()),
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

fn tell_damaged(records: u64) {
    if records > 0 {
        eprintln!(
            "mop: {records} records of the outbox were damaged and are lost; `mop outbox verify` says \
             where"
        );
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

/// Opens an outbox; one that was killed a moment ago may still hold its lock.
fn open_when_free(options: &Options) -> Result<Outbox, OutboxError> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match Outbox::open(options.clone()) {
            Err(OutboxError::Locked { .. }) if Instant::now() < deadline => {
                std::thread::sleep(LOCK_LOOK_EVERY);
            }
            outcome => return outcome,
        }
    }
}

/// A process whose other half was killed ends within a second.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(50);
