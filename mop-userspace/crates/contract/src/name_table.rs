//! A fixed set of names, found by hash without allocating.

use std::sync::Arc;

use crate::json::{is_same_name, name_hash};

/// Names in their order of insertion. Equal tables are equal values, so that schemas can be shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NameTable {
    names: Box<[Arc<str>]>,
    hashes: Box<[u32]>,
    /// Open addressing: position + 1, or 0. At least half of it is empty; its length is a power
    /// of two, or 0 when there are no names.
    slots: Box<[u16]>,
}

impl NameTable {
    /// A table of these names. What comes after [`MAX_NAMES`] is left out, and so is a repeated
    /// name.
    pub fn new(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        let mut unique: Vec<Arc<str>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for name in names {
            if unique.len() < MAX_NAMES && seen.insert(Arc::clone(&name)) {
                unique.push(name);
            }
        }
        if unique.is_empty() {
            return Self::default();
        }
        let hashes: Box<[u32]> = unique.iter().map(|name| name_hash(name)).collect();
        let mut slots = vec![0_u16; (unique.len() * 2).next_power_of_two()];
        let mask = slots.len() - 1;
        for (position, hash) in (1..=u16::MAX).zip(&hashes) {
            let mut at = *hash as usize & mask;
            while slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) & mask;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = position;
            }
        }
        Self { names: unique.into(), hashes, slots: slots.into() }
    }

    /// Where the name is. `hash` is its [`name_hash`].
    #[must_use]
    pub fn position(&self, name: &str, hash: u32) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let position = usize::from(*self.slots.get(at)?).checked_sub(1)?;
            if self.hashes.get(position) == Some(&hash)
                && self.names.get(position).is_some_and(|known| is_same_name(known, name))
            {
                return Some(position);
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether the name is there.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.position(name, name_hash(name)).is_some()
    }

    /// The name at a position.
    #[must_use]
    pub fn name(&self, position: usize) -> Option<&Arc<str>> {
        self.names.get(position)
    }

    /// The names, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Positions have sixteen bits; the largest published enumeration has some 300 members.
pub const MAX_NAMES: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 7, 8, 300] {
            let names: Vec<Arc<str>> =
                (0..count).map(|number| format!("name-{number:04}-name").into()).collect();
            let table = NameTable::new(names.iter().cloned());
            assert_eq!(table.len(), count);
            for (position, name) in names.iter().enumerate() {
                assert_eq!(table.position(name, name_hash(name)), Some(position));
            }
            for other in ["", "name", "name-9999-name", "nome-0000-name"] {
                assert!(!table.contains(other), "{other}");
            }
        }
    }

    #[test]
    fn too_many_and_repeated_names_are_left_out() {
        let names = (0..MAX_NAMES + 5).map(|number| Arc::from((number / 2).to_string()));
        assert_eq!(NameTable::new(names).len(), MAX_NAMES / 2 + 3);
        let many = (0..MAX_NAMES + 5).map(|number| Arc::from(number.to_string()));
        assert_eq!(NameTable::new(many).len(), MAX_NAMES);
    }
}
