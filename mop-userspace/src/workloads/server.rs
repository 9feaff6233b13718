//! The API server: a list of the pods of a node, and a watch that tells of changes.

use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::{
    KubernetesConfiguration,
    event::{GONE, Unreadable},
    lines::TooLong,
    pod::Pod,
};
use crate::{
    failure::Failure,
    sinks::{
        Trouble,
        http::{Client, Reach, SecretFile, Stream},
    },
};

/// How to ask it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    configuration: KubernetesConfiguration,
    pods: Url,
    /// `spec.nodeName=…`
    selector: String,
}

/// From where a list may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// What the server has at hand, which costs the cluster nearly nothing.
    AtHand,
    /// As new as the store: what was at hand turned out to be too old.
    Newest,
}

/// All pods of the node.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) pods: Vec<Pod>,
    /// From where a watch goes on.
    pub(super) version: String,
}

/// What keeps it from answering.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The version that was asked for is too old.
    Expired,
    /// Anything else.
    Trouble(Trouble),
}

/// `PodList` of the API group `core`, version `v1`, as far as it is read.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Option<Vec<Pod>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

impl Server {
    /// The one that the configuration names; `node` is the name of this one.
    pub(super) fn new(
        configuration: &KubernetesConfiguration,
        node: &str,
    ) -> Result<Self, Failure> {
        let mut pods = Url::parse(&configuration.address()?).map_err(|error| {
            Failure::configuration(format!("kubernetes.url is no URL: {error}"))
        })?;
        let path = format!("{}/api/v1/pods", pods.path().trim_end_matches('/'));
        pods.set_path(&path);
        let node = if configuration.node.is_empty() { node } else { &configuration.node };
        let selector = format!("spec.nodeName={node}");
        Ok(Self { configuration: configuration.clone(), pods, selector })
    }

    /// A client that trusts the certificates as they are now.
    pub(super) fn client(&self) -> Result<Client, Trouble> {
        let KubernetesConfiguration { ca_file, connect_timeout, request_timeout, .. } =
            &self.configuration;
        Client::new(Reach {
            ca_file: Some(ca_file),
            proxy: None,
            connect_timeout: *connect_timeout,
            request_timeout: *request_timeout,
        })
        .map_err(|failure| Trouble::lasting("certificates", failure))
    }

    /// All pods of the node.
    pub(super) async fn list(
        &self,
        client: &Client,
        freshness: Freshness,
    ) -> Result<Listed, Refusal> {
        let mut listed = Listed { pods: Vec::new(), version: String::new() };
        let mut next = String::new();
        for _page in 0..MAX_PAGES {
            let mut query = vec![("limit", PODS_OF_PAGE)];
            match (freshness, next.as_str()) {
                (Freshness::AtHand, "") => query.push(("resourceVersion", "0")),
                (Freshness::Newest, "") => {}
                (_, next) => query.push(("continue", next)),
            }
            let request = self.request(client, &query)?;
            let fetched = client.fetch(request, MAX_PAGE_BYTES).await?;
            check_status(fetched.status)?;
            let Page { metadata, items } =
                serde_json::from_slice(&fetched.body).map_err(|_may_quote_it| Unreadable)?;
            if [&metadata.resource_version, &metadata.next]
                .iter()
                .any(|it| it.len() > MAX_MARK_BYTES)
            {
                return Err(Unreadable.into());
            }
            listed.pods.extend(items.unwrap_or_default());
            listed.version = metadata.resource_version;
            next = metadata.next;
            if next.is_empty() {
                return Ok(listed);
            }
        }
        Err(Trouble::lasting("too_large", "the list of pods has no end").into())
    }

    /// Changes since a version, for at most so long.
    pub(super) async fn watch(
        &self,
        client: &Client,
        version: &str,
        time: Duration,
    ) -> Result<Stream, Refusal> {
        let seconds = time.as_secs().to_string();
        let query = [
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", &seconds),
        ];
        let limit = time + self.configuration.request_timeout;
        let stream = client.stream(self.request(client, &query)?.timeout(limit)).await?;
        check_status(stream.status)?;
        Ok(stream)
    }

    fn request(&self, client: &Client, query: &[(&str, &str)]) -> Result<RequestBuilder, Trouble> {
        let SecretFile(path) = &self.configuration.token_file;
        let token = self.configuration.token_file.read();
        let token = token.map_err(|error| Trouble::lasting("token", error))?;
        let token = std::str::from_utf8(&token).map_err(|_may_quote_it| {
            Trouble::lasting("token", format!("{} holds no token", path.display()))
        })?;
        let mut url = self.pods.clone();
        url.query_pairs_mut().append_pair("fieldSelector", &self.selector).extend_pairs(query);
        Ok(client.get(url.as_str()).bearer_auth(token).header("accept", "application/json"))
    }
}

fn check_status(status: u16) -> Result<(), Refusal> {
    Err(Refusal::Trouble(match status {
        200 => return Ok(()),
        GONE => return Err(Refusal::Expired),
        401 => Trouble::lasting("unauthorised", "the token is not accepted (status 401)"),
        403 => Trouble::lasting(
            "forbidden",
            "the service account may not list and watch pods (status 403): give it the ClusterRole of \
             the manifest",
        ),
        429 => Trouble::passing("busy", "it wants to be left alone for a while (status 429)"),
        500.. => Trouble::passing("server_error", format!("it answers with status {status}")),
        _ => Trouble::lasting(
            "misdirected",
            format!("it answers with status {status}: is that an API server?"),
        ),
    }))
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Unreadable> for Refusal {
    fn from(Unreadable: Unreadable) -> Self {
        Self::Trouble(Trouble::passing("unreadable", "what it says is not what was asked for"))
    }
}

impl From<TooLong> for Refusal {
    fn from(TooLong: TooLong) -> Self {
        Self::Trouble(Trouble::passing("too_large", "an event of a pod is longer than 4 MiB"))
    }
}

/// A server that has a list at hand gives it whole, whatever the limit.
const PODS_OF_PAGE: &str = "100";

/// Pods have some ten kilobytes each, and a node has a few hundred.
const MAX_PAGE_BYTES: usize = 32 << 20;

/// Ten times the pods that a node can have.
const MAX_PAGES: usize = 64;

/// Versions have some ten digits, and places in a list some hundred letters.
const MAX_MARK_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_one_node_are_asked_for() {
        let configuration = |url: &str, node: &str| KubernetesConfiguration {
            url: url.to_owned(),
            node: node.to_owned(),
            ..KubernetesConfiguration::default()
        };
        let server = Server::new(&configuration("https://api.example/k8s/c1/", ""), "node-1");
        let server = server.expect("right");
        assert_eq!(server.pods.as_str(), "https://api.example/k8s/c1/api/v1/pods");
        assert_eq!(server.selector, "spec.nodeName=node-1");
        let server = Server::new(&configuration("https://[::1]:6443", "node-2"), "node-1");
        let server = server.expect("right");
        assert_eq!(server.pods.as_str(), "https://[::1]:6443/api/v1/pods");
        assert_eq!(server.selector, "spec.nodeName=node-2");
    }

    #[test]
    fn what_somebody_has_to_mend_is_not_tried_often() {
        for (status, reason, is_lasting) in [
            (401, "unauthorised", true),
            (403, "forbidden", true),
            (404, "misdirected", true),
            (429, "busy", false),
            (503, "server_error", false),
        ] {
            match check_status(status) {
                Err(Refusal::Trouble(trouble)) => {
                    assert_eq!((trouble.reason, trouble.is_lasting), (reason, is_lasting));
                }
                other => panic!("{status}: {other:?}"),
            }
        }
        assert!(matches!(check_status(410), Err(Refusal::Expired)));
        assert!(check_status(200).is_ok());
    }
}
