//! Sightings that may be of one call, in the order in which they came.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
};

use super::{outline::Outline, sighting::Sighting};
use crate::data::call::Ends;

/// The sightings of one interaction and path.
#[derive(Debug, Default)]
pub(super) struct Group(VecDeque<Member>);

/// A sighting, as far as most comparisons need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) outline: Outline,
    /// The same for both ends of a connection; `None` where an end is not known.
    pair: Option<u64>,
}

impl Member {
    pub(super) fn of(number: u64, sighting: &Sighting) -> Self {
        Self { number, outline: sighting.outline(), pair: pair(&sighting.ends) }
    }

    /// Whether both may be the two ends of one connection.
    #[inline]
    pub(super) fn may_be_other_end_of(&self, other: &Self) -> bool {
        self.pair.is_some() && self.pair == other.pair
    }
}

impl Group {
    pub(super) fn add(&mut self, member: Member) {
        self.0.push_back(member);
    }

    /// So many, the newest first.
    pub(super) fn newest(&self, most: usize) -> impl Iterator<Item = &Member> {
        self.0.iter().rev().take(most)
    }

    /// So many, the newest first.
    pub(super) fn newest_mut(&mut self, most: usize) -> impl Iterator<Item = &mut Member> {
        self.0.iter_mut().rev().take(most)
    }

    /// Takes a member out, which is the oldest; whether none is left.
    pub(super) fn remove_first(&mut self, number: u64) -> bool {
        if self.0.front().is_some_and(|first| first.number == number) {
            self.0.pop_front();
        }
        self.0.is_empty()
    }
}

fn pair(ends: &Ends) -> Option<u64> {
    let digest = |end: SocketAddr| {
        let mut hasher = DefaultHasher::new();
        end.hash(&mut hasher);
        hasher.finish()
    };
    Some(digest(ends.local?).wrapping_add(digest(ends.remote?)))
}
