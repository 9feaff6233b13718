//! A pod as the API server tells it: what of it is a name.
//!
//! Everything is checked before it is taken, since it stands in records and on terminals later: a pod
//! whose names are none is not taken, and a label or an owner that is none is left out.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer};

use super::{Names, Owner, directory::PodFacts, is_label_key, is_label_value};

/// `Pod` of the API group `core`, version `v1`, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "or_default")]
    spec: Spec,
    #[serde(default, deserialize_with = "or_default")]
    status: Status,
}

/// `ObjectMeta`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(deserialize_with = "or_default")]
    pub(super) uid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) resource_version: String,
    #[serde(deserialize_with = "or_default")]
    namespace: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    annotations: Annotations,
    #[serde(deserialize_with = "or_default")]
    owner_references: Vec<OwnerReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    /// What the kubelet calls a pod that it was given by a file.
    #[serde(rename = "kubernetes.io/config.hash")]
    configuration_hash: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnerReference {
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    controller: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    last_state: LastState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LastState {
    terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Terminated {
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

impl Pod {
    /// Its names; `None` when they are none. `shown` are the keys of labels that records show.
    pub(super) fn into_facts(self, shown: &[String]) -> Option<PodFacts> {
        let Self { metadata, spec, status } = self;
        let Metadata { uid, resource_version: _, namespace, name, labels, .. } = metadata;
        if ![&uid, &namespace, &name].iter().all(|text| is_name(text)) {
            return None;
        }
        let labels = (labels.len() <= MAX_LABELS).then(|| {
            let sound = labels
                .into_iter()
                .filter(|(key, value)| is_label_key(key) && is_label_value(value));
            sound
                .map(|(key, value)| (key.into(), value.into()))
                .collect::<BTreeMap<Box<str>, Box<str>>>()
        });
        let value_of = |key: &str| labels.as_ref()?.get(key).cloned();
        let owner = owner(&metadata.owner_references, value_of(POD_TEMPLATE_HASH).as_deref());
        let shown = shown.iter().filter_map(|key| Some((key.as_str().into(), value_of(key)?)));
        let shown = shown.collect();
        let names = Names {
            uid: Arc::from(uid),
            namespace: namespace.into(),
            pod: name.into(),
            node: spec.node_name.filter(|name| is_name(name)).map(Box::from),
            owner,
            labels,
            shown,
        };
        let alias = metadata.annotations.configuration_hash;
        let alias = alias.filter(|alias| is_name(alias) && **alias != *names.uid).map(Box::from);
        Some(PodFacts { names, alias, containers: status.containers() })
    }
}

impl Status {
    /// Identifiers of the containers, and their names.
    fn containers(self) -> Vec<(Box<str>, Box<str>)> {
        let Self { container_statuses, init_container_statuses, ephemeral_container_statuses } =
            self;
        let all = container_statuses
            .into_iter()
            .chain(init_container_statuses)
            .chain(ephemeral_container_statuses);
        let mut containers = Vec::new();
        for ContainerStatus { name, container_id, last_state } in
            all.filter(|one| is_name(&one.name))
        {
            let before = last_state.terminated.and_then(|terminated| terminated.container_id);
            for id in [container_id, before].into_iter().flatten() {
                // runtime://identifier
                let Some((_, id)) = id.rsplit_once("://").filter(|(_, id)| is_name(id)) else {
                    continue;
                };
                containers.push((Box::from(id), Box::from(name.as_str())));
            }
        }
        containers
    }
}

/// What made a pod, as the pod itself shows it. A `Deployment` makes its pods through a `ReplicaSet`
/// that it names after itself and after the digest which it puts on both as a label.
fn owner(references: &[OwnerReference], template_hash: Option<&str>) -> Option<Owner> {
    let reference = references.iter().find(|reference| reference.controller == Some(true))?;
    let OwnerReference { kind, name, controller: _ } = reference;
    let deployment = template_hash.filter(|hash| kind == "ReplicaSet" && !hash.is_empty());
    let deployment = deployment.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    let (kind, name) = match deployment {
        Some(name) => ("Deployment", name),
        None => (kind.as_str(), name.as_str()),
    };
    (is_name(kind) && is_name(name)).then(|| Owner { kind: kind.into(), name: name.into() })
}

/// Names of objects, their kinds and identifiers.
fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_of_name)
}

/// What is null means the same as what is not there.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// Digest of the template that a pod was made from, set by the controller of Deployments.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// Pods have some ten. Of one with more, labels are not known, so that no rule takes one that was left
/// out for one that is not there.
const MAX_LABELS: usize = 128;

/// RFC 1123, section 2.1.
const MAX_NAME_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn facts(pod: Value) -> Option<PodFacts> {
        let shown = ["app".to_owned(), "tier".to_owned()];
        serde_json::from_value::<Pod>(pod).expect("a pod").into_facts(&shown)
    }

    fn pod() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "api-7d9f8b-x2x", "namespace": "shop", "uid": "u-1", "resourceVersion": "7",
                "labels": { "app": "api", "pod-template-hash": "7d9f8b", "other": "" },
                "annotations": { "kubernetes.io/config.seen": "x" },
                "ownerReferences": [
                    { "kind": "Node", "name": "n", "controller": false },
                    { "kind": "ReplicaSet", "name": "api-7d9f8b", "controller": true }
                ]
            },
            "spec": { "nodeName": "node-1", "containers": [{ "name": "api" }] },
            "status": {
                "initContainerStatuses": null,
                "containerStatuses": [
                    { "name": "api", "containerID": "containerd://c1",
                      "lastState": { "terminated": { "containerID": "containerd://c0", "exitCode": 1 } } },
                    { "name": "waits", "state": { "waiting": {} }, "lastState": {} }
                ],
                "ephemeralContainerStatuses": [{ "name": "debug", "containerID": "cri-o://c2" }]
            }
        })
    }

    #[test]
    fn names_labels_owner_and_containers_are_taken() {
        let PodFacts { names, alias, containers } = facts(pod()).expect("names");
        assert_eq!(
            (&*names.namespace, &*names.pod, &*names.uid),
            ("shop", "api-7d9f8b-x2x", "u-1")
        );
        assert_eq!(names.node.as_deref(), Some("node-1"));
        let owner = names.owner.expect("an owner");
        assert_eq!((&*owner.kind, &*owner.name), ("Deployment", "api"));
        assert_eq!(names.labels.expect("labels").len(), 3);
        assert_eq!(names.shown.len(), 1, "{:?}", names.shown);
        assert_eq!(alias, None);
        let containers: Vec<(&str, &str)> =
            containers.iter().map(|(id, name)| (&**id, &**name)).collect();
        assert_eq!(containers, [("c1", "api"), ("c0", "api"), ("c2", "debug")]);
    }

    #[test]
    fn an_owner_is_what_the_pod_shows_and_no_more() {
        let owner_of = |kind: &str, name: &str, hash: &str| {
            let mut pod = pod();
            pod["metadata"]["ownerReferences"] =
                json!([{ "kind": kind, "name": name, "controller": true }]);
            pod["metadata"]["labels"]["pod-template-hash"] = hash.into();
            let owner = facts(pod).expect("names").names.owner.expect("an owner");
            format!("{} {}", owner.kind, owner.name)
        };
        assert_eq!(owner_of("ReplicaSet", "web-1a", "1a"), "Deployment web");
        assert_eq!(owner_of("ReplicaSet", "web-1a", "2b"), "ReplicaSet web-1a");
        assert_eq!(owner_of("ReplicaSet", "web1a", "1a"), "ReplicaSet web1a");
        assert_eq!(owner_of("ReplicaSet", "web-", ""), "ReplicaSet web-");
        assert_eq!(owner_of("StatefulSet", "db-1a", "1a"), "StatefulSet db-1a");
        let mut free = pod();
        free["metadata"]["ownerReferences"] = Value::Null;
        assert_eq!(facts(free).expect("names").names.owner, None);
    }

    #[test]
    fn what_is_no_name_is_not_taken() {
        for (field, bad) in [
            ("name", json!("")),
            ("name", json!("x\u{1b}[31m")),
            ("namespace", Value::Null),
            ("uid", json!("x".repeat(254))),
        ] {
            let mut pod = pod();
            pod["metadata"][field] = bad;
            assert_eq!(facts(pod), None, "{field}");
        }
        let mut many = pod();
        many["metadata"]["labels"] =
            (0..=MAX_LABELS).map(|number| (format!("l{number}"), json!("x"))).collect();
        assert_eq!(facts(many).expect("names").names.labels, None, "they are not known");
        let mut odd = pod();
        odd["metadata"]["labels"]["app"] = json!("<script>");
        let names = facts(odd).expect("names").names;
        assert!(names.shown.is_empty() && names.labels.expect("labels").len() == 2);
    }

    #[test]
    fn a_pod_of_a_file_has_two_identifiers() {
        let mut pod = pod();
        pod["metadata"]["annotations"]["kubernetes.io/config.hash"] = json!("f0f0");
        assert_eq!(facts(pod).expect("names").alias.as_deref(), Some("f0f0"));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_its_fields_names_are_names(text in any::<String>(), at in 0..6_usize) {
            let mut pod = pod();
            let place = [
                "/metadata/name", "/metadata/labels/app", "/metadata/ownerReferences/1/name",
                "/spec/nodeName", "/status/containerStatuses/0/containerID",
                "/status/containerStatuses/0/name",
            ][at];
            *pod.pointer_mut(place).expect("a place") = text.into();
            if let Some(PodFacts { names, containers, .. }) = facts(pod) {
                let labels = names.labels.iter().flatten();
                let all = labels.flat_map(|(key, value)| [&**key, &**value])
                    .chain([&*names.pod, &*names.namespace])
                    .chain(names.node.as_deref())
                    .chain(names.owner.iter().map(|owner| &*owner.name))
                    .chain(containers.iter().flat_map(|(id, name)| [&**id, &**name]));
                for text in all {
                    prop_assert!(text.len() <= MAX_NAME_BYTES);
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
                }
            }
        }
    }
}
