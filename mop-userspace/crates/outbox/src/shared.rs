//! What the writer's end and the feeds hold together.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    cursor::CursorFile, entry::Lane, outbox::lane_folder, parked::Parked, state::State,
    storage::Storage,
};

/// Shared by writer and feeds. No lock is held while a file is read or written, but that of the sink
/// whose files they are.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) folder: PathBuf,
    /// False without the lock of the folder.
    pub(crate) may_write: AtomicBool,
    pub(crate) sinks: Vec<Mutex<SinkFiles>>,
    state: Mutex<State>,
}

/// The files of one sink.
#[derive(Debug)]
pub(crate) struct SinkFiles {
    pub(crate) cursor: CursorFile,
    pub(crate) parked: Parked,
}

impl Shared {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        folder: PathBuf,
        state: State,
        sinks: Vec<SinkFiles>,
    ) -> Self {
        let sinks = sinks.into_iter().map(Mutex::new).collect();
        let state = Mutex::new(state);
        Self { storage, folder, may_write: AtomicBool::new(false), sinks, state }
    }

    /// A panic elsewhere leaves counts that may be off by one, and no reason to stop.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the files of a sink, and counts what is parked afterwards.
    pub(crate) fn with_files<T>(
        &self,
        sink: usize,
        work: impl FnOnce(&mut SinkFiles) -> T,
    ) -> Option<T> {
        let mut files = self.sinks.get(sink)?.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut files);
        let mut state = self.state();
        if let Some(sink) = state.sinks.get_mut(sink) {
            sink.parked = files.parked.count();
            sink.parked_dropped = files.parked.dropped();
        }
        Some(result)
    }

    /// Writes how far a sink is. What cannot be written now is written with the next call.
    pub(crate) fn save(&self, sink: usize) {
        let cursors = self.state().sinks.get(sink).map(|sink| sink.cursors);
        let Some(cursors) = cursors.filter(|_cursors| self.may_write()) else { return };
        let _saved = self.with_files(sink, |files| -> io::Result<()> {
            // The cursor may already be behind what was set aside.
            files.parked.flush(&*self.storage)?;
            files.cursor.save(&*self.storage, cursors)
        });
    }

    pub(crate) fn may_write(&self) -> bool {
        self.may_write.load(Ordering::Acquire)
    }

    pub(crate) fn lane_folder(&self, lane: Lane) -> PathBuf {
        lane_folder(&self.folder, lane)
    }

    /// Removes files that nobody needs; those that cannot be removed now are tried again later.
    pub(crate) fn remove_garbage(&self) {
        let garbage = std::mem::take(&mut self.state().garbage);
        for path in garbage {
            match self.storage.remove(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.state().garbage.push(path),
            }
        }
    }
}
