//! Tests of whole sets.

mod language;
mod property;
mod refusals;

use std::{fs, path::Path};

use mop_wire::Headers;

use super::*;
use crate::json::Reader;

/// Files that are shipped, as names and texts.
fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../rules/opin/rules");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

#[test]
fn shipped_rules_judge_their_examples_as_they_say() {
    let files = shipped();
    let checked = check_examples(&borrowed(&files)).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked >= 100, "{checked} examples");
}

#[test]
fn shipped_rules_make_one_set() {
    let files = shipped();
    let rules = RuleSet::parse(&borrowed(&files)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rules.len(), rules.rules().count());
    assert!(rules.len() >= 25, "{} rules", rules.len());
    for rule in rules.rules() {
        assert_ne!(rule.explanation, rule.explanation_pt, "{}", rule.id);
    }
}

#[test]
fn an_ordinary_call_breaks_no_shipped_rule() {
    let files = shipped();
    let rules = RuleSet::parse(&borrowed(&files)).expect("shipped");
    let request = headers(&[("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001")]);
    let good = headers(&[
        ("cache-control", "no-store"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001"),
    ]);
    let body = r#"{"data": [{}, {}], "meta": {"totalRecords": 5, "totalPages": 3}, "links": {
        "self": "https://a/open-insurance/resources/v3/resources?page=2&page-size=2",
        "first": "https://a/open-insurance/resources/v3/resources?page=1&page-size=2",
        "prev": "https://a/open-insurance/resources/v3/resources?page=1&page-size=2",
        "next": "https://a/open-insurance/resources/v3/resources?page=3&page-size=2",
        "last": "https://a/open-insurance/resources/v3/resources?page=3&page-size=2"}}"#;
    let mut reader = Reader::default();
    let json = reader.read(body.as_bytes()).expect("JSON");
    let body = json.root();
    let facts = CallFacts {
        method: "GET",
        target: "/open-insurance/resources/v3/resources?page=2&page-size=2",
        template: "/open-insurance/resources/v3/resources",
        document: "resources_v3",
        request: Some(MessageFacts { headers: &request, body: None }),
        response: Some((200, MessageFacts { headers: &good, body: Some(body) })),
    };
    assert_eq!(broken(&rules, &facts), Vec::<&str>::new());
    let bare = MessageFacts { headers: &request, body: Some(body) };
    let facts = CallFacts {
        target: "/open-insurance/resources/v3/resources?page=3&page-size=1",
        response: Some((200, bare)),
        ..facts
    };
    assert_eq!(
        broken(&rules, &facts),
        [
            "header.cache_control_without_no_store",
            "header.content_type_options_without_nosniff",
            "header.csp_without_frame_ancestors_none",
            "header.frame_options_not_deny",
            "header.hsts_missing",
            "links.next_not_ahead",
            "links.next_on_last_page",
            "links.self_of_another_page",
            "pagination.more_items_than_page_size",
            "pagination.pages_too_few",
        ]
    );
    // A copy tells no header field, and, without a query, nothing of the page that was asked for.
    let copied = |target| {
        let mut found = Vec::new();
        rules.evaluate_copy(&CallFacts { target, ..facts }, &mut found);
        let mut ids: Vec<&str> = found.iter().map(|found| found.rule.id.as_str()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(
        copied("/open-insurance/resources/v3/resources?page=3&page-size=1"),
        [
            "links.next_not_ahead",
            "links.next_on_last_page",
            "links.self_of_another_page",
            "pagination.more_items_than_page_size",
            "pagination.pages_too_few",
        ]
    );
    assert_eq!(copied("/open-insurance/resources/v3/resources"), Vec::<&str>::new());
}

/// A file of one rule.
fn one_rule(when: &str, require: &str) -> String {
    format!(
        "rules:
  - id: a.b
    severity: info
    direction: response
    location: status
    title: t
    explanation: e
    explanation_pt: p
    source: s
    when:
      - {when}
    require:
      - {require}
"
    )
}

fn headers(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name, value.as_bytes());
    }
    headers
}

/// Ids of the rules that a call breaks, sorted.
fn broken<'r>(rules: &'r RuleSet, facts: &CallFacts<'_>) -> Vec<&'r str> {
    let mut found = Vec::new();
    rules.evaluate(facts, &mut found);
    let mut ids: Vec<&str> = found.iter().map(|violation| violation.rule.id.as_str()).collect();
    ids.sort_unstable();
    ids
}
