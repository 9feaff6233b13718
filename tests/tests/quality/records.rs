//! Records held against their published schemas.

use std::{collections::BTreeMap, fs, path::Path, sync::OnceLock};

use anyhow::{Context, Result, ensure};
use jsonschema::Validator;
use serde_json::Value;

/// Every record is as the schema of its kind says, and its numbers add up.
pub(crate) fn hold_to_schemas(records: &[Value]) -> Result<()> {
    static SCHEMAS: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| schemas().expect("the schemas of this repository"));
    for record in records {
        let kind = record["kind"].as_str().context("a record without a kind")?;
        let schema = schemas.get(kind).with_context(|| format!("no schema for {kind}"))?;
        let errors: Vec<String> = schema
            .iter_errors(record)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        ensure!(errors.is_empty(), "{kind}: {errors:#?}: {record}");
        adds_up(record).with_context(|| record.to_string())?;
    }
    Ok(())
}

/// Records of one kind.
pub(crate) fn of_kind<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["kind"] == kind).collect()
}

/// The codes of what is wrong in one part of a report: `published`, `corrected` or `rules`.
pub(crate) fn codes<'a>(report: &'a Value, part: &str) -> Vec<&'a str> {
    let violations = if part == "rules" { &report["rules"] } else { &report[part]["violations"] };
    violations.as_array().into_iter().flatten().filter_map(|one| one["code"].as_str()).collect()
}

/// Why something was not judged.
pub(crate) fn reasons(report: &Value) -> Vec<&str> {
    let unjudged = report["unjudged"].as_array();
    unjudged.into_iter().flatten().filter_map(|one| one["reason"].as_str()).collect()
}

/// What a schema cannot say.
fn adds_up(record: &Value) -> Result<()> {
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
    match record["kind"].as_str() {
        Some("quality.report" | "quality.validation") => {
            for reading in [&record["published"], &record["corrected"]] {
                let listed = reading["violations"].as_array().context("violations")?;
                let told: u64 = listed.iter().map(|one| number(one, "occurrences")).sum();
                ensure!(told <= number(reading, "total"), "more is listed than there is");
                let errors = listed.iter().any(|one| one["severity"] == "error");
                ensure!(reading["conforming"] == !errors, "the reading contradicts its list");
            }
            ensure!(record["unrouted"].is_null() == record["api"].is_string(), "half a route");
        }
        Some("quality.summary") => {
            let calls = number(record, "calls");
            let sum = ["conforming", "violating", "unjudged"].map(|name| number(record, name));
            ensure!(sum.iter().sum::<u64>() == calls, "calls do not add up");
            ensure!(number(record, "violating_as_published") <= calls);
            let hops = number(record, "hops");
            ensure!(number(record, "differing_hops") <= hops);
            for (list, most) in [("codes", calls), ("unjudged_reasons", calls), ("hop_codes", hops)]
            {
                for one in record[list].as_array().context("a list")? {
                    ensure!(number(one, "calls") <= most, "{one} in more calls than there are");
                }
            }
        }
        Some("quality.fill") => {
            for one in record["attributes"].as_array().context("attributes")? {
                let [seen, present, valid, invalid, null, empty, not_available] =
                    ["seen", "present", "valid", "invalid", "null", "empty", "not_available"]
                        .map(|name| number(one, name));
                ensure!(present <= seen && valid + invalid == present, "{one}");
                ensure!(null + empty + not_available <= present, "{one}");
            }
        }
        _ => {}
    }
    Ok(())
}

fn schemas() -> Result<BTreeMap<String, Validator>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/schemas");
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let schema: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let title = schema["title"].as_str().context("a schema without a title")?.to_owned();
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        schemas.insert(title, validator);
    }
    Ok(schemas)
}

#[test]
fn schemas_refuse_what_records_must_not_be() -> Result<()> {
    let schemas = schemas()?;
    let good: Value = serde_json::from_str(VALIDATION)?;
    ensure!(schemas["quality.validation"].is_valid(&good), "{good}");
    for (pointer, bad) in [
        ("/verdict", Value::from("fine")),
        ("/corrected/total", Value::from(-1)),
        ("/corrected/violations/0/occurrences", Value::from(0)),
        ("/corrected/violations/0/location", Value::from("somewhere")),
        ("/unrouted", Value::from("lost")),
        ("/unjudged/0/reason", Value::from("tired")),
    ] {
        let mut record = good.clone();
        *record.pointer_mut(pointer).with_context(|| pointer.to_owned())? = bad;
        ensure!(!schemas["quality.validation"].is_valid(&record), "{pointer}: {record}");
    }
    for surplus in ["value", "target"] {
        let mut record = good.clone();
        record[surplus] = Value::from("x");
        ensure!(!schemas["quality.validation"].is_valid(&record), "{record}");
    }
    Ok(())
}

const VALIDATION: &str = r#"{"kind":"quality.validation","verdict":"violating","api":"a","api_version":"1","method":"GET","template":"/a","operation_id":null,"unrouted":null,"published":{"conforming":true,"total":0,"violations":[]},"corrected":{"conforming":false,"total":1,"violations":[{"violation":"attribute `a` is required and missing","code":"body.required","severity":"error","attribute":"a","direction":"response","location":"body:","keyword":"required","schema_path":"/required/a","expected":"a","occurrences":1}]},"rules":[],"unjudged":[{"direction":"request","reason":"too_deep"}]}"#;
