//! Metrics pushed to a collector, at regular times and once at the end.
//!
//! Where the numbers are from is not known here: a [`MetricSource`] gives them as they are now.
//! Counters are cumulative since the start of the process, so that a push that is lost loses nothing
//! but its moment.

use std::{future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{OtlpConfiguration, Sender, attribute, rejected, scope};
use crate::{
    failure::Failure,
    sinks::{Trouble, http::Meaning},
    vitals::SinkVitals,
};

/// Gives numbers as they are now. Labels come from fixed sets, never from traffic.
pub(crate) trait MetricSource: Send + Sync {
    fn metrics(&self) -> Vec<Metric>;
}

/// One metric with all its points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Such as `mop.sink.delivered`.
    pub(crate) name: String,
    pub(crate) description: String,
    /// In UCUM: `{record}`, `By`, `s`, `1`.
    pub(crate) unit: String,
    /// A counter grows only; anything else is a gauge.
    pub(crate) is_counter: bool,
    pub(crate) points: Vec<Point>,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// Pushes metrics.
pub(crate) struct OtlpMetrics {
    sender: Sender,
    every: Duration,
    started: Timestamp,
    source: Arc<dyn MetricSource>,
}

impl OtlpMetrics {
    /// `None` when no metrics are to be pushed.
    pub(crate) fn new(
        configuration: &OtlpConfiguration,
        node: &str,
        source: Arc<dyn MetricSource>,
    ) -> Result<Option<Self>, Failure> {
        configuration.check()?;
        if configuration.metrics_every.is_zero() {
            return Ok(None);
        }
        Ok(Some(Self {
            sender: configuration.sender(node)?,
            every: configuration.metrics_every,
            started: Timestamp::now(),
            source,
        }))
    }

    /// Pushes until `stop` resolves, and once more then.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = tokio::time::sleep(self.every) => false,
            };
            // A push that fails is made up for by the next one.
            let _said_by_metrics_that_do_not_come = self.push().await;
            if stopped {
                return;
            }
        }
    }

    /// Pushes now. Gives the number of points that the collector refused.
    pub(crate) async fn push(&self) -> Result<u64, Trouble> {
        let metrics = self.source.metrics();
        let body = request(&self.sender.resource, &metrics, self.started, Timestamp::now());
        let answer = self.sender.client.send(self.sender.request("/v1/metrics", &body)).await?;
        match answer.meaning() {
            Meaning::Taken => Ok(rejected(&answer.body, "rejectedDataPoints")),
            _ => Err(answer.as_trouble("the metrics")),
        }
    }
}

/// The request (`ExportMetricsServiceRequest`).
fn request(resource: &Value, metrics: &[Metric], started: Timestamp, now: Timestamp) -> Value {
    let metrics: Vec<Value> =
        metrics.iter().map(|metric| metric_of(metric, started, now)).collect();
    json!({ "resourceMetrics": [{
        "resource": resource,
        "scopeMetrics": [{ "scope": scope(), "metrics": metrics }],
    }] })
}

fn metric_of(metric: &Metric, started: Timestamp, now: Timestamp) -> Value {
    let Metric { name, description, unit, is_counter, points } = metric;
    let points: Vec<Value> = points
        .iter()
        .filter(|point| point.value.is_finite())
        .map(|Point { labels, value }| {
            let attributes: Vec<Value> =
                labels.iter().map(|(key, value)| attribute(key, value)).collect();
            json!({
                "attributes": attributes,
                "startTimeUnixNano": started.as_nanosecond().to_string(),
                "timeUnixNano": now.as_nanosecond().to_string(),
                "asDouble": value,
            })
        })
        .collect();
    let mut written = json!({ "name": name, "description": description, "unit": unit });
    if *is_counter {
        written["sum"] = json!({
            "dataPoints": points,
            "aggregationTemporality": CUMULATIVE,
            "isMonotonic": true,
        });
    } else {
        written["gauge"] = json!({ "dataPoints": points });
    }
    written
}

/// What each sink counts.
impl MetricSource for Vec<Arc<SinkVitals>> {
    fn metrics(&self) -> Vec<Metric> {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        let of =
            |name: &str, description: &str, is_counter, pick: fn(&SinkVitals) -> &AtomicU64| {
                let points = self.iter().map(|sink| Point {
                    labels: vec![("sink".to_owned(), sink.name.to_owned())],
                    value: pick(sink).load(Relaxed) as f64,
                });
                Metric {
                    name: name.to_owned(),
                    description: description.to_owned(),
                    unit: "{record}".to_owned(),
                    is_counter,
                    points: points.collect(),
                }
            };
        vec![
            of("mop.sink.delivered", "Records that the other side has", true, |sink| {
                &sink.delivered
            }),
            of("mop.sink.parked", "Records set aside", true, |sink| &sink.parked),
            of("mop.sink.passed", "Records that the sink does not take", true, |sink| &sink.passed),
            of("mop.sink.resent", "Records sent again", true, |sink| &sink.resent),
            of("mop.sink.in_flight", "Records on their way", false, |sink| &sink.in_flight),
        ]
    }
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`; enumerations are numbers in this encoding.
const CUMULATIVE: u8 = 2;
