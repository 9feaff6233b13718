//! The sinks that a configuration asks for.

use std::sync::Arc;

use super::{
    Sink,
    mop_server::MopServer,
    otlp::{
        Otlp,
        metrics::{MetricSource, OtlpMetrics},
    },
    pcm::Pcm,
    rabbitmq::RabbitMqSink,
    webhook::Webhook,
};
use crate::{
    configuration::Configuration, data::SharedMade, failure::Failure,
    official::message::OfficialSource, vitals::Vitals,
};

/// Sinks, not connected yet.
#[derive(Default)]
pub(crate) struct Configured {
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    /// What messages for the official server are made with, when it is one of them.
    pub(crate) official: Option<Arc<OfficialSource>>,
    /// Pushes metrics to the collector.
    pub(crate) metrics: Option<OtlpMetrics>,
}

impl Configured {
    /// Makes each.
    pub(crate) fn new(
        configuration: &Configuration,
        vitals: &Arc<Vitals>,
        made: &SharedMade,
    ) -> Result<Self, Failure> {
        let node = configuration.node.name();
        let section = &configuration.sinks;
        let mut configured = Self::default();
        if let Some(section) = &section.rabbitmq {
            configured.sinks.push(Box::new(RabbitMqSink::new(section, &node)?));
        }
        if let Some(section) = &section.mop_server {
            let mut section = section.clone();
            if section.fields_file.is_none() {
                let outbox = configuration.outbox.folder.as_ref();
                section.fields_file = outbox.map(|folder| folder.join(FIELDS_FILE));
            }
            let source = section.source();
            configured.sinks.push(Box::new(MopServer::new(&section, Arc::clone(&source))?));
            configured.official = Some(source);
        }
        if let Some(section) = &section.pcm {
            configured.sinks.push(Box::new(Pcm::new(
                section,
                configuration.outbox.folder.as_deref(),
                made.clone(),
            )?));
        }
        if let Some(section) = &section.webhook {
            configured.sinks.push(Box::new(Webhook::new(section, &node)?));
        }
        if let Some(section) = &section.otlp {
            configured.sinks.push(Box::new(Otlp::new(section, &node)?));
            let source = Arc::clone(vitals) as Arc<dyn MetricSource>;
            configured.metrics = OtlpMetrics::new(section, &node, source)?;
        }
        Ok(configured)
    }
}

/// Beside the lanes of the outbox.
const FIELDS_FILE: &str = "anonymization-fields.json";
