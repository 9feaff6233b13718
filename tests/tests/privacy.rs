//! Secrets that are planted in every place of a message are in nothing that comes out.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mop_tests::{mop_command, shared_folder};
use serde_json::{Value, json};

/// Numbers of persons, contacts and tokens, none of which is anybody's; each appears once in all places
/// together, so that a find tells its place.
struct Canaries {
    planted: Vec<(String, String)>,
}

impl Canaries {
    /// Another one of a kind, for a place.
    fn plant(&mut self, place: &str, kind: usize) -> String {
        let number = self.planted.len();
        let canary = match kind % 5 {
            0 => cpf(700_000_000 + number as u64 * 7_919),
            1 => format!("pessoa.{number:03}.canario@exemplo.com.br"),
            2 => format!("tok{number:03}CANARIOaZ19x{number:03}qW8eRt5yUiOp"),
            3 => format!("Canário {number:03} d'Ávila"),
            _ => format!("'; select canario{number:03} from segredos--"),
        };
        self.planted.push((place.to_owned(), canary.clone()));
        canary
    }
}

/// A number with its check digits.
fn cpf(base: u64) -> String {
    let mut digits: Vec<u64> =
        format!("{base:09}").bytes().map(|it| u64::from(it - b'0')).collect();
    for _ in 0..2 {
        let weights = (2..).take(digits.len());
        let sum: u64 = digits.iter().rev().zip(weights).map(|(digit, weight)| digit * weight).sum();
        let rest = sum * 10 % 11;
        digits.push(if rest == 10 { 0 } else { rest });
    }
    let text: String = digits.iter().map(u64::to_string).collect();
    format!("{}.{}.{}-{}", &text[..3], &text[3..6], &text[6..9], &text[9..])
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Calls with a canary of every kind in every place, one after the other.
fn calls(canaries: &mut Canaries) -> String {
    let mut lines = String::new();
    for kind in 0..5 {
        let mut plant = |place: &str| canaries.plant(place, kind);
        let base = "/open-insurance/insurance-auto/v1/insurance-auto";
        let target = format!(
            "{base}/{}/claim?{}=1&q={}&b={}",
            encoded(&plant("path")),
            encoded(&plant("query name")),
            encoded(&plant("query value")),
            encoded(&STANDARD.encode(plant("query value in base64"))),
        );
        let get = json!({
            "method": "GET", "target": target,
            "headers": [
                ["host", "api.seguradora.example"],
                ["user-agent", plant("user agent")],
                ["authorization", format!("Bearer {}", plant("token"))],
                ["cookie", format!("sessao={}; {}=1", plant("cookie"), plant("cookie name"))],
                ["x-qualquer", plant("field")],
                ["referer", format!("https://a.example/?d={}", plant("referer"))],
                ["x-fapi-customer-ip-address", plant("address of a customer")],
            ],
        });
        let refused = json!({
            "status": 422,
            "headers": [["content-type", "application/json"], ["x-outro", plant("field of a response")]],
            "body": json!({ "errors": [{ "code": "1", "title": plant("title of an error"),
                "detail": plant("detail of an error") }] }).to_string(),
        });
        let name = plant("name of a member");
        let body = json!({
            "data": {
                "loggedUser": { "document": { "identification": plant("member"), "rel": "CPF" } },
                name: plant("value of an unknown member"),
                "list": [plant("element"), { "deep": STANDARD.encode(plant("member in base64")) }],
            }
        });
        let post = json!({
            "method": "POST", "target": "/open-insurance/consents/v3/consents",
            "headers": [["host", "api.seguradora.example"], ["content-type", "application/json"]],
            "body": body.to_string(),
        });
        let broken = format!(
            "java.lang.IllegalStateException: {}\n\tat br.example.Consent.find(Consent.java:42)\n",
            plant("stack trace")
        );
        let failed =
            json!({ "status": 500, "headers": [["content-type", "text/plain"]], "body": broken });
        let form = json!({
            "method": "POST", "target": "/auth/token",
            "headers": [["host", "auth.seguradora.example"],
                ["content-type", "application/x-www-form-urlencoded"]],
            "body": format!("grant_type=client_credentials&client_secret={}&{}=x",
                encoded(&plant("form")), encoded(&plant("form name"))),
        });
        let token = json!({ "status": 200, "headers": [["content-type", "application/json"]],
            "body": json!({ "access_token": plant("access token"), "expires_in": 86400 }).to_string() });
        let xml = json!({
            "method": "POST", "target": "/other",
            "headers": [["host", "api.seguradora.example"], ["content-type", "application/xml"]],
            "body": format!("<a b=\"{}\">{}</a>", plant("attribute").replace('\'', "&apos;"),
                plant("text").replace('\'', "&apos;")),
        });
        let done = json!({ "status": 200, "headers": [], "body": plant("body of a response") });
        for (request, response) in [(get, refused), (post, failed), (form, token), (xml, done)] {
            let line = json!({
                "id": format!("e{}", lines.lines().count()), "ts": "2026-11-24T12:00:00Z",
                "duration_ms": 12, "role": "server",
                "client": { "ip": "192.0.2.7", "port": 40112 },
                "server": { "ip": "192.0.2.1", "port": 443 },
                "request": request, "response": response,
            });
            lines += &format!("{line}\n");
        }
    }
    lines
}

/// The ways in which a text could have got out.
fn forms(canary: &str) -> Vec<String> {
    let digits: String = canary.chars().filter(char::is_ascii_digit).collect();
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        canary.to_lowercase(),
        encoded(canary).to_lowercase(),
        canary.replace('\'', "\\u0027").to_lowercase(),
        hex,
    ];
    if digits.len() == 11 {
        forms.push(digits);
    }
    // Of each place within three bytes, what does not depend on what stands beside it.
    for skipped in 0..3 {
        let padded = format!("{}{canary}", "x".repeat(skipped));
        let text = STANDARD.encode(padded);
        forms.push(text.get(4..text.len().saturating_sub(4)).unwrap_or(&text).to_lowercase());
    }
    forms
}

fn files_below(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, found)?;
        } else {
            found.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    Ok(())
}

#[test]
fn what_is_planted_in_messages_comes_out_nowhere() -> Result<()> {
    let folder = shared_folder()?;
    let place = |name: &str| folder.path().join(name).display().to_string();
    let mut canaries = Canaries { planted: Vec::new() };
    fs::write(place("calls.exchanges.jsonl"), calls(&mut canaries))?;
    fs::write(
        place("mop.toml"),
        format!(
            "[data]\n[security]\nparanoia = 4\n[security.misp]\nfolder = \"{}\"\norganisation = \"A\"\n\
             organisation_uuid = \"2ed6657d-e927-568b-95e1-2665a8aea6a2\"\n",
            place("misp")
        ),
    )?;
    let (file, config, outbox) =
        (place("calls.exchanges.jsonl"), place("mop.toml"), place("outbox"));
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    let mut findings = Vec::new();
    for arguments in [
        vec![
            "replay", &file, "--config", &config, "--outbox", &outbox, "--output", "jsonl", "--all",
        ],
        vec!["replay", &file, "--output", "pretty", "--paranoia", "4", "--all"],
        vec!["outbox", "export", "--folder", &outbox],
        vec!["report", "lgpd", "--outbox", &outbox],
        vec!["report", "check", "--outbox", &outbox],
    ] {
        let output = mop_command().args(&arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code().is_some_and(|code| code <= 1), "{arguments:?}: {said}");
        if arguments[0] == "replay" && arguments.contains(&"jsonl") {
            for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let record: Value = serde_json::from_slice(line)?;
                if record["kind"] == "security.finding" {
                    findings.push(record);
                }
            }
        }
        out.push((format!("{arguments:?} stdout"), output.stdout));
        out.push((format!("{arguments:?} stderr"), output.stderr));
    }
    // It was looked at, or nothing would prove anything.
    let rules: std::collections::BTreeSet<&str> =
        findings.iter().filter_map(|finding| finding["rule"].as_str()).collect();
    for rule in ["opin_sql_injection", "opin_stack_trace", "opin_personal_data_in_url"] {
        ensure!(rules.contains(rule), "{rule} is not among {rules:?}");
    }
    let finding = findings.first().and_then(|it| it["id"].as_str()).context("a finding")?;
    let output =
        mop_command().args(["report", "incident", finding, "--outbox", &outbox]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out.push(("report incident".to_owned(), output.stdout));
    files_below(Path::new(&outbox), &mut out)?;
    files_below(Path::new(&place("misp")), &mut out)?;
    ensure!(out.iter().any(|(name, _)| name.contains("manifest.json")), "a feed is written");
    let mut leaks = Vec::new();
    for (name, bytes) in &out {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        for (place, canary) in &canaries.planted {
            if forms(canary).iter().any(|form| text.contains(form)) {
                leaks.push(format!("{place} ({canary}) is in {name}"));
            }
        }
    }
    ensure!(
        leaks.is_empty(),
        "{} of {}:\n{}",
        leaks.len(),
        canaries.planted.len(),
        leaks.join("\n")
    );
    Ok(())
}
