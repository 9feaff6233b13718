//! Skeleton: the one configuration of `mop`.

pub(crate) mod commands;

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{
    failure::Failure,
    sinks::{
        mop_server::MopServerConfiguration, otlp::OtlpConfiguration,
        rabbitmq::RabbitMqConfiguration, webhook::WebhookConfiguration,
    },
};

/// Where the configuration is read from.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ConfigurationArguments {
    /// Configuration file (TOML). Without it: /etc/mop/mop.toml, where there is one.
    #[arg(long, value_name = "FILE", env = "MOP_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// All that can be configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Configuration {
    pub(crate) node: NodeConfiguration,
    pub(crate) outbox: OutboxConfiguration,
    pub(crate) admin: crate::admin::AdminConfiguration,
    pub(crate) sinks: SinksConfiguration,
    pub(crate) hub: crate::hub::HubConfiguration,
    pub(crate) privileges: crate::privileges::PrivilegesConfiguration,
}

/// Which node this is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfiguration {
    /// Names the node in records and on the broker. Empty: the host name.
    pub(crate) name: String,
    /// The participant's organisation id.
    pub(crate) organisation: String,
}

/// The outbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutboxConfiguration {
    /// Where it lies. Without it there is no outbox and nothing is forwarded.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) max_mib: u64,
    #[serde(with = "seconds")]
    pub(crate) max_age: Duration,
    pub(crate) segment_mib: u64,
    pub(crate) memory_mib: u64,
    #[serde(with = "seconds")]
    pub(crate) commit_every: Duration,
    /// Keep what was delivered until the bounds are reached.
    pub(crate) keep_delivered: bool,
}

/// Where records go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SinksConfiguration {
    pub(crate) rabbitmq: Option<RabbitMqConfiguration>,
    pub(crate) mop_server: Option<MopServerConfiguration>,
    pub(crate) webhook: Option<WebhookConfiguration>,
    pub(crate) otlp: Option<OtlpConfiguration>,
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

impl Configuration {
    /// Reads and merges: defaults, file, drop-ins, environment.
    pub(crate) fn load(_arguments: &ConfigurationArguments) -> Result<Self, Failure> {
        Ok(Self::default())
    }
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
}

impl SinksConfiguration {
    /// Names of the sinks that are configured.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let Self { rabbitmq, mop_server, webhook, otlp } = self;
        [
            rabbitmq.as_ref().map(|_| "rabbitmq"),
            mop_server.as_ref().map(|_| "mop_server"),
            webhook.as_ref().map(|_| "webhook"),
            otlp.as_ref().map(|_| "otlp"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Skeleton: durations as text.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        crate::cli::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}
