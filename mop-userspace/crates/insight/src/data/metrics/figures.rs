//! `data` of `GET /open-insurance/admin/v1/metrics`, as it is published.
//!
//! Source: `admin_metrics` 1.3.0. Rates are strings; those written here also fit the narrower
//! pattern of 2.0.0 (`^1\.0{1,9}$|^0\.\d{1,6}$`). Members beyond the document are passed over when
//! what a participant publishes is read.

use serde::{Deserialize, Serialize};

/// All figures of a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsData {
    /// When they were asked for.
    pub request_time: String,
    /// How much of the time the interfaces could be used.
    pub availability: Availability,
    /// Calls.
    pub invocations: ByClass,
    /// Mean time of responses, milliseconds.
    pub average_response: ByClass,
    /// Mean number of calls in a second, rounded to the nearest.
    pub average_tps: Days,
    /// Most calls in one second.
    pub peak_tps: Days,
    /// Answers of class 5xx.
    pub errors: Days,
    /// Answers 429.
    pub rejections: Days,
}

/// Figures of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByClass {
    /// Calls that need no token.
    pub unauthenticated: Days,
    /// High priority.
    pub high_priority: Days,
    /// Medium priority.
    pub medium_priority: Days,
    /// All others.
    pub unattended: Days,
}

/// A figure of today and of the days before, yesterday first; at most seven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Days {
    /// Today, so far.
    pub current_day: u64,
    /// Yesterday, the day before, and so on.
    pub previous_days: Vec<u64>,
}

/// Availability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// As shares.
    pub uptime: Uptime,
    /// As seconds.
    pub downtime: Downtime,
}

/// Shares of the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uptime {
    /// All interfaces at once.
    pub general_uptime_rate: String,
    /// Each endpoint.
    pub endpoints: Vec<EndpointUptime>,
}

/// Share of the time of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointUptime {
    /// The endpoint.
    pub url: String,
    /// Its share.
    pub uptime_rate: String,
}

/// Seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Downtime {
    /// Any interface.
    pub general_downtime: u64,
    /// Announced outages, which are not counted in the others.
    pub scheduled_outage: u64,
    /// Each endpoint.
    pub endpoints: Vec<EndpointDowntime>,
}

/// Seconds of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDowntime {
    /// The endpoint.
    pub url: String,
    /// Seconds.
    pub partial_downtime: u64,
}

/// Why published figures cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// Not of the form of the document.
    #[error("the published figures are not of the form of admin_metrics 1.3.0")]
    Form(#[source] serde_json::Error),
    /// More endpoints than [`MAX_PUBLISHED_ENDPOINTS`].
    #[error("the published figures are of more than {MAX_PUBLISHED_ENDPOINTS} endpoints")]
    Endpoints,
    /// More than [`MAX_FIGURES_BYTES`].
    #[error("the published figures are longer than {MAX_FIGURES_BYTES} bytes")]
    TooLong,
}

impl MetricsData {
    /// Reads the body of an answer: `{"data": …}`.
    pub fn parse_response(bytes: &[u8]) -> Result<Self, FiguresError> {
        #[derive(Deserialize)]
        struct Response {
            data: MetricsData,
        }
        if bytes.len() > MAX_FIGURES_BYTES {
            return Err(FiguresError::TooLong);
        }
        let Response { data } = serde_json::from_slice(bytes).map_err(FiguresError::Form)?;
        let Availability { uptime, downtime } = &data.availability;
        if uptime.endpoints.len().max(downtime.endpoints.len()) > MAX_PUBLISHED_ENDPOINTS {
            return Err(FiguresError::Endpoints);
        }
        Ok(data)
    }
}

/// A share as the document writes it, rounded down: only what never failed is `1.000000`.
pub(super) fn rate(part: u64, whole: u64) -> String {
    let millionths = match u128::from(whole) {
        0 => MILLION,
        whole => (u128::from(part) * MILLION / whole).min(MILLION),
    };
    format!("{}.{:06}", millionths / MILLION, millionths % MILLION)
}

/// Millionths of a share that somebody else wrote: `^\d{1}\.\d{1,16}$`.
pub(super) fn millionths(rate: &str) -> Option<u64> {
    let (whole, fraction) = rate.split_once('.')?;
    let is_digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    if whole.len() != 1 || !is_digits(whole) || !is_digits(fraction) || fraction.is_empty() {
        return None;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Some(whole.parse::<u64>().ok()? * 1_000_000 + digits.parse::<u64>().ok()?)
}

const MILLION: u128 = 1_000_000;
/// 512 endpoints, each twice, with addresses of 300 characters.
pub const MAX_FIGURES_BYTES: usize = 512 * 1024;
/// Four times as many as there are: each of ours is looked for among them.
pub const MAX_PUBLISHED_ENDPOINTS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_down_and_read_back() {
        assert_eq!(rate(86_370, 86_400), "0.999652");
        assert_eq!(rate(86_400, 86_400), "1.000000");
        assert_eq!(rate(u64::MAX - 1, u64::MAX), "0.999999");
        assert_eq!(rate(0, 0), "1.000000");
        assert_eq!(rate(0, 10), "0.000000");
        assert_eq!(millionths("0.999652"), Some(999_652));
        assert_eq!(millionths("0.9"), Some(900_000));
        assert_eq!(millionths("1.0000000000000000"), Some(1_000_000));
        for wrong in ["", "1", ".5", "0.", "10.0", "0.5x", "-0.5", "0,5"] {
            assert_eq!(millionths(wrong), None, "{wrong}");
        }
    }
}
