//! Against a receiver in the same process.

use std::process::Command;

use super::*;
use crate::sinks::http::stub::{LONG, Stub, drive, entry};

fn configuration(stub: &Stub) -> WebhookConfiguration {
    WebhookConfiguration {
        url: stub.url("/hook"),
        batch: 3,
        request_timeout: LONG,
        ..WebhookConfiguration::default()
    }
}

fn records(count: u64) -> Vec<Entry> {
    (0..count)
        .map(|number| entry(number, "quality.report", &format!(r#"{{"n":{number}}}"#)))
        .collect()
}

#[tokio::test]
async fn records_come_as_lines_or_as_an_array() {
    let stub = Stub::start(Box::new(|_| Some((204, Vec::new(), String::new())))).await;
    for (format, content_type, body) in [
        (WebhookFormat::Ndjson, "application/x-ndjson", "{\"n\":0}\n{\"n\":1}\n"),
        (WebhookFormat::Array, "application/json", "[{\"n\":0},{\"n\":1}]"),
    ] {
        let configuration = WebhookConfiguration { format, ..configuration(&stub) };
        let mut sink = Webhook::new(&configuration, "node-1").expect("configured");
        let done = drive(&mut sink, records(2), 1).await;
        assert_eq!(done.delivered, [0, 1]);
        let received = stub.received().pop().expect("sent");
        assert_eq!(received.method, "POST");
        assert_eq!(received.headers["content-type"], content_type);
        assert_eq!(received.headers["x-mop-node"], "node-1");
        assert_eq!(received.headers["x-mop-records"], "2");
        assert_eq!(received.body, body);
        assert!(!received.headers.contains_key("authorization"));
        assert!(!received.headers.contains_key("x-mop-signature"));
    }
}

#[tokio::test]
async fn secrets_authorise_and_sign_as_openssl_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    let key = folder.path().join("key");
    std::fs::write(&token, "t0k3n\n").expect("written");
    std::fs::write(&key, "k3y\n").expect("written");
    let stub = Stub::start(Box::new(|_| Some((200, Vec::new(), String::new())))).await;
    let configuration = WebhookConfiguration {
        bearer_token_file: Some(SecretFile(token.clone())),
        signature_key_file: Some(SecretFile(key)),
        ..configuration(&stub)
    };
    let mut sink = Webhook::new(&configuration, "node").expect("configured");
    drive(&mut sink, records(2), 1).await;
    let received = stub.received().pop().expect("sent");
    assert_eq!(received.headers["authorization"], "Bearer t0k3n");
    let timestamp = received.headers["x-mop-timestamp"].to_str().expect("text");
    let signed = folder.path().join("signed");
    std::fs::write(&signed, [timestamp.as_bytes(), b".", &received.body].concat())
        .expect("written");
    let theirs = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "k3y", "-r"])
        .arg(&signed)
        .output()
        .expect("openssl runs");
    let theirs = String::from_utf8(theirs.stdout).expect("text");
    let theirs = theirs.split_whitespace().next().expect("a digest");
    assert_eq!(received.headers["x-mop-signature"], format!("sha256={theirs}").as_str());
    // Another token is taken without a restart.
    std::fs::write(&token, "another\n").expect("written");
    drive(&mut sink, records(1), 1).await;
    assert_eq!(stub.received().pop().expect("sent").headers["authorization"], "Bearer another");
    assert!(!format!("{configuration:?}").contains("k3y"));
}

#[tokio::test]
async fn a_refused_batch_is_taken_apart_so_that_one_record_does_not_cost_the_others() {
    let stub = Stub::start(Box::new(|received| {
        let bad = received.body.windows(7).any(|window| window == b"{\"n\":4}");
        Some((if bad { 422 } else { 200 }, Vec::new(), String::new()))
    }))
    .await;
    let mut sink = Webhook::new(&configuration(&stub), "node").expect("configured");
    let done = drive(&mut sink, records(9), 1).await;
    assert_eq!(done.parked, [(4, "refused_by_server")]);
    assert_eq!(done.delivered, [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(sink.batch(), 3, "batches are whole again");
}

#[tokio::test]
async fn the_same_records_have_the_same_key() {
    let stub = Stub::start(Box::new({
        let mut first = true;
        move |_| {
            Some((if std::mem::take(&mut first) { 503 } else { 200 }, Vec::new(), String::new()))
        }
    }))
    .await;
    let mut sink = Webhook::new(&configuration(&stub), "node").expect("configured");
    let done = drive(&mut sink, records(3), 1).await;
    assert_eq!((done.delivered.len(), done.again), (3, 3));
    let keys: Vec<_> = stub
        .received()
        .iter()
        .map(|received| received.headers["idempotency-key"].clone())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(idempotency_key(&records(2)), idempotency_key(&records(3)));
}

#[tokio::test]
async fn only_wanted_kinds_are_sent() {
    let stub = Stub::start(Box::new(|_| Some((200, Vec::new(), String::new())))).await;
    let takes = |kinds: &[&str], kind: &str| {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let configuration = WebhookConfiguration { kinds, ..configuration(&stub) };
        Webhook::new(&configuration, "node").expect("configured").takes(&entry(1, kind, "{}"))
    };
    assert!(takes(&[], "quality.report"));
    assert!(!takes(&[], "official.message"));
    assert!(takes(&["official.message"], "official.message"));
    assert!(takes(&["quality.*"], "quality.fill") && !takes(&["quality.*"], "data.call"));
    let local = Entry { lane: mop_outbox::Lane::Local, ..entry(1, "exchange", "{}") };
    let mut sink = Webhook::new(&configuration(&stub), "node").expect("configured");
    assert!(!sink.takes(&local));
    let done = drive(&mut sink, vec![local], 1).await;
    assert!(done.delivered.is_empty() && stub.received().is_empty());
}

#[test]
fn a_bad_configuration_says_what_is_wrong() {
    let good = WebhookConfiguration {
        url: "https://hook.example/".to_owned(),
        ..WebhookConfiguration::default()
    };
    good.check().expect("well configured");
    for (word, bad) in [
        ("url", WebhookConfiguration { url: String::new(), ..good.clone() }),
        ("batch", WebhookConfiguration { batch: 0, ..good.clone() }),
        (
            "none",
            WebhookConfiguration {
                bearer_token_file: Some(SecretFile("/none".into())),
                ..good.clone()
            },
        ),
    ] {
        let failure = bad.check().expect_err(word).to_string();
        assert!(failure.contains(word), "{failure}");
    }
    let read: WebhookConfiguration =
        toml::from_str("url = \"https://a.example/\"\nformat = \"array\"\n").expect("well-formed");
    assert_eq!(read.format, WebhookFormat::Array);
}
