//! What was set aside for one sink: a small log of its own, in the format of the lanes.
//!
//! An entry's sequence is its place among the parked. Its payload begins with epoch and sequence
//! that it had in its lane (two u64), its note says why it was set aside. An entry of an empty kind
//! says that those whose places (u64) are its payload are done with. Segments go from the front
//! only, so that such an entry is never gone before those that it speaks of.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
};

use crate::{
    entry::{Draft, Entry, Lane},
    feed::ParkedEntry,
    format::{
        Fields, HEADER_BYTES, Header, MAX_NOTE_BYTES, Place, RawEntry, encode_entry, parse_entry,
    },
    lane::{FIRST_SEQUENCE, MAX_SEQUENCE},
    recovery::{MAX_SEGMENT_BYTES, segment_files, segment_path},
    scan::{Scan, Step},
    storage::{Storage, StoredFile, read_up_to},
};

/// What was set aside for one sink.
#[derive(Debug)]
pub(crate) struct Parked {
    folder: PathBuf,
    salt: u32,
    epoch: u64,
    max_bytes: u64,
    segments: VecDeque<ParkedSegment>,
    /// Those on disk, by place.
    live: BTreeMap<u64, Location>,
    /// Encoded entries that are not synced yet, by place.
    unsynced: VecDeque<(u64, Vec<u8>)>,
    unsynced_bytes: u64,
    /// Places among `unsynced` that are entries and not only say that others are done with.
    unsynced_entries: u64,
    file: Option<Box<dyn StoredFile>>,
    next: u64,
    dropped: u64,
}

#[derive(Debug)]
struct ParkedSegment {
    path: PathBuf,
    salt: u32,
    /// One after its last entry.
    end: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Location {
    path: PathBuf,
    salt: u32,
    at: u64,
    bytes: usize,
}

impl Parked {
    /// Reads what there is.
    pub(crate) fn load(
        storage: &dyn Storage,
        folder: PathBuf,
        epoch: u64,
        salt: u32,
        max_bytes: u64,
    ) -> io::Result<Self> {
        let mut parked = Self {
            folder,
            salt,
            epoch,
            max_bytes,
            segments: VecDeque::new(),
            live: BTreeMap::new(),
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            unsynced_entries: 0,
            file: None,
            next: FIRST_SEQUENCE,
            dropped: 0,
        };
        for file in segment_files(storage, &parked.folder, Place::Parked)? {
            parked.next = parked.next.max(file.first);
            let Some(header) = file.header else { continue };
            let stored = storage.open(&file.path)?;
            let bytes = read_up_to(&*stored, 0, MAX_SEGMENT_BYTES)?;
            parked.load_segment(file.path, &header, &bytes);
        }
        Ok(parked)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.live.len() as u64 + self.unsynced_entries
    }

    /// How many were dropped to keep them bounded, since opening.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Sets an entry aside; it is synced with the next [`Parked::flush`].
    pub(crate) fn park(&mut self, entry: &Entry, reason: &str) {
        let Entry { lane, epoch, sequence, time_ms, kind, id, note: _, payload } = entry;
        let mut prefix = epoch.to_le_bytes().to_vec();
        prefix.extend_from_slice(&sequence.to_le_bytes());
        let draft = Draft { lane: *lane, kind, id, payload };
        self.push(*time_ms, &draft, shortened(reason), &prefix);
        self.unsynced_entries += 1;
    }

    /// Notes that a parked entry is done with.
    pub(crate) fn acknowledge(&mut self, storage: &dyn Storage, place: u64) {
        if self.live.remove(&place).is_some() {
            let payload = place.to_le_bytes();
            let draft = Draft { lane: Lane::Local, kind: "", id: "", payload: &payload };
            self.push(0, &draft, "", b"");
            self.drop_done(storage);
        } else if let Some(at) = self.unsynced.iter().position(|(other, _)| *other == place)
            && let Some((_, bytes)) = self.unsynced.remove(at)
        {
            self.unsynced_bytes -= bytes.len() as u64;
            self.unsynced_entries -= 1;
        }
    }

    /// Up to so many entries, from this place on.
    pub(crate) fn read(
        &mut self,
        storage: &dyn Storage,
        from: u64,
        entries: usize,
    ) -> Vec<ParkedEntry> {
        let mut found = Vec::new();
        let mut unreadable = Vec::new();
        let mut open: Option<(&Path, Box<dyn StoredFile>)> = None;
        for (place, location) in self.live.range(from..).take(entries) {
            if open.as_ref().is_none_or(|(path, _)| *path != location.path) {
                open =
                    storage.open(&location.path).ok().map(|file| (location.path.as_path(), file));
            }
            let bytes = open
                .as_ref()
                .and_then(|(_, file)| read_up_to(&**file, location.at, location.bytes).ok());
            let raw = bytes.as_deref().and_then(|bytes| parse_entry(bytes, location.salt).ok());
            match raw.filter(|raw| raw.sequence == *place).and_then(unwrap) {
                Some(entry) => found.push(ParkedEntry { place: *place, entry }),
                None => unreadable.push(*place),
            }
        }
        // What was read at opening and cannot be read now is gone; nobody shall wait for it.
        for place in unreadable {
            self.live.remove(&place);
            self.dropped += 1;
        }
        for (place, bytes) in self.unsynced.iter().filter(|(place, _)| *place >= from) {
            if found.len() >= entries {
                break;
            }
            let raw = parse_entry(bytes, self.salt).ok().filter(|raw| !raw.kind.is_empty());
            found.extend(raw.and_then(unwrap).map(|entry| ParkedEntry { place: *place, entry }));
        }
        found
    }

    /// True when something is not synced yet.
    pub(crate) fn is_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Writes and syncs what is not yet. After a failure it is kept in memory, bounded, and the next
    /// call writes it into a new segment.
    pub(crate) fn flush(&mut self, storage: &dyn Storage) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        let outcome = self.write(storage);
        if outcome.is_err() {
            self.file = None;
            while self.unsynced_bytes > UNSYNCED_BYTES
                && let Some((_, bytes)) = self.unsynced.pop_front()
            {
                self.unsynced_bytes -= bytes.len() as u64;
                if parse_entry(&bytes, self.salt).is_ok_and(|entry| !entry.kind.is_empty()) {
                    self.unsynced_entries -= 1;
                    self.dropped += 1;
                }
            }
        }
        outcome
    }

    fn push(&mut self, time_ms: u64, draft: &Draft<'_>, note: &str, prefix: &[u8]) {
        let mut bytes = Vec::new();
        if encode_entry(&mut bytes, self.salt, self.next, time_ms, draft, note, prefix) {
            self.unsynced_bytes += bytes.len() as u64;
            self.unsynced.push_back((self.next, bytes));
            self.next += 1;
        }
    }

    fn write(&mut self, storage: &dyn Storage) -> io::Result<()> {
        let is_full = |segment: &ParkedSegment| segment.bytes >= self.segment_bytes();
        if self.segments.back().is_none_or(is_full) {
            self.file = None;
        }
        let is_new = self.file.is_none();
        if is_new {
            self.begin(storage)?;
        }
        let (Some(file), Some(segment)) = (&self.file, self.segments.back_mut()) else {
            return Ok(());
        };
        let all: Vec<u8> = self.unsynced.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        file.write_at(&all, segment.bytes)?;
        file.sync()?;
        if is_new {
            storage.sync_folder(&self.folder)?;
        }
        for (place, bytes) in self.unsynced.drain(..) {
            if parse_entry(&bytes, self.salt).is_ok_and(|entry| !entry.kind.is_empty()) {
                let location = Location {
                    path: segment.path.clone(),
                    salt: self.salt,
                    at: segment.bytes,
                    bytes: bytes.len(),
                };
                self.live.insert(place, location);
            }
            segment.bytes += bytes.len() as u64;
            segment.end = place + 1;
        }
        self.unsynced_bytes = 0;
        self.unsynced_entries = 0;
        self.bound(storage);
        Ok(())
    }

    fn begin(&mut self, storage: &dyn Storage) -> io::Result<()> {
        let first = self.unsynced.front().map_or(self.next, |(place, _)| *place);
        storage.create_folder(&self.folder)?;
        let path = segment_path(&self.folder, first);
        let file = storage.create(&path)?;
        let header = Header {
            place: Place::Parked,
            salt: self.salt,
            epoch: self.epoch,
            first,
            previous_end: first,
            previous_newest_ms: 0,
            begun_ms: 0,
        };
        file.write_at(&header.encode(), 0)?;
        self.segments.retain(|segment| segment.path != path);
        let bytes = HEADER_BYTES as u64;
        self.segments.push_back(ParkedSegment { path, salt: self.salt, end: first, bytes });
        self.file = Some(file);
        Ok(())
    }

    fn load_segment(&mut self, path: PathBuf, header: &Header, bytes: &[u8]) {
        let mut scan = Scan::new(bytes, HEADER_BYTES, header.salt, header.first, MAX_SEQUENCE);
        let mut segment = ParkedSegment {
            path: path.clone(),
            salt: header.salt,
            end: header.first,
            bytes: bytes.len() as u64,
        };
        loop {
            match scan.step() {
                Step::Entry { at, entry, .. } => {
                    segment.end = entry.sequence + 1;
                    if entry.kind.is_empty() {
                        if let Some(place) = Fields(entry.payload).u64() {
                            self.live.remove(&place);
                        }
                    } else {
                        let location = Location {
                            path: path.clone(),
                            salt: segment.salt,
                            at: at as u64,
                            bytes: entry.bytes,
                        };
                        self.live.insert(entry.sequence, location);
                    }
                }
                Step::Damage { .. } => {}
                Step::Tail { .. } | Step::End { .. } => break,
            }
        }
        self.next = self.next.max(segment.end);
        self.segments.push_back(segment);
    }

    /// Removes segments from the front in which nothing is left.
    fn drop_done(&mut self, storage: &dyn Storage) {
        while let Some(front) = self.segments.front()
            && self.live.first_key_value().is_none_or(|(place, _)| *place >= front.end)
            && (self.segments.len() > 1 || front.bytes > SMALL_REST_BYTES)
        {
            self.drop_front(storage);
        }
    }

    /// Drops the oldest while there is too much.
    fn bound(&mut self, storage: &dyn Storage) {
        let too_much = |parked: &Self| {
            let bytes: u64 = parked.segments.iter().map(|segment| segment.bytes).sum();
            bytes > parked.max_bytes || parked.live.len() > MAX_ENTRIES
        };
        while self.segments.len() > 1 && too_much(self) {
            self.drop_front(storage);
        }
    }

    fn drop_front(&mut self, storage: &dyn Storage) {
        let Some(front) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.file = None;
        }
        let kept = self.live.split_off(&front.end);
        self.dropped += self.live.len() as u64;
        self.live = kept;
        // One that stays is read again at the next opening: its entries are given twice then.
        let _tried = storage.remove(&front.path);
    }

    fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 8).min(MAX_PARKED_SEGMENT_BYTES)
    }
}

/// Where what was set aside for a sink lies.
pub(crate) fn parked_folder(folder: &Path, sink: &str) -> PathBuf {
    folder.join(PARKED).join(sink)
}

/// The entry as it was in its lane.
pub(crate) fn unwrap(raw: RawEntry<'_>) -> Option<Entry> {
    let mut fields = Fields(raw.payload);
    let (epoch, sequence) = (fields.u64()?, fields.u64()?);
    Some(RawEntry { sequence, payload: fields.0, ..raw }.to_entry(epoch))
}

fn shortened(reason: &str) -> &str {
    let end =
        (0..=MAX_NOTE_BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The folder of what was set aside, in that of the outbox.
pub(crate) const PARKED: &str = "parked";
const MAX_PARKED_SEGMENT_BYTES: u64 = 4 << 20;
/// Places in memory are bounded as well as bytes on disk.
const MAX_ENTRIES: usize = 1 << 16;
/// What is kept while the disk refuses it.
const UNSYNCED_BYTES: u64 = 4 << 20;
/// A file that is not worth the trouble of removing it.
const SMALL_REST_BYTES: u64 = 64 << 10;
