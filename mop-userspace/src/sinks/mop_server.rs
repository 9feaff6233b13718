//! Skeleton.

use serde::{Deserialize, Serialize};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MopServerConfiguration {}
