//! The machine as the outbox sees it: files, folders, a lock, and time that does not jump.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::Instant,
};

/// What the outbox asks of the machine.
pub(crate) trait Storage: Debug + Send + Sync {
    /// Makes a folder and those above it.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Names and lengths of the files, and names of the folders with no length.
    fn list(&self, folder: &Path) -> io::Result<Vec<(String, Option<u64>)>>;

    /// A new, empty file; one of that name that was there is emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// A file that is there, to read.
    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// A file to write into at any place, made when it is missing.
    fn open_slots(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Cuts a file off.
    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()>;

    /// Makes names that were made or removed in a folder last.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes the lock, which ends with the value; `None` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>>;

    /// Milliseconds since some moment, never back and never in leaps.
    fn monotonic_ms(&self) -> u64;

    /// A number that nobody can foresee.
    fn random(&self) -> u64;
}

/// An open file.
pub(crate) trait StoredFile: Debug + Send {
    /// Reads what is there, up to the length of the buffer; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of it at this place.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written last.
    fn sync(&self) -> io::Result<()>;
}

/// Reads up to so many bytes of a file from a place on, fewer only at its end.
pub(crate) fn read_up_to(file: &dyn StoredFile, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    while buffer.len() < bytes {
        let filled = buffer.len();
        buffer.resize(bytes.min(filled + READ_STEP_BYTES), 0);
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let read = file.read_at(room, at + filled as u64)?;
        buffer.truncate(filled + read);
        if read == 0 {
            break;
        }
    }
    Ok(buffer)
}

/// The real thing.
#[derive(Debug)]
pub(crate) struct Disk {
    begun: Instant,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Storage for Disk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        // Who talks to whom is nobody else's business.
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Ok(name) = entry.file_name().into_string() {
                found.push((name, metadata.is_file().then_some(metadata.len())));
            }
        }
        Ok(found)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(options.open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(File::open(path)?))
    }

    fn open_slots(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        Ok(Box::new(options.open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(bytes)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        // A file system that became read-only can still be locked.
        let file = options.open(path).or_else(|error| File::open(path).map_err(|_second| error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        // The standard library's own source of unforeseeable keys.
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        RandomState::new().build_hasher().finish()
    }
}

impl StoredFile for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match std::os::unix::fs::FileExt::read_at(self, buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Memory for what a file is said to have, when it has less.
const READ_STEP_BYTES: usize = 1 << 20;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
