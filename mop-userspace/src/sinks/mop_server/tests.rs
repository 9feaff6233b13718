//! Against a server in the same process: what each answer leads to, and what is sent.

use std::{
    collections::HashMap,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::*;
use crate::official::sample;
use crate::sinks::http::stub::{Driven, LONG, SHORT, Stub, drive, entry, python_with, rsa_key};

const FIELDS: &str = r#"{"anonymized":["cpf"],"exposed":["brand"],"timestamp":"t"}"#;

fn public(key: &Path) -> DecodingKey {
    let made = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(key).output();
    DecodingKey::from_rsa_pem(&made.expect("openssl runs").stdout).expect("a public key")
}

fn configuration(stub: &Stub, key: PathBuf) -> MopServerConfiguration {
    MopServerConfiguration {
        process_url: stub.url("/process"),
        fields_url: stub.url("/anonymization-fields?schema=Consent"),
        key_file: key,
        kid: "kid-1".to_owned(),
        organisation_id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: "sandbox".to_owned(),
        request_timeout: LONG,
        ..MopServerConfiguration::default()
    }
}

fn message(number: u64) -> Entry {
    let payload = json!({
        "kind": KIND,
        "message": { "trace": { "mopReportId": number.to_string() }, "payload": { "data": {} } },
    });
    entry(number, KIND, &payload.to_string())
}

async fn driven(configuration: &MopServerConfiguration, records: u64, troubles: usize) -> Driven {
    let mut sink = MopServer::new(configuration, configuration.source()).expect("well configured");
    let records = (0..records).map(message).collect();
    drive(&mut sink, records, troubles).await
}

/// Answers with these one after the other, the last one for good.
async fn answering(answers: Vec<(u16, Vec<(&'static str, String)>)>) -> Stub {
    let next = AtomicUsize::new(0);
    Stub::start(Box::new(move |received| {
        if received.path.starts_with("/anonymization-fields") {
            return Some((200, Vec::new(), FIELDS.to_owned()));
        }
        let at = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        let (status, headers) = answers[at].clone();
        Some((status, headers, "{}".to_owned()))
    }))
    .await
}

fn posted(stub: &Stub) -> Vec<Value> {
    let received = stub.received();
    let posts = received.iter().filter(|received| received.path == "/process");
    posts
        .map(|post| {
            let token = std::str::from_utf8(&post.body).expect("text");
            let claims = token.split('.').nth(1).expect("three parts");
            let claims = URL_SAFE_NO_PAD.decode(claims).expect("base64url");
            serde_json::from_slice(&claims).expect("claims")
        })
        .collect()
}

#[tokio::test]
async fn what_is_sent_is_a_token_of_the_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let stub = answering(vec![(201, Vec::new())]).await;
    let configuration = configuration(&stub, key.clone());
    let mut sink = MopServer::new(&configuration, configuration.source()).expect("configured");
    // Digits that no double holds pass through.
    let payload = r#"{"kind":"official.message","message":{"payload":{"data":{"n":12345678901234567890123}}}}"#;
    let driven =
        drive(&mut sink, vec![entry(1, KIND, payload), entry(2, "quality.report", "{}")], 1).await;
    assert_eq!(driven.delivered, [1], "{driven:?}");
    let received = stub.received();
    let post = received.iter().find(|received| received.path == "/process").expect("sent");
    assert_eq!(post.method, "POST");
    assert_eq!(post.headers["content-type"], "application/jwt");
    let token = std::str::from_utf8(&post.body).expect("text");
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_required_spec_claims(&["exp"]);
    let read = jsonwebtoken::decode::<Value>(token, &public(&key), &validation).expect("verifies");
    assert_eq!(read.header.kid.as_deref(), Some("kid-1"));
    assert_eq!(read.header.typ.as_deref(), Some("JWT"));
    let claims = read.claims;
    assert_eq!(claims["orgId"], configuration.organisation_id);
    let (issued, expires) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    assert_eq!(expires.expect("there") - issued.expect("there"), 3600);
    let part = token.split('.').nth(1).expect("three parts");
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("text");
    assert!(text.contains("12345678901234567890123"), "{text}");
}

#[tokio::test]
async fn each_answer_leads_to_its_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let stub =
        answering(vec![(400, Vec::new()), (422, Vec::new()), (413, Vec::new()), (200, Vec::new())])
            .await;
    let done = driven(&configuration(&stub, key.clone()), 4, 1).await;
    let mut reasons: Vec<&str> = done.parked.iter().map(|(_, reason)| *reason).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["refused_by_server", "refused_by_server", "too_large"]);
    assert_eq!(done.delivered.len(), 1);
    for (status, reason) in
        [(401, "unauthorised"), (403, "unauthorised"), (404, "misdirected"), (302, "misdirected")]
    {
        let stub = answering(vec![
            (status, vec![("location", "http://127.0.0.1:1/".to_owned())]),
            (200, Vec::new()),
        ])
        .await;
        let done = driven(&configuration(&stub, key.clone()), 1, 3).await;
        let trouble = done.troubles.first().expect("trouble");
        assert_eq!((trouble.reason, trouble.is_lasting), (reason, true), "{status}");
        assert_eq!(done.delivered, [0], "{status}: nothing is lost by it");
    }
}

#[tokio::test]
async fn a_third_of_failures_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let mut state: u32 = 7;
    let stub = Stub::start(Box::new(move |received| {
        if received.path.starts_with("/anonymization-fields") {
            return Some((200, Vec::new(), FIELDS.to_owned()));
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let status = if state >> 16 & 0xff < 77 { 503 } else { 200 };
        Some((status, Vec::new(), String::new()))
    }))
    .await;
    let done = driven(&configuration(&stub, key), 200, 100).await;
    assert_eq!(done.delivered, (0..200).collect::<Vec<_>>());
    assert!(posted(&stub).len() > 240, "{}", posted(&stub).len());
    let mut times: HashMap<String, usize> = HashMap::new();
    for claims in posted(&stub) {
        let id = claims["trace"]["mopReportId"].as_str().expect("there").to_owned();
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), 200);
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_with_one_message_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let mut answers = vec![(500, Vec::new()); 40];
    answers.push((200, Vec::new()));
    let stub = answering(answers).await;
    let configuration = configuration(&stub, key);
    let mut sink = MopServer::new(&configuration, configuration.source()).expect("configured");
    assert_eq!(sink.window(), WINDOW);
    let done = drive(&mut sink, (0..WINDOW as u64).map(message).collect(), 1).await;
    assert!(!done.troubles.is_empty(), "{done:?}");
    assert_eq!(sink.window(), 1);
    let done = drive(&mut sink, vec![message(9)], 60).await;
    assert_eq!(done.delivered, [9]);
    assert_eq!(sink.window(), WINDOW);
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let stub =
        answering(vec![(429, vec![("retry-after", "1".to_owned())]), (200, Vec::new())]).await;
    let before = std::time::Instant::now();
    let done = driven(&configuration(&stub, key), 1, 1).await;
    assert_eq!(done.delivered, [0]);
    assert!(before.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn silence_and_refused_connections_are_passing_troubles() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let stub = Stub::start(Box::new(|_| None)).await;
    let mut configuration = configuration(&stub, key);
    configuration.request_timeout = SHORT;
    let done = driven(&configuration, 1, 1).await;
    assert_eq!(done.troubles[0].reason, "silent");
    assert!(!done.troubles[0].is_lasting);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    configuration.process_url = format!("http://{}/process", closed.local_addr().expect("bound"));
    drop(closed);
    let done = driven(&configuration, 1, 1).await;
    assert_eq!(done.troubles[0].reason, "unreachable");
    assert!(!done.troubles[0].is_lasting);
}

#[tokio::test]
async fn a_key_that_changes_is_taken_and_a_bad_one_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = rsa_key(folder.path(), "key.pem");
    let stub = answering(vec![(200, Vec::new())]).await;
    let configuration = configuration(&stub, first.clone());
    let mut sink = MopServer::new(&configuration, configuration.source()).expect("configured");
    drive(&mut sink, vec![message(1)], 1).await;
    let second = rsa_key(folder.path(), "second.pem");
    let verifies = public(&second);
    std::fs::rename(second, &first).expect("renamed");
    let done = drive(&mut sink, vec![message(2)], 1).await;
    assert_eq!(done.delivered, [2]);
    let received = stub.received();
    let last = received.iter().rfind(|received| received.path == "/process").expect("sent");
    let token = std::str::from_utf8(&last.body).expect("text");
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_required_spec_claims(&["exp"]);
    jsonwebtoken::decode::<Value>(token, &verifies, &validation).expect("the new key");
    std::fs::write(&first, "no key at all").expect("written");
    let done = drive(&mut sink, vec![message(3)], 1).await;
    assert_eq!((done.troubles[0].reason, done.troubles[0].is_lasting), ("key", true));
    assert!(done.delivered.is_empty());
}

#[tokio::test]
async fn pkcs1_keys_sign_too_and_short_ones_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let pkcs8 = rsa_key(folder.path(), "key.pem");
    let pkcs1 = folder.path().join("pkcs1.pem");
    let made = Command::new("openssl")
        .args(["rsa", "-traditional", "-in"])
        .arg(&pkcs8)
        .arg("-out")
        .arg(&pkcs1)
        .output();
    assert!(made.expect("openssl runs").status.success());
    assert!(std::fs::read_to_string(&pkcs1).expect("readable").contains("BEGIN RSA PRIVATE KEY"));
    let stub = answering(vec![(200, Vec::new())]).await;
    assert_eq!(driven(&configuration(&stub, pkcs1), 1, 1).await.delivered, [0]);
    let short = folder.path().join("short.pem");
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:1024",
            "-out",
        ])
        .arg(&short)
        .status();
    assert!(made.expect("openssl runs").success());
    assert!(configuration(&stub, short).check().is_err());
}

#[tokio::test]
async fn fields_are_fetched_kept_and_used_without_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let stub = answering(vec![(200, Vec::new())]).await;
    let mut configuration = configuration(&stub, key);
    configuration.fields_file = Some(folder.path().join("fields.json"));
    let source = configuration.source();
    let sink = MopServer::new(&configuration, Arc::clone(&source)).expect("configured");
    assert!(source.policies.current().is_none());
    sink.refresh_fields().await.expect("there");
    assert!(source.policies.current().expect("there").anonymizes("CPF"));
    let asked = stub.received();
    assert_eq!(asked[0].path, "/anonymization-fields?schema=Consent");
    drop(stub);
    let source = configuration.source();
    let sink = MopServer::new(&configuration, Arc::clone(&source)).expect("configured");
    assert!(source.policies.current().expect("kept").exposes("brand"));
    assert!(sink.refresh_fields().await.is_err());
    assert!(source.policies.current().is_some(), "a failed refresh keeps what is there");
}

#[test]
fn a_bad_configuration_says_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = MopServerConfiguration {
        process_url: "https://mop-server.example/process".to_owned(),
        fields_url: "https://mop-server.example/anonymization-fields?schema=Consent".to_owned(),
        key_file: rsa_key(folder.path(), "key.pem"),
        kid: "kid".to_owned(),
        organisation_id: "org".to_owned(),
        ..MopServerConfiguration::default()
    };
    good.check().expect("well configured");
    let bad: [(&str, MopServerConfiguration); 7] = [
        ("process_url", MopServerConfiguration { process_url: String::new(), ..good.clone() }),
        (
            "https",
            MopServerConfiguration {
                process_url: "http://mop-server.example/".to_owned(),
                ..good.clone()
            },
        ),
        ("fields_url", MopServerConfiguration { fields_url: "x".to_owned(), ..good.clone() }),
        ("kid", MopServerConfiguration { kid: " ".to_owned(), ..good.clone() }),
        (
            "organisation_id",
            MopServerConfiguration { organisation_id: String::new(), ..good.clone() },
        ),
        ("fields_seconds", MopServerConfiguration { fields_seconds: 1, ..good.clone() }),
        ("key", MopServerConfiguration { key_file: folder.path().join("none"), ..good.clone() }),
    ];
    for (word, configuration) in bad {
        let failure = configuration.check().expect_err(word).to_string();
        assert!(failure.contains(word), "{word}: {failure}");
    }
    let toml = "process_url = \"https://a.example/\"\nkid = \"k\"\nrequest_timeout = \"3s\"\n";
    let read: MopServerConfiguration = toml::from_str(toml).expect("well-formed");
    assert_eq!(read.request_timeout, Duration::from_secs(3));
    assert!(toml::from_str::<MopServerConfiguration>("keyfile = \"x\"").is_err());
}

/// The stand-in for the official server, in Python, with its own verification.
struct Official {
    process: std::process::Child,
    url: String,
}

impl Official {
    async fn start(folder: &Path, settings: &Value) -> Self {
        std::fs::write(folder.join("server.json"), settings.to_string()).expect("written");
        // Below the range of outgoing connections: there, a connection may meet itself.
        let first = 20_000 + u16::try_from(std::process::id() % 8_000).expect("small");
        let port = (first..30_000)
            .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .expect("a port");
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/official/server.py");
        let process =
            Command::new(python_with("jwt, cryptography").expect("python3-jwt is installed"))
                .arg(script)
                .arg(port.to_string())
                .arg(folder)
                .spawn()
                .expect("python3 runs");
        for _ in 0..2000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }

    async fn state(&self) -> Value {
        let reach =
            Reach { ca_file: None, proxy: None, connect_timeout: LONG, request_timeout: LONG };
        let client = Client::new(reach).expect("a client");
        let answer = client.send(client.get(&format!("{}/state", self.url))).await.expect("there");
        serde_json::from_slice(&answer.body).expect("JSON")
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}

#[tokio::test]
async fn a_thousand_messages_reach_an_independent_server_once_in_spite_of_its_failures() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rsa_key(folder.path(), "key.pem");
    let public = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key).output();
    let public = String::from_utf8(public.expect("openssl runs").stdout).expect("PEM");
    let lists = json!({
        "anonymized": ["cpfNumber", "Identification"], "exposed": ["status", "amount", "permissions"],
        "timestamp": "2026-11-24T12:00:00Z",
    });
    let id = |number: usize| format!("6f1b2a3c-0000-4000-8000-{number:012}");
    let body = |number: usize| {
        json!({
            "data": {
                "status": "AUTHORISED", "amount": number as f64 * 1.1, "permissions": ["A", null],
                "document": { "identification": format!("{number:011}"), "rel": "CPF" },
                "cpfNumber": number, "other": { "name": "x", "list": [1, "y"] },
            },
            "meta": { "status": "not sent" },
        })
        .to_string()
    };
    let bodies: serde_json::Map<String, Value> =
        (0..1000).map(|number| (id(number), json!(body(number)))).collect();
    let settings = json!({
        "keys": { "kid-1": public }, "org_id": "00000000-0000-4000-8000-000000000001", "lists": lists,
        "bodies": bodies, "errors": 0.3, "seed": 20_261_124,
    });
    let server = Official::start(folder.path(), &settings).await;
    let configuration = MopServerConfiguration {
        process_url: format!("{}/process", server.url),
        fields_url: format!("{}/anonymization-fields?schema=Consent", server.url),
        key_file: key,
        kid: "kid-1".to_owned(),
        organisation_id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: "sandbox".to_owned(),
        request_timeout: LONG,
        ..MopServerConfiguration::default()
    };
    let source = configuration.source();
    let mut sink = MopServer::new(&configuration, Arc::clone(&source)).expect("configured");
    sink.refresh_fields().await.expect("the server is there");
    let entries = (0..1000).map(|number| {
        let role = if number % 2 == 0 { mop_wire::Role::Client } else { mop_wire::Role::Server };
        let interaction = id(number);
        let fields = [
            ("x-fapi-interaction-id", interaction.as_str()),
            ("authorization", "Bearer secret"),
            ("content-type", "application/json"),
        ];
        let target = "/open-insurance/consents/v3/consents";
        let exchange = sample::exchange(role, target, &fields, body(number).as_bytes());
        entry(number as u64, KIND, &sample::record(&source, &exchange, &format!("e{number}")))
    });
    let entries: Vec<Entry> = entries.collect();
    let done = drive(&mut sink, entries, 1000).await;
    assert_eq!(done.delivered.len(), 1000, "{:?} {:?}", done.parked, done.troubles);
    let state = server.state().await;
    assert_eq!(state["problems"], json!([]));
    let taken = state["taken"].as_object().expect("there");
    assert_eq!(taken.len(), 1000, "each message is there, whatever was answered");
    let failed = state["posts"].as_u64().expect("a number") - 1000;
    assert!(failed > 300, "{failed} failures");
    let doubled = taken.values().filter(|times| times.as_u64() > Some(1)).count();
    assert!(doubled > 100, "answers were lost {doubled} times");
    // And it would notice: one value in clear is one too many.
    let shown = sample::exchange(
        mop_wire::Role::Client,
        "/open-insurance/consents/v3/consents",
        &[("x-fapi-interaction-id", id(1).as_str())],
        body(1).as_bytes(),
    );
    let tampered = sample::record(&source, &shown, "e").replace(r#""rel":"""#, r#""rel":"CPF""#);
    let done = drive(&mut sink, vec![entry(1, KIND, &tampered)], 10).await;
    assert_eq!(done.parked, [(1, "refused_by_server")]);
    assert_eq!(server.state().await["problems"], json!(["payload"]));
}
