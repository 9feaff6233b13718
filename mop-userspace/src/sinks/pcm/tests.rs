//! Against a platform in the same process: what each answer leads to, and what is sent.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::sinks::http::stub::{Driven, LONG, Stub, drive, entry, rsa_key};

const ORGANISATION: &str = "00000000-0000-4000-8000-000000000001";

fn configuration(stub: &Stub, folder: &Path) -> PcmConfiguration {
    PcmConfiguration {
        url: stub.url(""),
        key_file: rsa_key(folder, "key.pem"),
        kid: "kid-1".to_owned(),
        organisation_id: ORGANISATION.to_owned(),
        every: Duration::ZERO,
        request_timeout: LONG,
        ..PcmConfiguration::default()
    }
}

fn call(number: u64, side: &str) -> Entry {
    let payload = json!({
        "kind": "data.call",
        "side": side,
        "event": { "correlationId": number.to_string(), "timestamp": "2026-11-24T12:00:00Z" },
    });
    entry(number, "data.call", &payload.to_string())
}

fn step(number: u64, funnel: &str) -> Entry {
    let payload = json!({
        "kind": "data.funnel",
        "side": "client",
        "funnel": funnel,
        "event": { "correlationId": number.to_string(), "step": "consent-created" },
    });
    entry(number, "data.funnel", &payload.to_string())
}

/// What was signed.
fn claims(token: &[u8]) -> Value {
    let token = std::str::from_utf8(token).expect("text");
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

fn correlations(token: &[u8]) -> Vec<String> {
    let claims = claims(token);
    let events = claims["events"].as_array().expect("events");
    events.iter().map(|event| event["correlationId"].as_str().expect("text").to_owned()).collect()
}

fn item(correlation: &str, is_taken: bool) -> Value {
    if is_taken {
        json!({ "reportId": "r", "correlationId": correlation, "status": "ACCEPTED" })
    } else {
        json!({ "correlationId": correlation, "status": "DISCARDED", "message": "Missing fields: url" })
    }
}

async fn driven(configuration: &PcmConfiguration, entries: Vec<Entry>) -> Driven {
    let mut sink = Pcm::new(configuration, None, SharedMade::default()).expect("well configured");
    drive(&mut sink, entries, 1).await
}

#[tokio::test]
async fn events_go_where_they_belong_in_one_request_each() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Box::new(|received| {
        let items: Vec<Value> =
            correlations(&received.body).iter().map(|name| item(name, true)).collect();
        Some((200, Vec::new(), json!(items).to_string()))
    }))
    .await;
    let mut entries: Vec<Entry> =
        (0..10).map(|n| call(n, if n % 2 == 0 { "server" } else { "client" })).collect();
    entries.extend([step(10, "v2"), step(11, "cotacao"), entry(12, "data.call", "{}")]);
    entries.push(entry(13, "quality.report", "{}"));
    let driven = driven(&configuration(&stub, folder.path()), entries).await;
    assert_eq!(driven.delivered, (0..12).collect::<Vec<u64>>());
    assert_eq!(driven.parked, [(12, "unreadable")]);
    let mut received = BTreeMap::new();
    for request in stub.received() {
        assert_eq!(request.headers["content-type"], "application/jwt");
        assert_eq!(claims(&request.body)["organisationId"], ORGANISATION);
        received.insert(request.path, correlations(&request.body));
    }
    let expected = [
        ("/event-api/v1/cotacao-contratacao/client-batch", vec!["11"]),
        ("/event-api/v2/client-batch", vec!["10"]),
        ("/report-api/v1/client-batch", vec!["1", "3", "5", "7", "9"]),
        ("/report-api/v1/server-batch", vec!["0", "2", "4", "6", "8"]),
    ];
    let received: Vec<(&str, Vec<&str>)> = received
        .iter()
        .map(|(path, names)| (&**path, names.iter().map(|name| &**name).collect()))
        .collect();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn what_is_discarded_is_set_aside_and_the_rest_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Box::new(|received| {
        let items: Vec<Value> =
            correlations(&received.body).iter().map(|name| item(name, name != "3")).collect();
        Some((207, Vec::new(), json!(items).to_string()))
    }))
    .await;
    let entries = (0..6).map(|number| call(number, "server")).collect();
    let driven = driven(&configuration(&stub, folder.path()), entries).await;
    assert_eq!(driven.delivered, [0, 1, 2, 4, 5]);
    assert_eq!(driven.parked, [(3, "discarded_url")]);
    assert_eq!(stub.received().len(), 1);
}

#[tokio::test]
async fn a_batch_that_is_refused_is_halved_until_the_one_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Box::new(|received| {
        let names = correlations(&received.body);
        if names.iter().any(|name| name == "21") {
            return Some((413, Vec::new(), r#"{"message":"Record limit exceeded"}"#.to_owned()));
        }
        let items: Vec<Value> = names.iter().map(|name| item(name, true)).collect();
        Some((200, Vec::new(), json!(items).to_string()))
    }))
    .await;
    let entries = (0..64).map(|number| call(number, "server")).collect();
    let driven = driven(&configuration(&stub, folder.path()), entries).await;
    assert_eq!(driven.delivered.len(), 63);
    assert_eq!(driven.parked, [(21, "too_large")]);
    assert!(stub.received().len() < 40, "{} requests", stub.received().len());
}

#[tokio::test]
async fn a_signature_that_is_not_accepted_is_said_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Box::new(|_| {
        Some((401, Vec::new(), r#"{"message":"Unauthorized"}"#.to_owned()))
    }))
    .await;
    let driven = driven(&configuration(&stub, folder.path()), vec![call(1, "server")]).await;
    assert!(driven.delivered.is_empty() && driven.parked.is_empty());
    assert_eq!(driven.troubles[0].reason, "unauthorised");
    assert!(driven.troubles[0].is_lasting);
}

#[tokio::test]
async fn events_are_collected_unless_they_fill_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(Box::new(|_| Some((200, Vec::new(), String::new())))).await;
    let configuration = PcmConfiguration {
        every: Duration::from_secs(60),
        batch: 2,
        ..configuration(&stub, folder.path())
    };
    let mut sink = Pcm::new(&configuration, None, SharedMade::default()).expect("well configured");
    assert_eq!(sink.window(), 1);
    let full = sink.send(vec![call(1, "server"), call(2, "server")]).await.expect("sent");
    assert_eq!(full.await, Ok(vec![Verdict::Delivered; 2]));
    assert_eq!(sink.window(), 1, "there may be more");
    let single = sink.send(vec![call(3, "server")]).await.expect("sent");
    assert_eq!(single.await, Ok(vec![Verdict::Delivered]));
    assert_eq!(sink.window(), 0, "others are waited for");
}

#[test]
fn what_cannot_work_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = PcmConfiguration {
        key_file: rsa_key(folder.path(), "key.pem"),
        kid: "kid-1".to_owned(),
        organisation_id: ORGANISATION.to_owned(),
        ..PcmConfiguration::default()
    };
    assert!(good.check().is_ok());
    for (bad, word) in [
        (PcmConfiguration { kid: String::new(), ..good.clone() }, "kid is missing"),
        (PcmConfiguration { batch: 5001, ..good.clone() }, "1 to 5000"),
        (PcmConfiguration { every: Duration::from_secs(7200), ..good.clone() }, "an hour"),
        (PcmConfiguration { warn_before: Duration::from_secs(90_000), ..good.clone() }, "24h"),
        (PcmConfiguration { url: "ftp://x".to_owned(), ..good.clone() }, "sinks.pcm.url"),
        (PcmConfiguration { key_file: "none.pem".into(), ..good.clone() }, "none.pem"),
    ] {
        let failure = bad.check().expect_err(word).to_string();
        assert!(failure.contains(word), "{failure}");
    }
}
