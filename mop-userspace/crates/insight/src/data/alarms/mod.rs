//! What is unlike itself in the calls of a node, and what will be: alarms.
//!
//! ```text
//! Edge ─▶ window of 60 s ─▶ Watch, by organisation       calls, errors, latency ─┐
//!                        ├▶ Watch, by client and endpoint                        ├▶ incidents ─▶ AnomalyRecord
//!      ─▶ error budgets, by organisation and level       burn rate, run-out ─────┤
//! certificates, fill of the outbox                       forecasts ──────────────┘
//! ```
//!
//! **Time** is that of the calls, a call being counted when it ended, and what [`Alarms::advance`] is
//! told. A window is judged [`GRACE`] after its end, since calls come out of the analyst some
//! seconds late. Windows without calls are judged too: silence is what an outage looks like. Time in
//! which nothing was observed is none: after a start, a restart or [`Alarms::interrupted`] judging
//! begins with the first whole window that comes [`SETTLING_WINDOWS`] later.
//!
//! **Subjects.** The calls of an organisation as a whole are watched, so that a trouble that is
//! spread over many quiet routes is seen; and those of each client to each endpoint.
//!
//! The same calls and times give the same records. Everything costs a few look-ups a call. Memory:
//! 4 KiB a subject, of which there are at most [`AlarmSettings::most_keys`] routes and
//! [`MAX_ORGANISATIONS`] organisations, and as much as a sketch for each in each of two windows.

mod certificates;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod incidents;
mod judge;
mod minute;
mod objectives;
mod outbox;
mod record;
mod snapshot;
mod spent;
mod subject;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use mop_wire::Role;

use self::{
    certificates::{Certificates, Holder, MAX_CERTIFICATES},
    incidents::Incidents,
    minute::{Added, Minute},
    objectives::{Demands, Objectives},
    outbox::OutboxFill,
};
pub use self::{
    record::{
        AlarmState, AnomalyRecord, RECORD_KIND, RECORD_SCHEMA_VERSION, Severity, WindowRecord,
    },
    snapshot::{AlarmsSnapshotError, MAX_SNAPSHOT_BYTES, SNAPSHOT_VERSION},
    subject::{AlarmSignal, Scope, Subject, UNLISTED},
};
use super::{
    analyst::Edge,
    metrics::{Priorities, ServiceLevel},
};
use crate::anomaly::Watch;

/// How alarms are made.
#[derive(Clone, Debug)]
pub struct AlarmSettings {
    /// Length of a window, in seconds.
    pub window_seconds: i64,
    /// Routes that are watched, at most.
    pub most_keys: usize,
    /// Signals that are not told.
    pub silenced: BTreeSet<AlarmSignal>,
    /// What is demanded of response times and availability.
    pub priorities: Priorities,
    /// Tells the incidents of nodes apart.
    pub node: String,
}

/// Watches the calls of a node.
#[derive(Debug)]
pub struct Alarms {
    window_seconds: i64,
    demands: Demands,
    organisations: Watch<Subject>,
    routes: Watch<Subject>,
    /// Windows that are not judged yet, by their number since 1970.
    counting: BTreeMap<i64, Minute>,
    /// The window that is judged next.
    next: Option<i64>,
    objectives: BTreeMap<Subject, Objectives>,
    outbox: OutboxFill,
    certificates: Certificates,
    incidents: Incidents,
    counts: AlarmCounts,
    burn_rates: Arc<[BurnGauge]>,
}

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmCounts {
    /// Alarms that are open and told.
    pub open: BTreeMap<AlarmSignal, u64>,
    /// Alarms that opened and were told.
    pub opened: BTreeMap<AlarmSignal, u64>,
    /// Those that closed.
    pub closed: BTreeMap<AlarmSignal, u64>,
    /// Alarms of routes that were part of one of their organisation.
    pub covered: u64,
    /// Subjects that went because there was no room.
    pub evicted: u64,
    /// Calls, or whole windows of a budget, that were not counted for lack of room.
    pub beyond: u64,
    /// Calls that ended in a window that is judged already, or is not going to be.
    pub late: u64,
    /// Routes and organisations that are watched.
    pub keys: u64,
}

/// How fast an error budget was spent in the last hour.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnGauge {
    /// Organisation that answers, when it is known.
    pub organisation: Option<String>,
    /// Part of the observed process.
    pub role: Role,
    /// `availability`, or a level of service.
    pub objective: &'static str,
    /// 1 spends a budget in just its time.
    pub rate: f64,
}

impl Alarms {
    /// Begins without knowledge.
    #[must_use]
    pub fn new(settings: AlarmSettings) -> Self {
        let AlarmSettings { window_seconds, most_keys, silenced, priorities, node } = settings;
        Self {
            window_seconds: window_seconds.clamp(1, MAX_WINDOW_SECONDS),
            demands: Demands::new(priorities),
            organisations: Watch::new(MAX_ORGANISATIONS),
            routes: Watch::new(most_keys),
            counting: BTreeMap::new(),
            next: None,
            objectives: BTreeMap::new(),
            outbox: OutboxFill::default(),
            certificates: Certificates::default(),
            incidents: Incidents::new(node, silenced),
            counts: AlarmCounts::default(),
            burn_rates: Arc::default(),
        }
    }

    /// Counts a call.
    pub fn observe(&mut self, edge: &Edge) {
        let took = i64::try_from(edge.microseconds.unwrap_or_default()).unwrap_or(i64::MAX);
        let end = edge.at.as_microsecond().saturating_add(took).div_euclid(1_000_000);
        let route = Subject::route(edge);
        let whole = route.whole();
        let added = Added::of(edge);
        let number = self.number_of(end);
        let next = *self.next.get_or_insert(number.saturating_add(SETTLING_WINDOWS));
        let is_new = !self.counting.contains_key(&number);
        if number < next || (is_new && self.counting.len() >= MAX_COUNTING) {
            self.counts.late += 1;
            return;
        }
        let slow = self.is_slow(edge, added);
        let minute = self.counting.entry(number).or_default();
        if minute.spent.len() < MAX_ORGANISATIONS || minute.spent.contains_key(&whole) {
            let is_failed = added.is_failed.filter(|_| !Added::is_rejected(edge));
            minute.spent.entry(whole.clone()).or_default().add(is_failed, slow);
        }
        if let (Some(end), Some(client)) =
            (edge.client_certificate_end, &edge.parties.client_organisation)
            && minute.certificates.len() < MAX_CERTIFICATES
        {
            minute.certificates.insert((client.clone(), end.as_second()));
        }
        let most_routes = self.routes.most_keys();
        for (counted, subject, most) in [
            (&mut minute.organisations, whole, MAX_ORGANISATIONS),
            (&mut minute.routes, route, most_routes),
        ] {
            if counted.len() < most || counted.contains_key(&subject) {
                counted.entry(subject).or_default().add(added);
            } else {
                self.counts.beyond += 1;
            }
        }
    }

    /// How much of the outbox is used, in bytes.
    pub fn sample_outbox(&mut self, at: Timestamp, used: u64, limit: u64) {
        self.outbox.sample(at.as_second(), used, limit);
    }

    /// A certificate of this node's configuration, by the key that names it.
    pub fn sample_certificate(&mut self, key: &str, not_after: Timestamp, now: Timestamp) {
        let holder = Holder::Key(key.to_owned());
        self.certificates.see(holder, not_after.as_second(), now.as_second());
    }

    /// The time has come this far: gives the alarms that opened and closed.
    pub fn advance(&mut self, now: Timestamp) -> Vec<AnomalyRecord> {
        self.judge_before(self.number_of(now.as_second().saturating_sub(GRACE)), now)
    }

    /// Nothing comes any more: judges what is whole, and leaves what is not.
    pub fn finish(&mut self, now: Timestamp) -> Vec<AnomalyRecord> {
        let told = self.judge_before(self.number_of(now.as_second()), now);
        self.interrupted();
        told
    }

    /// Nothing was observed for a while: that time is no silence.
    pub fn interrupted(&mut self) {
        self.counting.clear();
        self.next = None;
    }

    /// What happened, since the start.
    #[must_use]
    pub fn counts(&self) -> AlarmCounts {
        AlarmCounts {
            open: self.incidents.told_open(),
            evicted: self.routes.evicted()
                + self.organisations.evicted()
                + self.certificates.evicted,
            keys: (self.routes.len() + self.organisations.len()) as u64,
            ..self.counts.clone()
        }
    }

    /// How fast budgets are spent, as of the last window.
    #[must_use]
    pub fn burn_rates(&self) -> Arc<[BurnGauge]> {
        Arc::clone(&self.burn_rates)
    }

    fn number_of(&self, second: i64) -> i64 {
        second.div_euclid(self.window_seconds)
    }

    /// The level that the answer must have, and whether it was too slow for it.
    fn is_slow(&self, edge: &Edge, added: Added) -> Option<(ServiceLevel, bool)> {
        let priorities = &self.demands.priorities;
        let level = priorities.of(edge.operation()?).level?;
        let limit = u64::from(priorities.limit_milliseconds(level)?) * 1000;
        Some((level, added.microseconds? > limit))
    }

    /// Judges the windows before one.
    fn judge_before(&mut self, due: i64, now: Timestamp) -> Vec<AnomalyRecord> {
        let this = self.number_of(now.as_second());
        let first = *self.next.get_or_insert(this.saturating_add(SETTLING_WINDOWS));
        let most = (MOST_CATCHING_UP / self.window_seconds).max(1);
        let end = due.min(first.saturating_add(most));
        for number in first..end {
            self.judge(number);
        }
        if due > end {
            // Nobody observed for so long without a call.
            self.interrupted();
            self.next = Some(this.saturating_add(SETTLING_WINDOWS));
        } else if end > first {
            self.next = Some(end);
        }
        self.incidents.take_told()
    }
}

/// Organisations that are watched, in each role: a supplier hosts tens of participants on one
/// cluster, and each may call all of the ecosystem's 56.
pub const MAX_ORGANISATIONS: usize = 128;
/// Seconds after its end that a window is judged: the analyst waits for up to seven.
pub const GRACE: i64 = 15;
/// Windows that are not judged after a start: the one that had begun, and the one in which probes
/// are attached and calls begin to come.
pub const SETTLING_WINDOWS: i64 = 2;
/// Windows are no longer than an hour.
pub const MAX_WINDOW_SECONDS: i64 = 3600;
/// Windows that are counted at a time: the one of now, the one before, and some for calls that come
/// out of their order.
const MAX_COUNTING: usize = 4;
/// Seconds without a call and without being told of the time, as in a file, that are still taken for
/// observed silence: a day. It bounds the work of one call, too.
const MOST_CATCHING_UP: i64 = 86_400;
