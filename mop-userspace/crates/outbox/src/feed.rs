//! One sink's end of an outbox.

use std::{io, sync::Arc};

use crate::{
    entry::{Entry, Lane},
    format::{Fault, parse_entry},
    scan::{Scan, Step},
    shared::Shared,
    state::{FileSource, LANES, Source, forwarded, slot},
    storage::{StoredFile, read_up_to},
};

/// One sink's end: reads entries in order of importance, each lane in its order.
///
/// It gives only what is durable, or, while the disk refuses to work, what is held in memory.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    sink: usize,
    lanes: [LaneReader; LANES],
    /// Parked entries from this place on were not given yet.
    parked_from: u64,
}

/// An entry that was set aside, as it was in its lane; its note says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEntry {
    /// Its place among the parked ones of its sink.
    pub place: u64,
    /// The entry.
    pub entry: Entry,
}

/// Where a feed is in a lane.
#[derive(Debug, Default)]
struct LaneReader {
    /// The next sequence to be given.
    position: u64,
    open: Option<OpenSegment>,
    /// Since when the segment cannot be read, in monotonic milliseconds.
    failing_since: Option<u64>,
}

/// A segment that is being read.
#[derive(Debug)]
struct OpenSegment {
    number: u64,
    file: Box<dyn StoredFile>,
    buffer: Vec<u8>,
    /// Of the buffer, what was looked at.
    taken: usize,
    /// Where in the file the buffer ends.
    read_to: u64,
    /// The sequence that comes next when nothing is missing.
    expected: u64,
}

/// What became of reading.
enum Progress {
    /// As much as was asked for.
    Enough,
    /// The segment, or what of it is there, is at its end.
    Exhausted,
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, sink: usize) -> Self {
        let mut feed = Self { shared, sink, lanes: Default::default(), parked_from: 0 };
        feed.rewind();
        feed
    }

    /// Up to so many entries after those already given, the most important lane first. Empty: nothing is new.
    ///
    /// One entry is given even when it alone has more than `bytes`.
    pub fn next(&mut self, entries: usize, bytes: usize) -> Vec<Entry> {
        let mut taken = Taken { entries: Vec::new(), room: entries, bytes };
        for lane in forwarded() {
            while !taken.is_full() && self.next_of(lane, &mut taken) {}
        }
        taken.entries
    }

    /// Entries set aside for this sink, after those already given.
    pub fn next_parked(&mut self, entries: usize) -> Vec<ParkedEntry> {
        let from = self.parked_from;
        let found = self
            .shared
            .with_files(self.sink, |files| files.parked.read(&*self.shared.storage, from, entries));
        let found = found.unwrap_or_default();
        if let Some(last) = found.last() {
            self.parked_from = last.place + 1;
        }
        found
    }

    /// All entries of the lane up to this one are done with.
    pub fn acknowledge(&mut self, lane: Lane, sequence: u64) {
        // What was set aside must be safe before the lane may let go of it. When the disk refuses,
        // it is kept in memory as everything else is.
        if self.shared.may_write() {
            let _tried = self.shared.with_files(self.sink, |files| {
                files.parked.is_unsynced().then(|| files.parked.flush(&*self.shared.storage))
            });
        }
        self.shared.state().acknowledge(self.sink, lane, sequence);
    }

    /// The parked entry, by its place among the parked, is done with.
    pub fn acknowledge_parked(&mut self, place: u64) {
        let _done = self.shared.with_files(self.sink, |files| {
            files.parked.acknowledge(&*self.shared.storage, place);
        });
    }

    /// Gives again, from the first that is not acknowledged.
    pub fn rewind(&mut self) {
        let state = self.shared.state();
        for lane in forwarded() {
            *slot(&mut self.lanes, lane) = LaneReader {
                position: state.unacknowledged(self.sink, lane),
                ..LaneReader::default()
            };
        }
        self.parked_from = 0;
    }

    /// Sets an entry aside with a reason. It still has to be acknowledged.
    pub fn park(&mut self, entry: &Entry, reason: &str) {
        let _done = self.shared.with_files(self.sink, |files| files.parked.park(entry, reason));
    }

    /// Makes the acknowledged position durable.
    pub fn save(&mut self) {
        self.shared.save(self.sink);
    }

    /// Reads from one place of a lane. True when there may be more.
    fn next_of(&mut self, lane: Lane, taken: &mut Taken) -> bool {
        let reader = slot(&mut self.lanes, lane);
        let source = self.shared.state().source(lane, reader.position, taken.room, taken.bytes);
        match source {
            Source::Nothing => false,
            Source::Memory(found) => {
                for entry in found {
                    reader.position = entry.sequence + 1;
                    taken.push(entry, 0);
                }
                false
            }
            Source::File(source) => match reader.read(&self.shared, lane, &source, taken) {
                Ok(Progress::Enough) => false,
                Ok(Progress::Exhausted) => {
                    reader.failing_since = None;
                    reader.position >= source.end
                }
                Err(error) => reader.fail(&self.shared, lane, &source, &error),
            },
        }
    }
}

impl LaneReader {
    fn read(
        &mut self,
        shared: &Shared,
        lane: Lane,
        source: &FileSource,
        taken: &mut Taken,
    ) -> io::Result<Progress> {
        let is_open = self.open.as_ref().is_some_and(|open| open.number == source.number);
        if !is_open {
            let file = shared.storage.open(&source.path)?;
            self.open = Some(OpenSegment {
                number: source.number,
                file,
                buffer: Vec::new(),
                taken: 0,
                read_to: source.from.at,
                expected: source.from.sequence,
            });
        }
        let Some(open) = &mut self.open else { return Ok(Progress::Exhausted) };
        self.position = self.position.max(open.expected.min(source.end));
        while !taken.is_full() {
            let rest = open.buffer.get(open.taken..).unwrap_or_default();
            match parse_entry(rest, source.salt) {
                Ok(entry) if (open.expected..source.end).contains(&entry.sequence) => {
                    if entry.sequence > open.expected {
                        shared.state().lose(lane, source.number, open.expected..entry.sequence);
                    }
                    open.expected = entry.sequence + 1;
                    let bytes = entry.bytes;
                    if entry.sequence >= self.position {
                        self.position = open.expected;
                        taken.push(entry.to_entry(source.epoch), bytes);
                    }
                    open.taken += bytes;
                    if open.expected == source.end {
                        return Ok(Progress::Exhausted);
                    }
                }
                Err(Fault::Short(wanted)) if open.read_to < source.bytes => {
                    open.fill(source, wanted)?
                }
                Err(Fault::Short(_)) if rest.is_empty() && open.expected == source.end => {
                    return Ok(Progress::Exhausted);
                }
                Ok(_) | Err(_) => {
                    let lost = open.skip_damage(source)?;
                    shared.state().lose(lane, source.number, lost);
                    self.position = self.position.max(open.expected);
                    if open.expected == source.end {
                        return Ok(Progress::Exhausted);
                    }
                }
            }
        }
        Ok(Progress::Enough)
    }

    /// A segment that cannot be read for long, or is gone, is given up. True when reading can go on.
    fn fail(
        &mut self,
        shared: &Shared,
        lane: Lane,
        source: &FileSource,
        error: &io::Error,
    ) -> bool {
        let now = shared.storage.monotonic_ms();
        let since = *self.failing_since.get_or_insert(now);
        self.open = None;
        if error.kind() != io::ErrorKind::NotFound && now < since + READ_PATIENCE_MS {
            return false;
        }
        self.failing_since = None;
        shared.state().lose(lane, source.number, self.position..source.end);
        self.position = self.position.max(source.end);
        true
    }
}

impl OpenSegment {
    /// Reads on, so that at least so many bytes are in the buffer if the file has them.
    fn fill(&mut self, source: &FileSource, wanted: usize) -> io::Result<()> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let more = wanted.saturating_sub(self.buffer.len()).max(READ_BYTES) as u64;
        let more = more.min(source.bytes - self.read_to);
        let read =
            read_up_to(&*self.file, self.read_to, usize::try_from(more).unwrap_or(READ_BYTES))?;
        if read.is_empty() {
            // It is shorter than it was: the rest is lost.
            self.read_to = source.bytes;
        }
        self.read_to += read.len() as u64;
        if self.buffer.is_empty() {
            self.buffer = read;
        } else {
            self.buffer.extend_from_slice(&read);
        }
        Ok(())
    }

    /// Goes to the next entry behind the damage at the current place; gives what is lost by it.
    fn skip_damage(&mut self, source: &FileSource) -> io::Result<std::ops::Range<u64>> {
        while self.read_to < source.bytes {
            let wanted = self.buffer.len() - self.taken + READ_BYTES;
            self.fill(source, wanted)?;
        }
        let mut scan = Scan::new(&self.buffer, self.taken, source.salt, self.expected, source.end);
        let from = self.expected;
        loop {
            match scan.step() {
                Step::Damage { .. } => {}
                Step::Entry { at, entry, .. } => {
                    self.taken = at;
                    self.expected = entry.sequence;
                    return Ok(from..entry.sequence);
                }
                Step::Tail { .. } | Step::End { .. } => {
                    self.taken = self.buffer.len();
                    self.expected = source.end;
                    return Ok(from..source.end);
                }
            }
        }
    }
}

/// What a call of `next` has so far.
struct Taken {
    entries: Vec<Entry>,
    room: usize,
    bytes: usize,
}

impl Taken {
    fn is_full(&self) -> bool {
        self.room == 0 || self.bytes == 0
    }

    fn push(&mut self, entry: Entry, bytes: usize) {
        let bytes = if bytes == 0 { entry.payload.len() } else { bytes };
        self.room = self.room.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.entries.push(entry);
    }
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Feed>();
};

/// Read at once: few system calls, and little to throw away when a feed goes back.
const READ_BYTES: usize = 256 << 10;
/// A disk that hiccups gets so long; after it what cannot be read is counted as lost.
const READ_PATIENCE_MS: u64 = 30_000;
