//! Takes what is damaged out of an outbox that nobody has open.
//!
//! An outbox needs no repair to work: readers pass over damage. It is for those who want the damaged
//! bytes out of the way, and a copy of them to look at. A damaged segment is written anew with the
//! entries that can be read; the old file stays beside it under another name.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    format::{HEADER_BYTES, Header},
    lane::MAX_SEQUENCE,
    opening::{LOCK_FILE, aside_path},
    outbox::OutboxError,
    reader::{Damage, Log, LogReport, Reader, SegmentReport},
    recovery::MAX_SEGMENT_BYTES,
    scan::{Scan, Step},
    storage::{Disk, Storage, read_up_to},
};

/// What was done to a segment, or would be.
#[derive(Clone, Debug)]
pub struct Repair {
    /// Its log.
    pub log: Log,
    /// Its file.
    pub path: PathBuf,
    /// Where the file as it was is kept, if it held damaged bytes.
    pub aside: Option<PathBuf>,
    /// What was damaged.
    pub damage: Vec<Damage>,
    /// Records kept.
    pub kept: u64,
    /// Records that are certainly lost.
    pub lost: u64,
    /// Bytes cut off the end: an entry that was not finished.
    pub unfinished_bytes: u64,
}

/// Takes the lock of the folder and repairs it; only says what it would do when `dry_run` is set.
pub fn repair(folder: &Path, dry_run: bool) -> Result<Vec<Repair>, OutboxError> {
    let storage = Disk::new();
    let failed = |error| OutboxError::Io { folder: folder.to_owned(), error };
    let reader = Reader::open(folder).map_err(failed)?;
    let lock = storage.lock(&folder.join(LOCK_FILE)).map_err(failed)?;
    let Some(_held) = lock else { return Err(OutboxError::Locked { folder: folder.to_owned() }) };
    let mut repairs = Vec::new();
    for log in reader.logs().map_err(failed)? {
        repairs.extend(repair_log(&storage, folder, &log, dry_run).map_err(failed)?);
    }
    Ok(repairs)
}

fn repair_log(
    storage: &dyn Storage,
    folder: &Path,
    report: &LogReport,
    dry_run: bool,
) -> io::Result<Vec<Repair>> {
    let LogReport { log, segments } = report;
    let log_folder = log.folder(folder);
    let mut repairs = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        if segment.damage.is_empty() && segment.unfinished_bytes == 0 {
            continue;
        }
        let next = segments.get(at + 1);
        let aside = (!segment.damage.is_empty()).then(|| aside_path(&segment.path));
        if !dry_run {
            match &aside {
                Some(aside) => {
                    let end = next.map_or(MAX_SEQUENCE, |next| next.first);
                    set_aside(storage, segment, aside, end)?;
                }
                None => {
                    storage.truncate(&segment.path, segment.bytes - segment.unfinished_bytes)?
                }
            }
            if let Some((next, header)) = next.and_then(|next| Some((next, next.header?))) {
                tell_end(storage, next, header, segment)?;
            }
            storage.sync_folder(&log_folder)?;
        }
        repairs.push(Repair {
            log: log.clone(),
            path: segment.path.clone(),
            aside,
            damage: segment.damage.clone(),
            kept: segment.records,
            lost: segment.lost,
            unfinished_bytes: segment.unfinished_bytes,
        });
    }
    Ok(repairs)
}

/// Keeps the file under another name, and writes what can be read of it under its own.
fn set_aside(
    storage: &dyn Storage,
    segment: &SegmentReport,
    aside: &Path,
    end: u64,
) -> io::Result<()> {
    let Some(header) = segment.header else { return storage.rename(&segment.path, aside) };
    let file = storage.open(&segment.path)?;
    let bytes = read_up_to(&*file, 0, MAX_SEGMENT_BYTES)?;
    let mut good = header.encode().to_vec();
    let mut scan = Scan::new(&bytes, HEADER_BYTES, header.salt, header.first, end);
    loop {
        match scan.step() {
            Step::Entry { at, entry, .. } => {
                good.extend_from_slice(bytes.get(at..at + entry.bytes).unwrap_or_default());
            }
            Step::Damage { .. } => {}
            Step::Tail { .. } | Step::End { .. } => break,
        }
    }
    // The copy is made before the name is given away, so that a crash leaves one of both.
    let new = write_new(storage, &segment.path, &good)?;
    storage.rename(&segment.path, aside)?;
    storage.rename(&new, &segment.path)
}

/// Tells the next segment where this one ends now.
fn tell_end(
    storage: &dyn Storage,
    next: &SegmentReport,
    header: Header,
    segment: &SegmentReport,
) -> io::Result<()> {
    let header = Header {
        previous_end: segment.end.min(header.first),
        previous_sequences: u32::try_from(segment.end - segment.first).unwrap_or_default(),
        ..header
    };
    let file = storage.open(&next.path)?;
    let mut bytes = read_up_to(&*file, 0, MAX_SEGMENT_BYTES)?;
    if let Some(place) = bytes.get_mut(..HEADER_BYTES) {
        place.copy_from_slice(&header.encode());
    }
    let new = write_new(storage, &next.path, &bytes)?;
    storage.rename(&new, &next.path)
}

fn write_new(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW_SUFFIX);
    let new = PathBuf::from(name);
    let file = storage.create(&new)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    Ok(new)
}

/// What a segment is called while it is written anew.
const NEW_SUFFIX: &str = ".new";
