//! A folder as findings come, a restart, and a puller as MISP is one.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode},
};
use jiff::{SignedDuration, Timestamp};
use mop_insight::data::digest::Key;
use mop_insight::security::{
    finding::{Finding, FindingFacts, Owasp, Reason, Severity},
    intelligence::read::Manifest,
    misp::{feed::Network, marking::Marking, tag::Rsit},
    pseudonym::{Class, Epoch, Pseudonymiser},
    uuid::Uuid,
};

use super::*;

fn configuration(folder: &Path) -> FeedConfiguration {
    FeedConfiguration {
        folder: folder.to_owned(),
        organisation: "Seguradora Exemplo".to_owned(),
        organisation_uuid: "2ed6657d-e927-568b-95e1-2665a8aea6a2".to_owned(),
        client_addresses: true,
        ..FeedConfiguration::default()
    }
}

fn noon() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn after(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

fn finding(rule: &str, client: Option<&str>, at: Timestamp) -> Finding {
    Finding::new(FindingFacts {
        rule: rule.to_owned(),
        title: "Codes are tried at the token endpoint".to_owned(),
        severity: Severity::High,
        paranoia: 1,
        owasp: vec![Owasp::Api2],
        fapi: vec!["token-lifetime".to_owned()],
        organisation: Some("00000000-0000-4000-8000-000000000001".to_owned()),
        client_organisation: client.map(str::to_owned),
        side: None,
        method: Some("POST".to_owned()),
        endpoint: Some("/token".to_owned()),
        exchange: None,
        places: Vec::new(),
        count: 3,
        first_seen: at,
        last_seen: at,
        reason: Reason {
            en: "Many are refused.".to_owned(),
            pt: "Muitos são recusados.".to_owned(),
        },
    })
    .expect("a finding")
}

fn observe(keeper: &mut FeedKeeper, rule: &str, client: Option<&str>, at: Timestamp) {
    let marking = Marking { rsit: Some(Rsit::BruteForce), ..Marking::default() };
    let pseudonymiser = Pseudonymiser::new(Key::new([5; 32]));
    let pseudonym = pseudonymiser.pseudonym(Class::Consent, "urn:mop:c", Epoch::of(at));
    let network = Network {
        client: Some("198.51.100.7".parse().expect("an address")),
        server_port: Some(443),
        ja3: Some([0xab; 16]),
        ja4: Some("t13d1516h2_8daaf6152771_02713d6af862"),
        certificate: Some([0xcd; 32]),
        user_agent: Some("curl/8.11.0"),
        pseudonyms: pseudonym.as_slice(),
    };
    let told = Told { finding: &finding(rule, client, at), marking: &marking, network };
    keeper.observe(&told, at);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let content = fs::read(folder.join(&name)).expect("readable");
        (name, content)
    };
    names(folder).into_iter().map(read).collect()
}

#[test]
fn a_folder_is_written_now_and_then_and_at_the_end() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("misp");
    let mut keeper = FeedKeeper::open(&configuration(&folder), noon()).expect("a keeper");
    assert_eq!(names(&folder), ["hashes.csv", "manifest.json"], "an empty feed is one");
    observe(&mut keeper, "r", Some("c"), after(1));
    keeper.advance(after(2));
    assert_eq!(names(&folder).len(), 2, "it is not due");
    keeper.advance(after(6));
    assert_eq!(names(&folder).len(), 3);
    let before = contents(&folder);
    keeper.advance(after(60));
    assert_eq!(contents(&folder), before);
    observe(&mut keeper, "r", Some("d"), after(61));
    keeper.finish(after(61));
    assert_eq!(names(&folder).len(), 4);
}

#[test]
fn a_restart_goes_on_where_it_was_and_old_days_go() {
    let place = tempfile::tempdir().expect("a folder");
    let configuration = FeedConfiguration { keep_days: 2, ..configuration(place.path()) };
    let mut keeper = FeedKeeper::open(&configuration, noon()).expect("a keeper");
    observe(&mut keeper, "r", Some("c"), after(1));
    observe(&mut keeper, "s", None, after(1));
    keeper.finish(after(2));
    drop(keeper);
    let before = contents(place.path());
    fs::write(place.path().join("00000000-0000-4000-8000-000000000009.json"), "{}").expect("x");
    let mut keeper = FeedKeeper::open(&configuration, after(3)).expect("a keeper");
    let mut now = contents(place.path());
    assert!(now.remove("00000000-0000-4000-8000-000000000009.refused").is_some(), "set aside");
    assert_eq!(now, before);
    assert_eq!(keeper.vitals().not_restored.load(std::sync::atomic::Ordering::Relaxed), 1);
    observe(&mut keeper, "r", Some("c"), after(86_400));
    keeper.advance(after(86_400));
    assert_eq!(keeper.vitals().events.load(std::sync::atomic::Ordering::Relaxed), 3);
    keeper.advance(after(2 * 86_400));
    assert_eq!(names(place.path()).len(), 4, "one event, two lists, one set aside");
}

#[test]
fn what_cannot_be_written_is_written_later() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("misp");
    let mut keeper = FeedKeeper::open(&configuration(&folder), noon()).expect("a keeper");
    fs::remove_dir_all(&folder).expect("removed");
    observe(&mut keeper, "r", Some("c"), after(1));
    keeper.advance(after(6));
    let failures = keeper.vitals().failures.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(failures, 1);
    fs::create_dir(&folder).expect("made");
    keeper.advance(after(12));
    assert_eq!(names(&folder).len(), 3);
}

#[test]
fn an_address_is_told_only_where_it_may_be() {
    let place = tempfile::tempdir().expect("a folder");
    let configuration =
        FeedConfiguration { client_addresses: false, ..configuration(place.path()) };
    let mut keeper = FeedKeeper::open(&configuration, noon()).expect("a keeper");
    observe(&mut keeper, "r", Some("c"), after(1));
    keeper.finish(after(1));
    for (name, content) in contents(place.path()) {
        assert!(!String::from_utf8_lossy(&content).contains("198.51.100.7"), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let problems = |configuration: FeedConfiguration| {
        let mut problems = Vec::new();
        configuration.check(&mut problems);
        problems.len()
    };
    let good = configuration(Path::new("/var/lib/mop/misp"));
    assert_eq!(problems(good.clone()), 0);
    assert_eq!(problems(FeedConfiguration::default()), 3);
    let denied =
        |name: &str| FeedConfiguration { denied_types: vec![name.to_owned()], ..good.clone() };
    assert_eq!(problems(denied("ip-src")), 0);
    assert_eq!(problems(denied("ip_src")), 1, "a slip of the keyboard");
    assert_eq!(problems(FeedConfiguration { keep_days: 0, ..good }), 1);
}

/// A listener of a router, as long as it lives.
struct Server {
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { address, task }
    }

    /// Asks as a client would.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        etag: Option<&str>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut request = client.request(method, format!("http://{}{path}", self.address));
        if let Some(etag) = etag {
            request = request.header("If-None-Match", etag);
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.bytes().await.expect("a body").to_vec())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn only_files_of_the_feed_are_served_and_only_read() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("misp");
    fs::write(place.path().join("manifest.json"), "outside").expect("written");
    let configuration = configuration(&folder);
    let mut keeper = FeedKeeper::open(&configuration, noon()).expect("a keeper");
    observe(&mut keeper, "r", Some("c"), after(1));
    keeper.finish(after(1));
    fs::write(folder.join("secret.txt"), "secret").expect("written");
    let server = Server::start(crate::admin::limited(routes(&configuration))).await;
    let (status, head, body) = server.ask(Method::GET, "/misp/manifest.json", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(head["content-type"], "application/json");
    assert_eq!(body, fs::read(folder.join("manifest.json")).expect("there"));
    let (status, of_head, nothing) = server.ask(Method::HEAD, "/misp/manifest.json", None).await;
    assert_eq!((status, nothing.len()), (StatusCode::OK, 0));
    assert_eq!(of_head["content-length"], body.len().to_string().as_str());
    assert_eq!(of_head["etag"], head["etag"]);
    let (_, head, _) = server.ask(Method::GET, "/misp/hashes.csv", None).await;
    assert_eq!(head["content-type"], "text/csv; charset=utf-8");
    for path in [
        "/misp/secret.txt",
        "/misp/..%2fmanifest.json",
        "/misp/%2e%2e/manifest.json",
        "/misp/../manifest.json",
        "/misp/",
        "/misp",
        "/misp/manifest.json%00",
        "/misp/manifest.json/",
        "/misp/00000000-0000-4000-8000-000000000009.json",
    ] {
        let (status, _, body) = server.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(!body.windows(6).any(|it| it == b"secret"), "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let (status, ..) = server.ask(method, "/misp/manifest.json", None).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let closed = Server::start(routes(&FeedConfiguration { serve: false, ..configuration })).await;
    let (status, ..) = closed.ask(Method::GET, "/misp/manifest.json", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// What MISP does with a feed: asks for the index with the tag that it has, and fetches events that
/// are new or newer than its own.
#[derive(Default)]
struct Puller {
    etag: Option<String>,
    events: BTreeMap<Uuid, i64>,
}

impl Puller {
    /// The events that were fetched; none when the index has not changed.
    async fn pull(&mut self, server: &Server) -> Option<Vec<Uuid>> {
        let path = "/misp/manifest.json";
        let (status, head, body) = server.ask(Method::GET, path, self.etag.as_deref()).await;
        if status == StatusCode::NOT_MODIFIED {
            assert!(body.is_empty());
            return None;
        }
        self.etag = Some(head["etag"].to_str().expect("text").to_owned());
        let manifest = Manifest::parse(&body).expect("an index");
        let wanted: Vec<_> = manifest.wanted(|event| self.events.get(&event).copied()).collect();
        for uuid in &wanted {
            let path = format!("/misp/{uuid}.json");
            let (status, _, body) = server.ask(Method::GET, &path, None).await;
            assert_eq!(status, StatusCode::OK, "the index names what is not there");
            let event: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let text = event["Event"]["timestamp"].as_str().expect("text");
            self.events.insert(*uuid, text.parse().expect("seconds"));
        }
        for entry in &manifest.events {
            assert_eq!(self.events[&entry.event], entry.timestamp, "index and event differ");
        }
        Some(wanted)
    }
}

#[tokio::test]
async fn a_puller_gets_what_is_new_and_nothing_twice() {
    let place = tempfile::tempdir().expect("a folder");
    let configuration = configuration(place.path());
    let server = Server::start(routes(&configuration)).await;
    let mut keeper = FeedKeeper::open(&configuration, noon()).expect("a keeper");
    let mut puller = Puller::default();
    assert_eq!(puller.pull(&server).await, Some(Vec::new()));
    assert_eq!(puller.pull(&server).await, None);
    observe(&mut keeper, "r", Some("c"), after(1));
    observe(&mut keeper, "s", Some("c"), after(1));
    keeper.finish(after(1));
    let first = puller.pull(&server).await.expect("new events");
    assert_eq!(first.len(), 2);
    assert_eq!(puller.pull(&server).await, None);
    // In the same second: the time of the event grows all the same.
    observe(&mut keeper, "r", Some("c"), after(1));
    keeper.finish(after(1));
    assert_eq!(puller.pull(&server).await.expect("one event").len(), 1);
    drop(keeper);
    let mut keeper = FeedKeeper::open(&configuration, after(9)).expect("a keeper");
    assert_eq!(puller.pull(&server).await, None, "a restart changes nothing");
    observe(&mut keeper, "s", Some("c"), after(0));
    keeper.finish(after(9));
    assert_eq!(puller.pull(&server).await.expect("one event").len(), 1);
}

/// Writes a feed for the test that loads it with MISP's own library: run with `MOP_MISP_FEED` naming
/// a folder.
#[test]
fn a_feed_for_others_to_check() {
    let Some(folder) = std::env::var_os("MOP_MISP_FEED").map(PathBuf::from) else { return };
    let mut keeper = FeedKeeper::open(&configuration(&folder), noon()).expect("a keeper");
    for (at, rule) in (0..).zip(["opin_token_failure", "opin_scanner", "opin_token_failure"]) {
        for client in [Some("00000000-0000-4000-8000-000000000002"), None] {
            observe(&mut keeper, rule, client, after(at));
        }
    }
    keeper.finish(after(60));
}
