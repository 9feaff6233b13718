//! The writer's end of an outbox.

use std::{
    fmt::{self, Debug},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    age::AgeClock,
    cursor::CursorFile,
    entry::{Draft, Lane},
    feed::Feed,
    format::{HEADER_BYTES, Header, Place},
    lane::{Chunk, Segment},
    opening,
    recovery::segment_path,
    shared::Shared,
    state::{LANES, at, slot},
    stats::Stats,
    storage::{Disk, Storage, StoredFile},
};

/// How long what was delivered is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until every sink has it. Records that no sink gets (`Lane::Local`, or all when there is no
    /// sink) are kept until the bounds.
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
    /// A segment is closed when it is so long. At most an eighth of `max_bytes` counts.
    pub segment_bytes: u64,
    /// Records are synced to disk at most so late; zero: each before `append` returns.
    pub commit_every: Duration,
    /// Records held in memory while the disk refuses them.
    pub memory_bytes: u64,
    /// How long what was delivered is kept.
    pub keep: Keep,
    /// Names of the sinks that read it: letters, digits, `-` and `_`.
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
    /// There is no room, and nothing less important to drop for it, or it is beyond the limits of
    /// the format. It was counted.
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
        #[source]
        error: io::Error,
    },
    /// A sink has a name that cannot be that of a file.
    #[error(
        "the outbox {folder}: `{sink}` cannot be the name of a sink: letters, digits, - and _ can"
    )]
    SinkName {
        /// The folder.
        folder: PathBuf,
        /// The name.
        sink: String,
    },
}

/// The writer's end.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: Options,
    /// Held as long as the value lives; without it nothing is written.
    pub(crate) lock: Option<Box<dyn Debug + Send>>,
    pub(crate) current: [Option<Current>; LANES],
    /// How much of each lane is committed.
    pub(crate) durable: CursorFile,
    pub(crate) age: AgeClock,
    pub(crate) timing: Timing,
    pub(crate) next_number: u64,
}

/// The segment of a lane that is open for writing.
#[derive(Debug)]
pub(crate) struct Current {
    number: u64,
    file: Box<dyn StoredFile>,
    is_new: bool,
}

/// When things were done and are due, in monotonic milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timing {
    /// Since when something waits for a commit.
    pub(crate) pending_since: Option<u64>,
    /// When a disk that failed is tried again.
    pub(crate) retry_at: u64,
    pub(crate) kept_house_at: u64,
    /// When something was written last.
    pub(crate) wrote_at: u64,
}

impl Outbox {
    /// Opens the folder, repairs what a crash left and begins a new epoch.
    ///
    /// A folder that cannot be written is no error: the outbox works in memory until it can, and
    /// says so in its [`Stats::degraded`].
    pub fn open(options: Options) -> Result<Self, OutboxError> {
        Self::open_on(Arc::new(Disk::new()), options)
    }

    pub(crate) fn open_on(
        storage: Arc<dyn Storage>,
        options: Options,
    ) -> Result<Self, OutboxError> {
        opening::open(storage, options)
    }

    /// Takes a record. Never waits for the disk, unless every record is to be synced, or so much
    /// waits already that memory has to be bounded.
    pub fn append(&mut self, draft: Draft<'_>, time_ms: u64) -> Admission {
        let (admission, pending_bytes, degraded) = {
            let mut state = self.shared.state();
            let admission = state.append(&draft, time_ms);
            (admission, state.pending_bytes, state.degraded.is_some())
        };
        if admission == Admission::Shed {
            return admission;
        }
        if self.timing.pending_since.is_none() {
            self.timing.pending_since = Some(self.shared.storage.monotonic_ms());
        }
        let is_much = !degraded && pending_bytes >= self.backlog_bytes(MAX_BACKLOG_BYTES);
        if self.options.commit_every.is_zero() || is_much {
            self.commit(time_ms);
        }
        admission
    }

    /// How long until [`Outbox::commit`] is due; `None` when nothing waits for it.
    pub fn commit_due(&self) -> Option<Duration> {
        let now = self.shared.storage.monotonic_ms();
        let (pending_bytes, degraded, has_any) = {
            let state = self.shared.state();
            let has_any = state.disk_bytes > 0 || !state.garbage.is_empty();
            (state.pending_bytes, state.degraded.is_some(), has_any)
        };
        let keeps_house = has_any.then_some(self.timing.kept_house_at + KEEPS_HOUSE_EVERY_MS);
        let retry = degraded.then_some(self.timing.retry_at);
        let is_full = !degraded && pending_bytes >= self.backlog_bytes(COMMIT_BYTES);
        let commit = self.timing.pending_since.map(|since| {
            let every = u64::try_from(self.options.commit_every.as_millis()).unwrap_or(u64::MAX);
            if is_full { now } else { since.saturating_add(every) }
        });
        let due = [keeps_house, retry, commit].into_iter().flatten().min()?;
        Some(Duration::from_millis(due.saturating_sub(now)))
    }

    /// Writes and syncs what waits, drops what is too old or too much, heals a disk that works again. Gives
    /// the records that are durable now and were not before.
    pub fn commit(&mut self, now_ms: u64) -> u64 {
        self.commit_and_tidy(now_ms, false)
    }

    /// All records of a lane up to this one are safe on disk, or are not in it any more; 0 when none
    /// is.
    pub fn durable(&self, lane: Lane) -> u64 {
        at(&self.shared.state().lanes, lane).segments.back().map_or(0, |last| last.end - 1)
    }

    /// The reading end of a sink of the options.
    pub fn feed(&self, sink: &str) -> Option<Feed> {
        let place = self.options.sinks.iter().position(|name| name == sink)?;
        Some(Feed::new(Arc::clone(&self.shared), place))
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats()
    }

    /// Commits and closes.
    pub fn close(mut self) -> Stats {
        self.timing.retry_at = 0;
        self.commit_and_tidy(self.shared.storage.day_ms(), true);
        for sink in 0..self.options.sinks.len() {
            self.shared.save(sink);
        }
        self.stats()
    }

    fn commit_and_tidy(&mut self, now_ms: u64, is_last: bool) -> u64 {
        let now = self.shared.storage.monotonic_ms();
        let was_degraded = self.shared.state().degraded.is_some();
        let (mut durable, mut failure) = (0, None);
        if !was_degraded || now >= self.timing.retry_at {
            failure = self.write_all(was_degraded, &mut durable).err();
            let mut state = self.shared.state();
            state.degraded = failure.as_ref().map(ToString::to_string);
            drop(state);
            if durable > 0 {
                self.timing.wrote_at = now;
                self.note_durable();
            }
        }
        if failure.is_some() {
            self.timing.retry_at = now + RETRY_EVERY_MS;
        }
        let age_ms = self.age.advance(now_ms, now);
        let is_quiet = is_last || now >= self.timing.wrote_at + QUIET_MS;
        let is_degraded = {
            let max_age = u64::try_from(self.options.max_age.as_millis()).unwrap_or(u64::MAX);
            let mut state = self.shared.state();
            state.age_ms = age_ms;
            state.expire(age_ms, max_age);
            let is_degraded = state.degraded.is_some();
            state.drop_delivered(is_quiet && !is_degraded);
            is_degraded
        };
        if !is_degraded && let Err(error) = self.tidy() {
            self.shared.state().degraded = Some(error.to_string());
            self.timing.retry_at = now + RETRY_EVERY_MS;
        }
        self.timing.kept_house_at = now;
        let has_new = self.timing.pending_since.take().is_some();
        if durable > 0 || has_new || was_degraded != is_degraded {
            (self.options.wake)();
        }
        durable
    }

    /// Writes down how much is committed. Where that fails, the next commit does it.
    fn note_durable(&mut self) {
        let mut places = self.durable.cursors();
        {
            let state = self.shared.state();
            for (lane, place) in Lane::ALL.into_iter().zip(&mut places) {
                let last = at(&state.lanes, lane).segments.back();
                *place = last.map_or(*place, |last| (last.end - 1).max(*place));
            }
        }
        let _saved = self.durable.save(&*self.shared.storage, places);
    }

    /// Writes what waits in all lanes, the most important first.
    fn write_all(&mut self, was_degraded: bool, durable: &mut u64) -> io::Result<()> {
        if self.lock.is_none() || was_degraded {
            opening::prepare(self)?;
        }
        for lane in Lane::ALL {
            if let Err(error) = self.write_lane(lane, durable) {
                self.give_up_current(lane);
                return Err(error);
            }
        }
        Ok(())
    }

    fn write_lane(&mut self, lane: Lane, durable: &mut u64) -> io::Result<()> {
        loop {
            let chunks: Vec<Arc<Chunk>> =
                at(&self.shared.state().lanes, lane).pending.iter().cloned().collect();
            let Some(first) = chunks.first() else { return Ok(()) };
            let (number, mut written) = match self.writable(lane, first) {
                Some(found) => found,
                None => (self.begin(lane, first.first, first.begun_ms())?, HEADER_BYTES as u64),
            };
            let Some(current) = slot(&mut self.current, lane).as_mut() else { return Ok(()) };
            debug_assert_eq!(current.number, number, "the open segment is the last one");
            let begun = written;
            let mut batch = Vec::new();
            for chunk in chunks {
                let bytes = chunk.bytes.len() as u64;
                if !batch.is_empty() && written.saturating_add(bytes) > self.options.segment_bytes {
                    break;
                }
                current.file.write_at(&chunk.bytes, written)?;
                written += bytes;
                batch.push(chunk);
            }
            debug_assert!(written > begun, "a chunk has an entry");
            current.file.sync()?;
            if current.is_new {
                self.shared.storage.sync_folder(&self.shared.lane_folder(lane))?;
                current.is_new = false;
            }
            *durable += batch.iter().map(|chunk| chunk.entries()).sum::<u64>();
            let mut state = self.shared.state();
            state.publish(lane, &batch);
            batch.into_iter().for_each(|chunk| state.recycle(chunk));
        }
    }

    /// The open segment of a lane and its length, when this chunk belongs into it.
    fn writable(&self, lane: Lane, chunk: &Chunk) -> Option<(u64, u64)> {
        let current = at(&self.current, lane).as_ref()?;
        let state = self.shared.state();
        let last = at(&state.lanes, lane).segments.back()?;
        let is_next = last.number == current.number && last.end == chunk.first;
        let bytes = last.bytes + chunk.bytes.len() as u64;
        let fits = bytes <= self.options.segment_bytes || last.end == last.first;
        (is_next && fits).then_some((last.number, last.bytes))
    }

    /// Begins a segment; it is not synced yet.
    fn begin(&mut self, lane: Lane, first: u64, begun_ms: u64) -> io::Result<u64> {
        let folder = self.shared.lane_folder(lane);
        let path = segment_path(&folder, first);
        let header = {
            let state = self.shared.state();
            let entries = at(&state.lanes, lane);
            let before = entries.segments.iter().rev().find(|segment| segment.end > segment.first);
            Header {
                place: Place::Lane(lane),
                salt: state.salt,
                epoch: state.epoch,
                first,
                previous_end: before.map_or(first, |segment| segment.end),
                previous_newest_ms: before.map_or(state.age_ms, |segment| segment.newest_ms),
                begun_ms,
                previous_sequences: before
                    .and_then(|segment| u32::try_from(segment.end - segment.first).ok())
                    .unwrap_or_default(),
            }
        };
        *slot(&mut self.current, lane) = None;
        let file = self.shared.storage.create(&path)?;
        let number = self.next_number;
        self.next_number += 1;
        let segment = Segment {
            number,
            path,
            salt: header.salt,
            epoch: header.epoch,
            first,
            end: first,
            bytes: HEADER_BYTES as u64,
            newest_ms: 0,
            marks: Vec::new(),
            missing: Vec::new(),
        };
        self.shared.state().begin_segment(lane, segment);
        file.write_at(&header.encode(), 0).inspect_err(|_error| {
            self.forget_empty(lane, number);
        })?;
        *slot(&mut self.current, lane) = Some(Current { number, file, is_new: true });
        Ok(number)
    }

    /// After a failure nobody knows what the disk has of what was not synced: it is written again,
    /// into another segment.
    fn give_up_current(&mut self, lane: Lane) {
        let Some(current) = slot(&mut self.current, lane).take() else { return };
        let Current { number, file, is_new: _ } = current;
        drop(file);
        if self.forget_empty(lane, number) {
            return;
        }
        let last = at(&self.shared.state().lanes, lane).segments.back().cloned();
        if let Some(last) = last.filter(|last| last.number == number) {
            // Readers stop at the first sequence of the next segment anyway.
            let _tried = self.shared.storage.truncate(&last.path, last.bytes);
        }
    }

    /// Forgets the last segment of a lane when it is this one and has no entries.
    fn forget_empty(&self, lane: Lane, number: u64) -> bool {
        let mut state = self.shared.state();
        let is_it = |last: &mut Segment| last.number == number && last.end == last.first;
        let Some(empty) = slot(&mut state.lanes, lane).segments.pop_back_if(is_it) else {
            return false;
        };
        state.disk_bytes -= empty.bytes;
        drop(state);
        let _tried = self.shared.storage.remove(&empty.path);
        true
    }

    /// Removes files that nobody needs, but never the last one of a lane: its name tells the next
    /// sequence.
    fn tidy(&mut self) -> io::Result<()> {
        let without: Vec<Lane> = self.shared.state().lanes_without_file().collect();
        for lane in without {
            let next = at(&self.shared.state().lanes, lane).next;
            let first =
                at(&self.shared.state().lanes, lane).pending.front().map_or(next, |it| it.first);
            self.begin(lane, first, 0)?;
            let current = slot(&mut self.current, lane).as_mut();
            let synced = current.map_or(Ok(()), |current| current.file.sync());
            let synced = synced
                .and_then(|()| self.shared.storage.sync_folder(&self.shared.lane_folder(lane)));
            if let Err(error) = synced {
                self.give_up_current(lane);
                return Err(error);
            }
        }
        self.shared.remove_garbage();
        Ok(())
    }

    fn backlog_bytes(&self, wanted: u64) -> u64 {
        wanted.min(self.options.memory_bytes / 2)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // Feeds that are still there must not write beside the next one who has the lock.
        self.shared.may_write.store(false, Ordering::Release);
    }
}

impl Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Options").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A commit is due early when so much waits: a sync costs less than to hold more.
const COMMIT_BYTES: u64 = 1 << 20;
/// So much waits only for a caller who does not commit in time.
const MAX_BACKLOG_BYTES: u64 = 4 << 20;
/// A disk that failed is tried again so often.
const RETRY_EVERY_MS: u64 = 2_000;
/// Old and delivered records are dropped so often when nothing else calls for it.
const KEEPS_HOUSE_EVERY_MS: u64 = 1_000;
/// When nothing was written for so long, delivered segments that are still open are removed too.
const QUIET_MS: u64 = 1_000;

/// The folder of a lane.
pub(crate) fn lane_folder(folder: &Path, lane: Lane) -> PathBuf {
    folder.join(lane.name())
}
