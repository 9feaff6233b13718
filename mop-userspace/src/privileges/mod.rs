//! Skeleton: the privileged prober and the unprivileged core.

use serde::{Deserialize, Serialize};

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PrivilegesConfiguration {}
