//! What is found when an outbox is opened: segments, cursors, and what a crash left of them.
//!
//! Only the last segment of a lane is read: each header says where the segment before it ends. A
//! segment is read as well when the header behind it cannot be. Nothing is changed here.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    cursor::{CURSORS, CursorFile, DURABLE_FILE, decode_cursors},
    entry::Lane,
    format::{HEADER_BYTES, Header, Place},
    lane::{FIRST_SEQUENCE, LaneState, MARK_BYTES, MAX_SEQUENCE, Mark, Segment},
    scan::{Scan, Step},
    state::{LANES, slot},
    storage::{Storage, read_up_to},
};

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) lanes: [LaneState; LANES],
    /// The greatest epoch of all headers, and of the file that notes it.
    pub(crate) epoch: u64,
    /// Time of the newest entry.
    pub(crate) newest_ms: Option<u64>,
    /// Sequences that are certainly lost by damage.
    pub(crate) lost: Vec<(Lane, Range<u64>)>,
    /// Files whose headers cannot be read, with their lengths.
    pub(crate) unreadable: Vec<(PathBuf, u64)>,
    /// Such files that were set aside before, with their lengths.
    pub(crate) aside: Vec<(PathBuf, u64)>,
    /// Segments that were read, where their last entry ends, and whether something unreadable is
    /// behind it. A process that was killed may have written them without a sync.
    pub(crate) read: Vec<(PathBuf, u64, bool)>,
    /// Numbers given to segments so far.
    pub(crate) numbers: u64,
}

/// What the entries of one segment are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// One after the last entry.
    pub(crate) end: u64,
    /// Length up to the last entry's end.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) oldest_ms: Option<u64>,
    pub(crate) newest_ms: u64,
    pub(crate) marks: Vec<Mark>,
    pub(crate) missing: Vec<Range<u64>>,
    /// Where bytes lie that are no entry, with entries behind them.
    pub(crate) damage: Vec<Range<u64>>,
    /// Unreadable bytes at the end.
    pub(crate) tail_bytes: u64,
}

/// A file that may be a segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    /// As its name says.
    pub(crate) first: u64,
    pub(crate) bytes: u64,
    pub(crate) header: Option<Header>,
}

/// Reads what is in a folder. A folder that is not there is empty.
pub(crate) fn find(storage: &dyn Storage, folder: &Path) -> io::Result<Found> {
    let mut found = Found {
        lanes: std::array::from_fn(|_lane| LaneState::new()),
        epoch: noted_epoch(storage, folder),
        newest_ms: None,
        lost: Vec::new(),
        unreadable: Vec::new(),
        aside: Vec::new(),
        read: Vec::new(),
        numbers: 0,
    };
    for lane in Lane::ALL {
        found.find_lane(storage, &folder.join(lane.name()), lane)?;
    }
    // What was committed and is not there is lost, and its places are not given again.
    let durable = CursorFile::load(storage, folder.join(DURABLE_FILE)).cursors();
    for (lane, durable) in Lane::ALL.into_iter().zip(durable) {
        let state = slot(&mut found.lanes, lane);
        if state.next <= durable {
            found.lost.push((lane, state.next..durable + 1));
            state.next = durable + 1;
        }
    }
    // A cursor may be ahead of what a crash left of its lane. Nothing new may lie behind it.
    for cursors in all_cursors(storage, folder)? {
        for (lane, cursor) in found.lanes.iter_mut().zip(cursors) {
            lane.next = lane.next.max(cursor + 1);
        }
    }
    Ok(found)
}

/// The segments of a folder in order, their headers read.
pub(crate) fn segment_files(
    storage: &dyn Storage,
    folder: &Path,
    place: Place,
) -> io::Result<Vec<SegmentFile>> {
    let mut files = Vec::new();
    for (name, bytes) in list(storage, folder)? {
        let Some((first, bytes)) = segment_name(&name).zip(bytes) else { continue };
        let path = folder.join(name);
        let file = storage.open(&path)?;
        let header = Header::decode(&read_up_to(&*file, 0, HEADER_BYTES)?);
        let header = header.filter(|header| header.place == place && header.first == first);
        files.push(SegmentFile { path, first, bytes, header });
    }
    files.sort_by_key(|file| file.first);
    Ok(files)
}

/// Reads the entries of a segment, of which those from `end` on are in the next one.
pub(crate) fn read_content(
    storage: &dyn Storage,
    path: &Path,
    header: &Header,
    end: u64,
) -> io::Result<Content> {
    let file = storage.open(path)?;
    let bytes = read_up_to(&*file, 0, MAX_SEGMENT_BYTES)?;
    Ok(content(&bytes, header, end))
}

/// The entries of a segment, headers included.
pub(crate) fn content(bytes: &[u8], header: &Header, end: u64) -> Content {
    let mut scan = Scan::new(bytes, HEADER_BYTES, header.salt, header.first, end);
    let mut content =
        Content { end: header.first, bytes: HEADER_BYTES as u64, ..Content::default() };
    loop {
        match scan.step() {
            Step::Entry { at, missing, entry } => {
                if missing > 0 {
                    content.missing.push(entry.sequence - missing..entry.sequence);
                }
                let (at, time_ms) = (at as u64, entry.time_ms);
                if content.marks.last().is_none_or(|mark| at >= mark.at + MARK_BYTES) {
                    content.marks.push(Mark { sequence: entry.sequence, at, time_ms });
                }
                content.entries += 1;
                content.oldest_ms = content.oldest_ms.or(Some(time_ms));
                content.newest_ms = content.newest_ms.max(time_ms);
                content.end = scan.expected();
                content.bytes = at + entry.bytes as u64;
            }
            Step::Damage { at, bytes } => content.damage.push(at as u64..(at + bytes) as u64),
            Step::Tail { at } => {
                content.tail_bytes = bytes.len().saturating_sub(at) as u64;
                return content;
            }
            Step::End { .. } => return content,
        }
    }
}

/// The cursors of all sinks that ever had some.
pub(crate) fn all_cursors(storage: &dyn Storage, folder: &Path) -> io::Result<Vec<[u64; LANES]>> {
    let folder = folder.join(CURSORS);
    let mut found = Vec::new();
    for (name, _) in list(storage, &folder)?.into_iter().filter(|(_, bytes)| bytes.is_some()) {
        let file = storage.open(&folder.join(name))?;
        found.push(decode_cursors(&read_up_to(&*file, 0, MAX_CURSOR_FILE_BYTES)?));
    }
    Ok(found)
}

/// What a folder has; nothing when it is not there.
pub(crate) fn list(storage: &dyn Storage, folder: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
    match storage.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        outcome => outcome,
    }
}

/// The name of the segment that begins with this sequence.
pub(crate) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SEGMENT_SUFFIX}"))
}

fn segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|first| is_number && (FIRST_SEQUENCE..MAX_SEQUENCE).contains(first))
}

fn empty_segment(file: &SegmentFile, number: u64) -> Segment {
    Segment {
        number,
        path: file.path.clone(),
        salt: 0,
        epoch: 0,
        first: file.first,
        end: file.first,
        bytes: file.bytes,
        newest_ms: 0,
        marks: Vec::new(),
        missing: Vec::new(),
    }
}

fn noted_epoch(storage: &dyn Storage, folder: &Path) -> u64 {
    let bytes = storage.open(&folder.join(EPOCH_FILE)).and_then(|file| read_up_to(&*file, 0, 20));
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

impl Found {
    fn find_lane(&mut self, storage: &dyn Storage, folder: &Path, lane: Lane) -> io::Result<()> {
        let files = segment_files(storage, folder, Place::Lane(lane))?;
        for (name, bytes) in list(storage, folder)? {
            if let Some(bytes) = bytes.filter(|_bytes| name.ends_with(ASIDE_SUFFIX)) {
                self.aside.push((folder.join(name), bytes));
            }
        }
        let state = slot(&mut self.lanes, lane);
        for (place, file) in files.iter().enumerate() {
            let next = files.get(place + 1);
            state.next = state.next.max(file.first);
            let Some(header) = file.header else {
                let behind = next.and_then(|next| next.header).map(|next| next.previous_end);
                let had_entries = behind.is_some_and(|end| end > file.first);
                if file.bytes <= HEADER_BYTES as u64 && !had_entries {
                    // A crash left it before it had entries; its name still tells a sequence.
                    state.segments.push_back(empty_segment(file, self.numbers));
                    self.numbers += 1;
                    continue;
                }
                self.lost.extend(behind.map(|end| (lane, file.first..end.max(file.first))));
                self.unreadable.push((file.path.clone(), file.bytes));
                continue;
            };
            self.epoch = self.epoch.max(header.epoch);
            let bound = next.map_or(MAX_SEQUENCE, |next| next.first);
            let told = next.and_then(|next| next.header).filter(|next| {
                let first = next.previous_end.checked_sub(next.previous_sequences.into());
                first == Some(header.first) && next.previous_end <= bound
            });
            let mut segment = Segment {
                salt: header.salt,
                epoch: header.epoch,
                ..empty_segment(file, self.numbers)
            };
            self.numbers += 1;
            if let Some(told) = told {
                segment.end = told.previous_end;
                segment.newest_ms = told.previous_newest_ms;
                segment.marks.push(Mark {
                    sequence: header.first,
                    at: HEADER_BYTES as u64,
                    time_ms: header.begun_ms,
                });
            } else {
                let content = read_content(storage, &file.path, &header, bound)?;
                self.read.push((file.path.clone(), content.bytes, content.tail_bytes > 0));
                self.lost.extend(content.missing.iter().map(|range| (lane, range.clone())));
                segment.end = content.end;
                segment.bytes = content.bytes;
                // What came later is not older, whatever the clock said.
                segment.newest_ms = content.newest_ms.max(header.previous_newest_ms);
                segment.marks = content.marks;
                segment.missing = content.missing;
            }
            if segment.end > segment.first {
                self.newest_ms = self.newest_ms.max(Some(segment.newest_ms));
            }
            state.next = state.next.max(segment.end);
            state.segments.push_back(segment);
        }
        Ok(())
    }
}

/// Names the epoch of the last opening.
pub(crate) const EPOCH_FILE: &str = "epoch";
pub(crate) const SEGMENT_SUFFIX: &str = ".segment";
/// What damaged segments get at the end of their names.
pub(crate) const ASIDE_SUFFIX: &str = ".damaged";
/// Segments are closed long before; what is longer was not written by an outbox.
pub(crate) const MAX_SEGMENT_BYTES: usize = 1 << 30;
/// Two slots.
pub(crate) const MAX_CURSOR_FILE_BYTES: usize = 1024;
