//! The rules of injection: their documents are read, and their detectors do what their tests say.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use mop_insight::security::{
    detectors::{Clues, Detector, Subject},
    normalise::{chain::Chain, part::Place},
    rules::parse_documents,
};
use serde_json::Value;

const FILES: [&str; 8] = [
    "header-injection",
    "include-injection",
    "ldap-injection",
    "mail-injection",
    "nosql-injection",
    "sql-injection",
    "xml-injection",
    "xpath-injection",
];

/// Whether any form of a value is suspicious at a level.
fn is_hit(detector: Detector, field: &str, value: &str, paranoia: u64) -> bool {
    let place = match field {
        "http.request.body.names" => Place::JsonName,
        "http.request.body.values" => Place::JsonString,
        "http.request.cookie" | "user_agent.original" => Place::HeaderValue,
        "url.path" => Place::Path,
        "url.query.names" => Place::QueryName,
        "url.query.values" => Place::QueryValue,
        _ => panic!("{field}"),
    };
    let mut is_hit = false;
    Chain::new().views(value.as_bytes(), place.kind(), &mut |view| {
        let (bytes, steps) = (view.bytes, view.steps);
        let subject = Subject { bytes, place, name: None, steps, clues: Clues::of(bytes) };
        let level = detector.suspicion(&subject);
        is_hit |= level.is_some_and(|level| u64::from(level) <= paranoia);
    });
    is_hit
}

#[test]
fn detectors_do_what_the_tests_of_their_rules_say() {
    let mut wrong = Vec::new();
    for file in FILES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../rules/security");
        let text = fs::read_to_string(folder.join(format!("{file}.yml"))).unwrap();
        let documents = parse_documents(file, &text).unwrap_or_else(|error| panic!("{error}"));
        let parts: Vec<_> = text.split("\n---\n").collect();
        assert_eq!(documents.len(), parts.len(), "{file}");
        for part in parts {
            let rule: Value = serde_saphyr::from_str(part).unwrap();
            let detector = Detector::of_name(rule["mop"]["builtin"].as_str().unwrap()).unwrap();
            let paranoia = rule["mop"]["paranoia"].as_u64().unwrap();
            for (kind, expected) in [("match", true), ("nomatch", false)] {
                let examples = rule["tests"][kind].as_array().unwrap();
                assert!(examples.len() >= 6, "{file} {kind}");
                for example in examples {
                    let fields = example.as_object().unwrap().iter();
                    let inputs = fields.filter(|(field, _)| *field != "http.request.method");
                    let mut hits = inputs.map(|(field, value)| {
                        is_hit(detector, field, value.as_str().unwrap(), paranoia)
                    });
                    if hits.any(|hit| hit) != expected {
                        wrong.push(format!("{file} {kind} {example}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
