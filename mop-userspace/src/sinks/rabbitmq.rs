//! Skeleton.

use serde::Deserialize;

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RabbitMqConfiguration {}
