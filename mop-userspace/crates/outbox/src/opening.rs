//! How an outbox is opened, and made ready to write again after its disk failed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use crate::{
    age::AgeClock,
    cursor::{CursorFile, DURABLE_FILE, cursor_path},
    entry::Lane,
    outbox::{Options, Outbox, OutboxError, Timing, lane_folder},
    parked::{Parked, parked_folder},
    recovery::{ASIDE_SUFFIX, EPOCH_FILE, Found, find},
    shared::{Shared, SinkFiles},
    state::{Bounds, Counts, SinkState, State, slot},
    storage::Storage,
};

pub(crate) fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Outbox, OutboxError> {
    let options = bounded(options);
    let folder = options.folder.clone();
    let failed = |error| OutboxError::Io { folder: folder.clone(), error };
    let mut degraded = None;
    let mut lock = None;
    let made = storage.create_folder(&folder);
    match made.and_then(|()| storage.lock(&folder.join(LOCK_FILE))) {
        Ok(Some(taken)) => lock = Some(taken),
        Ok(None) => return Err(OutboxError::Locked { folder }),
        Err(error) => degraded = Some(error),
    }
    let mut found = find(&*storage, &folder).map_err(failed)?;
    let day_ms = storage.day_ms();
    // In milliseconds: a folder that cannot be written notes no epoch, and openings that follow each
    // other there must not share one.
    let epoch = (found.epoch + 1).max(day_ms);
    let mut aside_bytes = 0;
    if lock.is_some() {
        let synced;
        (aside_bytes, synced) = clean_up(&*storage, &mut found);
        degraded = synced.err();
    }
    let mut files = Vec::new();
    let mut sinks = Vec::new();
    let salt = (storage.random() >> 16) as u32;
    for name in &options.sinks {
        let Some(path) = cursor_path(&folder, name) else {
            return Err(OutboxError::SinkName { folder, sink: name.clone() });
        };
        let cursor = CursorFile::load(&*storage, path);
        let parked_folder = parked_folder(&folder, name);
        let parked =
            Parked::load(&*storage, parked_folder, epoch, salt, options.max_bytes / PARKED_SHARE)
                .map_err(failed)?;
        if lock.is_some() {
            parked.sync_found(&*storage);
        }
        sinks.push(sink_state(&cursor, &parked));
        files.push(SinkFiles { cursor, parked });
    }
    let Found { lanes, newest_ms, lost, numbers, .. } = found;
    let mut state = State {
        disk_bytes: lanes.iter().flat_map(|lane| &lane.segments).map(|segment| segment.bytes).sum(),
        lanes,
        sinks,
        bounds: bounds(&options),
        counts: Counts::default(),
        epoch,
        age_ms: 0,
        salt,
        aside_bytes,
        pending_bytes: 0,
        garbage: Vec::new(),
        degraded: degraded.map(|error| error.to_string()),
        spare: Vec::new(),
    };
    let max_age_ms = u64::try_from(options.max_age.as_millis()).unwrap_or(u64::MAX);
    let age = AgeClock::new(day_ms, storage.monotonic_ms(), newest_ms, max_age_ms);
    state.age_ms = age.now_ms();
    for segment in state.lanes.iter_mut().flat_map(|lane| &mut lane.segments) {
        if segment.newest_ms < EARLIEST_MS {
            segment.newest_ms = state.age_ms;
        }
    }
    for (lane, range) in lost {
        state.counts.damaged += range.end - range.start;
        for sink in state.sinks.iter_mut().filter(|_sink| lane.is_forwarded()) {
            let start = range.start.max(*slot(&mut sink.cursors, lane) + 1);
            sink.undelivered_damage += range.end.saturating_sub(start);
        }
    }
    for sink in 0..state.sinks.len() {
        let spooled = state.spooled(sink);
        if let Some(sink) = state.sinks.get_mut(sink) {
            sink.opened_with = spooled + sink.undelivered_damage;
        }
    }
    state.shrink();
    let durable = CursorFile::load(&*storage, folder.join(DURABLE_FILE));
    let mut outbox = Outbox {
        shared: Arc::new(Shared::new(storage, folder, state, files)),
        options,
        lock,
        current: Default::default(),
        durable,
        age,
        timing: Timing::default(),
        next_number: numbers,
    };
    if outbox.lock.is_some()
        && let Err(error) = prepare(&mut outbox)
    {
        outbox.shared.state().degraded = Some(error.to_string());
    }
    Ok(outbox)
}

/// Makes everything there that writing needs; what it writes shows that the disk works.
pub(crate) fn prepare(outbox: &mut Outbox) -> io::Result<()> {
    let storage = Arc::clone(&outbox.shared.storage);
    let folder = outbox.shared.folder.clone();
    storage.create_folder(&folder)?;
    if outbox.lock.is_none() {
        let taken = storage.lock(&folder.join(LOCK_FILE))?;
        outbox.lock =
            Some(taken.ok_or_else(|| io::Error::other("another process uses the outbox"))?);
        // It was not there at opening, so nothing in it can belong to this opening.
        let found = find(&*storage, &folder)?;
        let state = outbox.shared.state();
        let fits =
            found.lanes.iter().zip(&state.lanes).all(|(disk, memory)| disk.next <= memory.next);
        if !fits {
            outbox.lock = None;
            return Err(io::Error::other(
                "the folder has records now that were not there before; a restart takes them up",
            ));
        }
    }
    for lane in Lane::ALL {
        storage.create_folder(&lane_folder(&folder, lane))?;
    }
    let epoch = outbox.shared.state().epoch;
    let file = storage.create(&folder.join(EPOCH_FILE))?;
    file.write_at(epoch.to_string().as_bytes(), 0)?;
    file.sync()?;
    storage.sync_folder(&folder)?;
    outbox.shared.may_write.store(true, Ordering::Release);
    Ok(())
}

/// Makes last what a killed process wrote without a sync, cuts torn ends off and sets unreadable
/// files aside. The latter two may fail: readers pass over both. Gives the length of what lies aside.
fn clean_up(storage: &dyn Storage, found: &mut Found) -> (u64, io::Result<()>) {
    let mut synced = Ok(());
    for (path, bytes, is_torn) in &found.read {
        if *is_torn {
            let _tried = storage.truncate(path, *bytes);
        }
        synced = synced.and_then(|()| sync_file(storage, path));
    }
    for (path, bytes) in found.unreadable.drain(..) {
        let aside = aside_path(&path);
        if storage.rename(&path, &aside).is_ok() {
            found.aside.push((aside, bytes));
        }
    }
    // The newest names are the newest files.
    found.aside.sort();
    let surplus = found.aside.len().saturating_sub(MAX_ASIDE);
    for (path, _) in found.aside.drain(..surplus) {
        let _tried = storage.remove(&path);
    }
    (found.aside.iter().map(|(_, bytes)| bytes).sum(), synced)
}

/// Makes a file and its name last.
pub(crate) fn sync_file(storage: &dyn Storage, path: &Path) -> io::Result<()> {
    storage.open(path)?.sync()?;
    path.parent().map_or(Ok(()), |folder| storage.sync_folder(folder))
}

/// Where a damaged segment is kept.
pub(crate) fn aside_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ASIDE_SUFFIX);
    name.into()
}

fn sink_state(cursor: &CursorFile, parked: &Parked) -> SinkState {
    SinkState {
        cursors: cursor.cursors(),
        opened_with: 0,
        acknowledged: 0,
        undelivered_drops: 0,
        undelivered_damage: 0,
        parked: parked.count(),
        parked_dropped: 0,
    }
}

/// Options that fit each other.
fn bounded(mut options: Options) -> Options {
    let Options { max_bytes, segment_bytes, .. } = &mut options;
    *segment_bytes =
        (*segment_bytes).min(*max_bytes / 8).clamp(MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
    options
}

fn bounds(options: &Options) -> Bounds {
    let chunk = (options.segment_bytes / 2).min(options.memory_bytes / 8).min(MAX_CHUNK_BYTES);
    Bounds {
        max_bytes: options.max_bytes,
        memory_bytes: options.memory_bytes,
        chunk_bytes: usize::try_from(chunk).unwrap_or(usize::MAX),
        keep: options.keep,
    }
}

/// Locked by the process that writes.
pub(crate) const LOCK_FILE: &str = "lock";
/// Shorter segments have more header than entries.
const MIN_SEGMENT_BYTES: u64 = 4 << 10;
/// A segment is read into memory when it is damaged.
const MAX_SEGMENT_BYTES: u64 = 256 << 20;
/// What is written and dropped at once.
const MAX_CHUNK_BYTES: u64 = 1 << 20;
/// What each sink may set aside, as a part of the whole.
const PARKED_SHARE: u64 = 16;
/// 2020-01-01. A record cannot be older; the clock was not set when it was put in.
const EARLIEST_MS: u64 = 1_577_836_800_000;
/// Damaged files that are kept for somebody to look at.
const MAX_ASIDE: usize = 4;
