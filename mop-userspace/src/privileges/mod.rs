//! Skeleton: the privileged prober and the unprivileged core.

use serde::Deserialize;

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PrivilegesConfiguration {}
