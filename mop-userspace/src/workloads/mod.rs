//! Workloads: to which pod of a cluster a process belongs, and what the cluster calls it.
//!
//! Of a process, its cgroup tells the identifiers of its container and its pod
//! ([`mop_probe::process::Placement`]). The names that go with them are asked of the API server: one
//! list of the pods of this node, and then a watch that tells of changes.
//!
//! ```text
//!   API server ── list, watch ──▶ Keeper (a thread) ──▶ Directory ◀── connections, coverage
//! ```
//!
//! - Without the section `[kubernetes]` there is no thread, no connection and no name.
//! - What is not known is absent. A pod that the API server has not told of yet has its identifier and
//!   nothing else.
//! - The last calls of a pod are seen after its end: what is known of a pod is kept for some minutes.
//! - The API server may be away for long: what was known stays, and whoever asks again waits longer and
//!   longer.
//!
//! The API server is asked and not the kubelet, whose interface lets whoever may read it run programs in
//! every container of the node.

#![cfg_attr(
    not(feature = "kubernetes"),
    expect(dead_code, reason = "without the client nobody has names to hand over")
)]

#[cfg(not(feature = "kubernetes"))]
mod absent;
mod configuration;
mod directory;
#[cfg(feature = "kubernetes")]
mod event;
#[cfg(feature = "kubernetes")]
mod keeper;
#[cfg(feature = "kubernetes")]
mod lines;
#[cfg(feature = "kubernetes")]
mod pod;
mod record;
#[cfg(feature = "kubernetes")]
mod server;
mod vitals;
mod workload;

#[cfg(not(feature = "kubernetes"))]
pub(crate) use self::absent::{Keeper, ask_once};
#[cfg(feature = "kubernetes")]
pub(crate) use self::keeper::{Keeper, ask_once};
pub(crate) use self::{
    configuration::{KubernetesConfiguration, is_label_key, is_label_value},
    directory::Directory,
    record::WorkloadRecord,
    workload::{Names, Owner, Whereabouts, Workload},
};
