//! The record of an organisation's figures, with what the levels of service demand beside them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    MetricsOptions, Period, day::DayBoundary, figures::MetricsData, histogram::Histogram,
    priority::ServiceLevel, tenant::Tenant, watch::Watch,
};

/// Figures of an organisation. Its schema is `rules/schemas/data.metrics.schema.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsRecord {
    /// Always [`RECORD_KIND`].
    pub kind: String,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Organisation, boundary, period and second: equal ones are the same record.
    pub id: String,
    /// The organisation that was called.
    pub organisation: String,
    /// Which days.
    pub period: Period,
    /// Where a day begins.
    pub day_boundary: DayBoundary,
    /// `data` as it would be published.
    pub data: MetricsData,
    /// Response times of the period by level of service.
    pub levels: Vec<LevelRecord>,
    /// What the figures rest on.
    pub coverage: Coverage,
}

/// Response times of one level of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRecord {
    /// The level.
    pub level: ServiceLevel,
    /// What is demanded of the 95th percentile, milliseconds.
    pub limit_milliseconds: u32,
    /// Calls whose time counts.
    pub calls: u64,
    /// Of these, within the limit.
    pub within: u64,
    /// The 95th percentile, milliseconds, with a relative error of at most 1/32.
    pub p95_milliseconds: Option<u64>,
    /// Whether at least 95 of 100 calls are within the limit: exact.
    pub is_met: bool,
}

/// What figures rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Seconds of the period that were observed.
    pub observed_seconds: u64,
    /// Polls of `/discovery/status` that were seen: without any, availability says only what calls
    /// showed.
    pub polls: u64,
    /// Calls and polls that came too late to be counted.
    pub late: u64,
}

impl MetricsRecord {
    pub(super) fn new(
        organisation: &str,
        now: Timestamp,
        period: Period,
        options: &MetricsOptions,
        (tenant, watch): (&Tenant, &Watch),
        data: MetricsData,
    ) -> Self {
        let boundary = options.boundary;
        let now = now.as_second();
        let today = boundary.day_of(now);
        let levels = options.levels.iter().map(|limit| {
            let position = ServiceLevel::ALL.iter().position(|it| *it == limit.level);
            let (mut times, mut within) = (Histogram::default(), 0);
            for day in tenant.days(today, period) {
                if let Some(level) = position.and_then(|it| day.levels.get(it)) {
                    times.merge(&level.times);
                    within += level.within;
                }
            }
            let calls = times.total();
            LevelRecord {
                level: limit.level,
                limit_milliseconds: limit.p95_milliseconds,
                calls,
                within,
                p95_milliseconds: times.percentile(95).map(|it| (it + 500) / 1000),
                is_met: u128::from(within) * 100 >= u128::from(calls) * 95,
            }
        });
        let days = || tenant.days(today, period);
        let coverage = Coverage {
            observed_seconds: days()
                .map(|it| tenant.observed_seconds(it.day, now, boundary, watch))
                .sum(),
            polls: days().map(|it| it.polls).sum(),
            late: tenant.late(),
        };
        let (begin, name) = match (boundary, period) {
            (DayBoundary::Brasilia, Period::All) => ("brasilia", "all"),
            (DayBoundary::Brasilia, Period::Current) => ("brasilia", "current"),
            (DayBoundary::Utc, Period::All) => ("utc", "all"),
            (DayBoundary::Utc, Period::Current) => ("utc", "current"),
        };
        Self {
            kind: RECORD_KIND.to_owned(),
            schema_version: RECORD_SCHEMA_VERSION,
            id: format!("{organisation}/{begin}/{name}/{now}"),
            organisation: organisation.to_owned(),
            period,
            day_boundary: boundary,
            data,
            levels: levels.collect(),
            coverage,
        }
    }
}

/// `kind` of the record.
pub const RECORD_KIND: &str = "data.metrics";
/// Version of the record's schema.
pub const RECORD_SCHEMA_VERSION: u32 = 1;
