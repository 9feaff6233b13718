//! The local journal: records as JSON Lines, in files of bounded size and number.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::failure::Failure;

/// A folder of journal files, the newest of which is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    file: File,
    written: u64,
}

impl Journal {
    /// Opens the folder, made when it is missing, and begins a new file.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, Failure> {
        let unusable = |error: io::Error| {
            Failure::configuration(format!(
                "the journal folder {} cannot be written: {error}",
                folder.display()
            ))
        };
        fs::create_dir_all(&folder).map_err(unusable)?;
        let file = begin_file(&folder).map_err(unusable)?;
        Ok(Self { folder, file, written: 0 })
    }

    /// Writes whole lines. Begins a new file, and removes the oldest, when the current one is full.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.written >= FILE_BYTES {
            self.file = begin_file(&self.folder)?;
            self.written = 0;
        }
        self.file.write_all(lines)?;
        self.written += lines.len() as u64;
        Ok(())
    }
}

fn begin_file(folder: &Path) -> io::Result<File> {
    let mut files = journal_files(folder)?;
    files.sort();
    // The names sort by time. One place is for the file that begins now.
    let surplus = (files.len() + 1).saturating_sub(MAX_FILES);
    for old in files.iter().take(surplus) {
        fs::remove_file(old)?;
    }
    let name = format!("{PREFIX}{}{SUFFIX}", Timestamp::now().strftime("%Y%m%dT%H%M%S.%9fZ"));
    // Records hold no payload, but who talks to whom is nobody else's business either.
    OpenOptions::new().create_new(true).append(true).mode(0o600).open(folder.join(name))
}

fn journal_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(fs::read_dir(folder)?
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(PREFIX) && name.ends_with(SUFFIX)
        })
        .map(|entry| entry.path())
        .collect())
}

const PREFIX: &str = "exchanges-";
const SUFFIX: &str = ".jsonl";

/// Large enough to be few, small enough to be copied.
const FILE_BYTES: u64 = 64 << 20;

/// 512 MiB in all: a bound on the disk of a node that nobody looks after.
const MAX_FILES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_in_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path().to_owned()).expect("writable");
        for _ in 0..2 * MAX_FILES {
            journal.append(b"{}\n").expect("writable");
            journal.written = FILE_BYTES;
        }
        assert_eq!(journal_files(folder.path()).expect("readable").len(), MAX_FILES);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_configuration_error() {
        assert!(Journal::open(PathBuf::from("/proc/no/such/folder")).is_err());
    }
}
