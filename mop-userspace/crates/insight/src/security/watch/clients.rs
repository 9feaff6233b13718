//! Organisations that call: who was never seen before.

use std::collections::HashSet;

use jiff::Timestamp;

use super::SeenCall;

/// Organisations that were seen.
#[derive(Debug, Default)]
pub(super) struct Clients {
    known: HashSet<String>,
    since: Option<Timestamp>,
    counts: ClientsCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientsCounts {
    /// Organisations that are known.
    pub known: u64,
    /// Organisations that had no room.
    pub refused: u64,
}

impl Clients {
    /// Notes who called. Gives for how many days was watched, when it is the first time and enough
    /// was watched for that to mean something.
    pub(super) fn see(&mut self, call: &SeenCall) -> Option<u64> {
        let since = *self.since.get_or_insert(call.start);
        let organisation = call.parties.client_organisation.as_ref()?;
        if self.known.contains(organisation) {
            return None;
        }
        if self.known.len() >= MAX_ORGANISATIONS {
            self.counts.refused += 1;
            return None;
        }
        self.known.insert(organisation.clone());
        self.counts.known += 1;
        let hours = u64::try_from(call.start.duration_since(since).as_hours()).ok()?;
        (hours >= LEARNING_HOURS).then_some(hours / 24)
    }

    pub(super) fn counts(&self) -> ClientsCounts {
        self.counts
    }
}

/// The directory has some hundred.
const MAX_ORGANISATIONS: usize = 1 << 14;

/// Whoever calls at all calls within a day.
const LEARNING_HOURS: u64 = 24;
