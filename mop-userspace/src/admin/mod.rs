//! Skeleton: the admin listener.

use serde::Deserialize;

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AdminConfiguration {}
