//! What alarms know of the node beside its calls: its name, its outbox, its certificates.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use mop_insight::data::identity::certificate::CertificateFacts;

use crate::{configuration::Configuration, sinks::http::SecretFile, vitals::Vitals};

/// Where samples of the node come from.
#[derive(Default)]
pub(crate) struct NodeSamples {
    pub(super) name: String,
    live: Option<Live>,
}

struct Live {
    vitals: Arc<Vitals>,
    /// Bytes that the outbox may have.
    limit: u64,
    /// Files that may hold a certificate, and the keys that name them.
    certificates: Vec<(&'static str, PathBuf)>,
}

impl NodeSamples {
    /// Of a node that observes.
    pub(crate) fn live(configuration: &Configuration, vitals: &Arc<Vitals>) -> Self {
        let sinks = &configuration.sinks;
        let of_pcm = sinks.pcm.iter().map(|pcm| (PCM_KEY, pcm.key_file.clone()));
        let of_broker = sinks.rabbitmq.iter().filter_map(|broker| broker.certificate_file.clone());
        let certificates = of_pcm.chain(of_broker.map(|file| (BROKER_CERTIFICATE, file))).collect();
        let limit = configuration.outbox.max_mib.saturating_mul(1 << 20);
        let vitals = Arc::clone(vitals);
        Self { live: Some(Live { vitals, limit, certificates }), ..Self::of_file(configuration) }
    }

    /// Of a file: nothing but the name, so that the same file gives the same records.
    pub(crate) fn of_file(configuration: &Configuration) -> Self {
        Self { name: configuration.node.name(), live: None }
    }

    /// Whether time passes by itself.
    pub(super) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Bytes of the outbox, and how many it may have.
    pub(super) fn outbox(&self) -> Option<(u64, u64)> {
        let live = self.live.as_ref()?;
        Some((live.vitals.outbox()?.stats.disk_bytes, live.limit))
    }

    /// Ends of the node's own certificates. A file that cannot be read, or holds none, is left out:
    /// whoever uses it says so.
    pub(super) fn certificates(&self) -> Vec<(&'static str, Timestamp)> {
        let files = self.live.iter().flat_map(|live| &live.certificates);
        files.filter_map(|(key, file)| Some((*key, end_of(file.clone())?))).collect()
    }
}

/// End of the first certificate in a file, which may hold a private key beside it.
fn end_of(file: PathBuf) -> Option<Timestamp> {
    let text = SecretFile(file).read().ok()?;
    let text = std::str::from_utf8(&text).ok()?;
    let (_, from_begin) = text.split_once(BEGIN)?;
    let (inner, _) = from_begin.split_once(END)?;
    CertificateFacts::from_pem(&format!("{BEGIN}{inner}{END}")).ok()?.not_after
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const PCM_KEY: &str = "sinks.pcm.key_file";
const BROKER_CERTIFICATE: &str = "sinks.rabbitmq.certificate_file";
