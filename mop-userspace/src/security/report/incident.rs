//! `mop report incident`.

use std::{
    collections::BTreeMap, fmt::Write as _, path::PathBuf, process::ExitCode, time::Duration,
};

use clap::Args;
use jiff::{SignedDuration, Timestamp, civil::Date};
use mop_insight::security::{
    finding::{Finding, FindingFacts, RECORD_KIND, Severity},
    personal::attribute::AttributeClass,
};
use serde::Serialize;

use super::{Language, deadline::notice_until};
use crate::{
    cli::parse_duration,
    data::{Kept, PlaceArguments, each_record},
    failure::Failure,
    rulebook::{RuleArguments, RuleBook},
    stdout::{print, print_line},
};

#[derive(Args, Debug)]
#[command(
    after_help = "Example: mop outbox export | mop report incident 3f… --file - --language en"
)]
pub(crate) struct IncidentArguments {
    /// The finding: its `id`, or at least 8 digits of its beginning.
    finding: String,
    /// Records, one a line, as `mop outbox export` or `mop replay` give them; `-` is the standard
    /// input. Without it: what the outbox has.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Findings of the same client so long before and after belong to it.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    around: Duration,
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// What is told of an incident.
#[derive(Debug, Serialize)]
struct Incident<'f> {
    finding: &'f Finding,
    /// The last day for the notice, in Brasilia, holidays not counted.
    notice_until: Date,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// Calls of all findings.
    calls: u64,
    severity: Severity,
    endpoints: Vec<Touched<'f>>,
    findings: Vec<&'f Finding>,
}

/// An endpoint that was touched.
#[derive(Debug, Serialize)]
struct Touched<'f> {
    endpoint: &'f str,
    findings: u64,
    calls: u64,
    /// Classes of personal data that its contract has.
    personal_data: Vec<AttributeClass>,
}

pub(crate) fn run(arguments: &IncidentArguments) -> Result<ExitCode, Failure> {
    if arguments.finding.len() < LEAST_DIGITS {
        return Err(Failure::usage("at least 8 digits of the finding's id are wanted"));
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut omitted = 0_u64;
    each_record(arguments.file.as_deref(), &arguments.place, Kept::All, &mut |kind, payload| {
        if kind.is_some_and(|kind| kind != RECORD_KIND) {
            return;
        }
        let read = serde_json::from_slice::<Finding>(payload);
        if let Some(finding) = read.ok().filter(|finding| finding.kind == RECORD_KIND) {
            if findings.len() < MOST_FINDINGS {
                findings.push(finding);
            } else {
                omitted += 1;
            }
        }
    })?;
    if omitted > 0 {
        eprintln!("mop: {omitted} findings beyond the first {MOST_FINDINGS} were left out");
    }
    findings.sort_by(|one, other| {
        (one.facts.first_seen, &one.id).cmp(&(other.facts.first_seen, &other.id))
    });
    findings.dedup_by(|one, other| one.id == other.id);
    let mut meant = findings.iter().filter(|it| it.id.starts_with(&arguments.finding));
    let Some(finding) = meant.next() else {
        let text = format!("no finding {} is among the records", arguments.finding);
        return Err(Failure::runtime(text));
    };
    if meant.next().is_some() {
        return Err(Failure::usage("several findings begin so: give more digits"));
    }
    let book = RuleBook::load(&RuleArguments::default())?;
    let incident = Incident::of(finding, &findings, arguments.around, &book);
    if arguments.json {
        print_line(&serde_json::to_string_pretty(&incident).map_err(Failure::runtime)?);
    } else {
        print(&incident.text(arguments.language));
    }
    Ok(ExitCode::SUCCESS)
}

impl<'f> Incident<'f> {
    fn of(finding: &'f Finding, all: &'f [Finding], around: Duration, book: &RuleBook) -> Self {
        let around = SignedDuration::try_from(around).unwrap_or(SignedDuration::MAX);
        let from = finding.facts.first_seen.checked_sub(around).unwrap_or(Timestamp::MIN);
        let to = finding.facts.last_seen.checked_add(around).unwrap_or(Timestamp::MAX);
        let belongs = |other: &&Finding| {
            let FindingFacts { client_organisation, rule, first_seen, last_seen, .. } =
                &other.facts;
            let is_same = match &finding.facts.client_organisation {
                Some(client) => client_organisation.as_ref() == Some(client),
                // Of a client that is not known, what the same rule found.
                None => client_organisation.is_none() && *rule == finding.facts.rule,
            };
            is_same && *first_seen <= to && *last_seen >= from
        };
        let findings: Vec<&Finding> = all.iter().filter(belongs).collect();
        let mut by_endpoint: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for Finding { facts, .. } in &findings {
            let endpoint = facts.endpoint.as_deref().unwrap_or("-");
            let (of_endpoint, calls) = by_endpoint.entry(endpoint).or_default();
            *of_endpoint += 1;
            *calls += facts.count;
        }
        let endpoints = by_endpoint.into_iter().map(|(endpoint, (findings, calls))| Touched {
            endpoint,
            findings,
            calls,
            personal_data: classes_of(book, endpoint),
        });
        let facts = || findings.iter().map(|finding| &finding.facts);
        Self {
            finding,
            notice_until: notice_until(finding.facts.last_seen),
            first_seen: facts().map(|it| it.first_seen).min().unwrap_or(finding.facts.first_seen),
            last_seen: facts().map(|it| it.last_seen).max().unwrap_or(finding.facts.last_seen),
            calls: facts().map(|it| it.count).sum(),
            severity: facts().map(|it| it.severity).max().unwrap_or(finding.facts.severity),
            endpoints: endpoints.collect(),
            findings,
        }
    }

    fn text(&self, language: Language) -> String {
        let word = |en, pt| language.pick(en, pt);
        let facts = &self.finding.facts;
        let reason = match language {
            Language::En => &facts.reason.en,
            Language::Pt => &facts.reason.pt,
        };
        let unknown = word("not known", "desconhecida");
        let mut text = format!("# {}: {}\n\n", word("Incident", "Incidente"), facts.title);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "- {name}: {value}");
        };
        line(word("Finding", "Achado"), &self.finding.id);
        line(word("Rule", "Regra"), &facts.rule);
        line(word("Severity", "Severidade"), self.severity.name());
        line("OWASP", &facts.owasp.iter().map(|it| it.name()).collect::<Vec<_>>().join(", "));
        line(
            word("Organisation that was called", "Organização chamada"),
            facts.organisation.as_deref().unwrap_or(unknown),
        );
        line(
            word("Organisation that called", "Organização que chamou"),
            facts.client_organisation.as_deref().unwrap_or(unknown),
        );
        line(word("First seen", "Primeira ocorrência"), &self.first_seen.to_string());
        line(word("Last seen", "Última ocorrência"), &self.last_seen.to_string());
        line(word("Calls", "Chamadas"), &self.calls.to_string());
        line(
            word(
                "Notice to SUSEP until (five business days, holidays not counted)",
                "Comunicar à SUSEP até (cinco dias úteis, sem contar feriados)",
            ),
            &self.notice_until.to_string(),
        );
        let _ = writeln!(text, "\n## {}\n\n{reason}\n", word("What it is", "O que é"));
        let _ = writeln!(text, "## {}\n", word("What was touched", "O que foi atingido"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |\n|---|---:|---:|---|",
            word("endpoint", "endpoint"),
            word("findings", "achados"),
            word("calls", "chamadas"),
            word("personal data by its contract", "dados pessoais segundo o contrato"),
        );
        for Touched { endpoint, findings, calls, personal_data } in &self.endpoints {
            let classes: Vec<&str> = personal_data.iter().map(|class| class.name()).collect();
            let classes = if classes.is_empty() { "-".to_owned() } else { classes.join(", ") };
            let _ = writeln!(text, "| `{endpoint}` | {findings} | {calls} | {classes} |");
        }
        let _ = writeln!(text, "\n## {}\n", word("In the order of time", "Em ordem cronológica"));
        for Finding { id, facts, .. } in self.findings.iter().take(MOST_LINES) {
            let _ = writeln!(
                text,
                "- {} {} {} ({}) `{}` × {}",
                facts.first_seen,
                facts.severity.name(),
                facts.title,
                id.get(..8).unwrap_or(id),
                facts.endpoint.as_deref().unwrap_or("-"),
                facts.count,
            );
        }
        if self.findings.len() > MOST_LINES {
            let more = self.findings.len() - MOST_LINES;
            let _ = writeln!(text, "- {more} {}", word("more: see --json", "outros: veja --json"));
        }
        let _ = writeln!(
            text,
            "\n## {}\n\n{}",
            word("What this does not say", "O que este relatório não diz"),
            word(
                "Whose data they were: no value of a message is kept. The logs of the application, by \
                 the identifiers of the interactions in that time, say it. Whether the incident must \
                 be told to the data protection authority (ANPD) is for the controller to judge.",
                "De quem eram os dados: nenhum valor de mensagem é guardado. Os logs da aplicação, \
                 pelos identificadores das interações no período, dizem. Se o incidente deve ser \
                 comunicado à ANPD cabe ao controlador decidir.",
            )
        );
        text
    }
}

/// Classes of personal data that the operations of a template have by their contract.
fn classes_of(book: &RuleBook, template: &str) -> Vec<AttributeClass> {
    let mut classes: Vec<AttributeClass> = super::lgpd::attributes_of(book, template)
        .filter_map(|path| AttributeClass::of_path(&path))
        .collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Fewer would often be of several.
const LEAST_DIGITS: usize = 8;

/// An incident is one client's day.
const MOST_FINDINGS: usize = 100_000;

/// More is for programs to read.
const MOST_LINES: usize = 200;
