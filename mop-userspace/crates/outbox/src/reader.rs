//! Looks into an outbox without the lock and without changing anything, whoever writes it meanwhile.
//!
//! Unlike an opening it reads every segment, so that it finds all damage there is.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    cursor::{CURSORS, CursorFile, DURABLE_FILE, cursor_path, decode_cursors},
    entry::{Entry, Lane},
    feed::ParkedEntry,
    format::{HEADER_BYTES, Header, Place},
    lane::{FIRST_SEQUENCE, MAX_SEQUENCE, overlap},
    outbox::lane_folder,
    parked::{PARKED, Parked, parked_folder},
    recovery::{
        Content, MAX_CURSOR_FILE_BYTES, MAX_SEGMENT_BYTES, SegmentFile, content, list,
        segment_files,
    },
    scan::{Scan, Step},
    state::at,
    storage::{Disk, Storage, read_up_to},
};

/// Looks into an outbox.
#[derive(Debug)]
pub struct Reader {
    storage: Disk,
    folder: PathBuf,
}

/// A series of segments.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// Of a lane.
    Lane(Lane),
    /// Of what was set aside for a sink of this name.
    Parked(String),
}

/// What a log has.
#[derive(Clone, Debug)]
pub struct LogReport {
    /// Which one.
    pub log: Log,
    /// The oldest first.
    pub segments: Vec<SegmentReport>,
}

/// What a segment has.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    /// Its file.
    pub path: PathBuf,
    /// The opening that wrote it; `None` when its header cannot be read.
    pub epoch: Option<u64>,
    /// Its first sequence.
    pub first: u64,
    /// One after its last sequence.
    pub end: u64,
    /// Entries that can be read.
    pub records: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Time of its oldest entry, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Time of its newest entry.
    pub newest_ms: Option<u64>,
    /// What cannot be read and should.
    pub damage: Vec<Damage>,
    /// Records that are certainly lost: their sequences are missing.
    pub lost: u64,
    /// Bytes at the end of the newest segment that are no entry: it is being written, or its writer
    /// crashed. The next opening cuts them off.
    pub unfinished_bytes: u64,
    pub(crate) missing: Vec<std::ops::Range<u64>>,
    pub(crate) header: Option<Header>,
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Between entries.
    Entries {
        /// Where in the file.
        at: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// The segment ends before its last entry.
    End {
        /// Where in the file.
        at: u64,
        /// How many unreadable bytes follow.
        bytes: u64,
    },
    /// Both copies of the header: nothing behind it can be read.
    Header,
}

/// How far a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkReport {
    /// Its name.
    pub name: String,
    /// The last sequence it is done with, by lane; 0 for none.
    pub acknowledged: [u64; 6],
}

impl Reader {
    /// Of a folder that is there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let storage = Disk::new();
        storage.list(folder)?;
        Ok(Self { storage, folder: folder.to_owned() })
    }

    /// Every lane, the most important first, and what is set aside for each sink.
    pub fn logs(&self) -> io::Result<Vec<LogReport>> {
        let mut logs: Vec<Log> = Lane::ALL.into_iter().map(Log::Lane).collect();
        logs.extend(self.folders_of_parked()?.into_iter().map(Log::Parked));
        logs.into_iter().map(|log| self.log(log)).collect()
    }

    /// What one log has.
    pub fn log(&self, log: Log) -> io::Result<LogReport> {
        // Before the segments: what its writer commits meanwhile is not missing.
        let durable = match log {
            Log::Lane(lane) => self.durable(lane),
            Log::Parked(_) => 0,
        };
        let files = segment_files(&self.storage, &self.folder_of(&log), place_of(&log))?;
        let mut segments = Vec::new();
        for (place, file) in files.iter().enumerate() {
            let next = files.get(place + 1);
            match self.bytes_of(file)? {
                Some(bytes) => segments.push(report(file, &bytes, next, &log)),
                // Delivered and removed meanwhile.
                None => continue,
            }
        }
        if let Some(last) = segments.last_mut() {
            tell_cut(last, durable);
        }
        Ok(LogReport { log, segments })
    }

    /// The last sequence of a lane that is known to have been committed.
    fn durable(&self, lane: Lane) -> u64 {
        let file = CursorFile::load(&self.storage, self.folder.join(DURABLE_FILE));
        *at(&file.cursors(), lane)
    }

    /// Every sink that ever was done with something.
    pub fn sinks(&self) -> io::Result<Vec<SinkReport>> {
        let mut found = Vec::new();
        for (name, bytes) in list(&self.storage, &self.folder.join(CURSORS))? {
            let Some(path) = cursor_path(&self.folder, &name).filter(|_path| bytes.is_some())
            else {
                continue;
            };
            let file = self.storage.open(&path)?;
            let bytes = read_up_to(&*file, 0, MAX_CURSOR_FILE_BYTES)?;
            found.push(SinkReport { name, acknowledged: decode_cursors(&bytes) });
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Gives every entry of a lane in order, until told to stop by `false`.
    pub fn entries(&self, lane: Lane, visit: impl FnMut(Entry) -> bool) -> io::Result<()> {
        self.entries_from(lane, 0, visit)
    }

    /// Entries of segments that may have some from this sequence on.
    fn entries_from(
        &self,
        lane: Lane,
        from: u64,
        mut visit: impl FnMut(Entry) -> bool,
    ) -> io::Result<()> {
        let log = Log::Lane(lane);
        let files = segment_files(&self.storage, &self.folder_of(&log), place_of(&log))?;
        for (place, file) in files.iter().enumerate() {
            let end = files.get(place + 1).map_or(MAX_SEQUENCE, |next| next.first);
            if end <= from {
                continue;
            }
            let Some((header, bytes)) = file.header.zip(self.bytes_of(file)?) else { continue };
            let mut scan = Scan::new(&bytes, HEADER_BYTES, header.salt, header.first, end);
            loop {
                match scan.step() {
                    Step::Entry { entry, .. } if !visit(entry.to_entry(header.epoch)) => {
                        return Ok(());
                    }
                    Step::Entry { .. } | Step::Damage { .. } => {}
                    Step::Tail { .. } | Step::End { .. } => break,
                }
            }
        }
        Ok(())
    }

    /// Where the segments of a lane begin: the sequence of the first entry of each, in order.
    pub fn starts(&self, lane: Lane) -> io::Result<Vec<u64>> {
        let log = Log::Lane(lane);
        let files = segment_files(&self.storage, &self.folder_of(&log), place_of(&log))?;
        Ok(files.iter().map(|file| file.first).collect())
    }

    /// As [`Self::entries`], but those of greater sequences only; segments before them are not read.
    pub fn entries_after(
        &self,
        lane: Lane,
        sequence: u64,
        mut visit: impl FnMut(Entry) -> bool,
    ) -> io::Result<()> {
        self.entries_from(lane, sequence.saturating_add(1), |entry| {
            entry.sequence <= sequence || visit(entry)
        })
    }

    /// Gives every entry that is set aside for a sink in order, until told to stop by `false`.
    pub fn parked(&self, sink: &str, mut visit: impl FnMut(ParkedEntry) -> bool) -> io::Result<()> {
        if cursor_path(&self.folder, sink).is_none() {
            return Ok(());
        }
        let folder = parked_folder(&self.folder, sink);
        let mut parked = Parked::load(&self.storage, folder, 0, 0, u64::MAX)?;
        let mut from = FIRST_SEQUENCE;
        loop {
            let entries = parked.read(&self.storage, from, PARKED_AT_ONCE);
            let Some(last) = entries.last() else { return Ok(()) };
            from = last.place + 1;
            for entry in entries {
                if !visit(entry) {
                    return Ok(());
                }
            }
        }
    }

    fn folders_of_parked(&self) -> io::Result<Vec<String>> {
        let found = list(&self.storage, &self.folder.join(PARKED))?;
        let mut names: Vec<String> = found
            .into_iter()
            .filter(|(name, bytes)| bytes.is_none() && cursor_path(&self.folder, name).is_some())
            .map(|(name, _)| name)
            .collect();
        names.sort();
        Ok(names)
    }

    fn folder_of(&self, log: &Log) -> PathBuf {
        log.folder(&self.folder)
    }

    fn bytes_of(&self, file: &SegmentFile) -> io::Result<Option<Vec<u8>>> {
        match self.storage.open(&file.path) {
            Ok(open) => read_up_to(&*open, 0, MAX_SEGMENT_BYTES).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Log {
    /// Its name in messages and its path in the folder.
    pub fn name(&self) -> String {
        match self {
            Self::Lane(lane) => lane.name().to_owned(),
            Self::Parked(sink) => format!("{PARKED}/{sink}"),
        }
    }

    pub(crate) fn folder(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Lane(lane) => lane_folder(folder, *lane),
            Self::Parked(sink) => parked_folder(folder, sink),
        }
    }
}

impl LogReport {
    /// Entries that can be read. Of a parked log, notes about what is done with are among them.
    pub fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Length of all files.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Entries with greater sequences than this one.
    pub fn records_after(&self, sequence: u64) -> u64 {
        let after = sequence.saturating_add(1)..u64::MAX;
        let present = |segment: &SegmentReport| {
            let missing: u64 = segment.missing.iter().map(|range| overlap(range, &after)).sum();
            overlap(&(segment.first..segment.end), &after).saturating_sub(missing)
        };
        self.segments.iter().map(present).sum()
    }
}

/// What one segment has, given the file behind it.
pub(crate) fn report(
    file: &SegmentFile,
    bytes: &[u8],
    next: Option<&SegmentFile>,
    log: &Log,
) -> SegmentReport {
    let mut report = SegmentReport {
        path: file.path.clone(),
        epoch: None,
        first: file.first,
        end: file.first,
        records: 0,
        bytes: bytes.len() as u64,
        oldest_ms: None,
        newest_ms: None,
        damage: Vec::new(),
        lost: 0,
        unfinished_bytes: 0,
        missing: Vec::new(),
        header: file.header,
    };
    let told = match log {
        Log::Lane(_) => next.and_then(|next| next.header),
        // Places may be left out there, and nobody tells where the one before ends.
        Log::Parked(_) => None,
    };
    let Some(header) = file.header else {
        if bytes.len() <= HEADER_BYTES && next.is_none() {
            report.unfinished_bytes = bytes.len() as u64;
        } else if bytes.len() > HEADER_BYTES {
            report.damage.push(Damage::Header);
            report.lost = told.map_or(0, |told| told.previous_end.saturating_sub(file.first));
        }
        return report;
    };
    let bound = next.map_or(MAX_SEQUENCE, |next| next.first);
    let Content {
        end,
        bytes: good,
        entries,
        oldest_ms,
        newest_ms,
        missing,
        damage,
        tail_bytes,
        ..
    } = content(bytes, &header, bound);
    report.epoch = Some(header.epoch);
    report.end = end;
    report.records = entries;
    report.oldest_ms = oldest_ms;
    report.newest_ms = oldest_ms.map(|_| newest_ms);
    report.damage = damage
        .iter()
        .map(|range| Damage::Entries { at: range.start, bytes: range.end - range.start })
        .collect();
    report.lost = match log {
        Log::Lane(_) => missing.iter().map(|range| range.end - range.start).sum(),
        Log::Parked(_) => 0,
    };
    report.missing = missing;
    let told = told.filter(|told| {
        told.previous_end.checked_sub(told.previous_sequences.into()) == Some(header.first)
    });
    match told {
        Some(told) if told.previous_end > end => {
            report.damage.push(Damage::End { at: good, bytes: tail_bytes });
            report.lost += told.previous_end - end;
        }
        // What could not be synced is in the next segment, too.
        Some(_) => {}
        None if next.is_none() => report.unfinished_bytes = tail_bytes,
        None if tail_bytes > 0 => report.damage.push(Damage::End { at: good, bytes: tail_bytes }),
        None => {}
    }
    report
}

/// The last segment of a lane ends before what was committed: something cut it off.
fn tell_cut(last: &mut SegmentReport, durable: u64) {
    if last.end > durable || last.damage.contains(&Damage::Header) {
        return;
    }
    let at = last.bytes - last.unfinished_bytes;
    last.damage.push(Damage::End { at, bytes: last.unfinished_bytes });
    last.lost += durable + 1 - last.end;
    last.unfinished_bytes = 0;
}

pub(crate) fn place_of(log: &Log) -> Place {
    match log {
        Log::Lane(lane) => Place::Lane(*lane),
        Log::Parked(_) => Place::Parked,
    }
}

/// Read into memory at once.
const PARKED_AT_ONCE: usize = 64;
