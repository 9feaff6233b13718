//! Skeleton: the admin listener.

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
}

impl Default for AdminConfiguration {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)) }
    }
}

/// One that nothing well known uses.
const DEFAULT_PORT: u16 = 9464;
