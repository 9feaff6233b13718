//! `mop rules test` and `mop rules lint`.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use mop_insight::security::rules::{Document, Examples, LintProblem, check};
use serde::Serialize;

use super::source::{Documents, SourceArguments};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  mop rules test\n  mop rules lint /etc/mop/detections/\n\n\
    Exit codes: 0 nothing found; 1 at least one; 2 wrong usage; 78 bad documents.")]
pub(super) struct CheckArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Tests,
    Everything,
}

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    rule: String,
    problem: String,
}

pub(super) fn run(arguments: &CheckArguments, wanted: Wanted) -> Result<ExitCode, Failure> {
    let Documents { documents, files } = arguments.source.read()?;
    let lints = check(&documents).map_err(Failure::configuration)?;
    let lines: Vec<Line<'_>> = lints
        .iter()
        .filter(|lint| {
            wanted == Wanted::Everything || matches!(lint.problem, LintProblem::Example { .. })
        })
        .map(|lint| Line {
            file: files.get(lint.document).map_or("", String::as_str),
            rule: documents
                .get(lint.document)
                .map_or(lint.known_as.as_str(), |document| document.head().told_as())
                .to_owned(),
            problem: lint.problem.to_string(),
        })
        .collect();
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&lines).map_err(Failure::runtime)?);
    } else {
        let mut text = String::new();
        for Line { file, rule, problem } in &lines {
            let _ = writeln!(text, "{file}: {rule}: {problem}");
        }
        let tests: usize = documents.iter().map(tests_of).sum();
        let _ = writeln!(
            text,
            "{} documents, {tests} tests, {} problems.",
            documents.len(),
            lines.len()
        );
        print(&text);
    }
    Ok(ExitCode::from(u8::from(!lines.is_empty())))
}

fn tests_of(document: &Document) -> usize {
    let Examples { matching, others } = match document {
        Document::Correlation(rule) => &rule.examples,
        Document::Detection(rule) => &rule.examples,
        Document::Filter(_) => return 0,
    };
    matching.len() + others.len()
}
