//! What the data module and the security module cost in a whole observer: the same calls without them,
//! and with each.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Bench, load, report::median, rounded, subject::Subject};

/// Reports the differences in CPU time a call, and what they come to at [`load::FIXED_RATE`].
pub(super) fn cost(bench: &Bench) -> Result<()> {
    let configuration = bench.folder.path().join("data.toml");
    fs::write(&configuration, CONFIGURATION)?;
    let subjects = [Subject::Mop, Subject::MopWithData(configuration), Subject::MopWithSecurity];
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    let mut rates = Vec::new();
    for round in 0..bench.rounds as usize {
        for step in 0..subjects.len() {
            let number = (round + step) % subjects.len();
            let (Some(subject), Some(costs)) = (subjects.get(number), costs.get_mut(number)) else {
                continue;
            };
            let running = subject.start(bench.cores)?;
            let before = running.watch()?;
            let reached = bench.load().run_ecosystem(bench.folder.path(), bench.round)?;
            let after = running.watch()?;
            let observed = running.stop()?.context("MOP gave no summary")?;
            let has_events = observed.tail.contains("\"kind\":\"data.call\"");
            ensure!(
                has_events == matches!(subject, Subject::MopWithData(_)),
                "events of {}: {has_events}",
                subject.name()
            );
            let calls = observed.number("/exchanges").max(1);
            let cpu_us = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
            costs.push(cpu_us / calls as f64);
            rates.push(reached.requests_per_second);
        }
    }
    let [without, with_data, with_security] = costs.map(|costs| median(&costs));
    for (figure, with) in [("data_module", with_data), ("security_module", with_security)] {
        let own = with - without;
        bench.report.line(&json!({
            "figure": figure,
            "calls_per_s": median(&rates).round(),
            "us_per_call_without": rounded(without),
            "us_per_call_with": rounded(with),
            "us_per_call": rounded(own),
            "percent_of_one_core_at_5000_per_s":
                rounded(own * f64::from(load::FIXED_RATE) / 1e6 * 100.0),
        }));
    }
    Ok(())
}

/// Each call is reported.
pub(super) const CONFIGURATION: &str = r#"
[admin]
enabled = false

[data.forwarded_certificate]
header = "X-Client-Subject"
format = "subject"

[[data.servers]]
hosts = ["api.seguradora.example"]
organisation_id = "05050000-0000-4000-8000-000000000005"
authorisation_server_id = "05060000-0000-4000-8000-000000000005"
"#;
