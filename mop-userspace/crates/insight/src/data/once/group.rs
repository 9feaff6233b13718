//! Sightings that may be of one call, in the order in which they came.

use std::{
    collections::VecDeque,
    hash::{BuildHasherDefault, DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
};

use mop_wire::OwnKeyHasher;

use super::{outline::Outline, sighting::Sighting};
use crate::data::call::Ends;

/// Groups are found by keyed digests.
pub(super) type ByDigests = BuildHasherDefault<OwnKeyHasher>;

/// The sightings of one interaction and path.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: VecDeque<Member>,
    /// How many went before the first of them.
    gone: u64,
}

/// A sighting, as far as most comparisons need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) outline: Outline,
    /// The same for both ends of a connection; 0 where an end is not known.
    pair: u64,
}

impl Member {
    pub(super) fn of(number: u64, sighting: &Sighting) -> Self {
        Self { number, outline: sighting.outline(), pair: pair(&sighting.ends) }
    }

    /// Whether both may be the two ends of one connection.
    #[inline]
    pub(super) fn may_be_other_end_of(&self, other: &Self) -> bool {
        self.pair != 0 && self.pair == other.pair
    }
}

impl Group {
    /// The place that the next one will have.
    pub(super) fn next(&self) -> u64 {
        self.gone.saturating_add(self.members.len() as u64)
    }

    pub(super) fn add(&mut self, member: Member) {
        self.members.push_back(member);
    }

    /// So many before and after a place, and what is there, the newest first.
    pub(super) fn around(&self, place: u64, most: usize) -> impl Iterator<Item = &Member> {
        let length = self.members.len();
        let at = usize::try_from(place.saturating_sub(self.gone)).unwrap_or(length).min(length);
        let (first, end) = (at.saturating_sub(most), length.min(at + most + 1));
        self.members.range(first..end).rev()
    }

    /// So many, the newest first.
    pub(super) fn newest_mut(&mut self, most: usize) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut().rev().take(most)
    }

    /// Takes a member out, which is the oldest; whether none is left.
    pub(super) fn remove_first(&mut self, number: u64) -> bool {
        if self.members.front().is_some_and(|first| first.number == number) {
            self.members.pop_front();
            self.gone = self.gone.saturating_add(1);
        }
        self.members.is_empty()
    }
}

fn pair(ends: &Ends) -> u64 {
    let Ends { local: Some(local), remote: Some(remote) } = ends else { return 0 };
    let digest = |end: &SocketAddr| {
        let mut hasher = DefaultHasher::new();
        end.hash(&mut hasher);
        hasher.finish()
    };
    digest(local).wrapping_add(digest(remote))
}
