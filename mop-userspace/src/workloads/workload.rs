//! What a cluster calls the workload of a process.

use std::{collections::BTreeMap, sync::Arc};

use mop_probe::process::Placement;

use super::Directory;

/// Where a process runs, as far as that is known. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// By its cgroup; `None` when it was gone before anybody asked.
    pub(crate) placement: Option<Arc<Placement>>,
    /// By the cluster; `None` when it is in no pod, and when the cluster has not told.
    pub(crate) workload: Option<Arc<Workload>>,
}

/// A container of a pod, or a pod of which the container is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The pod.
    pub(crate) names: Arc<Names>,
    /// Name of the container in its pod.
    pub(crate) container: Option<Box<str>>,
}

impl Whereabouts {
    /// Of a process that was looked at.
    pub(crate) fn at(placement: Option<Arc<Placement>>) -> Self {
        Self { placement, workload: None }
    }

    /// The same, with what the cluster calls it, where one is asked.
    pub(crate) fn found(placement: &Placement, directory: Option<&Directory>) -> Self {
        Self {
            placement: Some(Arc::new(placement.clone())),
            workload: directory.and_then(|directory| directory.find(placement)),
        }
    }

    /// Identifier of the container.
    pub(crate) fn container(&self) -> Option<&str> {
        self.placement.as_ref()?.container.as_deref()
    }

    /// Whether it is known to be in a pod.
    pub(crate) fn is_pod(&self) -> bool {
        let has_pod = |placement: &Arc<Placement>| placement.pod.is_some();
        self.workload.is_some() || self.placement.as_ref().is_some_and(has_pod)
    }
}

/// The names of a pod. None is longer than 253 bytes, and all are of letters, digits and `-._/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// Its identifier in the cluster.
    pub(crate) uid: Arc<str>,
    /// Its namespace.
    pub(crate) namespace: Box<str>,
    /// Its own name.
    pub(crate) pod: Box<str>,
    /// The node that it runs on.
    pub(crate) node: Option<Box<str>>,
    /// What made it.
    pub(crate) owner: Option<Owner>,
    /// All its labels; `None` when they are more than are kept.
    pub(crate) labels: Option<BTreeMap<Box<str>, Box<str>>>,
    /// Keys and values of the labels that records show.
    pub(crate) shown: BTreeMap<Box<str>, Box<str>>,
}

/// What made a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `Job` and whatever else makes pods.
    pub(crate) kind: Box<str>,
    /// Its name.
    pub(crate) name: Box<str>,
}
