//! `mop rules list`.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use mop_insight::security::rules::{Document, Extension, Head, Level, RuleSet};
use serde::Serialize;

use super::source::{Documents, SourceArguments};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(after_help = "Example: mop rules list --json")]
pub(super) struct ListArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    title: &'a str,
    kind: &'static str,
    level: &'static str,
    paranoia: u8,
    owasp: Option<&'a str>,
    file: &'a str,
    /// Why it does nothing here.
    unusable: Option<&'a str>,
}

pub(super) fn run(arguments: &ListArguments) -> Result<ExitCode, Failure> {
    let Documents { documents, files } = arguments.source.read()?;
    let rules = RuleSet::compile(&documents).map_err(Failure::configuration)?;
    let line = |(number, document)| {
        let (kind, extension) = facts_of(document);
        let Head { title, level, .. } = document.head();
        let unusable = rules.unusable().iter().find(|unusable| unusable.document == number);
        Line {
            name: document.head().told_as(),
            title,
            kind,
            level: level_name(*level),
            paranoia: extension.map_or(1, Extension::paranoia),
            owasp: extension.and_then(|extension| extension.owasp.as_deref()),
            file: files.get(number).map_or("", String::as_str),
            unusable: unusable.map(|unusable| unusable.reason.as_str()),
        }
    };
    let lines: Vec<Line<'_>> = documents.iter().enumerate().map(line).collect();
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&lines).map_err(Failure::runtime)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = format!(
        "{:<34} {:<11} {:<13} {:>8}  {:<10} TITLE\n",
        "RULE", "KIND", "LEVEL", "PARANOIA", "OWASP"
    );
    for line in &lines {
        let Line { name, title, kind, level, paranoia, owasp, file: _, unusable } = line;
        let owasp = owasp.unwrap_or("-");
        let note = unusable.map_or(String::new(), |reason| format!(" (not used: {reason})"));
        let _ = writeln!(
            table,
            "{name:<34} {kind:<11} {level:<13} {paranoia:>8}  {owasp:<10} {title}{note}"
        );
    }
    let unusable = rules.unusable().len();
    let _ = writeln!(table, "{} documents, {unusable} not used.", lines.len());
    print(&table);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn facts_of(document: &Document) -> (&'static str, Option<&Extension>) {
    match document {
        Document::Correlation(rule) => ("correlation", Some(&rule.extension)),
        Document::Detection(rule) => ("detection", Some(&rule.extension)),
        Document::Filter(_) => ("filter", None),
    }
}

pub(super) const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Informational => "informational",
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
        Level::Critical => "critical",
    }
}
