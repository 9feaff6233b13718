//! What becomes of sightings.

use std::sync::Arc;

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnceCounts {
    /// Given out as calls.
    pub calls: u64,
    /// Given out as hops.
    pub hops: u64,
    /// Given out before their time, since there was no room.
    pub hurried: u64,
    /// Calls that turned out to be hops after they were given out: reported twice.
    pub late: u64,
}

/// A sighting that is given out.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// What came with it.
    pub item: T,
    /// What it is.
    pub place: Place,
}

/// What a sighting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A call, which was seen this many times more.
    Edge {
        /// Further sightings of it.
        hops: u32,
        /// Of these, exchanges that were given out as calls of their own: they came so much earlier
        /// that nobody waited for this one. At most twice [`MAX_COMPARED`](super::MAX_COMPARED).
        apart: Vec<Arc<str>>,
    },
    /// A further sighting of another exchange's call.
    Hop {
        /// That exchange.
        of: Arc<str>,
        /// That exchange was given out before: this one came too late to be told with it.
        is_late: bool,
    },
}
