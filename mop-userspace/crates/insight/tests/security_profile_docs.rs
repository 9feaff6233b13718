//! The file of checks: the pages about the profile have what it says, and a broken one is refused.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use mop_insight::security::profile::{CheckRule, Checks, ChecksError, HeldFor, MAX_FILE_BYTES};

#[test]
fn pages_list_the_checks_of_the_file() {
    let checks = Checks::published().unwrap();
    for name in ["security-profile.md", "security-profile.pt-BR.md"] {
        let text = |rule: &CheckRule| {
            if name.contains("pt-BR") { rule.pt.clone() } else { rule.en.clone() }
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs").join(name);
        let page = fs::read_to_string(path).unwrap();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected: Vec<String> = checks.iter().map(|rule| row(rule, &text(rule))).collect();
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected, "{name}");
        }
        assert_eq!(rows.len(), expected.len(), "{name}:\n{}", expected.join("\n"));
    }
}

fn row(rule: &CheckRule, text: &str) -> String {
    let side = match rule.side {
        HeldFor::Both => "both",
        HeldFor::Client => "client",
        HeldFor::Server => "server",
    };
    let severity = serde_json::to_value(rule.severity).unwrap();
    let limits: Vec<String> =
        rule.limits.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
    format!(
        "| `{}` | {} | {} | {side} | {} | {} | {} | {text} |",
        rule.id.id(),
        severity.as_str().unwrap(),
        rule.paranoia,
        rule.owasp.name(),
        rule.fapi,
        limits.join(", "),
    )
}

#[test]
fn a_broken_file_is_refused_with_place_and_remedy() {
    let with = |from: &str, to: &str| {
        assert!(PUBLISHED.contains(from), "{from}");
        Checks::parse(&PUBLISHED.replacen(from, to, 1)).unwrap_err().to_string()
    };
    for (from, to, place, remedy) in [
        ("severity: medium", "severity: dire", "line 7", "write it as"),
        ("id: token_in_url", "id: token_in_uri", "token_in_uri", "write it as"),
        (
            "id: jwt_algorithm_none",
            "id: jwt_algorithm_other",
            "check jwt_algorithm_other",
            "remove one",
        ),
        ("min_s: 300", "least_s: 300", "check token_lifetime", "add it below"),
        ("min_s: 300", "min_s: 300, other: 1", "check token_lifetime", "remove them"),
        ("min_s: 300", "min_s: 0", "check token_lifetime", "from 1 to"),
        ("min_s: 300", "min_s: 901", "check token_lifetime", "exchange them"),
        ("paranoia: 1", "paranoia: 5", "check tls_version_old", "from 1 to 4"),
        ("title: Unsigned token", "title: ''", "check jwt_algorithm_none", "empty"),
    ] {
        let error = with(from, to);
        assert!(error.contains(place) && error.contains(remedy), "{error}");
    }
    let Some((_, last)) = PUBLISHED.rsplit_once("  - id:") else { panic!("no check") };
    let error = with(&format!("  - id:{last}"), "");
    assert!(error.contains("rate_exceeded") && error.contains("add it"), "{error}");
    let long = format!("# {}", "x".repeat(MAX_FILE_BYTES));
    assert_eq!(Checks::parse(&long).unwrap_err(), ChecksError::TooLong);
}

const PUBLISHED: &str = include_str!("../../../../rules/security/profile/checks.yml");
