//! Points of clients: what single findings do not say, their sum does.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::data::digest::Digest;

/// Points of each client in its window.
#[derive(Debug)]
pub(super) struct Points {
    clients: HashMap<Digest, Sum>,
    limit: u32,
    window: SignedDuration,
    counts: PointsCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointsCounts {
    /// Clients that were told.
    pub told: u64,
    /// Clients that were forgotten before their window was over, since there was no room.
    pub evicted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    since: Timestamp,
    points: u32,
    is_told: bool,
}

impl Points {
    pub(super) fn new(limit: u32, window: SignedDuration) -> Self {
        Self { clients: HashMap::new(), limit, window, counts: PointsCounts::default() }
    }

    /// Adds points; gives the sum when it reaches the limit, once a window.
    pub(super) fn add(&mut self, client: Digest, points: u32, at: Timestamp) -> Option<u32> {
        let window = self.window;
        let is_over = |sum: &Sum| at.duration_since(sum.since) >= window;
        if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&client) {
            self.clients.retain(|_, sum| !is_over(sum));
            if self.clients.len() >= MAX_CLIENTS {
                self.counts.evicted += self.clients.len() as u64;
                self.clients.clear();
            }
        }
        let begun = Sum { since: at, points: 0, is_told: false };
        let sum = self.clients.entry(client).or_insert(begun);
        if is_over(sum) {
            *sum = begun;
        }
        sum.points = sum.points.saturating_add(points);
        let is_reached = sum.points >= self.limit && !sum.is_told;
        if is_reached {
            sum.is_told = true;
            self.counts.told += 1;
        }
        is_reached.then_some(sum.points)
    }

    pub(super) fn counts(&self) -> PointsCounts {
        self.counts
    }
}

/// Clients with findings in one window; the ecosystem has some hundred participants, and what has
/// no certificate is told apart by its address.
const MAX_CLIENTS: usize = 1 << 16;
