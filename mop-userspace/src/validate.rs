//! `mop validate`: judges one message, or one call, from files.

use std::{
    fs,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use mop_contract::{Call, Judge, Judgement, Message, Visitor, json::Value, operation::Operation};
use mop_wire::{Body, Headers};
use serde::Serialize;

use crate::{
    failure::Failure,
    pretty::Style,
    quality::{
        OperationRecord, Outcome, ReadingRecord, RuleViolation, UnjudgedRecord, ViolationRecord,
        apply_rules, operation_record, write_findings,
    },
    rulebook::{RuleArguments, RuleBook},
    stdout::{print, print_line},
};

/// What is judged.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    mop validate --method POST --path /open-insurance/consents/v3/consents --status 201 \\\n      \
    --direction response --header 'content-type: application/json' answer.json\n  \
    curl -s https://… | mop validate --method GET --path /open-insurance/… --status 200 -\n\n\
    Exit codes: 0 conforming; 1 violating; 3 not judged, or not wholly; 2 wrong usage; 78 wrong \
    contracts.")]
pub(crate) struct ValidateArguments {
    /// Method of the request.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Target of the request: path and query.
    #[arg(long, value_name = "TARGET")]
    path: String,
    /// Which message the body and headers are of. Without it: the response when `--status` is
    /// given, else the request.
    #[arg(long)]
    direction: Option<MessageDirection>,
    /// Status of the response.
    #[arg(long, value_parser = clap::value_parser!(u16).range(100..=599))]
    status: Option<u16>,
    /// A header field, `name: value`; may be given several times.
    #[arg(long, value_name = "FIELD")]
    header: Vec<String>,
    /// The body; `-` for the standard input. Without it: no body.
    body: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: ResultFormat,
    #[command(flatten)]
    rules: RuleArguments,
}

/// A message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MessageDirection {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ResultFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

/// The result.
#[derive(Serialize)]
struct Validation<'a> {
    kind: &'static str,
    verdict: &'static str,
    #[serde(flatten)]
    operation: Option<OperationRecord<'a>>,
    unrouted: Option<&'static str>,
    published: ReadingRecord<'a>,
    corrected: ReadingRecord<'a>,
    rules: Vec<ViolationRecord>,
    unjudged: Vec<UnjudgedRecord>,
}

/// Judges, prints, and says in the exit code what was found.
pub(crate) fn run(arguments: &ValidateArguments) -> Result<ExitCode, Failure> {
    let direction = arguments.direction.unwrap_or(match arguments.status {
        Some(_) => MessageDirection::Response,
        None => MessageDirection::Request,
    });
    if direction == MessageDirection::Response && arguments.status.is_none() {
        return Err(Failure::usage("a response has a status: give --status, e.g. --status 200"));
    }
    if !arguments.path.starts_with('/') && !arguments.path.contains("://") {
        return Err(Failure::usage(
            "--path must be a request target that begins with /, e.g. \
             /open-insurance/consents/v3/consents",
        ));
    }
    let mut headers = Headers::default();
    for field in &arguments.header {
        let (name, value) = field.split_once(':').ok_or_else(|| {
            Failure::usage("a --header has the form 'name: value'; one of them has no colon")
        })?;
        headers.push(name.trim(), value.trim().as_bytes());
    }
    let bytes = arguments.body.as_deref().map(read_body).transpose()?.unwrap_or_default();
    let body = Body::whole(bytes, false);
    if body.length > 0 && headers.first("content-type").is_none() {
        // Whoever validates a file means the form that the contract has.
        headers.push("content-type", b"application/json");
    }
    let book = RuleBook::load(&arguments.rules)?;
    let message = Message { headers: &headers, body: &body };
    let call = Call {
        method: &arguments.method,
        target: &arguments.path,
        request: (direction == MessageDirection::Request).then_some(message),
        response: (direction == MessageDirection::Response)
            .then_some((arguments.status.unwrap_or_default(), message)),
        incomplete: false,
    };
    let mut looks = Looks { book: &book, call, findings: Vec::new() };
    let judgement = Judge::default().judge(&book.contract, call, &mut looks);
    let findings = looks.findings;
    let outcome = Outcome::of(&judgement, &findings);
    print_result(arguments.output, &book, &judgement, &findings, outcome)?;
    Ok(ExitCode::from(match outcome {
        Outcome::Conforming => 0,
        Outcome::Violating => 1,
        Outcome::Unjudged => EXIT_UNJUDGED,
    }))
}

fn print_result(
    format: ResultFormat,
    book: &RuleBook,
    judgement: &Judgement,
    findings: &[RuleViolation<'_>],
    outcome: Outcome,
) -> Result<(), Failure> {
    let validation = Validation {
        kind: "quality.validation",
        verdict: outcome.name(),
        operation: operation_record(&book.contract, judgement),
        unrouted: judgement.operation.err().map(|unrouted| unrouted.name()),
        published: ReadingRecord::new(&judgement.published),
        corrected: ReadingRecord::new(&judgement.corrected),
        rules: findings.iter().map(ViolationRecord::from).collect(),
        unjudged: UnjudgedRecord::all(&judgement.unjudged),
    };
    match format {
        ResultFormat::Json => {
            print_line(&serde_json::to_string_pretty(&validation).map_err(Failure::runtime)?);
        }
        ResultFormat::Table => {
            let style =
                if std::io::stdout().is_terminal() { Style::Coloured } else { Style::Plain };
            let mut lines = String::new();
            let Validation {
                verdict,
                operation,
                unrouted,
                published,
                corrected,
                rules,
                unjudged,
                ..
            } = &validation;
            write_findings(
                &mut lines,
                style,
                verdict,
                operation.as_ref(),
                *unrouted,
                (published, corrected),
                rules,
                unjudged,
                usize::MAX,
            );
            print(&lines);
        }
    }
    Ok(())
}

fn read_body(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let failed = |error: std::io::Error| {
        // Not 1, which says that a message was judged and is wrong.
        Failure::usage(format!("cannot read {}: {error}", path.display()))
    };
    let limit = mop_contract::json::MAX_BYTES as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        fs::File::open(path)
            .map_err(failed)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
    }
    Ok(bytes)
}

/// Applies rules once the bodies are read.
struct Looks<'l, 'b> {
    book: &'b RuleBook,
    call: Call<'l>,
    findings: Vec<RuleViolation<'b>>,
}

impl Visitor for Looks<'_, '_> {
    fn bodies(
        &mut self,
        operation: &Operation,
        request: Option<Value<'_>>,
        response: Option<Value<'_>>,
    ) {
        apply_rules(self.book, self.call, operation, (request, response), &mut self.findings);
    }
}

/// Neither conforming nor violating.
const EXIT_UNJUDGED: u8 = 3;
