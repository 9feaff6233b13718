//! Judges cases, one JSON object a line on standard input, and prints a verdict a line: how the
//! engine is compared with independent validators.
//!
//! `cargo run -p mop-contract --example verdicts -- --contracts DIR [--overlays DIR] < CASES`

use std::{
    collections::HashMap,
    error::Error,
    io::{BufRead as _, Write as _},
    path::Path,
};

use mop_contract::{
    Call, Contract, ContractBuilder, Document, Judge, Message, Reading,
    overlay::{self, Overlay},
    violation::{Location, Violation},
};
use mop_wire::{Body, Headers};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Case {
    id: String,
    #[serde(default)]
    kind: Option<String>,
    method: String,
    path: String,
    direction: String,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    query: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    published: ReadingLine,
    corrected: ReadingLine,
}

#[derive(Serialize)]
struct ReadingLine {
    valid: bool,
    violations: Vec<ViolationLine>,
    unjudged: Option<String>,
}

#[derive(Serialize)]
struct ViolationLine {
    code: String,
    keyword: &'static str,
    location: String,
    pointer: Option<String>,
    attribute: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        options.insert(name, value);
    }
    let folder = options.get("--contracts").ok_or("--contracts DIR is missing")?;
    let overlays = options.get("--overlays").map(Path::new);
    let contract = contract(Path::new(folder), overlays)?;
    let mut judge = Judge::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut out, &verdict(&contract, &mut judge, &case))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

fn contract(folder: &Path, overlays: Option<&Path>) -> Result<Contract, Box<dyn Error>> {
    let overlays = match overlays {
        Some(folder) => yaml_in(folder)?
            .into_iter()
            .map(|(name, text)| Overlay::parse(&name, &text))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let mut builder = ContractBuilder::default();
    for (name, text) in yaml_in(folder)? {
        let document = Document::parse(&name, &text)?;
        let corrected = overlay::apply(&overlays, &document);
        builder.add(&document, Some(&corrected.document));
    }
    Ok(builder.build())
}

/// Name and text of every YAML file of a folder, in the order of the names.
fn yaml_in(folder: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(path)?));
        }
    }
    files.sort();
    Ok(files)
}

fn verdict<'a>(contract: &Contract, judge: &mut Judge, case: &'a Case) -> Line<'a> {
    let mut headers = Headers::default();
    if let Some(content_type) = &case.content_type {
        headers.push("content-type", content_type.as_bytes());
    }
    for (name, value) in &case.headers {
        headers.push(name, value.as_bytes());
    }
    let body = Body::whole(case.body.clone().unwrap_or_default().into_bytes(), false);
    let message = Message { headers: &headers, body: &body };
    let target = match &case.query {
        Some(query) if !query.is_empty() => format!("{}?{query}", case.path),
        _ => case.path.clone(),
    };
    let is_request = case.direction == "request";
    let call = Call {
        method: &case.method,
        target: &target,
        request: is_request.then_some(message),
        response: (!is_request).then_some((case.status.unwrap_or(599), message)),
        incomplete: false,
    };
    let judgement = judge.judge(contract, call, &mut ());
    let unjudged = match judgement.operation {
        Err(unrouted) => Some(unrouted.name().to_owned()),
        Ok(_) => judgement.unjudged.first().map(|unjudged| unjudged.reason.name().to_owned()),
    };
    // Cases about a body have no other headers than its type.
    let of_body = case.kind.as_deref() != Some("call");
    let reading = |reading: &Reading| {
        let violations: Vec<ViolationLine> = reading
            .violations
            .iter()
            .filter(|violation| !of_body || matches!(violation.location, Location::Body(_)))
            .map(line)
            .collect();
        ReadingLine { valid: violations.is_empty(), violations, unjudged: unjudged.clone() }
    };
    Line {
        id: &case.id,
        published: reading(&judgement.published),
        corrected: reading(&judgement.corrected),
    }
}

fn line(violation: &Violation) -> ViolationLine {
    ViolationLine {
        code: violation.code(),
        keyword: violation.keyword.name(),
        location: violation.location.to_string(),
        pointer: match &violation.location {
            Location::Body(pointer) => Some(pointer.clone()),
            _ => None,
        },
        attribute: violation.attribute.clone(),
    }
}
