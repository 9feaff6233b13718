//! What the observed server says of its own operation: answers of `/discovery/v*/status` and of
//! `/admin/v*/metrics`.
//!
//! Sources: `discovery` 1.3.0, `data.status[]` with `code` and `unavailableEndpoints`; `admin_metrics`
//! 1.3.0 and `admin_metrics.docx`: the status is polled with a time limit of a second; 4xx is no outage.

use mop_contract::{json::Value, route::path_of};
use mop_wire::{Ending, Exchange, Role};

use super::{Method, Span, body::Bodies};
use crate::data::{
    endpoint::regulated_path,
    metrics::{MAX_ENDPOINTS, MetricsData, Period, PollAnswer, figures::MAX_FIGURES_BYTES},
};

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum SelfReport {
    /// Its figures.
    Figures(Box<PublishedFigures>),
    /// Its state.
    Status(StatusReport),
}

/// Figures as they were published.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedFigures {
    /// `period` of the request; none when it did not say.
    pub period: Option<Period>,
    /// None when they are not of the form of the document, or were not seen whole.
    pub data: Option<MetricsData>,
}

/// What a poll of the state learnt; see [`PollAnswer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReport {
    /// Nothing within a second.
    NoAnswer,
    /// All are up.
    Ok,
    /// These are down, at most [`MAX_ENDPOINTS`]; all, when there is none.
    PartialFailure(Vec<String>),
    /// An announced outage.
    ScheduledOutage,
    /// A status of 500 to 599.
    ServerError,
    /// All are down.
    Unavailable,
}

impl StatusReport {
    /// As figures are made of it.
    #[must_use]
    pub fn answer(&self) -> PollAnswer<'_> {
        match self {
            Self::NoAnswer => PollAnswer::NoAnswer,
            Self::Ok => PollAnswer::Ok,
            Self::PartialFailure(named) => PollAnswer::PartialFailure(named),
            Self::ScheduledOutage => PollAnswer::ScheduledOutage,
            Self::ServerError => PollAnswer::ServerError,
            Self::Unavailable => PollAnswer::Unavailable,
        }
    }
}

/// What is known of a call beside its messages.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) method: Method,
    /// Until the last byte of the answer; none when that was not seen.
    pub(super) span: Option<Span>,
    /// When its connection ended.
    pub(super) connection_end_ns: Option<u64>,
}

/// Reads what an observed server says of itself; none when it says nothing, or nothing is known of
/// it.
pub(super) fn read(exchange: &Exchange, known: Known, bodies: &mut Bodies) -> Option<SelfReport> {
    let request = exchange.request.as_ref()?;
    if exchange.role != Role::Server || known.method != Method::Get {
        return None;
    }
    match operation(regulated_path(path_of(&request.target))?)? {
        Operation::Metrics => figures(exchange, period(&request.target), bodies),
        Operation::Status => status(exchange, known, bodies).map(SelfReport::Status),
    }
}

enum Operation {
    Metrics,
    Status,
}

fn operation(path: &str) -> Option<Operation> {
    let mut segments = path.trim_end_matches('/').split('/').skip(2);
    let (interface, version, last) = (segments.next()?, segments.next()?, segments.next()?);
    let number = version.strip_prefix('v')?;
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    if !is_number || segments.next().is_some() {
        return None;
    }
    match (interface, last) {
        ("admin", "metrics") => Some(Operation::Metrics),
        ("discovery", "status") => Some(Operation::Status),
        _ => None,
    }
}

fn period(target: &str) -> Option<Period> {
    let (_, query) = target.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("period="));
    let value = values.next()?;
    match (value, values.next()) {
        ("ALL", None) => Some(Period::All),
        ("CURRENT", None) => Some(Period::Current),
        _ => None,
    }
}

fn figures(exchange: &Exchange, period: Option<Period>, bodies: &mut Bodies) -> Option<SelfReport> {
    let response = exchange.response.as_ref().filter(|it| it.status == 200)?;
    let data = bodies
        .bytes(&response.headers, &response.body, MAX_FIGURES_BYTES)
        .and_then(|bytes| MetricsData::parse_response(&bytes).ok());
    Some(SelfReport::Figures(Box::new(PublishedFigures { period, data })))
}

fn status(exchange: &Exchange, known: Known, bodies: &mut Bodies) -> Option<StatusReport> {
    let start_ns = exchange.timing.request_start_ns;
    let is_late = |end_ns: u64| end_ns.saturating_sub(start_ns) > POLL_LIMIT_NS;
    let Some(response) = &exchange.response else {
        let completeness = &exchange.completeness;
        let is_unanswered = completeness.ending == Ending::ResponseCut
            && completeness.request.missing_bytes == 0
            && completeness.response.framed_bytes == 0
            && completeness.response.missing_bytes == 0;
        let is_given_up = is_unanswered && known.connection_end_ns.is_some_and(is_late);
        return is_given_up.then_some(StatusReport::NoAnswer);
    };
    match response.status {
        500..=599 => Some(StatusReport::ServerError),
        200 if known.span.is_some_and(|span| is_late(span.end_ns)) => Some(StatusReport::NoAnswer),
        200 => bodies.json(&response.headers, &response.body, said).flatten(),
        _ => None,
    }
}

/// What a body says; none when it says what no document knows.
fn said(body: Value<'_>) -> Option<StatusReport> {
    let list = body.pointer("/data/status")?;
    // The document has a list; one alone is as plain.
    let alone = list.pointer("/code").map(|_| list);
    let (mut is_partial, mut names_all, mut named) = (false, false, Vec::new());
    let (mut is_scheduled, mut count) = (false, 0);
    for item in alone.into_iter().chain(list.elements()).take(MAX_ITEMS) {
        count += 1;
        match item.pointer("/code")?.as_str()? {
            "OK" => {}
            "PARTIAL_FAILURE" => {
                is_partial = true;
                let before = named.len();
                named.extend(names(item));
                names_all |= named.len() == before;
            }
            "SCHEDULED_OUTAGE" => is_scheduled = true,
            "UNAVAILABLE" => return Some(StatusReport::Unavailable),
            _ => return None,
        }
    }
    if is_partial {
        named.truncate(if names_all { 0 } else { MAX_ENDPOINTS });
        return Some(StatusReport::PartialFailure(named));
    }
    if is_scheduled {
        return Some(StatusReport::ScheduledOutage);
    }
    (count > 0).then_some(StatusReport::Ok)
}

/// Endpoints that are named as unavailable, from `/open-insurance/` on where they have that.
fn names<'v>(item: Value<'v>) -> impl Iterator<Item = String> + 'v {
    let list = item.pointer("/unavailableEndpoints").into_iter().flat_map(Value::elements);
    list.take(MAX_ENDPOINTS).filter_map(Value::as_str).map(|name| {
        let name = regulated_path(path_of(name)).unwrap_or(name);
        // What is longer is the name of none, and names one all the same.
        if name.len() > MAX_NAME_BYTES { String::new() } else { name.to_owned() }
    })
}

/// "timeout de 1s" (`admin_metrics.docx`).
const POLL_LIMIT_NS: u64 = 1_000_000_000;
/// One for each interface would be some forty.
const MAX_ITEMS: usize = 256;
/// The longest template of the published documents has 150.
const MAX_NAME_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_told_by_its_whole_path() {
        let is = |path: &str| {
            operation(path).map(|it| match it {
                Operation::Metrics => "metrics",
                Operation::Status => "status",
            })
        };
        assert_eq!(is("/open-insurance/admin/v1/metrics"), Some("metrics"));
        assert_eq!(is("/open-insurance/admin/v2/metrics/"), Some("metrics"));
        assert_eq!(is("/open-insurance/discovery/v1/status"), Some("status"));
        for other in [
            "/open-insurance/discovery/v1/outages",
            "/open-insurance/discovery/v1/status/x",
            "/open-insurance/discovery/vx/status",
            "/open-insurance/discovery/v/status",
            "/open-insurance/discovery/status",
            "/open-insurance/admin/v1/status",
            "/open-insurance/",
        ] {
            assert_eq!(is(other), None, "{other}");
        }
    }

    #[test]
    fn a_period_that_is_said_twice_is_not_said() {
        assert_eq!(period("/metrics?page=1&period=ALL"), Some(Period::All));
        assert_eq!(period("/metrics?period=CURRENT"), Some(Period::Current));
        for none in ["/metrics", "/metrics?period=all", "/metrics?period=ALL&period=CURRENT"] {
            assert_eq!(period(none), None, "{none}");
        }
    }
}
