//! A bounded memory: what was put in longest ago goes first.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Values by key, at most so many.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// Keys by the turn in which they were put in.
    order: BTreeMap<u64, K>,
    turn: u64,
    limit: usize,
    /// Entries that had to go.
    pub(super) evicted: u64,
}

impl<K: Copy + Eq + Hash, V> Memory<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            turn: 0,
            limit: limit.max(1),
            evicted: 0,
        }
    }

    /// Puts a value in, as the newest.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some((turn, _)) = self.entries.remove(&key) {
            self.order.remove(&turn);
        }
        while self.entries.len() >= self.limit {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.entries.remove(&oldest);
            self.evicted += 1;
        }
        self.turn += 1;
        self.order.insert(self.turn, key);
        self.entries.insert(key, (self.turn, value));
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The value of a key, made when there is none.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        if !self.entries.contains_key(&key) {
            self.insert(key, make());
        }
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let values = self.order.values();
        values.filter_map(|key| self.entries.get(key).map(|(_, value)| (key, value)))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_is_counted() {
        let mut memory = Memory::new(2);
        for key in [1, 2, 1, 3] {
            memory.insert(key, key * 10);
        }
        assert_eq!(memory.iter().collect::<Vec<_>>(), [(&1, &10), (&3, &30)]);
        assert_eq!((memory.len(), memory.evicted), (2, 1));
        assert_eq!(memory.get(&2), None);
    }
}
