//! What the sink `pcm` counts: events that were sent, and what the platform made of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use mop_insight::data::reconciliation::{
    Fate,
    tally::{Subject, Tally},
};
use mop_outbox::{Entry, Lane};
use serde::{Deserialize, Serialize};

use super::{LANE, SENT, SharedMade, fate_of_parked, load, store, subject_of};
use crate::sinks::Verdict;

/// The counts, and where they are kept.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The outbox; without one nothing is counted.
    outbox: Option<PathBuf>,
    made: SharedMade,
    tally: Tally,
    state: SentState,
    /// Events whose fate is known and that are not acknowledged yet, by sequence: at most those that
    /// the pump holds.
    decided: BTreeMap<u64, (Subject, Fate, bool)>,
    is_failing: bool,
}

/// How far it has counted. Sequences are those of the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentState {
    /// Up to here all are accepted, discarded or parked.
    pub(super) settled: u64,
    /// Up to here all were sent at least once.
    pub(super) sent: u64,
    /// Up to here, by places among the parked, what was accepted after all is counted.
    pub(super) parked: u64,
}

impl Sent {
    /// Goes on where the last run ended; [`super::repair`] has been there before.
    pub(crate) fn open(outbox: Option<&Path>, made: SharedMade) -> Self {
        let Some(outbox) = outbox else { return Self::default() };
        let (tally, state) = load(outbox, SENT).unwrap_or_default();
        Self { outbox: Some(outbox.to_owned()), made, tally, state, ..Self::default() }
    }

    /// These reached the platform, whatever it makes of them.
    pub(crate) fn sent(&mut self, entries: &[Entry]) {
        let of_lane = entries.iter().filter(|entry| entry.lane == LANE);
        let last: u64 = of_lane.map(|entry| entry.sequence).max().unwrap_or(0);
        if self.outbox.is_some() && last > self.state.sent {
            self.state.sent = last;
            self.store();
        }
    }

    /// What became of an event is known.
    pub(crate) fn decided(&mut self, entry: &Entry, verdict: Verdict) {
        if self.outbox.is_none() || entry.lane != LANE || entry.sequence <= self.state.settled {
            return;
        }
        let fate = match verdict {
            Verdict::Delivered => Fate::Accepted,
            Verdict::Parked(reason) => fate_of_parked(reason),
            Verdict::Again(_) => return,
        };
        if let Some(subject) = subject_of(&entry.kind, &entry.payload) {
            let is_sent = verdict != Verdict::Parked(UNREADABLE);
            self.decided.insert(entry.sequence, (subject, fate, is_sent));
        }
    }

    /// Everything of a lane up to here is about to be acknowledged.
    pub(crate) fn acknowledges(&mut self, lane: Lane, sequence: u64) {
        if self.outbox.is_none() || lane != LANE || sequence <= self.state.settled {
            return;
        }
        let later = self.decided.split_off(&sequence.saturating_add(1));
        let done = std::mem::replace(&mut self.decided, later);
        self.state.settled = sequence;
        self.state.sent = self.state.sent.max(sequence);
        // Records that are no events need not be written down.
        if done.is_empty() {
            return;
        }
        for (subject, fate, is_sent) in done.into_values() {
            self.tally.add(&subject, &fate);
            if is_sent {
                self.tally.add(&subject, &Fate::Sent);
            }
        }
        self.store();
    }

    /// These, which had been set aside, were accepted after all; by their places among the parked.
    pub(crate) fn unparks(&mut self, parked: &[(u64, Entry)]) {
        let state = self.state;
        for (place, entry) in parked {
            if self.outbox.is_none() || *place <= self.state.parked {
                continue;
            }
            self.state.parked = *place;
            let Some(subject) = subject_of(&entry.kind, &entry.payload) else { continue };
            // A crash may have set one aside twice: it is counted once.
            if !self.tally.take_back(&subject, &fate_of_parked(&entry.note)) {
                continue;
            }
            self.tally.add(&subject, &Fate::Accepted);
            if &*entry.note == UNREADABLE {
                self.tally.add(&subject, &Fate::Sent);
            }
        }
        if self.state != state {
            self.store();
        }
    }

    fn store(&mut self) {
        let Some(outbox) = &self.outbox else { return };
        self.made.write(Timestamp::now());
        match store(outbox, SENT, &self.tally, &self.state) {
            Ok(()) => self.is_failing = false,
            Err(error) if !std::mem::replace(&mut self.is_failing, true) => {
                eprintln!("mop: what became of events cannot be kept: {error}");
            }
            // It was said, and the next time writes all of it.
            Err(_) => {}
        }
    }
}

/// The reason of what was set aside without having been sent.
pub(super) const UNREADABLE: &str = "unreadable";
