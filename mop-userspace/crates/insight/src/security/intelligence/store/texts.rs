//! Texts by a keyed hash with verification: one arena of bytes, one table of places.
//!
//! The hash is keyed, so that nobody who can write into a feed can choose texts that collide; a
//! match is verified, so that a collision is never a match.

use std::{collections::hash_map::DefaultHasher, hash::Hasher as _};

/// Key of the hash: random, and of no meaning outside the process.
#[derive(Clone, Copy)]
pub struct HashKey([u8; 16]);

/// Texts that are being collected.
#[derive(Default)]
pub struct TextTableBuilder {
    arena: String,
    entries: Vec<Entry>,
}

/// Texts, ready to be looked up.
pub struct TextTable {
    key: HashKey,
    arena: Box<str>,
    entries: Box<[Entry]>,
    /// A power of two of them, at most half of them taken.
    slots: Box<[Slot]>,
}

struct Entry {
    start: u32,
    end: u32,
    number: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    /// Other bits of the hash than those that chose the slot.
    tag: u32,
    /// Place of the entry, or [`FREE`].
    entry: u32,
}

impl HashKey {
    /// Takes 128 random bits.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// SipHash under its usual zero key of our key and the text.
    fn hash(self, text: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

impl TextTableBuilder {
    /// Adds a text and the number that is found for it; none where the arena is full.
    pub fn add(&mut self, text: &str, number: u32) -> Option<()> {
        let start = u32::try_from(self.arena.len()).ok()?;
        let end = u32::try_from(self.arena.len().checked_add(text.len())?).ok()?;
        if end > MAX_ARENA_BYTES {
            return None;
        }
        self.arena.push_str(text);
        self.entries.push(Entry { start, end, number });
        Some(())
    }

    /// Makes the table; the second is how many of more than [`MAX_EQUAL`](super::MAX_EQUAL) equal
    /// texts are left out.
    #[must_use]
    pub fn build(self, key: HashKey) -> (TextTable, usize) {
        let Self { arena, entries } = self;
        let slots = (entries.len() * 2).max(2).next_power_of_two();
        let mut table = TextTable {
            key,
            arena: arena.into(),
            entries: entries.into(),
            slots: vec![Slot { tag: 0, entry: FREE }; slots].into(),
        };
        let places = u32::try_from(table.entries.len()).unwrap_or(FREE);
        let left_out = (0..places).filter(|place| table.insert(*place).is_none()).count();
        (table, left_out)
    }
}

impl TextTable {
    /// Gives the numbers of all entries with this text.
    pub fn find(&self, text: &str, mut found: impl FnMut(u32)) {
        for slot in self.probe(self.key.hash(text)) {
            if let Some(entry) = self.entry(slot).filter(|it| self.text(it) == Some(text)) {
                found(entry.number);
            }
        }
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.arena.len() + size_of_val(&*self.entries) + size_of_val(&*self.slots)
    }

    /// Puts an entry into the first free slot, unless there are enough with its text.
    fn insert(&mut self, place: u32) -> Option<()> {
        let text = self.entry(Slot { tag: 0, entry: place }).and_then(|it| self.text(it))?;
        let hash = self.key.hash(text);
        let has_text = |slot: &Slot| self.entry(*slot).and_then(|it| self.text(it)) == Some(text);
        let equal = self.probe(hash).filter(has_text).count();
        if equal >= super::MAX_EQUAL {
            return None;
        }
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = first(hash) & mask;
        while self.slots.get(at)?.entry != FREE {
            at = at.wrapping_add(1) & mask;
        }
        *self.slots.get_mut(at)? = Slot { tag: tag(hash), entry: place };
        Some(())
    }

    /// The slots that may hold a hash: from its first to the next free one.
    fn probe(&self, hash: u64) -> impl Iterator<Item = Slot> {
        let mask = self.slots.len().wrapping_sub(1);
        let begin = first(hash) & mask;
        (0..self.slots.len())
            .map_while(move |step| self.slots.get(begin.wrapping_add(step) & mask).copied())
            .take_while(|slot| slot.entry != FREE)
            .filter(move |slot| slot.tag == tag(hash))
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(usize::try_from(slot.entry).ok()?)
    }

    fn text(&self, entry: &Entry) -> Option<&str> {
        let (start, end) = (usize::try_from(entry.start).ok()?, usize::try_from(entry.end).ok()?);
        self.arena.get(start..end)
    }
}

/// A name, and what follows each of its dots, each with its number of labels; the name first.
pub(crate) fn suffixes(name: &str) -> impl Iterator<Item = (&str, usize)> {
    let labels = name.split('.').count();
    let mut rest = Some(name);
    (0..labels).map_while(move |dropped| {
        let suffix = rest?;
        rest = suffix.split_once('.').map(|(_, after)| after);
        Some((suffix, labels - dropped))
    })
}

#[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
fn first(hash: u64) -> usize {
    hash as usize
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// A slot without an entry.
const FREE: u32 = u32::MAX;
/// A million URLs of 250 bytes fit twice; places stay 32 bits.
const MAX_ARENA_BYTES: u32 = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_with_all_their_numbers_and_no_others() {
        let mut builder = TextTableBuilder::default();
        for number in 0..1000 {
            builder.add(&format!("text {}", number / 2), number).unwrap();
        }
        for number in 0..20 {
            builder.add("often", number).unwrap();
        }
        let (table, left_out) = builder.build(HashKey::new([7; 16]));
        assert_eq!(left_out, 20 - super::super::MAX_EQUAL);
        let find = |text: &str| {
            let mut found = Vec::new();
            table.find(text, |number| found.push(number));
            found.sort_unstable();
            found
        };
        for number in 0..500 {
            assert_eq!(find(&format!("text {number}")), [number * 2, number * 2 + 1]);
        }
        assert_eq!(find("often"), (0..8).collect::<Vec<_>>());
        assert!(find("text 500").is_empty());
        assert!(find("").is_empty());
    }

    #[test]
    fn a_name_has_its_suffixes() {
        let all: Vec<_> = suffixes("a.b.example").collect();
        assert_eq!(all, [("a.b.example", 3), ("b.example", 2), ("example", 1)]);
    }
}
