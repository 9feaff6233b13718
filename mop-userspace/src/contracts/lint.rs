//! `mop contracts lint`.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;
use mop_contract::lint::{self, Severity};
use serde::Serialize;

use crate::{
    failure::Failure,
    rulebook::{RuleArguments, Sources, documents, each_document},
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  mop contracts lint new/insurance-auto.yaml\n  \
    mop contracts lint --corrected\n\n\
    Exit codes: 0 no error found; 1 at least one; 2 wrong usage; 78 bad documents.")]
pub(super) struct LintArguments {
    /// Documents, packs, or folders of them. Without any: those that calls are judged by.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleArguments,
    /// Look at the documents with their known defects corrected: what is found then is new.
    #[arg(long)]
    corrected: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct FindingLine {
    api: String,
    api_version: String,
    code: String,
    severity: &'static str,
    pointer: String,
    detail: String,
    remedy: &'static str,
}

pub(super) fn run(arguments: &LintArguments) -> Result<ExitCode, Failure> {
    let mut sources = Sources::read(&arguments.rules)?;
    if !arguments.paths.is_empty() {
        sources.documents.clear();
        for path in &arguments.paths {
            sources.documents.extend(documents(path)?);
        }
    }
    let mut lines = Vec::new();
    let (mut count, mut omitted) = (0, 0);
    for text in &sources.documents {
        each_document(text, &mut |document| {
            let document = if arguments.corrected {
                mop_contract::overlay::apply(&sources.overlays, &document).document
            } else {
                document
            };
            let report = lint::lint(&document);
            count += 1;
            omitted += report.omitted;
            lines.extend(report.findings.into_iter().map(|finding| FindingLine {
                api: document.name.clone(),
                api_version: document.version.clone(),
                code: finding.code.to_string(),
                severity: severity(finding.severity),
                pointer: finding.pointer,
                detail: finding.detail,
                remedy: finding.remedy,
            }));
        })?;
    }
    let errors = lines.iter().filter(|line| line.severity == severity(Severity::Error)).count();
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&lines).map_err(Failure::runtime)?);
    } else {
        let mut table = String::new();
        for line in &lines {
            let FindingLine { api, api_version, code, severity, pointer, detail, remedy } = line;
            let _ = writeln!(
                table,
                "{severity:<7} {api} {api_version} {pointer}\n        {code}: {detail}; {remedy}"
            );
        }
        let _ = write!(table, "{} findings in {count} documents, {errors} errors", lines.len());
        let more = if omitted > 0 { format!("; {omitted} not listed") } else { String::new() };
        let _ = writeln!(table, "{more}.");
        print(&table);
    }
    Ok(ExitCode::from(u8::from(errors > 0)))
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
