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
use crate::sinks::http::stub::{Driven, LONG, SHORT, Stub, drive, entry};

const FIELDS: &str = r#"{"anonymized":["cpf"],"exposed":["brand"],"timestamp":"t"}"#;

fn key(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let made = Command::new("openssl")
        .args([
            "genpkey",
            "-quiet",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
        ])
        .arg(&file)
        .status();
    assert!(made.expect("openssl runs").success());
    file
}

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
    let key = key(folder.path(), "key.pem");
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
    let key = key(folder.path(), "key.pem");
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
    let key = key(folder.path(), "key.pem");
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
    assert!(done.again > 20, "{}", done.again);
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
    let key = key(folder.path(), "key.pem");
    let mut answers = vec![(500, Vec::new()); 12];
    answers.push((200, Vec::new()));
    let stub = answering(answers).await;
    let configuration = configuration(&stub, key);
    let mut sink = MopServer::new(&configuration, configuration.source()).expect("configured");
    assert_eq!(sink.window(), WINDOW);
    let done = drive(&mut sink, (0..WINDOW as u64).map(message).collect(), 1).await;
    assert!(!done.troubles.is_empty(), "{done:?}");
    assert_eq!(sink.window(), 1);
    let done = drive(&mut sink, vec![message(9)], 10).await;
    assert_eq!(done.delivered, [9]);
    assert_eq!(sink.window(), WINDOW);
}

#[tokio::test]
async fn a_server_that_asks_for_time_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = key(folder.path(), "key.pem");
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
    let key = key(folder.path(), "key.pem");
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
    let first = key(folder.path(), "key.pem");
    let stub = answering(vec![(200, Vec::new())]).await;
    let configuration = configuration(&stub, first.clone());
    let mut sink = MopServer::new(&configuration, configuration.source()).expect("configured");
    drive(&mut sink, vec![message(1)], 1).await;
    let second = key(folder.path(), "second.pem");
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
    let pkcs8 = key(folder.path(), "key.pem");
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
    let key = key(folder.path(), "key.pem");
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
        key_file: key(folder.path(), "key.pem"),
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
