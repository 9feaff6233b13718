//! A file that says one place a lane, how far a sink is or how much is durable: two slots, written in
//! turn, each with its checksum.
//!
//! ```text
//! slot (512 bytes, at 0 and at 512):  magic "MOPCURSR", generation (u64),
//!                                     one acknowledged sequence a lane (6 x u64), CRC-32 (u32), zeros
//! ```
//!
//! It is not synced: what a power failure takes away is a place that is too old. For a sink, that
//! costs duplicates and no record; for what is durable, the count of what damage took since. A slot
//! that was half written leaves the other one.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    format::Fields,
    lane::MAX_SEQUENCE,
    state::LANES,
    storage::{Storage, StoredFile, read_up_to},
};

/// One place a lane, on disk.
#[derive(Debug)]
pub(crate) struct CursorFile {
    path: PathBuf,
    file: Option<Box<dyn StoredFile>>,
    saved: Slot,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    generation: u64,
    cursors: [u64; LANES],
}

impl CursorFile {
    /// Reads it. One that is not there or not readable says that nothing was acknowledged.
    pub(crate) fn load(storage: &dyn Storage, path: PathBuf) -> Self {
        let bytes = storage.open(&path).and_then(|file| read_up_to(&*file, 0, 2 * SLOT_BYTES));
        let saved = Slot::newest(&bytes.unwrap_or_default());
        Self { path, file: None, saved }
    }

    /// What it says.
    pub(crate) fn cursors(&self) -> [u64; LANES] {
        self.saved.cursors
    }

    /// Writes what has changed.
    pub(crate) fn save(&mut self, storage: &dyn Storage, cursors: [u64; LANES]) -> io::Result<()> {
        if cursors == self.saved.cursors {
            return Ok(());
        }
        let slot = Slot { generation: self.saved.generation + 1, cursors };
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                if let Some(folder) = self.path.parent() {
                    storage.create_folder(folder)?;
                }
                none.insert(storage.open_slots(&self.path)?)
            }
        };
        file.write_at(&slot.encode(), slot.generation % 2 * SLOT_BYTES as u64)?;
        self.saved = slot;
        Ok(())
    }
}

/// What a cursor file says.
pub(crate) fn decode_cursors(bytes: &[u8]) -> [u64; LANES] {
    Slot::newest(bytes).cursors
}

/// Where the cursors of a sink lie; `None` when its name cannot be that of a file.
pub(crate) fn cursor_path(folder: &Path, sink: &str) -> Option<PathBuf> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = (1..=MAX_NAME_BYTES).contains(&sink.len()) && sink.bytes().all(is_plain);
    is_name.then(|| folder.join(CURSORS).join(sink))
}

impl Slot {
    fn newest(bytes: &[u8]) -> Self {
        let slots = bytes.chunks(SLOT_BYTES).filter_map(Self::decode);
        slots.max_by_key(|slot| slot.generation).unwrap_or_default()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        for cursor in self.cursors {
            bytes.extend_from_slice(&cursor.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.resize(SLOT_BYTES, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, rest) = bytes.split_at_checked(MAGIC.len() + 8 + 8 * LANES)?;
        let mut fields = Fields(content);
        if Fields(rest).u32()? != crc32fast::hash(content) || fields.take(MAGIC.len())? != MAGIC {
            return None;
        }
        let mut slot = Self { generation: fields.u64()?, cursors: [0; LANES] };
        for cursor in &mut slot.cursors {
            // So large a sequence cannot be reached, and one more must not overflow.
            *cursor = fields.u64()?.min(MAX_SEQUENCE);
        }
        Some(slot)
    }
}

/// Says the last sequence of each lane that was committed.
pub(crate) const DURABLE_FILE: &str = "durable";
/// The folder of cursors, in that of the outbox.
pub(crate) const CURSORS: &str = "cursors";
const MAGIC: &[u8; 8] = b"MOPCURSR";
/// A sector: written as a whole or not at all by most disks.
const SLOT_BYTES: usize = 512;
/// Names of sinks are words of the configuration.
const MAX_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_was_half_written_leaves_the_other_one() {
        let old = Slot { generation: 4, cursors: [1, 2, 3, 4, 5, 6] };
        let new = Slot { generation: 5, cursors: [11, 12, 13, 14, 15, 16] };
        let file = [old.encode(), new.encode()].concat();
        assert_eq!(Slot::newest(&file), new);
        for end in SLOT_BYTES..SLOT_BYTES + MAGIC.len() + 8 + 8 * LANES + 4 {
            let mut torn = file[..end].to_vec();
            torn.resize(2 * SLOT_BYTES, 0);
            assert_eq!(Slot::newest(&torn), old, "{end}");
        }
        assert_eq!(Slot::newest(&[]), Slot::default());
    }

    #[test]
    fn names_stay_in_their_folder() {
        let folder = Path::new("/outbox");
        assert!(cursor_path(folder, "mop_server").is_some());
        for bad in ["", ".", "..", "a/b", "../x", "a b"] {
            assert!(cursor_path(folder, bad).is_none(), "{bad}");
        }
    }
}
