//! The section `[data.metrics]`.

use std::time::Duration;

use mop_insight::data::metrics::{DayBoundary, MetricsOptions, Outages, View};
use serde::{Deserialize, Serialize};

use crate::configuration::Problem;

/// How figures are computed and told.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MetricsSection {
    /// From one record of an organisation to the next.
    #[serde(with = "crate::configuration::duration")]
    pub(crate) every: Duration,
    /// Where a day begins.
    pub(crate) day_boundary: DayBoundary,
    /// What makes 30 s an outage.
    pub(crate) outages: Outages,
    /// This node sees every call of its organisations, so that what they publish can be held against
    /// its figures in both directions.
    pub(crate) every_call: bool,
}

impl Default for MetricsSection {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            day_boundary: DayBoundary::default(),
            outages: Outages::default(),
            every_call: false,
        }
    }
}

impl MetricsSection {
    /// Says what is wrong with it.
    pub(in crate::data) fn check(&self, problems: &mut Vec<Problem>) {
        let is_whole = self.every.subsec_nanos() == 0;
        if !is_whole || !(SHORTEST..=LONGEST).contains(&self.every) {
            problems.push(Problem::new(
                "data.metrics.every",
                "whole seconds are wanted, from 1 s to a day",
            ));
        }
    }

    pub(super) fn options(&self) -> MetricsOptions {
        MetricsOptions {
            boundary: self.day_boundary,
            outages: self.outages,
            ..MetricsOptions::default()
        }
    }

    pub(super) fn view(&self) -> View {
        if self.every_call { View::Every } else { View::Part }
    }

    pub(super) fn every_seconds(&self) -> i64 {
        i64::try_from(self.every.as_secs()).unwrap_or(i64::MAX).max(1)
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
/// Figures are of days.
const LONGEST: Duration = Duration::from_secs(86_400);
