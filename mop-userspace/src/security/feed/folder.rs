//! The folder of a feed on disk: read at the start, replaced file by file.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use mop_insight::security::{
    misp::feed::{Changes, FeedFile, HASHES, MANIFEST},
    uuid::Uuid,
};

/// Where a feed lies.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// A name that a file of a feed can have: nothing else is read, served or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    /// `<uuid>.json`.
    Event(Uuid),
    /// `hashes.csv`.
    Hashes,
    /// `manifest.json`.
    Manifest,
}

impl FileName {
    /// Reads a name as it is written, and in no other way.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            HASHES => Some(Self::Hashes),
            MANIFEST => Some(Self::Manifest),
            _ => {
                let event = Uuid::parse(text.strip_suffix(".json")?)?;
                let name = Self::Event(event);
                (name.text() == text).then_some(name)
            }
        }
    }

    fn text(self) -> String {
        match self {
            Self::Event(event) => format!("{event}.json"),
            Self::Hashes => HASHES.to_owned(),
            Self::Manifest => MANIFEST.to_owned(),
        }
    }
}

impl Folder {
    /// Makes it, when it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// One that may not be there yet.
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Events that it holds, in the order of their identifiers.
    pub(super) fn events(&self) -> io::Result<Vec<Uuid>> {
        let mut events = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if let Some(FileName::Event(event)) = name.to_str().and_then(FileName::parse) {
                events.push(event);
            }
            if events.len() >= MAX_FILES {
                break;
            }
        }
        events.sort();
        Ok(events)
    }

    /// What is in a file; none when there is no such file.
    pub(super) fn read(&self, name: FileName) -> io::Result<Option<Vec<u8>>> {
        let path = self.path.join(name.text());
        match fs::metadata(&path) {
            Ok(facts) if facts.len() > MAX_FILE_BYTES => {
                return Err(io::Error::other("it is too large"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does what is to be done, and says how many files were written and removed.
    pub(super) fn apply(&self, changes: &Changes) -> io::Result<(u64, u64)> {
        let Changes { files, removed } = changes;
        for file in files {
            self.replace(file)?;
        }
        for name in removed {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok((files.len() as u64, removed.len() as u64))
    }

    /// Puts a file aside that is none of this feed's, so that it is served no more and can be looked
    /// at.
    pub(super) fn set_aside(&self, event: Uuid) -> io::Result<()> {
        let path = self.path.join(FileName::Event(event).text());
        fs::rename(&path, path.with_extension("refused"))
    }

    fn replace(&self, file: &FeedFile) -> io::Result<()> {
        let path = self.path.join(&file.name);
        let new = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        // Readable for a web server's group, when the folder is.
        let mut opened = options.write(true).create(true).truncate(true).mode(0o640).open(&new)?;
        opened.write_all(&file.content)?;
        opened.sync_data()?;
        fs::rename(&new, &path)
    }
}

/// As many events as a feed may have, and as many again that are removed.
const MAX_FILES: usize = 20_000;
/// The list of hashes of a full feed of usual events has some 20 MB.
const MAX_FILE_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn only_names_of_feeds_are_names() {
        let event = "2ed6657d-e927-568b-95e1-2665a8aea6a2";
        assert_eq!(FileName::parse("manifest.json"), Some(FileName::Manifest));
        assert_eq!(FileName::parse("hashes.csv"), Some(FileName::Hashes));
        assert!(matches!(
            FileName::parse(&format!("{event}.json")),
            Some(FileName::Event(it)) if it.to_string() == event
        ));
        for wrong in [
            "",
            ".",
            "..",
            "../manifest.json",
            "manifest.json/",
            "MANIFEST.JSON",
            "2ED6657D-E927-568B-95E1-2665A8AEA6A2.json",
            "2ed6657d-e927-568b-95e1-2665a8aea6a2",
            "2ed6657d-e927-568b-95e1-2665a8aea6a2.new",
            "%2e%2e",
            "/etc/passwd",
        ] {
            assert_eq!(FileName::parse(wrong), None, "{wrong}");
        }
    }
}
