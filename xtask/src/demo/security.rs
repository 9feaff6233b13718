//! What is looked for in calls: somebody tries an API out, and what MOP says of it.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{Certificates, Observer, Script, curl, mop_command, run, shared_folder};
use serde_json::Value;

/// Has a client try what attackers try, through nginx with TLS, and shows the findings; then the
/// material for a notice of the first of them.
pub(super) fn show() -> Result<()> {
    let folder = shared_folder()?;
    let certificates = Certificates::create(folder.path())?;
    let api = Script::serve("opin_api.py", [] as [&str; 0])?;
    let gateway = super::gateway(folder.path(), &certificates, api.port())?;
    let outbox = folder.path().join("outbox").to_string_lossy().into_owned();
    let observer = Observer::builder().args(&["--outbox", &outbox]).start()?;
    let base = format!(
        "https://localhost:{}/open-insurance/insurance-auto/v1/insurance-auto",
        gateway.port()
    );
    println!("demo     somebody tries the API out: SQL, a script, a folder, an internal address");
    for attempt in ATTEMPTS {
        let mut command = curl(&certificates);
        command.args(["--path-as-is", "--output", "/dev/null", "--get", &base]);
        command.args(["--data-urlencode", &format!("q={attempt}")]);
        run(&mut command, CALL_LIMIT)?;
    }
    thread::sleep(SETTLED);
    let records = observer.stop()?.records;
    let findings: Vec<&Value> = records
        .iter()
        .filter(|it| it["kind"] == "security.finding" && it["side"] == "server")
        .filter(|it| RULES.contains(&text(&it["rule"])))
        .collect();
    for finding in &findings {
        println!(
            "demo       {:<9} {:<24} {} at {}",
            text(&finding["severity"]),
            text(&finding["rule"]),
            text(&finding["title"]),
            finding["places"],
        );
    }
    for rule in RULES {
        ensure!(findings.iter().any(|it| it["rule"] == rule), "{rule} was not found");
    }
    let id = findings.first().map(|it| text(&it["id"])).context("a finding")?;
    let mut command = mop_command();
    command.args(["report", "incident", id, "--outbox", &outbox, "--language", "en"]);
    let report = String::from_utf8_lossy(&run(&mut command, CALL_LIMIT)?.stdout).into_owned();
    ensure!(report.contains("Notice to SUSEP"), "the report of an incident: {report}");
    println!("demo     mop report incident {}…", id.get(..8).unwrap_or(id));
    for line in report.lines().filter(|line| line.starts_with("- ")).take(REPORT_LINES) {
        println!("demo       {line}");
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

const ATTEMPTS: [&str; 4] = [
    "x' union select login, senha from usuarios --",
    "<svg onload=alert(document.domain)>",
    "../../../../etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
];

const RULES: [&str; 4] = [
    "opin_sql_injection",
    "opin_cross_site_scripting",
    "opin_path_traversal",
    "opin_request_forgery",
];

const CALL_LIMIT: Duration = Duration::from_secs(20);
/// Longer than a call waits for its hops.
const SETTLED: Duration = Duration::from_secs(5);
const REPORT_LINES: usize = 10;
