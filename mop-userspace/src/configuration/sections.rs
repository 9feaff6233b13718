//! The sections that belong to no other module.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Problem, duration};
use crate::{
    cli::{self, AttachChoice, OutputFormat},
    quality::{DEFAULT_WINDOW, check_window},
    sinks::{
        mop_server::MopServerConfiguration, otlp::OtlpConfiguration, pcm::PcmConfiguration,
        rabbitmq::RabbitMqConfiguration, webhook::WebhookConfiguration,
    },
};

/// Which node this is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfiguration {
    /// Names the node in records and on the broker. Empty: the host name.
    pub(crate) name: String,
    /// The participant's organisation id.
    pub(crate) organisation: String,
}

/// What `mop observe` does, where its flags do not say otherwise.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ObserveConfiguration {
    /// Room for data on its way from the kernel, per CPU; a power of two.
    pub(crate) ring_mib: u32,
    /// How probes are attached to functions.
    pub(crate) attach: AttachChoice,
    /// Threads that reassemble calls.
    pub(crate) workers: u16,
    /// How records are printed.
    pub(crate) output: OutputFormat,
    /// Only calls whose path starts with one of these are reported.
    pub(crate) path_prefix: Vec<String>,
    /// Every call is reported.
    pub(crate) all: bool,
}

/// How calls are judged.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QualityConfiguration {
    pub(crate) enabled: bool,
    /// Stretch of time over which calls are counted.
    #[serde(with = "duration")]
    pub(crate) window: Duration,
    /// Of the calls with nothing wrong, every so many of each operation is reported.
    pub(crate) report_clean: Option<u32>,
    /// Folder that replaces the built-in rules.
    pub(crate) rules: Option<PathBuf>,
    /// Contracts to be judged by before all others.
    pub(crate) contracts: Vec<PathBuf>,
    /// Rules beyond the documents that do not hold here.
    pub(crate) without_rule: Vec<String>,
}

/// The outbox.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutboxConfiguration {
    /// Where it lies. Without it there is no outbox and nothing is forwarded.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) max_mib: u64,
    #[serde(with = "duration")]
    pub(crate) max_age: Duration,
    pub(crate) segment_mib: u64,
    pub(crate) memory_mib: u64,
    /// Records are safe on disk at most so late; none: each at once.
    #[serde(with = "duration::or_zero")]
    pub(crate) commit_every: Duration,
    /// Keep what was delivered until the bounds are reached.
    pub(crate) keep_delivered: bool,
}

/// Where records go. A sink is there when its section is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SinksConfiguration {
    pub(crate) rabbitmq: Option<RabbitMqConfiguration>,
    pub(crate) mop_server: Option<MopServerConfiguration>,
    pub(crate) pcm: Option<PcmConfiguration>,
    pub(crate) webhook: Option<WebhookConfiguration>,
    pub(crate) otlp: Option<OtlpConfiguration>,
}

impl NodeConfiguration {
    /// The configured name, or the host name.
    pub(crate) fn name(&self) -> String {
        if self.name.is_empty() {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        } else {
            self.name.clone()
        }
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { name, organisation } = self;
        for (key, text) in [("node.name", name), ("node.organisation", organisation)] {
            let is_good = text.len() <= MAX_NAME_BYTES
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
            if !is_good {
                problems.push(Problem::new(
                    key,
                    format!(
                        "at most {MAX_NAME_BYTES} letters, digits and . _ : - are wanted, since \
                         it stands in headers and labels"
                    ),
                ));
            }
        }
    }
}

impl SinksConfiguration {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { rabbitmq, mop_server, pcm, webhook, otlp } = self;
        let mut wrong = |key: &str, text: String| problems.push(Problem::new(key, text));
        if let Some(Err(text)) = rabbitmq.as_ref().map(RabbitMqConfiguration::check) {
            wrong("sinks.rabbitmq", text);
        }
        if let Some(Err(failure)) = pcm.as_ref().map(PcmConfiguration::check) {
            wrong("sinks.pcm", failure.to_string());
        }
        if let Some(Err(failure)) = mop_server.as_ref().map(MopServerConfiguration::check) {
            wrong("sinks.mop_server", failure.to_string());
        }
        if let Some(Err(failure)) = webhook.as_ref().map(WebhookConfiguration::check) {
            wrong("sinks.webhook", failure.to_string());
        }
        if let Some(Err(failure)) = otlp.as_ref().map(OtlpConfiguration::check) {
            wrong("sinks.otlp", failure.to_string());
        }
    }

    /// Files that sinks read, at the start and whenever they connect.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let Self { rabbitmq, mop_server, pcm, webhook, otlp } = self;
        let rabbitmq = rabbitmq.iter().flat_map(RabbitMqConfiguration::files);
        let mop_server = mop_server.iter().flat_map(MopServerConfiguration::files);
        let webhook = webhook.iter().flat_map(WebhookConfiguration::files);
        let otlp = otlp.iter().flat_map(OtlpConfiguration::files);
        let pcm = pcm.iter().flat_map(PcmConfiguration::files);
        rabbitmq.chain(mop_server).chain(pcm).chain(webhook).chain(otlp).cloned()
    }

    /// TCP ports that sinks connect to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        let Self { rabbitmq, mop_server, pcm, webhook, otlp } = self;
        let rabbitmq = rabbitmq.iter().map(RabbitMqConfiguration::ports);
        let mop_server = mop_server.iter().map(MopServerConfiguration::ports);
        let pcm = pcm.iter().map(PcmConfiguration::ports);
        let webhook = webhook.iter().map(WebhookConfiguration::ports);
        let otlp = otlp.iter().map(OtlpConfiguration::ports);
        let all: Option<Vec<Vec<u16>>> =
            rabbitmq.chain(mop_server).chain(pcm).chain(webhook).chain(otlp).collect();
        all.map(|ports| ports.concat())
    }

    /// True when records stay where they are.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { rabbitmq, mop_server, pcm, webhook, otlp } = self;
        rabbitmq.is_none()
            && mop_server.is_none()
            && pcm.is_none()
            && webhook.is_none()
            && otlp.is_none()
    }
}

impl ObserveConfiguration {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { ring_mib, attach: _, workers, output: _, path_prefix, all } = self;
        if let Err(text) = cli::check_ring_mib(*ring_mib) {
            problems.push(Problem::new("observe.ring_mib", text));
        }
        if !(1..=cli::MAX_WORKERS).contains(workers) {
            let text = format!("a number from 1 to {} is wanted", cli::MAX_WORKERS);
            problems.push(Problem::new("observe.workers", text));
        }
        if path_prefix.is_empty() && !all {
            problems.push(Problem::new(
                "observe.path_prefix",
                "without any prefix nothing is reported; for every call set `all = true`",
            ));
        }
    }
}

impl QualityConfiguration {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if let Err(text) = check_window(self.window) {
            problems.push(Problem::new("quality.window", text));
        }
    }
}

impl OutboxConfiguration {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { folder, max_mib, max_age: _, segment_mib, memory_mib, commit_every, .. } = self;
        let mut wrong = |key: &str, text: String| {
            problems.push(Problem::new(&format!("outbox.{key}"), text));
        };
        if folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            wrong(
                "folder",
                "an absolute path is wanted: a service has no folder of its own".into(),
            );
        }
        if !(1..=MAX_SEGMENT_MIB).contains(segment_mib) {
            wrong("segment_mib", format!("a number from 1 to {MAX_SEGMENT_MIB} is wanted"));
        }
        let least = segment_mib.saturating_mul(MIN_SEGMENTS);
        if *max_mib < least {
            wrong(
                "max_mib",
                format!(
                    "at least {least} is wanted: {MIN_SEGMENTS} times segment_mib, so that each lane has one"
                ),
            );
        }
        if *max_mib > MAX_OUTBOX_MIB {
            wrong("max_mib", format!("at most {MAX_OUTBOX_MIB} is wanted"));
        }
        if !(1..=MAX_MEMORY_MIB).contains(memory_mib) {
            wrong("memory_mib", format!("a number from 1 to {MAX_MEMORY_MIB} is wanted"));
        }
        if *commit_every > MAX_COMMIT_EVERY {
            let most = duration::text(MAX_COMMIT_EVERY);
            wrong("commit_every", format!("at most {most} is wanted: so much a crash may cost"));
        }
    }
}

impl Default for ObserveConfiguration {
    fn default() -> Self {
        Self {
            ring_mib: cli::DEFAULT_RING_MIB,
            attach: AttachChoice::Auto,
            workers: cli::DEFAULT_WORKERS,
            output: OutputFormat::Pretty,
            path_prefix: vec![cli::DEFAULT_PATH_PREFIX.to_owned()],
            all: false,
        }
    }
}

impl Default for QualityConfiguration {
    fn default() -> Self {
        Self {
            enabled: true,
            window: DEFAULT_WINDOW,
            report_clean: None,
            rules: None,
            contracts: Vec::new(),
            without_rule: Vec::new(),
        }
    }
}

impl Default for OutboxConfiguration {
    fn default() -> Self {
        Self {
            folder: None,
            max_mib: 1024,
            max_age: Duration::from_secs(7 * 86_400),
            segment_mib: 16,
            memory_mib: 64,
            commit_every: Duration::from_millis(50),
            keep_delivered: false,
        }
    }
}

/// A host name has at most 253 (RFC 1035, section 2.3.4), an organisation id 36.
const MAX_NAME_BYTES: usize = 253;

/// A segment goes as a whole when there is no room: larger ones cost too much at once.
const MAX_SEGMENT_MIB: u64 = 256;

/// One open segment for each of the six lanes, and room to drop one.
const MIN_SEGMENTS: u64 = 8;

/// 16 TiB: more is a slip of the keyboard.
const MAX_OUTBOX_MIB: u64 = 16 << 20;

/// Records that wait in memory must not be what ends the process.
const MAX_MEMORY_MIB: u64 = 16 << 10;

/// A crash costs the records of this time.
const MAX_COMMIT_EVERY: Duration = Duration::from_secs(10);
