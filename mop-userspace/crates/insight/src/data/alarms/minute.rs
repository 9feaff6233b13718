//! What is counted in one window.

use std::collections::{BTreeMap, BTreeSet};

use super::{Subject, spent::Spent};
use crate::{
    anomaly::{Sketch, Window},
    data::{analyst::Edge, call::Answer},
};

/// Counts of one window, by subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Minute {
    pub(super) organisations: BTreeMap<Subject, Counted>,
    pub(super) routes: BTreeMap<Subject, Counted>,
    /// What was spent of the budgets of each organisation.
    pub(super) spent: BTreeMap<Subject, Spent>,
    /// Client organisations, and the ends of the certificates that they showed.
    pub(super) certificates: BTreeSet<(String, i64)>,
}

/// Counts of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    calls: u64,
    errors: u64,
    latencies: Sketch,
}

/// What a call adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    /// None: whether it failed was not seen.
    pub(super) is_failed: Option<bool>,
    /// Of an answer that says how fast the service is.
    pub(super) microseconds: Option<u64>,
}

impl Added {
    pub(super) fn of(edge: &Edge) -> Self {
        let is_failed = match edge.answer {
            Answer::Status(status) => Some((500..=599).contains(&status)),
            Answer::TimedOut => Some(true),
            Answer::Unseen => None,
        };
        let is_timed = match edge.answer {
            // Refused before anything was done, by demand of the limits of traffic.
            Answer::Status(TOO_MANY) => false,
            Answer::Status(_) => true,
            Answer::TimedOut | Answer::Unseen => false,
        };
        Self { is_failed, microseconds: edge.microseconds.filter(|_| is_timed) }
    }

    /// Whether its failing counts in a budget.
    pub(super) fn is_rejected(edge: &Edge) -> bool {
        edge.answer == Answer::Status(TOO_MANY)
    }
}

impl Minute {
    /// The route that has at least half of the failures of its organisation.
    pub(super) fn worst(&self, whole: &Subject) -> Option<&Subject> {
        let all = self.organisations.get(whole)?.errors;
        let of_it = self.routes.iter().filter(|(route, _)| {
            route.organisation == whole.organisation && route.side == whole.side
        });
        let (route, counted) = of_it.max_by_key(|(_, counted)| counted.errors)?;
        (all > 0 && counted.errors.saturating_mul(2) >= all).then_some(route)
    }
}

impl Counted {
    pub(super) fn add(&mut self, added: Added) {
        self.calls = self.calls.saturating_add(1);
        self.errors = self.errors.saturating_add(u64::from(added.is_failed == Some(true)));
        if let Some(microseconds) = added.microseconds {
            self.latencies.add(microseconds as f64 / 1e6);
        }
    }

    /// As the engine takes it; `time` is that of the business day.
    pub(super) fn window(&self, time: i64) -> Window<'_> {
        let Self { calls, errors, latencies } = self;
        Window { time, calls: *calls, errors: *errors, latencies }
    }
}

/// Too Many Requests (RFC 6585, section 4).
const TOO_MANY: u16 = 429;
