//! One value for each direction of a connection.

use mop_common::Direction;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerDirection<T> {
    read: T,
    write: T,
}

impl<T> PerDirection<T> {
    pub(crate) fn new(read: T, write: T) -> Self {
        Self { read, write }
    }

    pub(crate) fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    pub(crate) fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    pub(crate) fn all(&self) -> [&T; 2] {
        [&self.read, &self.write]
    }
}
