//! The Logstash pipeline of `deploy/logstash`.
//!
//! Logstash itself is in no package of the distribution, so it is not run here. What is tested for
//! real: the pipeline is read by a reader of Logstash's grammar, and by an independent one where that
//! is installed; the mapping is Ruby, and it is run by Ruby on records. What is not tested: the plugins
//! of Logstash themselves.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use mop_tests::{skip, tool};
use serde_json::{Value, json};

#[test]
fn the_pipeline_can_be_read() -> Result<()> {
    let read = syntax(&deploy().join("pipeline.conf"))?;
    let plugins = read["plugins"].as_array().context("plugins")?;
    let names: Vec<(&str, &str)> =
        plugins.iter().map(|plugin| (text(&plugin[0]), text(&plugin[1]))).collect();
    let wanted = [
        ("input", "rabbitmq"),
        ("input", "rabbitmq"),
        ("input", "rabbitmq"),
        ("input", "rabbitmq"),
        ("filter", "ruby"),
        ("output", "elasticsearch"),
        ("output", "elasticsearch"),
    ];
    ensure!(names == wanted, "{names:?}");
    // An option that a plugin does not have stops Logstash: all of these are in the reference.
    for plugin in plugins {
        let known = OPTIONS
            .iter()
            .find(|(name, _)| *name == text(&plugin[1]))
            .map(|(_, known)| *known)
            .context("an unknown plugin")?;
        for option in plugin[2].as_object().context("options")?.keys() {
            ensure!(known.contains(&option.as_str()), "{}: {option}", plugin[1]);
        }
    }
    let queues: BTreeSet<&str> =
        plugins[..4].iter().map(|plugin| text(&plugin[2]["queue"])).collect();
    let modules = ["quality", "data", "security", "ops"];
    let wanted = modules.map(|module| format!("mop.logstash.{module}"));
    ensure!(queues == wanted.iter().map(String::as_str).collect());
    for plugin in &plugins[..4] {
        ensure!(plugin[2]["ack"] == "true" && plugin[2]["passive"] == "true", "{plugin}");
        ensure!(plugin[2]["codec"]["json"]["target"] == "[mop]", "{plugin}");
        ensure!(plugin[2]["metadata_enabled"] == "basic", "{plugin}");
    }
    if read["independent"] == false {
        skip(
            "the_pipeline_can_be_read (by the independent reader)",
            "python3 has no module logstash_pipeline_parser",
        );
    }
    Ok(())
}

#[test]
fn pipelines_that_are_wrong_are_not_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pipeline.conf");
    for wrong in [
        "input { x { a => } }",
        "input { x { a => 1 }",
        "input { x { a => 1 a => 2 } }",
        "filter { if [a { } }",
        "outputs { }",
        "input { x { a => \"b } }",
    ] {
        fs::write(&file, wrong)?;
        ensure!(syntax(&file).is_err(), "{wrong}");
    }
    Ok(())
}

#[test]
fn records_become_documents_of_ecs() -> Result<()> {
    if tool("ruby").is_none() {
        skip("records_become_documents_of_ecs", "there is no ruby");
        return Ok(());
    }
    let report = json!({
        "kind": "quality.report", "schema_version": 1, "id": "e1/quality", "exchange": "e1",
        "ts": "2026-11-24T12:00:00Z", "role": "client", "counterpart": "api.example",
        "api": "consents", "api_version": "3.0.0", "method": "POST", "template": "/consents",
        "operation_id": null, "unrouted": null, "status": 201, "verdict": "violating",
        "published": { "conforming": false, "total": 2, "violations": [] },
        "corrected": { "conforming": false, "total": 2, "violations": [
            { "violation": "data is missing", "code": "body.required" },
            { "violation": "meta is missing", "code": "body.required" } ] },
        "rules": [{ "violation": "no interaction id", "code": "opin.interaction-id" }],
        "unjudged": [],
    });
    let summary = json!({
        "kind": "quality.summary", "id": "w/1/summary/0", "counterpart": null, "api": "consents",
        "api_version": "3.0.0", "method": "GET", "template": "/x",
        "window": { "start": "2026-11-24T12:00:00Z", "end": "2026-11-24T12:30:00Z" },
        "calls": 3, "codes": [{ "code": "body.type", "calls": 1 }],
    });
    let ledger = json!({
        "kind": "ops.ledger", "id": "n/1/ledger/1", "from": "2026-11-24T11:00:00Z",
        "to": "2026-11-24T12:01:00Z",
    });
    let finding = json!({ "kind": "security.finding", "id": "f1", "ts": "2026-11-24T12:00:00Z" });
    let broken = json!("not a record");
    let documents = mapped(&[&report, &summary, &ledger, &finding, &broken])?;

    let [report_document, summary_document, ledger_document, finding_document, broken_document] =
        &*documents
    else {
        anyhow::bail!("{} documents", documents.len());
    };
    for (pointer, value) in [
        ("/@timestamp", json!("2026-11-24T12:00:00Z")),
        ("/ecs/version", json!("9.0.0")),
        ("/event/kind", json!("event")),
        ("/event/category", json!(["api"])),
        ("/event/outcome", json!("failure")),
        ("/event/id", json!("e1/quality")),
        ("/event/dataset", json!("mop.quality.report")),
        ("/event/sequence", json!(41)),
        ("/observer/name", json!("node-1")),
        ("/observer/product", json!("MOP")),
        ("/http/request/method", json!("POST")),
        ("/http/response/status_code", json!(201)),
        ("/url/path", json!("/consents")),
        ("/organization/name", json!("api.example")),
        ("/rule/id", json!(["body.required", "opin.interaction-id"])),
        ("/rule/name", json!(["data is missing", "meta is missing", "no interaction id"])),
        ("/rule/ruleset", json!("consents")),
        ("/@metadata/mop_id", json!("e1/quality")),
        ("/mop", report.clone()),
    ] {
        ensure!(
            report_document.pointer(pointer) == Some(&value),
            "{pointer}: {:?} instead of {value}",
            report_document.pointer(pointer)
        );
    }
    ensure!(summary_document["event"]["kind"] == "metric");
    ensure!(summary_document["event"]["end"] == "2026-11-24T12:30:00Z");
    ensure!(summary_document["@timestamp"] == "2026-11-24T12:00:00Z");
    ensure!(summary_document.get("organization").is_none());
    ensure!(ledger_document["@timestamp"] == "2026-11-24T12:01:00Z");
    ensure!(ledger_document["event"].get("category").is_none());
    ensure!(finding_document["event"]["kind"] == "alert");
    ensure!(broken_document["tags"] == json!(["_mop_no_record"]));
    ensure!(broken_document.pointer("/@metadata/mop_id").is_none());
    documents.iter().try_for_each(fits_template)
}

/// Every field beside the record itself has a type in the index template, and the value words of
/// ECS are its own.
fn fits_template(document: &Value) -> Result<()> {
    let template: Value =
        serde_json::from_str(&fs::read_to_string(deploy().join("index-template.json"))?)?;
    let mut fields = Vec::new();
    for (name, value) in document.as_object().context("a document")? {
        if !matches!(name.as_str(), "mop" | "@metadata" | "tags") {
            leaves(&format!("/{name}"), value, &mut fields);
        }
    }
    for field in fields {
        let place = field.replace('/', "/properties/");
        let pointer = format!("/template/mappings{place}/type");
        ensure!(template.pointer(&pointer).is_some(), "no type for {field}");
    }
    let words = |pointer: &str, allowed: &[&str]| {
        let value = document.pointer(pointer).cloned().unwrap_or(json!([]));
        let list = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        list.iter().all(|word| allowed.contains(&text(word)))
    };
    ensure!(words("/event/kind", &["alert", "event", "metric"]));
    ensure!(words("/event/category", &["api", "intrusion_detection"]));
    ensure!(words("/event/type", &["access", "info"]));
    ensure!(words("/event/outcome", &["failure", "success", "unknown"]));
    Ok(())
}

fn leaves(path: &str, value: &Value, fields: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(&format!("{path}/{name}"), value, fields);
            }
        }
        _ => fields.push(path.to_owned()),
    }
}

/// Runs the mapping on records, as they come from node-1.
fn mapped(records: &[&Value]) -> Result<Vec<Value>> {
    let mut child = Command::new("ruby")
        .arg(fixtures().join("mapping.rb"))
        .arg(deploy().join("ecs.rb"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    {
        let mut input = child.stdin.take().context("its input")?;
        for record in records {
            let headers = json!({
                "x-mop-node": "node-1", "x-mop-epoch": 3, "x-mop-sequence": 41,
                "x-mop-stream": "violations",
            });
            let event = json!({ "mop": record, "@metadata": { "rabbitmq_headers": headers } });
            writeln!(input, "{event}")?;
        }
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ruby: {}", output.status);
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).context("a document"))
        .collect()
}

fn syntax(pipeline: &Path) -> Result<Value> {
    let output = Command::new("python3")
        .arg(fixtures().join("syntax.py"))
        .arg(pipeline)
        .output()
        .context("python3")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/logstash")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logstash")
}

/// Options of the plugins as of Logstash 9, those that the pipeline may use.
const OPTIONS: [(&str, &[&str]); 3] = [
    (
        "rabbitmq",
        &[
            "ack",
            "codec",
            "durable",
            "heartbeat",
            "host",
            "id",
            "metadata_enabled",
            "passive",
            "password",
            "port",
            "prefetch_count",
            "queue",
            "ssl",
            "ssl_certificate_password",
            "ssl_certificate_path",
            "user",
            "vhost",
        ],
    ),
    ("ruby", &["id", "path"]),
    (
        "elasticsearch",
        &[
            "action",
            "document_id",
            "hosts",
            "id",
            "index",
            "manage_template",
            "password",
            "ssl_certificate_authorities",
            "template",
            "template_name",
            "template_overwrite",
            "user",
        ],
    ),
];
