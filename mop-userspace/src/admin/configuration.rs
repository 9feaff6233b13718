//! The section `[admin]`.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminConfiguration {
    /// False: there is none.
    pub(crate) enabled: bool,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Also take copies of messages from applications that send them, as the official client does.
    pub(crate) door: bool,
}

impl AdminConfiguration {
    /// As it is asked for on the command line, where it is; without that, a process that runs
    /// without any configuration has no listener.
    pub(crate) fn asked_for(&self, flag: Option<SocketAddr>, is_configured: bool) -> Self {
        match flag {
            Some(listen) => Self { enabled: true, listen, ..self.clone() },
            None => Self { enabled: self.enabled && is_configured, ..self.clone() },
        }
    }
}

impl Default for AdminConfiguration {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            door: false,
        }
    }
}

/// The port that exporters of OpenTelemetry serve metrics on.
const DEFAULT_PORT: u16 = 9464;
