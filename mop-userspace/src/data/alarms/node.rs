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

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../../../crates/insight/tests/fixtures/seal.pem");

    #[test]
    fn the_end_of_a_certificate_is_read_beside_a_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("seal.pem");
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (text, end) in [
            (format!("{key}{CERTIFICATE}"), Some("2055-12-06T18:05:44Z")),
            (format!("{CERTIFICATE}{key}"), Some("2055-12-06T18:05:44Z")),
            (key.to_owned(), None),
            (format!("{BEGIN}\nAAAA\n{END}\n"), None),
            (format!("{BEGIN}\nAAAA\n"), None),
        ] {
            std::fs::write(&file, &text).expect("written");
            let end = end.map(|end| end.parse().expect("a time"));
            assert_eq!(end_of(file.clone()), end, "{text}");
        }
        assert_eq!(end_of(folder.path().join("none.pem")), None);
    }

    #[test]
    fn samples_are_of_what_is_configured() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("seal.pem");
        std::fs::write(&file, CERTIFICATE).expect("written");
        let mut configuration = Configuration::default();
        let pcm = crate::sinks::pcm::PcmConfiguration { key_file: file, ..Default::default() };
        configuration.sinks.pcm = Some(pcm);
        configuration.node.name = "node-1".to_owned();
        let vitals = Vitals::new();
        let samples = NodeSamples::live(&configuration, &vitals);
        assert!(samples.is_live() && samples.name == "node-1");
        assert_eq!(samples.outbox(), None, "there is none yet");
        vitals.set_outbox(|| {
            let mut numbers = crate::vitals::OutboxVitals::default();
            numbers.stats.disk_bytes = 7;
            numbers
        });
        assert_eq!(samples.outbox(), Some((7, 1024 << 20)));
        let keys: Vec<_> = samples.certificates().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [PCM_KEY]);
        let of_file = NodeSamples::of_file(&configuration);
        assert!(!of_file.is_live() && of_file.outbox().is_none());
    }
}
