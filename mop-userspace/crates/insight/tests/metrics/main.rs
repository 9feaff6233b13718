//! Figures of a participant: what they count, that they are valid by the published document, and
//! that a restart changes nothing.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../published/mod.rs"]
mod published;

mod availability;
mod check;
mod documents;
mod figures;

use jiff::Timestamp;
use mop_insight::data::metrics::{
    CallFigures, Metrics, MetricsData, MetricsOptions, Period, PollAnswer, Priorities, StatusPoll,
};

pub(crate) const ORGANISATION: &str = "ff66b95a-d817-4fbe-949a-c5912e240189";
pub(crate) const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";
pub(crate) const CONSENTS: &str = "/open-insurance/consents/v3/consents";
pub(crate) const STATUS: &str = "/open-insurance/discovery/v1/status";
/// 2026-01-05T00:00:00Z
pub(crate) const DAY: i64 = 1_767_571_200;
pub(crate) const ADDRESS: &str = "https://api.example.com/open-insurance/admin/v1/metrics";

pub(crate) fn options() -> MetricsOptions {
    let levels = Priorities::published().unwrap().levels;
    MetricsOptions { levels, ..MetricsOptions::default() }
}

pub(crate) fn call<'a>(
    second: i64,
    path: &'a str,
    status: u16,
    milliseconds: u64,
) -> CallFigures<'a> {
    CallFigures {
        organisation: ORGANISATION,
        at: Timestamp::from_second(second).unwrap(),
        microseconds: Some(milliseconds * 1000),
        status: Some(status),
        priority: Priorities::published().unwrap().of(path),
        endpoint: Some(path),
    }
}

pub(crate) fn poll(second: i64, answer: PollAnswer<'_>) -> StatusPoll<'_> {
    StatusPoll { organisation: ORGANISATION, at: Timestamp::from_second(second).unwrap(), answer }
}

pub(crate) fn data(metrics: &Metrics, second: i64, period: Period) -> MetricsData {
    metrics.data(ORGANISATION, Timestamp::from_second(second).unwrap(), period).unwrap()
}
