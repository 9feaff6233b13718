//! The workload of a process, as records tell it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Names, Owner, Whereabouts, Workload};

/// What is known of it; what is not is left out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkloadRecord<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<&'a str>,
    /// In the cluster, and where the cluster is not asked, on the node.
    pod_uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerRecord<'a>>,
    /// Those that the configuration names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Clone, Debug, Serialize)]
struct OwnerRecord<'a> {
    kind: &'a str,
    name: &'a str,
}

impl<'a> WorkloadRecord<'a> {
    /// Of a process; `None` when it is in no pod, or nobody knows.
    pub(crate) fn of(whereabouts: &'a Whereabouts) -> Option<Self> {
        let Whereabouts { placement, workload } = whereabouts;
        let Some(Workload { names, container }) = workload.as_deref() else {
            let pod_uid = placement.as_ref()?.pod.as_deref()?;
            return Some(Self {
                namespace: None,
                pod: None,
                pod_uid,
                container: None,
                node: None,
                owner: None,
                labels: BTreeMap::new(),
            });
        };
        let Names { uid, namespace, pod, node, owner, labels: _, shown } = &**names;
        Some(Self {
            namespace: Some(namespace),
            pod: Some(pod),
            pod_uid: uid,
            container: container.as_deref(),
            node: node.as_deref(),
            owner: owner.as_ref().map(|Owner { kind, name }| OwnerRecord { kind, name }),
            labels: shown.iter().map(|(key, value)| (&**key, &**value)).collect(),
        })
    }

    /// `namespace/pod`, or the identifier where the names are not known; for people.
    pub(crate) fn line(&self) -> String {
        match (self.namespace, self.pod, self.container) {
            (Some(namespace), Some(pod), Some(container)) => {
                format!("{namespace}/{pod}/{container}")
            }
            (Some(namespace), Some(pod), None) => format!("{namespace}/{pod}"),
            _ => format!("pod {}", self.pod_uid),
        }
    }
}

impl Serialize for Whereabouts {
    /// As [`WorkloadRecord`]; a field of a record that is left out where there is nothing to tell.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WorkloadRecord::of(self).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mop_probe::process::Placement;
    use serde_json::{Value, json};

    use super::*;

    fn whereabouts(pod: Option<&str>, workload: Option<Workload>) -> Whereabouts {
        let placement = Placement { container: None, pod: pod.map(str::to_owned) };
        Whereabouts { placement: Some(Arc::new(placement)), workload: workload.map(Arc::new) }
    }

    fn workload() -> Workload {
        let label = |key: &str| (Box::from(key), Box::from("x"));
        let names = Names {
            uid: Arc::from("u"),
            namespace: "shop".into(),
            pod: "api-1".into(),
            node: Some("node-1".into()),
            owner: Some(Owner { kind: "Job".into(), name: "api".into() }),
            labels: Some(BTreeMap::from([label("app"), label("private")])),
            shown: BTreeMap::from([label("app")]),
        };
        Workload { names: Arc::new(names), container: Some("main".into()) }
    }

    #[test]
    fn what_is_not_known_is_absent() {
        assert_eq!(
            serde_json::to_value(whereabouts(Some("f"), None)).expect("serialisable"),
            json!({ "pod_uid": "f" })
        );
        assert!(!whereabouts(None, None).is_pod() && !Whereabouts::default().is_pod());
        let known = whereabouts(Some("f"), Some(workload()));
        let told = serde_json::to_value(&known).expect("serialisable");
        assert_eq!((&told["pod_uid"], &told["labels"]), (&json!("u"), &json!({ "app": "x" })));
        let line = |one: &Whereabouts| WorkloadRecord::of(one).map(|record| record.line());
        assert_eq!(line(&known).as_deref(), Some("shop/api-1/main"));
        assert_eq!(line(&whereabouts(Some("f"), None)).as_deref(), Some("pod f"));
    }

    #[test]
    fn records_have_the_form_that_the_schemas_say() {
        let schema = |text: &str, place: &str| -> Value {
            let schema: Value = serde_json::from_str(text).expect("JSON");
            schema.pointer(place).expect("declared").clone()
        };
        let schemas = [
            schema(
                include_str!("../../../rules/schemas/exchange.schema.json"),
                "/properties/workload",
            ),
            schema(
                include_str!("../../../rules/schemas/quality.report.schema.json"),
                "/properties/workload",
            ),
            schema(
                include_str!("../../../rules/schemas/node.coverage.schema.json"),
                "/properties/processes/items/properties/workload",
            ),
        ];
        assert!(schemas.iter().all(|schema| *schema == schemas[0]), "they say the same");
        let validator = jsonschema::validator_for(&schemas[0]).expect("a schema");
        let bare = Workload { container: None, ..workload() };
        for one in [Some(workload()), Some(bare), None] {
            let told = serde_json::to_value(whereabouts(Some("f"), one)).expect("serialisable");
            let wrong: Vec<String> =
                validator.iter_errors(&told).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{wrong:?} in {told:#}");
        }
    }
}
