//! The pages about the security profile have the checks as the file has them.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use mop_insight::security::profile::{CheckRule, Checks, HeldFor};

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
