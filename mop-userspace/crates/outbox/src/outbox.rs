//! Skeleton of the interface.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::entry::{Draft, Entry, Lane};

/// How long what was delivered is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until every sink has it.
    UntilDelivered,
    /// Until the bounds of size and age: the outbox is the journal.
    UntilBounds,
}

/// How an outbox works.
#[derive(Clone)]
pub struct Options {
    /// Made when it is missing.
    pub folder: PathBuf,
    /// Of all segments of all lanes.
    pub max_bytes: u64,
    /// Older records are dropped.
    pub max_age: Duration,
    /// A segment is closed when it is so long.
    pub segment_bytes: u64,
    /// Records are synced to disk at most so late; zero: each before `append` returns.
    pub commit_every: Duration,
    /// Records held in memory while the disk refuses them.
    pub memory_bytes: u64,
    /// How long what was delivered is kept.
    pub keep: Keep,
    /// Names of the sinks that read it.
    pub sinks: Vec<String>,
    /// Called after each commit and whenever a feed may have something new.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It will be committed.
    Accepted {
        /// Its place in its lane.
        sequence: u64,
    },
    /// There is no room, and nothing less important to drop for it. It was counted.
    Shed,
}

/// Why an outbox cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// Another process writes it.
    #[error("another process uses the outbox {folder}")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The file system refuses.
    #[error("the outbox {folder}: {error}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
}

/// The writer's end.
pub struct Outbox {}

/// One sink's end: reads entries in order of importance, each lane in its order.
pub struct Feed {}

/// What an outbox holds and counted.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Bytes of all segments.
    pub disk_bytes: u64,
    /// Bytes of records held in memory because the disk refuses them.
    pub memory_bytes: u64,
    /// Records put in since it was opened, by lane.
    pub appended: [u64; 6],
    /// Records that lie in it, by lane.
    pub held: [u64; 6],
    /// Records dropped since it was opened because there was no room, by lane.
    pub shed: [u64; 6],
    /// Records dropped since it was opened because they were too old, by lane.
    pub expired: [u64; 6],
    /// Of those shed or expired, by sink in the order of the options, how many it had not got.
    pub undelivered_drops: Vec<u64>,
    /// Per sink, records that lie in the outbox and are not acknowledged yet.
    pub spooled: Vec<u64>,
    /// Records cut off at opening because their bytes were damaged, and those lost with a damaged segment.
    pub damaged: u64,
    /// Time of the oldest record not yet delivered to every sink, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Why the disk is not used at the moment.
    pub degraded: Option<String>,
    /// This opening.
    pub epoch: u64,
}

impl Outbox {
    /// Opens the folder, repairs what a crash left and begins a new epoch.
    pub fn open(_options: Options) -> Result<Self, OutboxError> {
        unimplemented!()
    }

    /// Takes a record. Never waits for the disk, unless every record is to be synced.
    pub fn append(&mut self, _draft: Draft<'_>, _time_ms: u64) -> Admission {
        unimplemented!()
    }

    /// How long until [`Outbox::commit`] is due; `None` when nothing waits for it.
    pub fn commit_due(&self) -> Option<Duration> {
        unimplemented!()
    }

    /// Writes and syncs what waits, drops what is too old or too much, heals a disk that works again. Gives
    /// the records that are durable now and were not before.
    pub fn commit(&mut self, _now_ms: u64) -> u64 {
        unimplemented!()
    }

    /// The last record of a lane that is safe on disk; 0 when none is.
    pub fn durable(&self, _lane: Lane) -> u64 {
        unimplemented!()
    }

    /// The reading end of a sink of the options.
    pub fn feed(&self, _sink: &str) -> Option<Feed> {
        unimplemented!()
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }

    /// Commits and closes.
    pub fn close(self) -> Stats {
        unimplemented!()
    }
}

impl Feed {
    /// Up to so many entries after those already given, the most important lane first. Empty: nothing is new.
    pub fn next(&mut self, _entries: usize, _bytes: usize) -> Vec<Entry> {
        unimplemented!()
    }

    /// Entries set aside for this sink, after those already given.
    pub fn next_parked(&mut self, _entries: usize) -> Vec<Entry> {
        unimplemented!()
    }

    /// All entries of the lane up to this one are done with.
    pub fn acknowledge(&mut self, _lane: Lane, _sequence: u64) {
        unimplemented!()
    }

    /// The parked entry, by its place among the parked, is done with.
    pub fn acknowledge_parked(&mut self, _sequence: u64) {
        unimplemented!()
    }

    /// Gives again, from the first that is not acknowledged.
    pub fn rewind(&mut self) {
        unimplemented!()
    }

    /// Sets an entry aside with a reason. It still has to be acknowledged.
    pub fn park(&mut self, _entry: &Entry, _reason: &str) {
        unimplemented!()
    }

    /// Makes the acknowledged position durable.
    pub fn save(&mut self) {
        unimplemented!()
    }
}
