//! `mop contracts list`.

use std::{fmt::Write as _, process::ExitCode};

use serde::Serialize;

use crate::{
    failure::Failure,
    rulebook::{RuleArguments, RuleBook},
    stdout::{print, print_line},
};

#[derive(Serialize)]
struct DocumentLine<'a> {
    name: &'a str,
    version: &'a str,
    base_paths: &'a [String],
    operations: usize,
    corrections: Vec<&'a str>,
    problems: usize,
    file: &'a str,
}

pub(super) fn run(rules: &RuleArguments, json: bool) -> Result<ExitCode, Failure> {
    let book = RuleBook::load(rules)?;
    let documents = book.contract.documents();
    let lines: Vec<DocumentLine<'_>> = book
        .documents
        .iter()
        .zip(documents)
        .map(|(loaded, document)| DocumentLine {
            name: &loaded.name,
            version: &loaded.version,
            base_paths: &document.base_paths,
            operations: document.operations,
            corrections: loaded.applied.iter().map(|applied| &*applied.id).collect(),
            problems: document.problems.len(),
            file: &loaded.file,
        })
        .collect();
    if json {
        print_line(&serde_json::to_string_pretty(&lines).map_err(Failure::runtime)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table =
        format!("{:<44} {:<9} {:>4}  {:<64} CORRECTIONS\n", "API", "VERSION", "OPS", "BASE PATH");
    for line in &lines {
        let _ = writeln!(
            table,
            "{:<44} {:<9} {:>4}  {:<64} {}",
            line.name,
            line.version,
            line.operations,
            line.base_paths.join(" "),
            line.corrections.len()
        );
    }
    let _ = writeln!(
        table,
        "{} documents, {} operations, {} distinct schemas, {} rules.",
        lines.len(),
        book.contract.operations().len(),
        book.contract.schemas().len(),
        book.rules.len()
    );
    print(&table);
    Ok(ExitCode::SUCCESS)
}
