//! The section `[kubernetes]`.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    configuration::{Problem, duration},
    failure::Failure,
    sinks::http::{SecretFile, check_url, ports_of},
};

/// Its section of the configuration. Without it the cluster is not asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KubernetesConfiguration {
    /// The API server. Empty: as the environment of a pod says.
    pub(crate) url: String,
    /// File with the token of the service account; read again for each request.
    pub(crate) token_file: SecretFile,
    /// Certificates of those that sign the API server's; read again for each connection.
    pub(crate) ca_file: PathBuf,
    /// The node whose pods are asked for. Empty: `node.name`.
    pub(crate) node: String,
    /// Keys of the labels that records show.
    pub(crate) labels: Vec<String>,
    /// How long the names of a pod are known after its end.
    #[serde(with = "duration")]
    pub(crate) keep_deleted: Duration,
    #[serde(with = "duration")]
    pub(crate) connect_timeout: Duration,
    /// Of a list; a watch is open for some minutes.
    #[serde(with = "duration")]
    pub(crate) request_timeout: Duration,
}

impl KubernetesConfiguration {
    /// Where the API server is.
    ///
    /// # Errors
    ///
    /// It is not configured, and this is no pod.
    pub(crate) fn address(&self) -> Result<String, Failure> {
        if !self.url.is_empty() {
            return Ok(self.url.clone());
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(host), Some(port)) = (variable(HOST_VARIABLE), variable(PORT_VARIABLE)) else {
            return Err(Failure::configuration(format!(
                "kubernetes.url is empty and {HOST_VARIABLE} and {PORT_VARIABLE} are not set: in a \
                 pod they are; elsewhere set the URL, or leave the section [kubernetes] out"
            )));
        };
        Ok(if host.contains(':') {
            format!("https://[{host}]:{port}")
        } else {
            format!("https://{host}:{port}")
        })
    }

    /// Files that are read, now and when they are replaced.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.token_file.0, &self.ca_file].into_iter()
    }

    /// TCP ports that are connected to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        ports_of([&*self.address().ok()?], None)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { url, token_file, ca_file, node, labels, keep_deleted, .. } = self;
        let mut wrong = |key: &str, text: &str| {
            problems.push(Problem::new(&format!("kubernetes.{key}"), text));
        };
        if !cfg!(feature = "kubernetes") {
            let text = "this program was built without it; build it with `--features kubernetes`, \
                        or leave the section out";
            wrong("", text);
        }
        if let Some(Err(failure)) = (!url.is_empty()).then(|| check_url("url", url)) {
            wrong("url", &failure.to_string());
        }
        for (key, file) in [("token_file", &token_file.0), ("ca_file", ca_file)] {
            if !file.is_absolute() {
                wrong(key, "an absolute path is wanted: a service has no folder of its own");
            }
        }
        if !node.is_empty() && !is_subdomain(node) {
            wrong("node", "the name of a node is wanted, such as `kubectl get nodes` shows");
        }
        if labels.len() > MAX_SHOWN_LABELS {
            let text = format!(
                "at most {MAX_SHOWN_LABELS} are wanted: each stands in every record of a pod"
            );
            wrong("labels", &text);
        }
        for (number, key) in labels.iter().enumerate() {
            if !is_label_key(key) {
                let text = "the key of a label is wanted, such as app.kubernetes.io/name";
                wrong(&format!("labels.{number}"), text);
            }
        }
        if *keep_deleted > MAX_KEPT {
            wrong("keep_deleted", "at most 1h is wanted: calls of a pod end soon after it");
        }
    }
}

impl Default for KubernetesConfiguration {
    fn default() -> Self {
        Self {
            url: String::new(),
            token_file: SecretFile(format!("{ACCOUNT_FOLDER}/token").into()),
            ca_file: format!("{ACCOUNT_FOLDER}/ca.crt").into(),
            node: String::new(),
            labels: SHOWN_LABELS.map(str::to_owned).to_vec(),
            keep_deleted: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// The key of a label: a name, and before it a domain and a slash where it has one.
pub(crate) fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_label_name(name),
        None => is_label_name(key),
    }
}

/// The value of a label, which may be empty.
pub(crate) fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_name(value)
}

fn is_label_name(name: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = [name.bytes().next(), name.bytes().next_back()];
    name.len() <= MAX_LABEL_NAME_BYTES
        && name.bytes().all(is_inside)
        && ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

fn is_subdomain(text: &str) -> bool {
    let is_inside =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.len() <= MAX_SUBDOMAIN_BYTES && text.bytes().all(is_inside)
}

/// What says which program a pod is of: the labels that Kubernetes recommends, and the one that was
/// usual before.
const SHOWN_LABELS: [&str; 6] = [
    "app",
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
];

/// Where a pod finds its service account.
const ACCOUNT_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The kubelet sets both in every container.
const HOST_VARIABLE: &str = "KUBERNETES_SERVICE_HOST";
const PORT_VARIABLE: &str = "KUBERNETES_SERVICE_PORT";

/// A record of a call has some two kilobytes; a label at most 380 bytes.
const MAX_SHOWN_LABELS: usize = 16;

/// Beyond it identifiers of containers could only be confused.
const MAX_KEPT: Duration = Duration::from_secs(3_600);

/// Kubernetes, "Labels and Selectors", syntax and character set.
const MAX_LABEL_NAME_BYTES: usize = 63;
/// RFC 1123, section 2.1.
const MAX_SUBDOMAIN_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_of_labels_are_those_of_kubernetes() {
        for key in ["app", "a", "app.kubernetes.io/name", "example.com/A_b-C.d", "k8s-app"] {
            assert!(is_label_key(key), "{key}");
        }
        let long = "x".repeat(64);
        for key in ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "a b", "A.example/a", "é", &long] {
            assert!(!is_label_key(key), "{key}");
        }
        assert!(is_label_value("") && is_label_value("v1.2_3") && !is_label_value("a/b"));
    }

    #[test]
    fn nonsense_is_said_with_its_place() {
        let wrong = KubernetesConfiguration {
            url: "http://api.example".to_owned(),
            ca_file: "ca.crt".into(),
            node: "Node 1".to_owned(),
            labels: vec!["app".to_owned(), "no label".to_owned()],
            keep_deleted: Duration::from_secs(7_200),
            ..KubernetesConfiguration::default()
        };
        let mut problems = Vec::new();
        wrong.check(&mut problems);
        let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
        for key in ["url", "ca_file", "node", "labels.1", "keep_deleted"] {
            let key = format!("`kubernetes.{key}`");
            assert!(said.iter().any(|line| line.starts_with(&key)), "{key}: {said:#?}");
        }
        assert_eq!(said.len(), 5, "{said:#?}");
        problems.clear();
        KubernetesConfiguration::default().check(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn the_port_is_that_of_the_url() {
        let of = |url: &str| {
            KubernetesConfiguration { url: url.to_owned(), ..KubernetesConfiguration::default() }
                .ports()
        };
        assert_eq!(of("https://10.96.0.1"), Some(vec![443]));
        assert_eq!(of("https://[::1]:6443/proxy"), Some(vec![6443]));
        assert_eq!(of("nowhere"), None);
    }
}
