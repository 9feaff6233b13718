//! The table that both ends fill alike (RFC 7541 section 2.3.2), as far as an observer knows it.
//!
//! The texts of all entries lie in one buffer, in the order of their insertion; behind them there
//! is room for the next field, which is decoded right there and stays when it is an entry. When
//! the room is used up, what is still an entry moves to the front:
//!
//! ```text
//! | evicted | oldest entry | ... | newest entry | next field |      |
//! 0       start                                end                 bytes.len()
//! ```
//!
//! Entries are counted from the newest one, so that the index of every entry that was seen is exact
//! whatever was there before. What is not known is only how much of the past the sender still has:
//! its table may be larger than what is kept here, names of entries may be unknown and with them
//! their sizes. Then the entries that are kept are more or fewer than the sender's:
//!
//! - More are harmless: a sender does not refer to what it has evicted.
//! - Fewer are told apart by [`Table::is_whole`]: when it is false, an index behind the last entry
//!   is of one that was not seen.
//!
//! Invariant: `held_bytes <= capacity <= MAX_HPACK_TABLE_BYTES`, where an unknown name counts
//! nothing, so that `held_bytes` is at most what the same entries have in the sender's table.

use std::collections::VecDeque;

use super::{error::HpackError, huffman, reader::Coded};
use crate::limits::MAX_HPACK_TABLE_BYTES;

#[derive(Debug)]
pub(super) struct Table {
    /// Initialised as a whole, so that strings are decoded in place.
    bytes: Vec<u8>,
    /// Where the newest entry ends; `end <= bytes.len()`.
    end: usize,
    /// The newest one is the first.
    entries: VecDeque<Entry>,
    /// The sizes of all entries (section 4.1), as far as they are known.
    held_bytes: usize,
    /// What the sender may put into its table, when that is known.
    size: Option<u32>,
    /// What the receiver lets the sender put into it; the largest there is when that is not known.
    offered: u32,
    /// Every entry of the sender's table is here.
    is_whole: bool,
}

/// A field that is kept, or one that was just decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    start: u32,
    /// None: the name was in an entry that was not seen.
    name_bytes: Option<u32>,
    value_bytes: u32,
}

/// Where the name of a literal is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    Coded(Coded<'a>),
    /// In an entry of this table, counted from the newest one.
    Entry(usize),
    Static(&'static str),
    Unknown,
}

impl Table {
    /// The table of a sender whose first byte was seen.
    pub(super) fn from_start() -> Self {
        Self { size: Some(INITIAL_SIZE), is_whole: true, ..Self::unknown() }
    }

    /// The table of a sender that talked before.
    pub(super) fn unknown() -> Self {
        Self {
            bytes: Vec::new(),
            end: 0,
            entries: VecDeque::new(),
            held_bytes: 0,
            size: None,
            offered: u32::MAX,
            is_whole: false,
        }
    }

    /// Takes note that the sender may have done anything.
    pub(super) fn forget(&mut self) {
        self.clear();
        self.size = None;
        self.is_whole = false;
    }

    /// Takes note that the sender inserted an entry that is not known.
    pub(super) fn insert_unseen(&mut self) {
        self.clear();
        self.is_whole = false;
    }

    /// Takes note of what the receiver lets the sender put into the table.
    pub(super) fn offer(&mut self, bytes: u32) {
        self.offered = bytes;
    }

    /// Section 6.3: a change of the size by the sender.
    pub(super) fn resize(&mut self, size: u32) -> Result<(), HpackError> {
        if size > self.offered {
            return Err(HpackError::TableSizeNotOffered);
        }
        self.size = Some(size);
        self.evict_for(0);
        self.look_for_gap();
        Ok(())
    }

    /// Decodes a field behind the newest entry. It is there until the next one is decoded, or for
    /// as long as it is an entry.
    pub(super) fn decode(&mut self, name: Name<'_>, value: Coded<'_>) -> Result<Entry, HpackError> {
        let name_room = match name {
            Name::Coded(coded) => room(coded),
            Name::Entry(index) => self.name(index).map_or(0, <[u8]>::len),
            Name::Static(name) => name.len(),
            Name::Unknown => 0,
        };
        self.make_room(name_room + room(value));
        let name_bytes = match name {
            Name::Coded(coded) => Some(self.write(self.end, coded)?),
            Name::Entry(index) => self.copy_name(index),
            Name::Static(name) => {
                Some(self.write(self.end, Coded { bytes: name.as_bytes(), is_huffman: false })?)
            }
            Name::Unknown => None,
        };
        let value_start = self.end + name_bytes.unwrap_or_default();
        let value_bytes = self.write(value_start, value)?;
        Ok(Entry {
            start: self.end as u32,
            name_bytes: name_bytes.map(|bytes| bytes as u32),
            value_bytes: value_bytes as u32,
        })
    }

    /// Makes the field that was just decoded the newest entry (section 4.4).
    pub(super) fn insert(&mut self, field: Entry) {
        let bytes = field.size();
        self.evict_for(bytes);
        if bytes <= self.capacity() {
            self.held_bytes += bytes;
            self.end = field.end();
            self.entries.push_front(field);
            self.look_for_gap();
        } else {
            // It is larger than the table, and leaves it empty; unless the sender's is larger.
            self.is_whole = self.size.is_some() && bytes > self.largest();
        }
    }

    /// The entry at this place, counted from the newest one.
    #[inline]
    pub(super) fn entry(&self, index: usize) -> Option<Entry> {
        self.entries.get(index).copied()
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Name and value of an entry, or of the field that was just decoded.
    #[inline]
    pub(super) fn texts(&self, entry: Entry) -> (Option<&[u8]>, &[u8]) {
        let Entry { start, name_bytes, value_bytes } = entry;
        let texts = self.bytes.get(start as usize..).unwrap_or_default();
        let name_end = name_bytes.unwrap_or_default() as usize;
        let (name, rest) = texts.split_at_checked(name_end).unwrap_or_default();
        let value = rest.get(..value_bytes as usize).unwrap_or_default();
        (name_bytes.map(|_| name), value)
    }

    /// True when there is nothing in the sender's table that is not here.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Memory held.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// What is kept at most.
    fn capacity(&self) -> usize {
        self.largest().min(MAX_HPACK_TABLE_BYTES)
    }

    /// What the sender keeps at most.
    fn largest(&self) -> usize {
        self.size.unwrap_or(self.offered) as usize
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.held_bytes = 0;
    }

    /// Section 4.3 and 4.4: lets the oldest entries go until there is room, or none is left.
    fn evict_for(&mut self, bytes: usize) {
        let capacity = self.capacity();
        while self.held_bytes + bytes > capacity
            && let Some(oldest) = self.entries.pop_back()
        {
            self.held_bytes -= oldest.size();
            // The sender may still have what is not kept here.
            self.is_whole &= self.largest() == capacity;
        }
    }

    /// When there is no room for one more entry in the sender's table, then there is none in it
    /// that is older than those that are here. Before the sender has said its size, it may be larger than
    /// what it was offered: one that did not obey, and is understood by a receiver that lets it.
    fn look_for_gap(&mut self) {
        self.is_whole |= self.size.is_some() && self.held_bytes + ENTRY_OVERHEAD > self.largest();
    }

    fn name(&self, index: usize) -> Option<&[u8]> {
        self.texts(self.entry(index)?).0
    }

    /// Copies the name of an entry behind the newest one: it may be evicted for what gets it.
    fn copy_name(&mut self, index: usize) -> Option<usize> {
        let Entry { start, name_bytes, value_bytes: _ } = self.entry(index)?;
        let (start, bytes) = (start as usize, name_bytes? as usize);
        let (kept, free) = self.bytes.split_at_mut_checked(self.end)?;
        free.get_mut(..bytes)?.copy_from_slice(kept.get(start..start + bytes)?);
        Some(bytes)
    }

    /// Writes a string there; there is room for it.
    fn write(&mut self, at: usize, coded: Coded<'_>) -> Result<usize, HpackError> {
        let free = self.bytes.get_mut(at..).unwrap_or_default();
        if coded.is_huffman {
            return huffman::decode(coded.bytes, free);
        }
        if let Some(place) = free.get_mut(..coded.bytes.len()) {
            place.copy_from_slice(coded.bytes);
        }
        Ok(coded.bytes.len())
    }

    #[inline]
    fn make_room(&mut self, bytes: usize) {
        if self.bytes.len() - self.end < bytes {
            self.move_to_front(bytes);
        }
    }

    #[cold]
    fn move_to_front(&mut self, room: usize) {
        let start = self.entries.back().map_or(self.end, |oldest| oldest.start as usize);
        self.bytes.copy_within(start..self.end, 0);
        self.end -= start;
        for entry in &mut self.entries {
            entry.start -= start as u32;
        }
        // At least as much room as there are entries: each byte is moved once on average.
        let wanted = self.end + room.max(self.end).max(MIN_ROOM);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
    }
}

impl Entry {
    /// Section 4.1; without the name when it is unknown.
    fn size(self) -> usize {
        let Self { start: _, name_bytes, value_bytes } = self;
        name_bytes.unwrap_or_default() as usize + value_bytes as usize + ENTRY_OVERHEAD
    }

    fn end(self) -> usize {
        let Self { start, name_bytes, value_bytes } = self;
        (start + name_bytes.unwrap_or_default() + value_bytes) as usize
    }
}

/// Room that a string needs.
fn room(coded: Coded<'_>) -> usize {
    if coded.is_huffman { huffman::room(coded.bytes.len()) } else { coded.bytes.len() }
}

/// What an entry counts beside its name and value (section 4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// `SETTINGS_HEADER_TABLE_SIZE` before any `SETTINGS` (RFC 9113 section 6.5.2).
const INITIAL_SIZE: u32 = 4096;

/// The fields of a small head, so that the first block does not allocate for each field.
const MIN_ROOM: usize = 512;

#[cfg(test)]
mod tests;
