//! Who is who on this node: bounded, and read by whoever names a process.

#[cfg(feature = "kubernetes")]
mod keeping;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use mop_probe::process::Placement;

#[cfg(feature = "kubernetes")]
use super::Names;
use super::Workload;

/// The pods of this node.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    state: RwLock<State>,
    /// Their number: what was found before one may be found otherwise after it.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// By their identifier in the cluster. `len <= MAX_PODS`
    pods: HashMap<Arc<str>, Held>,
    /// Identifiers on the node of pods that have another one in the cluster.
    aliases: HashMap<Box<str>, Arc<str>>,
    /// By identifier of the container.
    containers: HashMap<Box<str>, Arc<Workload>>,
}

/// A pod that is known.
#[derive(Debug)]
struct Held {
    /// Without a container.
    pod: Arc<Workload>,
    alias: Option<Box<str>>,
    /// `len <= MAX_CONTAINERS`
    containers: Vec<Box<str>>,
    /// When it was seen to be gone.
    gone_at: Option<Instant>,
}

/// What is told of a pod.
#[cfg(feature = "kubernetes")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodFacts {
    pub(super) names: Names,
    /// Its identifier on the node, where that is another one.
    pub(super) alias: Option<Box<str>>,
    /// Identifiers and names of its containers.
    pub(super) containers: Vec<(Box<str>, Box<str>)>,
}

impl Directory {
    /// The workload of a process.
    pub(crate) fn find(&self, placement: &Placement) -> Option<Arc<Workload>> {
        let Placement { container, pod } = placement;
        let state = self.read();
        let container = container.as_deref().and_then(|id| state.containers.get(id));
        let pod = pod.as_deref().and_then(|uid| {
            let uid = state.aliases.get(uid).map_or(uid, |uid| uid);
            state.pods.get(uid)
        });
        match (container, pod) {
            // They contradict each other: one is wrong, and nobody knows which.
            (Some(container), Some(held)) if container.names.uid != held.pod.names.uid => None,
            (Some(container), _) => Some(Arc::clone(container)),
            (None, Some(held)) => Some(Arc::clone(&held.pod)),
            (None, None) => None,
        }
    }

    /// The number of changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How many pods are there, and how many that are gone are still known.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.read();
        let gone = state.pods.values().filter(|held| held.gone_at.is_some()).count();
        ((state.pods.len() - gone) as u64, gone as u64)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while it was written to leaves names that are missing, not wrong.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}
