//! A machine in memory that can crash at any byte and refuse in every way that disks do.
//!
//! What was written and not synced may be lost in part when the power fails: a file keeps any part of
//! it, or zeros in its place; a name that was made or removed may be as it was before. A sync that
//! fails leaves what it was to sync lost at the next power failure, however often it is synced later.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::storage::{Storage, StoredFile};

/// The machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    folders: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
    fault: Fault,
    is_locked: bool,
    clock_ms: u64,
    day_ms: u64,
    random: Random,
    /// Changes since the last crash.
    writes: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    is_poisoned: bool,
}

/// What the disk refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// There is room for so many bytes.
    Full(u64),
    ReadOnly,
    /// What is written cannot be synced.
    SyncFails,
    /// Nothing can be read.
    ReadFails,
    /// After so many bytes the process is dead.
    Dies(u64),
}

/// splitmix64.
#[derive(Clone, Debug, Default)]
pub(crate) struct Random(pub(crate) u64);

#[derive(Debug)]
struct OpenFile {
    machine: Machine,
    file: usize,
}

#[derive(Debug)]
struct Lock(Machine);

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self::default();
        machine.inner().day_ms = 1_790_000_000_000;
        machine
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.inner().fault = fault;
    }

    pub(crate) fn wait(&self, ms: u64) {
        let mut inner = self.inner();
        inner.clock_ms += ms;
        inner.day_ms += ms;
    }

    pub(crate) fn set_day(&self, day_ms: u64) {
        self.inner().day_ms = day_ms;
    }

    /// All processes end. With the power, what was not synced is lost in part.
    pub(crate) fn crash(&self, loses_power: bool, seed: u64) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        inner.fault = Fault::None;
        inner.is_locked = false;
        if !loses_power {
            return;
        }
        let mut random = Random(seed);
        let paths: BTreeSet<PathBuf> =
            inner.names.keys().chain(inner.synced_names.keys()).cloned().collect();
        for path in paths {
            let (now, synced) = (inner.names.get(&path), inner.synced_names.get(&path));
            if now != synced && random.below(2) == 0 {
                match synced.copied() {
                    Some(file) => inner.names.insert(path, file),
                    None => inner.names.remove(&path),
                };
            }
        }
        inner.synced_names = inner.names.clone();
        for file in &mut inner.files {
            if file.now != file.synced {
                file.now = random.part_of(&file.synced, &file.now);
                file.synced = file.now.clone();
            }
            file.is_poisoned = false;
        }
    }

    /// Every file with its bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.inner();
        inner
            .names
            .iter()
            .map(|(path, file)| (path.clone(), inner.files[*file].now.clone()))
            .collect()
    }

    /// Puts other bytes into a file, as if they had always been there.
    pub(crate) fn replace(&self, path: &Path, bytes: Vec<u8>) {
        let mut inner = self.inner();
        let file = inner.names[path];
        inner.files[file] = Content { now: bytes.clone(), synced: bytes, is_poisoned: false };
    }

    /// A machine with the same files.
    pub(crate) fn copy(&self) -> Self {
        let inner = self.inner();
        Self {
            inner: Arc::new(Mutex::new(Inner {
                folders: inner.folders.clone(),
                names: inner.names.clone(),
                synced_names: inner.synced_names.clone(),
                files: inner.files.clone(),
                day_ms: inner.day_ms,
                ..Inner::default()
            })),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn open_file(&self, file: usize) -> Box<dyn StoredFile> {
        Box::new(OpenFile { machine: self.clone(), file })
    }
}

impl Inner {
    /// Refuses a change where that is due.
    fn change(&mut self) -> io::Result<()> {
        self.writes += 1;
        match self.fault {
            Fault::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Full(0) => Err(io::ErrorKind::StorageFull.into()),
            Fault::Dies(0) => Err(io::Error::other("dead")),
            Fault::None | Fault::Full(_) | Fault::SyncFails | Fault::ReadFails | Fault::Dies(_) => {
                Ok(())
            }
        }
    }

    /// What may be removed is freed even on a full disk.
    fn removal(&mut self) -> io::Result<()> {
        if matches!(self.fault, Fault::Full(_)) { Ok(()) } else { self.change() }
    }

    fn read(&self) -> io::Result<()> {
        match self.fault {
            Fault::ReadFails => Err(io::Error::other("input/output error")),
            Fault::None | Fault::Full(_) | Fault::ReadOnly | Fault::SyncFails | Fault::Dies(_) => {
                Ok(())
            }
        }
    }
}

impl Storage for Machine {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        if inner.folders.contains(path) {
            return Ok(());
        }
        inner.change()?;
        inner.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
        let inner = self.inner();
        inner.read()?;
        if !inner.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        let folders = inner.folders.iter().filter(inside).map(|path| (name(path), None));
        let files = inner.names.keys().filter(inside);
        let files =
            files.map(|path| (name(path), Some(inner.files[inner.names[path]].now.len() as u64)));
        Ok(folders.chain(files).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut inner = self.inner();
        inner.change()?;
        if !path.parent().is_some_and(|folder| inner.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = match inner.names.get(path) {
            Some(file) => *file,
            None => {
                inner.files.push(Content::default());
                inner.files.len() - 1
            }
        };
        // What is written into it from now on is new to the disk.
        inner.files[file].now.clear();
        inner.files[file].is_poisoned = false;
        inner.names.insert(path.to_owned(), file);
        drop(inner);
        Ok(self.open_file(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let inner = self.inner();
        inner.read()?;
        let file = inner.names.get(path).copied();
        drop(inner);
        file.map(|file| self.open_file(file)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open_slots(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let known = self.inner().names.get(path).copied();
        match known {
            Some(file) => self.inner().change().map(|()| self.open_file(file)),
            None => self.create(path),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.removal()?;
        inner.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.change()?;
        let file = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.removal()?;
        let file = *inner.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        inner.files[file].now.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.change()?;
        if inner.fault == Fault::SyncFails {
            return Err(io::Error::other("input/output error"));
        }
        let inner = &mut *inner;
        inner.synced_names.retain(|path, _| path.parent() != Some(folder));
        let inside = inner.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        inner.synced_names.extend(inside.map(|(path, file)| (path.clone(), *file)));
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>> {
        let mut inner = self.inner();
        if std::mem::replace(&mut inner.is_locked, true) {
            return Ok(None);
        }
        drop(inner);
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn monotonic_ms(&self) -> u64 {
        self.inner().clock_ms
    }

    fn day_ms(&self) -> u64 {
        self.inner().day_ms
    }

    fn random(&self) -> u64 {
        self.inner().random.next()
    }
}

impl StoredFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let inner = self.machine.inner();
        inner.read()?;
        let bytes = inner.files[self.file].now.get(at as usize..).unwrap_or_default();
        // Short reads are allowed, and so they happen.
        let read = buffer.len().min(bytes.len()).min(SHORT_READ_BYTES);
        buffer[..read].copy_from_slice(&bytes[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut inner = self.machine.inner();
        inner.change()?;
        let written = match &mut inner.fault {
            Fault::Full(room) | Fault::Dies(room) => {
                let written = bytes.len().min(*room as usize);
                *room -= written as u64;
                written
            }
            Fault::None | Fault::ReadOnly | Fault::SyncFails | Fault::ReadFails => bytes.len(),
        };
        let end = at as usize + written;
        let now = &mut inner.files[self.file].now;
        now.resize(now.len().max(end), 0);
        now[at as usize..end].copy_from_slice(&bytes[..written]);
        if written < bytes.len() {
            return inner.change();
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.machine.inner();
        inner.change()?;
        let fails = inner.fault == Fault::SyncFails;
        let file = &mut inner.files[self.file];
        if fails {
            file.is_poisoned = true;
            return Err(io::Error::other("input/output error"));
        }
        if !file.is_poisoned {
            file.synced = file.now.clone();
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.inner().is_locked = false;
    }
}

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// What a power failure makes of a file.
    fn part_of(&mut self, synced: &[u8], now: &[u8]) -> Vec<u8> {
        let same = synced.iter().zip(now).take_while(|(one, other)| one == other).count();
        if now.len() < synced.len() || same < synced.len() {
            // Written over, or cut off: any part of it was done.
            let end = self.below(now.len() + 1);
            let mut part = now[..end].to_vec();
            part.extend_from_slice(synced.get(end..).unwrap_or_default());
            return part;
        }
        let end = synced.len() + self.below(now.len() - synced.len() + 1);
        let mut part = now[..end].to_vec();
        if self.below(2) == 0 {
            // The length was written, some of the content was not.
            let from = synced.len() + self.below(end - synced.len() + 1);
            let to = from + self.below(end - from + 1);
            part[from..to].fill(0);
        }
        part
    }
}

const SHORT_READ_BYTES: usize = 4096;
