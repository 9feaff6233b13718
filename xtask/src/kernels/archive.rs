//! A writer of cpio archives in the format `newc`, which kernels take as their first file system.

use std::{collections::BTreeSet, path::Path};

/// An archive under construction; folders above an entry are made with it.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

impl Archive {
    /// Adds a folder, once.
    pub(super) fn folder(&mut self, path: &str, permissions: u32) {
        self.parents(path);
        if self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER | permissions, &[]);
        }
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.parents(path);
        self.entry(path, FILE | permissions, content);
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entry(path, LINK | 0o777, target.as_bytes());
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        let parents: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        for parent in parents.into_iter().rev().filter_map(Path::to_str) {
            if !parent.is_empty() && self.folders.insert(parent.to_owned()) {
                self.entry(parent, FOLDER | 0o755, &[]);
            }
        }
    }

    /// A header of hexadecimal numbers, the name and the content, each filled up to four bytes.
    /// Everything belongs to root and is from the epoch, so that equal content is an equal archive.
    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let length = u32::try_from(content.len()).expect("a file of an archive is below 4 GiB");
        let name_length = u32::try_from(path.len() + 1).expect("a path is short");
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend_from_slice(MAGIC);
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.fill();
        self.bytes.extend_from_slice(content);
        self.fill();
    }

    fn fill(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

const MAGIC: &[u8] = b"070701";
const TRAILER: &str = "TRAILER!!!";
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER_BYTES: usize = 110;

    #[test]
    fn entries_are_aligned_and_their_folders_come_first() {
        let mut archive = Archive::default();
        archive.file("a/b/c", 0o644, b"12345");
        archive.link("l", "a");
        archive.folder("a", 0o700);
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let places: Vec<usize> = text.match_indices("070701").map(|(place, _)| place).collect();
        assert_eq!(places.len(), 5, "a, a/b, a/b/c, l and the end");
        assert!(places.iter().all(|place| place % 4 == 0));
        assert!(text[places[0] + HEADER_BYTES..].starts_with("a\0"));
        assert!(text[places[2] + HEADER_BYTES..].starts_with("a/b/c\0"));
        assert_eq!(&text[places[2] + 54..places[2] + 62], "00000005");
        assert_eq!(bytes.len() % 4, 0);
    }
}
