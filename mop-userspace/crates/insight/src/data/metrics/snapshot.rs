//! The state of the figures as it outlives a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    MAX_ORGANISATIONS, Metrics, MetricsOptions, day::DayBoundary, tenant::Tenant, watch::Watch,
};

/// The state as it outlives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSnapshot {
    version: u32,
    boundary: DayBoundary,
    tenants: BTreeMap<String, Tenant>,
    watch: Watch,
    beyond: u64,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetricsSnapshotError {
    /// Not of the form of a snapshot.
    #[error("the state of the metrics cannot be read")]
    Form(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the state of the metrics is of version {0}, not {SNAPSHOT_VERSION}")]
    Version(u32),
    /// Its days begin elsewhere than the options say.
    #[error("the state of the metrics has days that begin at another hour")]
    Boundary,
    /// More than is kept.
    #[error("the state of the metrics contradicts the limits under which it is written")]
    Limits,
}

impl Metrics {
    /// The state.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        MetricsSnapshot {
            version: SNAPSHOT_VERSION,
            boundary: self.options.boundary,
            tenants: self.tenants.clone(),
            watch: self.watch.kept(),
            beyond: self.beyond,
        }
    }

    /// Goes on from a state.
    pub fn restore(
        options: MetricsOptions,
        snapshot: MetricsSnapshot,
    ) -> Result<Self, MetricsSnapshotError> {
        let MetricsSnapshot { version, boundary, tenants, watch, beyond } = snapshot;
        if version != SNAPSHOT_VERSION {
            return Err(MetricsSnapshotError::Version(version));
        }
        if boundary != options.boundary {
            return Err(MetricsSnapshotError::Boundary);
        }
        let are_sound = watch.is_sound() && tenants.values().all(Tenant::is_sound);
        if tenants.len() > MAX_ORGANISATIONS || !are_sound {
            return Err(MetricsSnapshotError::Limits);
        }
        Ok(Self { options, tenants, totals: BTreeMap::new(), watch: watch.resumed(), beyond })
    }
}

impl MetricsSnapshot {
    /// Reads what [`Self::write`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetricsSnapshotError> {
        serde_json::from_slice(bytes).map_err(MetricsSnapshotError::Form)
    }

    /// As JSON.
    pub fn write(&self) -> Result<Vec<u8>, MetricsSnapshotError> {
        serde_json::to_vec(self).map_err(MetricsSnapshotError::Form)
    }
}

/// Version of the snapshot's form.
pub const SNAPSHOT_VERSION: u32 = 1;
