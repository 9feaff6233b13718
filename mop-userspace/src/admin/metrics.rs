//! `/metrics`: everything that is counted, in the form that the client asks for.

use std::{fmt, sync::Arc};

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, text},
    metrics::{MetricType, exemplar::Exemplar},
    registry::{Registry, Unit},
};

use super::{expose::Form, families};
use crate::vitals::{Family, FamilyKind, FamilyUnit, Number, Vitals};

/// What is scraped.
pub(super) fn registry(vitals: Arc<Vitals>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { vitals }));
    registry
}

/// Answers a scrape.
pub(super) async fn respond(headers: HeaderMap, registry: Arc<Registry>) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let form = Form::of_accept(accept.unwrap_or_default());
    let mut text = String::new();
    // Writing into memory does not fail.
    if text::encode(&mut text, &registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(header::CONTENT_TYPE, form.content_type())], form.of_open_metrics(text)).into_response()
}

/// Reads the vitals at each scrape; nothing is kept twice.
struct Scrape {
    vitals: Arc<Vitals>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families::all(&self.vitals).iter().try_for_each(|family| encode(family, &mut encoder))
    }
}

fn encode(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Family { name, help, kind, unit, samples } = family;
    let unit = unit.map(|unit| match unit {
        FamilyUnit::Bytes => Unit::Bytes,
        FamilyUnit::Seconds => Unit::Seconds,
    });
    let metric_type = match kind {
        FamilyKind::Counter => MetricType::Counter,
        FamilyKind::Gauge => MetricType::Gauge,
        FamilyKind::Info => MetricType::Info,
    };
    let help = format!("{help}.");
    let mut metric = encoder.encode_descriptor(name, &help, unit.as_ref(), metric_type)?;
    for sample in samples {
        match kind {
            FamilyKind::Info => metric.encode_info(&sample.labels)?,
            FamilyKind::Counter | FamilyKind::Gauge if sample.labels.is_empty() => {
                encode_number(*kind, sample.value, &mut metric)?;
            }
            FamilyKind::Counter | FamilyKind::Gauge => {
                encode_number(*kind, sample.value, &mut metric.encode_family(&sample.labels)?)?;
            }
        }
    }
    Ok(())
}

fn encode_number(kind: FamilyKind, value: Number, metric: &mut MetricEncoder<'_>) -> fmt::Result {
    const NONE: Option<&Exemplar<[(&str, &str); 0], f64>> = None;
    match (kind, value) {
        (FamilyKind::Counter, Number::Whole(value)) => metric.encode_counter(&value, NONE),
        (FamilyKind::Counter, Number::Real(value)) => metric.encode_counter(&value, NONE),
        (FamilyKind::Gauge | FamilyKind::Info, Number::Whole(value)) => metric.encode_gauge(&value),
        (FamilyKind::Gauge | FamilyKind::Info, Number::Real(value)) => metric.encode_gauge(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for family in families::all(&Vitals::new()) {
            let Family { name, help, unit, .. } = &family;
            assert!(name.starts_with("mop_"), "{name}");
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}: {help}");
            for suffix in ["_total", "_info", "_bytes", "_seconds"] {
                assert!(!name.ends_with(suffix), "{name} has {suffix} already: {unit:?}");
            }
        }
    }
}
