//! The figures that a participant publishes under `GET /open-insurance/admin/v1/metrics`, computed
//! from its calls: to serve them, or to compare them with what it publishes.
//!
//! ```text
//! CallFigures ─┐                                    ┌─> MetricsData    the body's `data`
//! StatusPoll  ─┴─> one Tenant an organisation, by day ─> MetricsRecord  with levels of service
//! what it publishes ─────────────────────────────────> MetricsCheck   where they differ
//! ```
//!
//! What each figure means, where its document is silent:
//! - `invocations`: every call that began in the day, answered or not, rejected ones included;
//! - `averageResponse`: mean of the answered ones without 429 (portal, non-functional
//!   requirements), from the first byte of the request to the last of the response;
//! - `averageTps`: calls by the seconds of the day that were observed, to the nearest whole;
//! - `errors`: answers 500 to 599; `rejections`: answers 429;
//! - availability (`admin_metrics.docx`): the day is cut into 30 s, the interval of the polls of
//!   `/discovery/status`. A slot is down when a poll in it says so ([`PollAnswer`]), or, with
//!   [`Outages::PollsAndServerErrors`], when the endpoint answered 5xx in it; 4xx are none. Slots
//!   of an announced outage count in no share.
//!
//! Source: `admin_metrics` 1.3.0, `admin_metrics.docx`, portal (non-functional requirements),
//! Workshop_PCM.pdf.
//!
//! Each call costs a few look-ups. Memory: [`MAX_ORGANISATIONS`] organisations of
//! [`MAX_ENDPOINTS`] endpoints and eight days, half a megabyte each.

pub mod check;
pub mod compare;
mod day;
mod feed;
pub mod figures;
pub mod histogram;
pub mod priority;
pub mod record;
mod snapshot;
mod tenant;
pub mod totals;
mod watch;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::{check::Ours, priority::LevelLimit, tenant::Tenant, watch::Watch};
pub use self::{
    check::{CheckOutcome, MetricsCheck, Published, View},
    day::DayBoundary,
    figures::MetricsData,
    priority::{Priorities, Priority, PriorityClass, ServiceLevel},
    record::MetricsRecord,
    snapshot::{MetricsSnapshot, MetricsSnapshotError, SNAPSHOT_VERSION},
    totals::{OrganisationTotals, Totals},
};

/// What one call adds to the figures of the organisation that was called. A call that this node made
/// is none of its own organisation's: only those seen in the role of the server belong here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFigures<'a> {
    /// Organisation that was called.
    pub organisation: &'a str,
    /// When the request began.
    pub at: Timestamp,
    /// First byte of the request to last byte of the response; none when there was no whole one.
    pub microseconds: Option<u64>,
    /// Status of the response; none when there was none.
    pub status: Option<u16>,
    /// As [`Priorities::of`] has it.
    pub priority: Priority,
    /// Path template of the operation; none when no contract has it.
    pub endpoint: Option<&'a str>,
}

/// A poll of `/discovery/status` that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusPoll<'a> {
    /// Organisation that was polled.
    pub organisation: &'a str,
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub answer: PollAnswer<'a>,
}

/// What a poll said of the interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollAnswer<'a> {
    /// Nothing within a second: all are down.
    NoAnswer,
    /// `OK`: all are up.
    Ok,
    /// `PARTIAL_FAILURE`, and `unavailableEndpoints`: those are down, or all if none is named.
    PartialFailure(&'a [String]),
    /// `SCHEDULED_OUTAGE`: counted apart.
    ScheduledOutage,
    /// A status of 500 to 599: all are down.
    ServerError,
    /// `UNAVAILABLE`: all are down.
    Unavailable,
}

/// What makes a slot of 30 s one of an outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outages {
    /// A poll alone.
    Polls,
    /// A poll, or a call that was answered 5xx: "5xx count as outage" (admin_metrics.docx).
    #[default]
    PollsAndServerErrors,
}

/// Which days are asked for (`period`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Period {
    /// Today and the seven days before.
    All,
    /// Today.
    Current,
}

/// How figures are computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Where a day begins.
    pub boundary: DayBoundary,
    /// What makes an outage.
    pub outages: Outages,
    /// Limits of response times.
    pub levels: Vec<LevelLimit>,
}

/// Figures of all organisations of a node.
#[derive(Clone, Debug)]
pub struct Metrics {
    options: MetricsOptions,
    tenants: BTreeMap<String, Tenant>,
    /// Since the process began; of the same organisations.
    totals: BTreeMap<String, Totals>,
    watch: Watch,
    /// Calls and polls of organisations beyond [`MAX_ORGANISATIONS`].
    beyond: u64,
}

impl Metrics {
    /// Begins without figures.
    #[must_use]
    pub fn new(options: MetricsOptions) -> Self {
        Self {
            options,
            tenants: BTreeMap::new(),
            totals: BTreeMap::new(),
            watch: Watch::default(),
            beyond: 0,
        }
    }

    /// The organisations were watched until now, whether or not they were called.
    pub fn advance(&mut self, now: Timestamp) {
        self.watch.through(now.as_second(), self.options.boundary);
    }

    /// Forgets all other organisations.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.tenants.retain(|organisation, _| is_kept(organisation));
        self.totals.retain(|organisation, _| is_kept(organisation));
    }

    /// Calls were seen and given up: figures of the day lack them.
    pub fn lose(&mut self, calls: u64) {
        self.watch.lose(calls, self.options.boundary);
    }

    /// Counts a call.
    pub fn observe(&mut self, call: &CallFigures<'_>) {
        let limit = call.priority.level.and_then(|level| {
            self.options.levels.iter().find(|it| it.level == level).map(|it| it.p95_milliseconds)
        });
        let (boundary, outages) = (self.options.boundary, self.options.outages);
        self.advance(call.at);
        let Some(tenant) = self.tenant(call.organisation) else {
            self.beyond += 1;
            return;
        };
        tenant.observe(call, limit, boundary, outages);
        self.total(call.organisation, |totals| totals.add(call, limit));
    }

    /// Counts a poll.
    pub fn poll(&mut self, poll: &StatusPoll<'_>) {
        let boundary = self.options.boundary;
        self.advance(poll.at);
        let Some(tenant) = self.tenant(poll.organisation) else {
            self.beyond += 1;
            return;
        };
        tenant.poll(poll.at.as_second(), poll.answer, boundary);
        self.total(poll.organisation, |totals| totals.polls += 1);
    }

    /// Organisations that were called.
    pub fn organisations(&self) -> impl Iterator<Item = &str> {
        self.tenants.keys().map(String::as_str)
    }

    /// Calls and polls that were not counted: of organisations beyond [`MAX_ORGANISATIONS`], and
    /// of days before those that are kept.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.beyond + self.tenants.values().map(Tenant::late).sum::<u64>()
    }

    /// `data` of an organisation; none when it was never called.
    #[must_use]
    pub fn data(&self, organisation: &str, now: Timestamp, period: Period) -> Option<MetricsData> {
        let tenant = self.tenants.get(organisation)?;
        Some(tenant.data(now.as_second(), period, self.options.boundary, &self.watch))
    }

    /// Holds what an organisation published against ours.
    #[must_use]
    pub fn check(&self, organisation: &str, published: &Published<'_>, view: View) -> MetricsCheck {
        let boundary = self.options.boundary;
        let period = published.period.unwrap_or(Period::All);
        let tenant = self.tenants.get(organisation);
        let today = boundary.day_of(published.at.as_second());
        let mut whole = [false; 8];
        for (day, whole) in (0..=today).rev().zip(&mut whole) {
            let is_known = tenant.is_some_and(|it| it.is_known_since(boundary.begin_of(day)));
            *whole = is_known && self.watch.is_whole(day, boundary);
        }
        let days = tenant.into_iter().flat_map(|it| it.days(today, period));
        let ours = Ours {
            organisation,
            boundary,
            view,
            data: self.data(organisation, published.at, period),
            whole,
            polls: days.map(|day| day.polls).sum(),
        };
        MetricsCheck::new(&ours, published)
    }

    /// Counts of all organisations since the process began, and today's outages.
    #[must_use]
    pub fn totals(&self, now: Timestamp) -> Vec<OrganisationTotals> {
        let today = self.options.boundary.day_of(now.as_second());
        self.tenants
            .iter()
            .map(|(organisation, tenant)| {
                let day = tenant.days(today, Period::Current).next();
                OrganisationTotals {
                    organisation: organisation.clone(),
                    totals: self.totals.get(organisation).copied().unwrap_or_default(),
                    down_seconds: day.map_or(0, |day| day.general.seconds()),
                    scheduled_seconds: day.map_or(0, |day| day.scheduled.seconds()),
                }
            })
            .collect()
    }

    /// The whole body of the answer. `address` is that of the request
    /// (`https://…/open-insurance/admin/v1/metrics`).
    #[must_use]
    pub fn response(
        &self,
        organisation: &str,
        now: Timestamp,
        period: Period,
        address: &str,
    ) -> Option<Value> {
        let data = self.data(organisation, now, period)?;
        Some(json!({
            "data": data,
            "links": { "self": address },
            "meta": { "totalRecords": 1, "totalPages": 1 },
        }))
    }

    /// The record of an organisation.
    #[must_use]
    pub fn record(
        &self,
        organisation: &str,
        now: Timestamp,
        period: Period,
    ) -> Option<MetricsRecord> {
        let tenant = self.tenants.get(organisation)?;
        let data = self.data(organisation, now, period)?;
        Some(MetricsRecord::new(
            organisation,
            now,
            period,
            &self.options,
            (tenant, &self.watch),
            data,
        ))
    }

    /// Counts for an organisation that is known.
    fn total(&mut self, organisation: &str, count: impl FnOnce(&mut Totals)) {
        match self.totals.get_mut(organisation) {
            Some(totals) => count(totals),
            None => count(self.totals.entry(organisation.to_owned()).or_default()),
        }
    }

    fn tenant(&mut self, organisation: &str) -> Option<&mut Tenant> {
        if !self.tenants.contains_key(organisation) {
            let fits = organisation.len() <= MAX_ORGANISATION_BYTES;
            if self.tenants.len() >= MAX_ORGANISATIONS || !fits {
                return None;
            }
            self.tenants.insert(organisation.to_owned(), Tenant::default());
        }
        self.tenants.get_mut(organisation)
    }
}

/// A supplier hosts tens of participants on one cluster; the ecosystem has about 56.
pub const MAX_ORGANISATIONS: usize = 64;
/// The platform's own list has 328 templates.
pub const MAX_ENDPOINTS: usize = 512;
/// Identifiers of the directory have 36.
const MAX_ORGANISATION_BYTES: usize = 64;
