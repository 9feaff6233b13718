//! A call that is seen at several points of a node is one call: one report, at the edge, which lists
//! the others.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use mop_tests::{
    Certificates, Exchange, Nginx, Observer, Script, curl, mop_command, observing, run,
};
use serde_json::{Value, json};

use crate::{
    calls::{Call, RESOURCES, Side},
    live::alone,
    records::{codes, hold_to_schemas, of_kind},
};

/// Sightings of calls, as the lines of a file.
struct Lines {
    lines: Vec<Value>,
}

impl Lines {
    fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// A call, seen from this time on by this server.
    fn seen(
        mut self,
        id: &str,
        call: &Call,
        (start_ms, took_ms): (u32, u32),
        (client, server): (&str, &str),
    ) -> Result<Self> {
        let mut line = call.line(id);
        let start = format!("2026-11-24T12:{:02}:{:02}", start_ms / 60_000, start_ms / 1000 % 60);
        line["ts"] = format!("{start}.{:03}Z", start_ms % 1000).into();
        line["duration_ms"] = took_ms.into();
        for (name, end) in [("client", client), ("server", server)] {
            let end: SocketAddr = end.parse()?;
            line[name] = json!({ "ip": end.ip().to_string(), "port": end.port() });
        }
        self.lines.push(line);
        Ok(self)
    }

    /// What a replay tells of them, and its summary.
    fn replayed(&self, options: &[&str]) -> Result<(Vec<Value>, Value)> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("calls.exchanges.jsonl");
        let lines: Vec<String> = self.lines.iter().map(Value::to_string).collect();
        fs::write(&file, lines.join("\n"))?;
        let mut command: Command = mop_command();
        command.args(["replay", "--output", "jsonl"]).args(options).arg(&file);
        let text = String::from_utf8(run(&mut command, LIMIT)?.stdout)?;
        let mut records =
            text.lines().map(serde_json::from_str).collect::<serde_json::Result<Vec<Value>>>()?;
        hold_to_schemas(&records)?;
        let summary = records.pop().context("no summary")?;
        adds_up(&summary)?;
        Ok((records, summary))
    }
}

#[test]
fn a_wrong_answer_behind_a_proxy_is_reported_once_at_the_edge() -> Result<()> {
    let call = wrong()?;
    let through_a_proxy = [
        ("app", (1002, 96), ("10.0.0.1:50000", "10.0.0.2:8080")),
        ("edge", (1000, 100), ("198.51.100.7:40112", "10.0.0.1:443")),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut lines = Lines::new();
        for number in order {
            let (id, times, ends) = through_a_proxy[number];
            lines = lines.seen(id, &call, times, ends)?;
        }
        let (records, summary) = lines.replayed(&[])?;
        let reports = of_kind(&records, "quality.report");
        let [report] = reports.as_slice() else { anyhow::bail!("not one report: {reports:#?}") };
        ensure!(report["exchange"] == "edge" && report["verdict"] == "violating", "{report}");
        ensure!(codes(report, "corrected") == ["body.enum"], "{report}");
        let hop = json!([{
            "exchange": "app", "apart": false, "role": "server", "layer": null, "status": 200,
            "verdict": "violating", "own": [], "own_total": 0, "only_at_edge": 0,
        }]);
        ensure!(report["hops"] == hop && report["hop_of"].is_null(), "{report}");
        let links = of_kind(&records, "exchange.hop");
        ensure!(
            links == [&json!({ "kind": "exchange.hop", "exchange": "app", "of": "edge" })],
            "{links:?}"
        );
        let summaries = of_kind(&records, "quality.summary");
        let [counts] = summaries.as_slice() else { anyhow::bail!("{summaries:#?}") };
        for (name, count) in
            [("calls", 1), ("violating", 1), ("hops", 1), ("differing_hops", 0), ("other_codes", 0)]
        {
            ensure!(counts[name] == count, "{name}: {counts}");
        }
        ensure!(counts["codes"][0]["calls"] == 1 && counts["hop_codes"] == json!([]), "{counts}");
        for fill in of_kind(&records, "quality.fill") {
            ensure!(fill["bodies"] == 1, "a body is counted twice: {fill}");
        }
        ensure!(summary["quality"]["judged"] == 2 && summary["quality"]["hops"] == 1, "{summary}");
    }
    Ok(())
}

#[test]
fn what_a_proxy_changes_is_told_from_what_came_through() -> Result<()> {
    let (edge, app) = (("198.51.100.7:40112", "10.0.0.1:443"), ("10.0.0.1:50000", "10.0.0.2:8080"));
    let call = Call::consent();
    let mut bare = call.clone();
    bare.request.headers.retain(|(name, _)| name != "x-idempotency-key");
    // The proxy drops a header that the application should get: the edge conforms.
    let (records, summary) = Lines::new()
        .seen("app", &bare, (1002, 96), app)?
        .seen("edge", &call, (1000, 100), edge)?
        .replayed(&["--report-clean", "0"])?;
    let reports = of_kind(&records, "quality.report");
    let [report] = reports.as_slice() else { anyhow::bail!("not one report: {reports:#?}") };
    ensure!(report["verdict"] == "conforming" && report["exchange"] == "edge", "{report}");
    let hop = &report["hops"][0];
    ensure!(hop["verdict"] == "violating" && hop["own_total"] == 1, "{report}");
    let own = &hop["own"][0];
    ensure!(own["code"] == "header.required" && own["attribute"] == "x-idempotency-key", "{own}");
    let summaries = of_kind(&records, "quality.summary");
    let counts = summaries.first().context("no counts")?;
    ensure!(counts["conforming"] == 1 && counts["differing_hops"] == 1, "{counts}");
    ensure!(counts["codes"] == json!([]), "{counts}");
    ensure!(counts["hop_codes"][0]["code"] == "header.required", "{counts}");
    ensure!(summary["quality"]["differing_hops"] == 1, "{summary}");

    // It adds one: the edge is wrong, and the report says that the application was not.
    let (records, _) = Lines::new()
        .seen("app", &call, (1002, 96), app)?
        .seen("edge", &bare, (1000, 100), edge)?
        .replayed(&[])?;
    let reports = of_kind(&records, "quality.report");
    let [report] = reports.as_slice() else { anyhow::bail!("not one report: {reports:#?}") };
    let found = codes(report, "corrected");
    ensure!(report["verdict"] == "violating" && found == ["header.required"], "{report}");
    let hop = &report["hops"][0];
    ensure!(hop["own_total"] == 0 && hop["only_at_edge"] == 1, "{report}");
    Ok(())
}

#[test]
fn calls_that_cannot_be_linked_are_reported_each_by_itself() -> Result<()> {
    let call = wrong()?;
    let other = {
        let mut other = call.clone();
        other.request.set("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000002");
        other
    };
    let edge = ("198.51.100.7:40112", "10.0.0.1:443");
    let app = ("10.0.0.1:50000", "10.0.0.2:8080");
    let (records, _) = Lines::new()
        .seen("first", &call, (1000, 100), edge)?
        // A second try; another interaction; longer than the first.
        .seen("try", &call, (1200, 100), app)?
        .seen("other", &other, (1010, 50), app)?
        .seen("longer", &call, (1010, 150), app)?
        .replayed(&[])?;
    ensure!(reported(&records) == ["first", "longer", "other", "try"], "{records:#?}");
    ensure!(of_kind(&records, "exchange.hop").is_empty());
    // Two at once on one connection are two.
    let (records, _) = Lines::new()
        .seen("first", &call, (1000, 100), edge)?
        .seen("same", &call, (1020, 10), edge)?
        .replayed(&[])?;
    ensure!(reported(&records) == ["first", "same"], "{records:#?}");
    // Who does not say where it was seen is a call by itself.
    let mut lines =
        Lines::new().seen("edge", &call, (1000, 100), edge)?.seen("app", &call, (1010, 50), app)?;
    for line in &mut lines.lines {
        line["server"] = Value::Null;
    }
    let (records, _) = lines.replayed(&[])?;
    ensure!(reported(&records) == ["app", "edge"], "{records:#?}");
    Ok(())
}

#[test]
fn sightings_that_come_far_apart_say_so() -> Result<()> {
    let call = wrong()?;
    let edge = ("198.51.100.7:40112", "10.0.0.1:443");
    let app = ("10.0.0.1:50000", "10.0.0.2:8080");
    // Something else makes time go on between the two lines.
    let (mut between, later) = (Call::resources(), (4000, 1));
    between.target = format!("{RESOURCES}?page=1");
    let (records, summary) = Lines::new()
        .seen("edge", &call, (1000, 100), edge)?
        .seen("between", &between, later, edge)?
        .seen("app", &call, (1010, 50), app)?
        .replayed(&["--report-clean", "0"])?;
    let reports = of_kind(&records, "quality.report");
    let lone = reports.iter().find(|report| report["exchange"] == "app").context("no report")?;
    // Both came within what is waited for, or the hop says whose it is.
    ensure!(lone["hop_of"] == "edge", "{lone}");
    ensure!(summary["quality"]["lone_hops"] == 1 && summary["quality"]["violating"] == 1);

    let (records, summary) = Lines::new()
        .seen("app", &call, (1010, 50), app)?
        .seen("between", &between, later, edge)?
        .seen("edge", &call, (1000, 100), edge)?
        .replayed(&["--report-clean", "0"])?;
    let reports = of_kind(&records, "quality.report");
    let report = reports.iter().find(|report| report["exchange"] == "edge").context("no report")?;
    ensure!(report["hops"][0]["exchange"] == "app" && report["hops"][0]["apart"] == true);
    ensure!(summary["quality"]["apart"] == 1 && summary["quality"]["violating"] == 2, "{summary}");
    Ok(())
}

#[test]
fn a_call_through_nginx_to_an_application_is_one() -> Result<()> {
    if !observing("a_call_through_nginx_to_an_application_is_one") {
        return Ok(());
    }
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let certificates = Certificates::create(folder.path())?;
    let api = Script::serve("opin_api.py", [] as [&str; 0])?;
    let pass = format!(
        "proxy_pass http://127.0.0.1:{}; add_header x-frame-options DENY always;",
        api.port()
    );
    let nginx = Nginx::builder(folder.path()).tls(&certificates).location("/", &pass).start()?;
    let observer = Observer::builder().args(&["--report-clean", "0"]).start()?;
    let target = crate::calls::CONSENTS;
    // Without its idempotency key, and with an unknown permission.
    let body =
        String::from_utf8(Call::consent().request.body)?.replace("RESOURCES_READ", "ALL_READ");
    let mut command = curl(&certificates);
    command
        .args(["--insecure", "--output", "/dev/null", "--header", "content-type: application/json"])
        .args(["--header", "host: participante-de-teste.example", "--data", &body])
        .args(["--header", "x-fapi-interaction-id: 6f1b2a3c-0000-4000-8000-00000000000c"])
        .arg(format!("https://localhost:{}{target}", nginx.port()));
    run(&mut command, LIMIT)?;
    let ports = [nginx.port(), api.port()].map(u64::from);
    let seen = |exchange: &Exchange| {
        ports.contains(&exchange.server_port()) && exchange.target() == target
    };
    // The caller, both sides of nginx, and the application.
    let exchanges = observer.wait_for(4, LIMIT, seen)?;
    let id = |role: &str, port: u64| {
        let of_end =
            |exchange: &&Exchange| exchange.role() == role && exchange.server_port() == port;
        let found =
            exchanges.iter().find(of_end).with_context(|| format!("no {role} at {port}"))?;
        Ok::<_, anyhow::Error>(found.record()["exchange"].clone())
    };
    let [nginx_port, api_port] = ports;
    let (caller, edge) = (id("client", nginx_port)?, id("server", nginx_port)?);
    let (passed_on, app) = (id("client", api_port)?, id("server", api_port)?);
    let report = observer.wait_for_record("the report", SETTLED, |record| {
        record["kind"] == "quality.report" && record["exchange"] == edge
    })?;
    let observation = observer.stop()?;
    hold_to_schemas(&observation.records)?;
    adds_up(&observation.summary)?;

    // Each side reports; what is behind the edge is told by the edge.
    let ours = |record: &&&Value| [&caller, &edge, &passed_on, &app].contains(&&record["exchange"]);
    let reports = of_kind(&observation.records, "quality.report");
    let mut reported: Vec<_> = reports.iter().filter(ours).map(|it| &it["exchange"]).collect();
    reported.sort_by_key(|id| **id != caller);
    ensure!(reported == [&caller, &edge], "{reports:#?}");
    ensure!(report["role"] == "server" && report["verdict"] == "violating", "{report}");
    let hops = report["hops"].as_array().context("no hops")?;
    let found: Vec<_> = hops.iter().map(|hop| (&hop["role"], &hop["layer"])).collect();
    ensure!(hops.len() == 2 && found.contains(&(&json!("client"), &json!("socket"))), "{report}");
    for hop in hops {
        ensure!([&passed_on, &app].contains(&&hop["exchange"]), "{report}");
        // What the request lacks it lacks everywhere; the header is nginx's.
        let own = hop["own"].as_array().context("own")?;
        ensure!(own.iter().all(|found| found["direction"] == "response"), "{report}");
    }
    let links = of_kind(&observation.records, "exchange.hop");
    for hop in [&passed_on, &app] {
        let link = links.iter().find(|link| link["exchange"] == *hop).context("no link")?;
        ensure!(link["of"] == edge, "{link}");
    }
    Ok(())
}

/// A page of resources whose status is none.
fn wrong() -> Result<Call> {
    let mut call = Call::resources();
    call.response.replace("/data/0/status", json!("LOST"))?;
    ensure!(call.part(Side::Response).body != Call::resources().response.body);
    Ok(call)
}

/// The exchanges that were reported, in the order of their names.
fn reported(records: &[Value]) -> Vec<&str> {
    let reports = of_kind(records, "quality.report").into_iter();
    let mut exchanges: Vec<&str> =
        reports.filter_map(|report| report["exchange"].as_str()).collect();
    exchanges.sort_unstable();
    exchanges
}

/// Every sighting that was judged is a call, or a further sighting of one.
pub(crate) fn adds_up(summary: &Value) -> Result<()> {
    let of = |name: &str| summary["quality"][name].as_u64().unwrap_or(0);
    let parts = ["conforming", "violating", "unjudged", "unrouted", "hops", "lost"].map(of);
    ensure!(of("judged") == parts.iter().sum::<u64>(), "{summary}");
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(30);

/// A call waits two seconds for what may contain it.
const SETTLED: Duration = Duration::from_secs(10);
