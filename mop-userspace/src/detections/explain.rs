//! `mop rules explain`.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use mop_insight::security::rules::{Document, Head};
use serde::Serialize;

use super::{
    list::{facts_of, level_name},
    source::{Documents, SourceArguments},
};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(after_help = "Example: mop rules explain opin_sql_injection")]
pub(super) struct ExplainArguments {
    /// Name or id of the rule.
    rule: String,
    #[command(flatten)]
    source: SourceArguments,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Explanation<'a> {
    name: &'a str,
    id: Option<&'a str>,
    title: &'a str,
    kind: &'static str,
    level: &'static str,
    description: Option<&'a str>,
    reason_en: Option<&'a str>,
    reason_pt: Option<&'a str>,
    false_positives: &'a [String],
    tags: &'a [String],
    owasp: Option<&'a str>,
    fapi: Option<&'a str>,
    builtin: Option<&'a str>,
    paranoia: u8,
    points: u32,
    file: &'a str,
}

pub(super) fn run(arguments: &ExplainArguments) -> Result<ExitCode, Failure> {
    let Documents { documents, files } = arguments.source.read()?;
    let wanted = arguments.rule.as_str();
    let found = documents.iter().enumerate().find(|(_, document)| {
        document.head().is_meant_by(wanted) || document.head().title == wanted
    });
    let Some((number, document)) = found else {
        return Err(Failure::usage(format!("no rule is called {wanted}; see `mop rules list`")));
    };
    let explanation = explain(document, files.get(number).map_or("", String::as_str));
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&explanation).map_err(Failure::runtime)?);
    } else {
        print(&text(&explanation));
    }
    Ok(ExitCode::SUCCESS)
}

fn explain<'a>(document: &'a Document, file: &'a str) -> Explanation<'a> {
    let (kind, extension) = facts_of(document);
    let head = document.head();
    let Head { title, id, level, description, tags, false_positives, .. } = head;
    let reason = extension.and_then(|extension| extension.reason.as_ref());
    Explanation {
        name: head.told_as(),
        id: id.as_deref(),
        title,
        kind,
        level: level_name(*level),
        description: description.as_deref(),
        reason_en: reason.map(|reason| reason.en.as_str()),
        reason_pt: reason.map(|reason| reason.pt.as_str()),
        false_positives,
        tags,
        owasp: extension.and_then(|extension| extension.owasp.as_deref()),
        fapi: extension.and_then(|extension| extension.fapi.as_deref()),
        builtin: extension.and_then(|extension| extension.builtin.as_deref()),
        paranoia: extension.map_or(1, |extension| extension.paranoia()),
        points: extension.map_or(0, |extension| extension.points(*level)),
        file,
    }
}

fn text(explanation: &Explanation<'_>) -> String {
    let Explanation {
        name,
        id,
        title,
        kind,
        level,
        description,
        reason_en,
        reason_pt,
        false_positives,
        tags,
        owasp,
        fapi,
        builtin,
        paranoia,
        points,
        file,
    } = explanation;
    let mut text = format!("{title}\n\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<16} {value}");
    };
    line("rule", name);
    line("id", id.unwrap_or("-"));
    line("kind", kind);
    line("level", level);
    line("paranoia", &paranoia.to_string());
    line("points", &points.to_string());
    line("OWASP", owasp.unwrap_or("-"));
    line("FAPI", fapi.unwrap_or("-"));
    line("matcher", builtin.unwrap_or("-"));
    line("tags", &tags.join(" "));
    line("file", file);
    for (name, told) in [("", description), ("en", reason_en), ("pt-BR", reason_pt)] {
        if let Some(told) = told {
            line(name, told.trim());
        }
    }
    for other in *false_positives {
        line("may also be", other);
    }
    text
}
