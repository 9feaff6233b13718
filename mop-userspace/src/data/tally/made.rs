//! What the data module counts: calls observed, events made of them, and calls of which none is made.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use mop_insight::data::{
    analyst::{Edge, Outcome},
    event::record::DataEvent,
    funnel::{FunnelRecord, Side},
    reconciliation::{
        Fate, Reason,
        calendar::day_of,
        tally::{Subject, Tally},
    },
};
use mop_wire::Role;
use serde::{Deserialize, Serialize};

use super::{MADE, load, subject_of, write};

/// Who counts what is made, shared with who counts what is sent: see [`SharedMade::write`].
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedMade(Arc<Mutex<Made>>);

/// The counts, and where they are kept.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The outbox; without one nothing is counted.
    outbox: Option<PathBuf>,
    tally: Tally,
    state: MadeState,
    /// The call that was observed last, until it is known what became of it.
    open: Option<(Arc<str>, Subject)>,
    /// What is to be written the next time; see the module's head.
    next: Option<Vec<u8>>,
    is_changed: bool,
    is_failing: bool,
}

/// How far it has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MadeState {
    /// Since when it counts.
    pub(super) since: Timestamp,
    /// The records that were counted last, in order: when the very last are lost with a crash, those
    /// before them still say where the counts end.
    pub(super) last: VecDeque<String>,
    /// When these counts were true.
    pub(super) at: Timestamp,
    /// Up to this sequence of the lane everything was counted at the start of the run.
    pub(super) from: u64,
}

impl SharedMade {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all that was counted so far. To be called before records are acknowledged: then one that
    /// the outbox does not hold any more is always among the counts on disk.
    pub(crate) fn write(&self, now: Timestamp) {
        self.lock().close(now);
    }
}

impl Made {
    /// Goes on where the last run ended; [`super::repair`] has been there before.
    pub(crate) fn open(outbox: Option<&Path>, now: Timestamp) -> Self {
        let Some(outbox) = outbox else { return Self::default() };
        let (tally, state) =
            load(outbox, MADE).unwrap_or_else(|| (Tally::default(), MadeState::new(now)));
        Self { outbox: Some(outbox.to_owned()), tally, state, ..Self::default() }
    }

    /// Counts what became of a call. Of each call at the edge comes first that it was observed, and
    /// next, signals aside, what became of it.
    pub(crate) fn outcome(&mut self, outcome: &Outcome) {
        if self.outbox.is_none() {
            return;
        }
        match outcome {
            Outcome::Edge(edge) => {
                let subject = of_edge(edge);
                self.add(&subject, &Fate::Observed);
                self.open = Some((Arc::clone(&edge.exchange), subject));
            }
            Outcome::Event(event) => {
                self.open = None;
                self.add(&of_event(event), &Fate::Reported);
                self.state.counted(&event.id);
            }
            Outcome::Unlisted { exchange, why } => self.not_reportable(exchange, why.name()),
            Outcome::Unreportable { exchange, reasons, .. } => {
                let reason = reasons.first().map_or("other", |reason| reason.name());
                self.not_reportable(exchange, reason);
            }
            Outcome::Excluded { .. } | Outcome::Hop { .. } | Outcome::Signal(_) => {}
        }
    }

    /// Counts a step that is reported. Steps that wait for others are not observed yet.
    pub(crate) fn step(&mut self, record: &FunnelRecord) {
        if self.outbox.is_none() {
            return;
        }
        let Ok(at) = record.event.timestamp.parse() else { return };
        let endpoint = record.event.step.name().to_owned();
        let subject = Subject { day: day_of(at), side: record.side, endpoint };
        self.add(&subject, &Fate::Observed);
        self.add(&subject, &Fate::Reported);
        self.state.counted(&record.id);
    }

    /// Counts a record that was made elsewhere and came into this outbox.
    pub(crate) fn forwarded(&mut self, kind: &str, id: &str, payload: &[u8]) {
        if self.outbox.is_none() {
            return;
        }
        if let Some(subject) = subject_of(kind, payload) {
            self.add(&subject, &Fate::Observed);
            self.add(&subject, &Fate::Reported);
            self.state.counted(id);
        }
    }

    /// Writes what was counted until the last time that it was asked to.
    pub(crate) fn keep(&mut self, now: Timestamp) {
        let written = self.next.take();
        if self.is_changed {
            self.state.at = now;
            // Two maps of texts and numbers are JSON.
            self.next = self.tally.write(&self.state).ok();
            self.is_changed = false;
        }
        if let Some(bytes) = written {
            self.write(&bytes);
        }
    }

    /// Writes everything.
    pub(crate) fn close(&mut self, now: Timestamp) {
        if self.is_changed {
            // It is a part of what is written instead.
            self.next = None;
            self.keep(now);
        }
        self.keep(now);
    }

    fn not_reportable(&mut self, exchange: &str, reason: &str) {
        if let Some((_, subject)) = self.open.take_if(|(open, _)| **open == *exchange) {
            self.add(&subject, &Fate::NotReportable(Reason::new(reason)));
        }
    }

    fn add(&mut self, subject: &Subject, fate: &Fate) {
        self.tally.add(subject, fate);
        self.is_changed = true;
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(outbox) = &self.outbox else { return };
        match write(outbox, MADE, bytes) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                // The next time writes all of it.
                self.is_changed = true;
                if !std::mem::replace(&mut self.is_failing, true) {
                    eprintln!("mop: what became of calls cannot be kept: {error}");
                }
            }
        }
    }
}

impl MadeState {
    /// Nothing was counted yet.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { since: now, last: VecDeque::new(), at: now, from: 0 }
    }

    fn counted(&mut self, id: &str) {
        if self.last.len() >= KEPT_IDS {
            self.last.pop_front();
        }
        self.last.push_back(id.to_owned());
    }
}

fn of_edge(edge: &Edge) -> Subject {
    let endpoint = match &edge.endpoint {
        Ok(endpoint) => endpoint.template.clone(),
        Err(_not_listed) => UNLISTED.to_owned(),
    };
    Subject { day: day_of(edge.at), side: side(edge.role), endpoint }
}

fn of_event(event: &DataEvent) -> Subject {
    Subject {
        day: day_of(event.ts),
        side: side(event.side),
        endpoint: event.event.endpoint.clone(),
    }
}

fn side(role: Role) -> Side {
    match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    }
}

/// More than are between the module and the disk of the outbox on any but the busiest node.
const KEPT_IDS: usize = 64;
/// Stands for every endpoint that the platform does not list: paths are not kept.
const UNLISTED: &str = "(unlisted)";
