//! Things with numbers, of which the oldest goes first.

use std::collections::VecDeque;

/// Things in the order in which they came.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    things: VecDeque<T>,
    /// Number of the first of them.
    first: u64,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { things: VecDeque::new(), first: 0 }
    }
}

impl<T> Shelf<T> {
    /// The number that the next one will have.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.things.len() as u64)
    }

    /// Adds one, and says its number.
    pub(super) fn push(&mut self, thing: T) -> u64 {
        let number = self.next();
        self.things.push_back(thing);
        number
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.things.get(self.place(number)?)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let place = self.place(number)?;
        self.things.get_mut(place)
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<&T> {
        self.things.front()
    }

    /// Takes the oldest away, with its number.
    pub(super) fn pop_front(&mut self) -> Option<(u64, T)> {
        let thing = self.things.pop_front()?;
        let number = self.first;
        self.first = self.first.saturating_add(1);
        Some((number, thing))
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}
