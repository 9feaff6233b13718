//! Operational metrics of the organisations that this node answers for: records at set times, the
//! answer of the admin listener, and what participants publish held against ours.

mod configuration;
mod families;
mod records;
mod route;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mop_insight::data::{
    analyst::Edge,
    identity::directory_id,
    metrics::{
        CheckOutcome, Metrics, MetricsOptions, MetricsSnapshot, OrganisationTotals, Period,
        Priorities, View,
    },
};
use serde_json::Value;

pub(crate) use self::configuration::MetricsSection;
pub(super) use self::route::routes;
use super::{DataConfiguration, State};
use crate::{failure::Failure, output::Outlet};

/// The figures, and when they are told.
pub(super) struct Figures {
    metrics: Metrics,
    priorities: Priorities,
    view: View,
    /// Seconds between records; at least 1.
    every: i64,
    /// Begins the identifiers of records: nodes tell theirs at the same times.
    run: String,
    /// Second of the next records; none before any time is known.
    due: Option<i64>,
    /// Second of the last records.
    told: Option<i64>,
    checks: BTreeMap<CheckOutcome, u64>,
    differences: u64,
    /// Calls that were given up before they came here, as far as they are taken in.
    lost: u64,
    is_changed: bool,
    kept: Instant,
    /// From one saving to the next.
    pause: Duration,
}

/// What is asked for on the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    organisation: String,
    period: Period,
    /// Of the request, as the document wants it.
    address: String,
}

/// What happened since the start, and today's outages.
#[derive(Clone, Debug, Default)]
pub(crate) struct FigureCounts {
    organisations: Vec<OrganisationTotals>,
    checks: BTreeMap<CheckOutcome, u64>,
    differences: u64,
    uncounted: u64,
}

impl Figures {
    /// With the figures of an earlier run, as far as its organisations still are this node's.
    pub(super) fn open(configuration: &DataConfiguration, state: &State) -> Result<Self, Failure> {
        let section = &configuration.metrics;
        let priorities = Priorities::published().map_err(Failure::runtime)?;
        let options = MetricsOptions { levels: priorities.levels.clone(), ..section.options() };
        let restored = state.metrics().map(|bytes| {
            let snapshot = MetricsSnapshot::parse(&bytes)?;
            Metrics::restore(options.clone(), snapshot)
        });
        let mut metrics = match restored {
            Some(Ok(metrics)) => metrics,
            None => Metrics::new(options),
            Some(Err(error)) => {
                eprintln!(
                    "mop: the figures of earlier days are of no use: {error}; they begin anew"
                );
                Metrics::new(options)
            }
        };
        let own = configuration.servers.iter().map(|it| directory_id(&it.organisation_id));
        let own: BTreeSet<String> = own.flatten().collect();
        metrics.retain(|organisation| own.contains(organisation));
        Ok(Self {
            metrics,
            priorities,
            view: section.view(),
            every: section.every_seconds(),
            run: String::new(),
            due: None,
            told: None,
            checks: BTreeMap::new(),
            differences: 0,
            lost: 0,
            is_changed: false,
            kept: Instant::now(),
            pause: SAVE_EVERY,
        })
    }

    /// Names the run that tells them.
    pub(super) fn set_run(&mut self, run: &str) {
        run.clone_into(&mut self.run);
    }

    /// Takes a call in.
    pub(super) fn edge(&mut self, edge: &Edge, outlet: Option<&mut Outlet>) {
        self.is_changed = true;
        let Some(check) = self.metrics.edge(edge, &self.priorities, self.view) else { return };
        *self.checks.entry(check.outcome).or_default() += 1;
        self.differences += check.differences.len() as u64;
        if let Some(outlet) = outlet {
            outlet.push(&check);
        }
    }

    /// The time has come this far: tells the figures when it is time.
    pub(super) fn advance(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        if now == Timestamp::UNIX_EPOCH {
            // No time is known yet.
            return;
        }
        self.metrics.advance(now);
        let second = now.as_second();
        let next = (second.div_euclid(self.every) + 1).saturating_mul(self.every);
        if second >= *self.due.get_or_insert(next) {
            self.due = Some(next);
            self.tell(now, outlet);
        }
    }

    /// Tells the figures for the last time.
    pub(super) fn finish(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.due = Some(i64::MAX);
        if now == Timestamp::UNIX_EPOCH {
            return;
        }
        // Records of one second would be one.
        let is_told = self.told == Some(now.as_second());
        let now = if is_told { now.checked_add(ONE_SECOND).unwrap_or(now) } else { now };
        self.tell(now, outlet);
    }

    /// So many calls were given up since the start: the day lacks them.
    pub(super) fn lose(&mut self, total: u64) {
        let more = total.saturating_sub(self.lost);
        if more > 0 {
            self.metrics.lose(more);
        }
        self.lost = self.lost.max(total);
    }

    /// The whole body of an answer; none when nothing was seen of the organisation.
    pub(super) fn answer(&self, question: &Question, now: Timestamp) -> Option<Value> {
        let Question { organisation, period, address } = question;
        self.metrics.response(organisation, now, *period, address)
    }

    /// Keeps them when it is time: soon after a call, and now and then that time has passed.
    pub(super) fn save(&mut self, state: &State) {
        let pause = if self.is_changed { self.pause } else { self.pause.max(IDLE) };
        if self.kept.elapsed() >= pause {
            self.save_now(state);
        }
    }

    /// Keeps them.
    pub(super) fn save_now(&mut self, state: &State) {
        self.kept = Instant::now();
        let written = self.metrics.snapshot().write().map_err(std::io::Error::other);
        let saved = written.and_then(|bytes| {
            let parts = u32::try_from(bytes.len() / BYTES_PER_SAVING).unwrap_or(u32::MAX);
            self.pause = SAVE_EVERY.saturating_mul(parts.saturating_add(1));
            state.save_metrics(&bytes)
        });
        match saved {
            Ok(()) => self.is_changed = false,
            // The next time may be better; nothing is lost while the process lives.
            Err(error) => eprintln!("mop: the figures of the day cannot be kept: {error}"),
        }
    }

    pub(super) fn counts(&self, now: Timestamp) -> FigureCounts {
        FigureCounts {
            organisations: self.metrics.totals(now),
            checks: self.checks.clone(),
            differences: self.differences,
            uncounted: self.metrics.uncounted(),
        }
    }

    fn tell(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.told = Some(now.as_second());
        let Some(outlet) = outlet else { return };
        for organisation in self.metrics.organisations() {
            if let Some(mut record) = self.metrics.record(organisation, now, Period::All) {
                record.id.insert(0, '/');
                record.id.insert_str(0, &self.run);
                outlet.push(&record);
            }
        }
    }
}

const ONE_SECOND: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// A crash costs the figures since.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Without calls only the time that was watched is to be kept: less than what makes a day lack something.
const IDLE: Duration = Duration::from_secs(30);
/// An organisation has up to half a MiB; many of them are kept less often, 100 KB a second.
const BYTES_PER_SAVING: usize = 1 << 20;

#[cfg(test)]
mod tests;
