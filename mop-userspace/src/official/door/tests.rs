//! The door as applications meet it, over HTTP, with the built-in contracts behind it.

use std::net::SocketAddr;

use clap::Parser as _;
use mop_outbox::Feed;
use serde_json::{Value, json};

use super::*;
use crate::{
    cli::{Arguments, Command},
    clock::Clock,
    configuration::Configuration,
    identifiers::Identifiers,
    ledger::CaptureAccount,
    official::{
        field_policy::FieldPolicies,
        message::{Identity, OfficialMessages},
    },
    output::{Dropped, Format, Output, Spooling},
    rulebook::Rules,
    scope::Scope,
    security::SecurityConfiguration,
    selection::Selection,
    sinks::{
        forwarder::Bells,
        http::{Client, Reach},
    },
    spool::{Spool, SpoolVitals},
    summary::ExchangeCounts,
    vitals::SinkVitals,
};

const CONSENTS: &str = "/open-insurance/consents/v3/consents";

/// A door that listens, and everything behind it.
struct Opened {
    door: Arc<Door>,
    address: SocketAddr,
    worker: JoinHandle<Reporter>,
    output: Output,
    feed: Feed,
    folder: tempfile::TempDir,
}

impl Opened {
    async fn with(lists: Option<Value>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fields = folder.path().join("fields.json");
        if let Some(lists) = lists {
            std::fs::write(&fields, lists.to_string()).expect("written");
        }
        let policies = FieldPolicies::new(Some(fields), Duration::from_secs(60));
        let source = OfficialSource::new(Identity::default(), policies);
        let arguments = Arguments::parse_from(["mop", "replay", "x", "--output", "none"]);
        let Command::Replay(arguments) = arguments.command else { panic!("a replay") };
        let format = Format::of(&arguments.report, Spooling::Forwarded).expect("a format");
        let mut configuration = Configuration::default();
        configuration.outbox.folder = Some(folder.path().join("outbox"));
        let dropped = Arc::new(Dropped::default());
        let vitals = SpoolVitals::new(
            vec![SinkVitals::new("reader")],
            Arc::clone(&dropped),
            Box::new(CaptureAccount::default),
        );
        let spool = Spool::open(&configuration, Bells::default(), vitals).expect("an outbox");
        let feed = spool.feed("reader").expect("a feed");
        let output = Output::start(format, Some(spool), dropped).expect("a writer");
        let rules =
            Rules::load(&arguments.quality, &SecurityConfiguration::default()).expect("rules");
        let inspector = rules.inspector(&arguments.quality, 1, "door".to_owned());
        let official = OfficialMessages::new(Arc::clone(&source));
        let inspector = inspector.map(|inspector| inspector.with_official(Some(official)));
        let reporter = Reporter {
            tenure: Arc::default(),
            scope: Scope::default(),
            guard: None,
            selection: Selection::of(&arguments.report),
            payload: format.payload(),
            outlet: Some(output.outlet_that_waits()),
            clock: Clock::now(),
            identifiers: Identifiers::of_run("2a"),
            counts: ExchangeCounts::default(),
            inspector,
            extractor: None,
            data: None,
            security: None,
        };
        let (door, worker) = Door::start(reporter, Some(source)).expect("a thread");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = routes(Arc::clone(&door));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { door, address, worker, output, feed, folder }
    }

    async fn open() -> Self {
        Self::with(Some(json!({ "anonymized": ["identification"], "exposed": ["rel"] }))).await
    }

    fn client() -> Client {
        let limit = Duration::from_secs(20);
        let reach =
            Reach { ca_file: None, proxy: None, connect_timeout: limit, request_timeout: limit };
        Client::new(reach).expect("a client")
    }

    async fn post(&self, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> (u16, Value) {
        let client = Self::client();
        let mut request = client.post(&format!("http://{}/v1/anonymize/data", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = client.send(request.body(body)).await.expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let client = Self::client();
        let request = client.get(&format!("http://{}{path}", self.address));
        let answer = client.send(request).await.expect("an answer");
        (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
    }

    /// Closes it and gives its records.
    fn records(self) -> Vec<Value> {
        let Self { door, address: _, worker, output, mut feed, folder } = self;
        door.close();
        drop(worker.join().expect("no panic"));
        let spool = output.finish().expect("written");
        let entries = feed.next(1000, 64 << 20);
        drop((spool, folder));
        entries.iter().map(|entry| serde_json::from_slice(&entry.payload).expect("JSON")).collect()
    }
}

/// The fields of a request's copy, but for those that are left out.
fn fields<'a>(without: &str, with: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let all = [
        ("X-Correlation-Id", "c-1"),
        ("origin", "client"),
        ("httpType", "Request"),
        ("path", CONSENTS),
        ("operation", "post"),
    ];
    let replaced = |name: &str| with.iter().any(|(other, _)| *other == name);
    let kept = all.into_iter().filter(|(name, _)| *name != without && !replaced(name));
    kept.chain(with.iter().copied()).collect()
}

fn consent() -> String {
    json!({ "data": {
        "loggedUser": { "document": { "identification": "m4rk", "rel": "CPF" } },
        "permissions": ["RESOURCES_READ"],
        "expirationDateTime": "2027-02-01T23:59:59Z",
    } })
    .to_string()
}

#[tokio::test]
async fn a_copy_is_judged_without_its_header_fields_and_becomes_a_message() {
    let opened = Opened::open().await;
    let (status, answer) = opened.post(&fields("", &[]), consent()).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(
        answer["context"],
        json!({ "correlationId": "c-1", "clientSSId": "client", "serverASId": "" })
    );
    assert_eq!(answer["request"]["path"], CONSENTS);
    assert_eq!(answer["request"]["operation"], "POST");
    assert_eq!(answer["request"]["header"]["httpType"], "request");
    // The identification breaks its pattern: told; the missing header fields of the copy: not.
    let codes: Vec<&str> = answer["validations"]["pending"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["code"].as_str().expect("text"))
        .collect();
    assert!(codes.contains(&"body.pattern"), "{codes:?}");
    assert!(codes.contains(&"unjudged.headers_not_seen"), "{codes:?}");
    assert!(
        !codes.iter().any(|code| code.starts_with("header.") || code.starts_with("content_type.")),
        "{codes:?}"
    );
    assert_eq!(answer["validations"]["status"], "ERROR");
    assert!(!answer.to_string().contains("m4rk"));
    assert_eq!(opened.door.counts.accepted.load(Ordering::Relaxed), 1);
    let records = opened.records();
    let report =
        records.iter().find(|record| record["kind"] == "quality.report").expect("a report");
    assert_eq!(
        report["unjudged"],
        json!([{ "direction": "request", "reason": "headers_not_seen" }])
    );
    assert_eq!(report["rules"], json!([]));
    let message =
        records.iter().find(|record| record["kind"] == "official.message").expect("a message");
    assert_eq!(message["exchange"], report["exchange"]);
    assert_eq!(message["message"]["trace"]["correlationId"], "c-1");
    let document = &message["message"]["payload"]["data"]["loggedUser"]["document"];
    assert_eq!(document["rel"], "CPF");
    assert_eq!(document["identification"].as_str().map(str::len), Some(44));
    let text: String = records.iter().map(ToString::to_string).collect();
    assert!(!text.contains("m4rk"));
    assert!(
        !records.iter().any(|record| record["kind"] == "exchange"),
        "nothing was seen on a wire"
    );
}

#[tokio::test]
async fn responses_are_judged_by_the_status_that_is_told() {
    let opened = Opened::open().await;
    let body = json!({
        "data": {
            "consentId": "urn:participante:synthetic-000001",
            "creationDateTime": "2027-01-01T00:00:00Z",
            "status": "AWAITING_AUTHORISATION",
            "statusUpdateDateTime": "2027-01-01T00:00:00Z",
            "permissions": ["RESOURCES_READ"],
            "expirationDateTime": "2027-02-01T23:59:59Z",
        },
        "links": { "self": "https://api.participante.example/open-insurance/consents/v3/consents" },
        "meta": { "totalRecords": 1, "totalPages": 1 },
    });
    let server = [("origin", "SERVER"), ("httpType", "response"), ("statusCode", "201")];
    let full = [
        &server[..],
        &[
            ("clientSSId", "ss"),
            ("serverASId", "as"),
            ("X-Mop-Reportid", "r-1"),
            ("path", "https://api.example/x/open-insurance/consents/v3/consents"),
        ],
    ]
    .concat();
    let (status, answer) = opened.post(&fields("", &full), body.to_string()).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["context"]["clientSSId"], "ss");
    assert_eq!(answer["validations"]["status"], "WARNING", "{answer}");
    assert_eq!(answer["validations"]["pending"][0]["code"], "unjudged.headers_not_seen");
    assert_eq!(answer["validations"]["total"], 1);
    let (_, answer) = opened.post(&fields("", &server), "{}").await;
    assert_eq!(answer["validations"]["status"], "ERROR", "{answer}");
    // Without a contract the answer says so, as the client does.
    let (status, answer) = opened.post(&fields("", &[("path", "/nowhere")]), "{}").await;
    assert_eq!(
        (status, &answer["validations"]["pending"][0]["code"]),
        (202, &json!("route.path_unknown"))
    );
    let records = opened.records();
    let trace = &records.iter().find(|record| record["kind"] == "official.message").expect("made")
        ["message"]["trace"];
    assert_eq!(trace["mopReportId"], "r-1");
    assert_eq!((&trace["statusCode"], &trace["httpType"]), (&json!("201"), &json!("response")));
}

#[tokio::test]
async fn what_the_client_refuses_is_refused_in_its_two_forms() {
    let opened = Opened::open().await;
    for name in ["X-Correlation-Id", "origin", "path", "operation", "httpType"] {
        let (status, answer) = opened.post(&fields(name, &[]), "{}").await;
        assert_eq!(status, 400, "{name}");
        assert_eq!(answer[0], format!("Missing required header: {name}"));
        assert!(answer[1].as_str().expect("text").starts_with("Details: "), "{answer}");
    }
    for (field, value, word) in [
        ("X-Correlation-Id", " ", "X-Correlation-Id"),
        ("origin", "s3cr3t", "either 'client' or 'server'"),
        ("origin", "server", "'httpType' must be 'Response'"),
        ("httpType", "Response", "'httpType' must be 'Request'"),
        ("httpType", "s3cr3t", "one of the following"),
        ("operation", "s3cr3t", "one of the following"),
        ("path", " ", "'path' must not be empty"),
        ("statusCode", "99", "100-599"),
        ("statusCode", "s3cr3t", "100-599"),
    ] {
        let (status, answer) = opened.post(&fields("", &[(field, value)]), "{}").await;
        assert_eq!(status, 400, "{field} {value}");
        assert_eq!(answer["error"], "Invalid header");
        assert!(answer["details"].as_str().expect("text").contains(word), "{answer}");
        assert!(answer["timestamp"].is_string());
        assert!(!answer.to_string().contains("s3cr3t"), "{answer}");
    }
    let server = fields("", &[("origin", "server"), ("httpType", "Response")]);
    let (status, answer) = opened.post(&server, "{}").await;
    assert_eq!(status, 400);
    assert!(
        answer["details"].as_str().expect("text").contains("'statusCode' is required"),
        "{answer}"
    );
    for root in ["[]", "[{}]", "1", "\"x\"", "null"] {
        let (status, answer) = opened.post(&fields("", &[]), root).await;
        assert_eq!((status, &answer["error"]), (400, &json!("Invalid JSON body")), "{root}");
    }
    for text in ["{", "s3cr3t", r#"{"a":1,"a":2}"#] {
        let (status, answer) = opened.post(&fields("", &[]), text).await;
        assert_eq!((status, &answer[0]), (400, &json!("Invalid or unreadable JSON payload.")));
        assert!(!answer.to_string().contains("s3cr3t"));
    }
    let (status, _) = opened.post(&fields("", &[]), vec![b' '; MAX_COPY_BYTES + 1]).await;
    assert_eq!(status, 413);
    let (status, answer) = opened.post(&fields("", &[]), "").await;
    assert_eq!(status, 202, "no body is none: {answer}");
    assert_eq!(opened.door.counts.refused.load(Ordering::Relaxed), 5 + 9 + 1 + 5 + 3 + 1);
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_told_so_and_nothing_is_kept() {
    let opened = Opened::with(None).await;
    let (status, answer) = opened.post(&fields("", &[]), consent()).await;
    assert_eq!((status, &answer["error"]), (503, &json!("Service unavailable")));
    assert!(opened.records().is_empty());
    let opened = Opened::open().await;
    let all =
        opened.door.places.acquire_many(u32::try_from(PLACES).expect("few")).await.expect("open");
    let (status, _) = opened.post(&fields("", &[]), consent()).await;
    assert_eq!(status, 503);
    drop(all);
    let client = Opened::client();
    let (status, _) = opened.post(&fields("", &[]), consent()).await;
    assert_eq!(status, 202);
    opened.door.close();
    let url = format!("http://{}/v1/anonymize/data", opened.address);
    let request = fields("", &[])
        .iter()
        .fold(client.post(&url), |request, (name, value)| request.header(*name, *value));
    let answer = client.send(request.body(consent())).await.expect("an answer");
    assert_eq!((answer.status, answer.retry_after), (503, Some(Duration::from_secs(5))));
    assert_eq!(opened.door.counts.turned_away.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn health_is_where_the_client_has_it() {
    let opened = Opened::with(None).await;
    for path in ["/v1/anonymize/actuator/health", "/v1/anonymize/health", "/actuator/health"] {
        let (status, answer) = opened.get(path).await;
        assert_eq!((status, &answer["status"]), (200, &json!("UP")), "{path}");
        assert_eq!(answer["components"]["anonymizationFields"]["status"], "UNKNOWN");
    }
    opened.door.close();
    let (status, answer) = opened.get("/actuator/health").await;
    assert_eq!((status, &answer["status"]), (503, &json!("DOWN")));
}
