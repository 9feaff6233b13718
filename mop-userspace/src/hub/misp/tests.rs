//! Events as findings of several nodes make them, and what the server hears.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::path::PathBuf;

use mop_insight::security::finding::{Finding, FindingFacts, Owasp, Reason, Severity};
use serde_json::{Value, json};

use super::{
    RelayConfiguration,
    builder::{Builder, Draft},
    markings::Markings,
    queue::Key,
    server::{Reply, Server},
};
use crate::sinks::http::{SecretFile, stub::Stub};

fn configuration() -> RelayConfiguration {
    RelayConfiguration {
        url: "https://misp.example/".to_owned(),
        key_file: Some(SecretFile(PathBuf::from("/nowhere"))),
        organisation: "Seguradora Exemplo".to_owned(),
        organisation_uuid: "2ed6657d-e927-568b-95e1-2665a8aea6a2".to_owned(),
        ..RelayConfiguration::default()
    }
}

fn builder() -> Builder {
    let options = configuration().options().expect("options");
    Builder::new(options, Markings::load(&[]).expect("rules")).expect("a builder")
}

fn key(rule: &str) -> Key {
    let day = jiff::civil::date(2026, 11, 24);
    Key { day, rule: rule.to_owned(), client: "c".to_owned() }
}

fn finding(rule: &str, at: &str, calls: u64) -> String {
    let at = format!("2026-11-24T{at}Z").parse().expect("a time");
    let finding = Finding::new(FindingFacts {
        rule: rule.to_owned(),
        title: "A title".to_owned(),
        severity: Severity::High,
        paranoia: 1,
        owasp: vec![Owasp::Api2],
        fapi: Vec::new(),
        organisation: None,
        client_organisation: Some("c".to_owned()),
        side: None,
        method: None,
        endpoint: Some("/token".to_owned()),
        exchange: None,
        places: Vec::new(),
        count: calls,
        first_seen: at,
        last_seen: at,
        reason: Reason { en: "Why.".to_owned(), pt: "Por quê.".to_owned() },
    });
    serde_json::to_string(&finding.expect("a finding")).expect("JSON")
}

fn calls(draft: &Draft) -> String {
    let body: Value = serde_json::from_slice(&draft.body).expect("JSON");
    let attributes = body["Event"]["Attribute"].as_array().expect("attributes").clone();
    let calls = attributes.iter().find(|it| it["comment"] == "calls").expect("a counter");
    calls["value"].as_str().expect("a text").to_owned()
}

fn tags(draft: &Draft) -> String {
    let body: Value = serde_json::from_slice(&draft.body).expect("JSON");
    body["Event"]["Tag"].to_string()
}

#[test]
fn an_event_that_was_kept_grows_and_one_that_was_not_is_made_again() {
    let (builder, key) = (builder(), key("rule"));
    let (one, two) = (finding("rule", "10:10:00", 3), finding("rule", "10:50:00", 4));
    let first = builder.build(&key, None, &[Some(&one)], 1000).expect("an event");
    let again = builder.build(&key, None, &[Some(&one)], 1000).expect("an event");
    assert_eq!((&first.content, first.uuid), (&again.content, again.uuid));
    let grown = builder.build(&key, Some(&first.content), &[Some(&two)], 1000).expect("an event");
    assert_eq!((calls(&first), calls(&grown)), ("3".to_owned(), "7".to_owned()));
    assert_eq!(first.uuid, grown.uuid);
    let timestamp = |draft: &Draft| {
        let body: Value = serde_json::from_slice(&draft.body).expect("JSON");
        body["Event"]["timestamp"].clone()
    };
    assert_eq!((timestamp(&first), timestamp(&grown)), (json!("1000"), json!("1001")));
    // One sighting an hour, however often.
    let uuid = |draft: &Draft| draft.sightings[0]["uuid"].clone();
    assert_eq!((first.sightings.len(), uuid(&first)), (1, uuid(&grown)));
    let other = finding("rule", "11:00:00", 1);
    let other = builder.build(&key, Some(&first.content), &[Some(&other)], 1).expect("an event");
    assert_ne!(uuid(&first), uuid(&other));
}

#[test]
fn records_that_are_no_findings_of_the_event_are_left_out() {
    let (builder, key) = (builder(), key("rule"));
    let good = finding("rule", "10:10:00", 3);
    let other_rule = finding("other", "10:10:00", 3);
    let other_day = good.replace("2026-11-24", "2026-11-25");
    let impossible = good.replace("\"paranoia\":1", "\"paranoia\":9");
    let bad = [None, Some("{}"), Some(&*other_rule), Some(&*other_day), Some(&*impossible)];
    assert!(builder.build(&key, None, &bad, 1000).is_none());
    let mixed: Vec<_> = bad.into_iter().chain([Some(&*good)]).collect();
    let draft = builder.build(&key, None, &mixed, 1000).expect("an event");
    assert_eq!((draft.taken, draft.unspeakable, calls(&draft)), (1, 5, "3".to_owned()));
}

#[test]
fn rules_that_the_hub_does_not_know_are_told_to_few() {
    let builder = builder();
    let of = |rule: &str| {
        let finding = finding(rule, "10:10:00", 1);
        tags(&builder.build(&key(rule), None, &[Some(&finding)], 1).expect("an event"))
    };
    assert!(of("a_rule_of_a_node").contains("tlp:amber+strict"));
    for known in ["mop_client_points", "profile.tls_version_old"] {
        assert!(of(known).contains("\"tlp:amber\""), "{known}");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let mut problems = Vec::new();
    configuration().check(&mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    let plain = RelayConfiguration { url: "http://misp.example".to_owned(), ..configuration() };
    for (wrong, count) in [(RelayConfiguration::default(), 4), (plain, 1)] {
        let mut problems = Vec::new();
        wrong.check(&mut problems);
        assert_eq!(problems.len(), count, "{problems:?}");
    }
}

#[tokio::test]
async fn the_key_is_sent_and_never_shown() {
    let stub = Stub::start(Box::new(|request| {
        let body = match request.path.as_str() {
            "/events/view/2ed6657d-e927-568b-95e1-2665a8aea6a2" => r#"{"Event":{"timestamp":"7"}}"#,
            _ => r#"{"Event":{}}"#,
        };
        Some((200, Vec::new(), body.to_owned()))
    }))
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "s3cr3t\n").expect("writable");
    let configuration = RelayConfiguration {
        url: stub.url("/"),
        key_file: Some(SecretFile(file.clone())),
        ..configuration()
    };
    let server = Server::new(&configuration).expect("a server");
    let event = mop_insight::security::uuid::Uuid::parse(&configuration.organisation_uuid);
    let event = event.expect("an identifier");
    assert_eq!(server.add(b"{}").await.expect("an answer"), Reply::Taken);
    assert_eq!(server.timestamp(event).await.expect("an answer"), Some(7));
    let received = stub.received();
    assert!(received.iter().all(|it| it.headers["authorization"] == "s3cr3t"));
    assert_eq!(received[0].path, "/events/add");
    assert!(!format!("{configuration:?}").contains("s3cr3t"));
    // Another key is taken without a restart; none at all is trouble.
    std::fs::write(&file, "").expect("writable");
    let setback = server.add(b"{}").await.expect_err("no key");
    assert_eq!(setback.trouble.reason, "key");
}
