//! `mop report check`: holds records against the platform's rules, and sends nothing.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use mop_contract::json::{Reader as JsonReader, Value};
use mop_insight::data::{
    endpoint::PcmEndpoints,
    event::prevalidate::{Breach, prevalidate},
    funnel::{FunnelRules, Side, prevalidate::prevalidate as prevalidate_step, step::FunnelKind},
};
use serde::Serialize;

use super::{
    PlaceArguments,
    source::{Kept, each_record},
};
use crate::{
    failure::Failure,
    stdout::{print, print_line},
};

#[derive(clap::Args, Debug)]
#[command(after_help = "Example: mop outbox export --parked pcm | mop report check -")]
pub(super) struct CheckArguments {
    /// Records, one a line; `-` is the standard input. Without it: what waits in the outbox.
    file: Option<PathBuf>,
    /// Print one JSON document a record that would be discarded.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// A record that would be discarded.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Refused {
    id: String,
    breaches: Vec<Told>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Told {
    field: &'static str,
    problem: &'static str,
}

/// Both sets of rules, and what came of them.
struct Checker {
    endpoints: PcmEndpoints,
    steps: FunnelRules,
    json: JsonReader,
    checked: u64,
    refused: u64,
    by_breach: BTreeMap<(&'static str, &'static str), u64>,
}

pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let mut checker = Checker::new()?;
    let told = |refused: &Refused| {
        if arguments.json {
            // Texts and lists of texts are JSON.
            print_line(&serde_json::to_string(refused).unwrap_or_default());
        } else {
            print(&refused.lines());
        }
    };
    let mut look = |kind: Option<&str>, payload: &[u8]| {
        if let Some(refused) = checker.check(kind, payload) {
            told(&refused);
        }
    };
    each_record(arguments.file.as_deref(), &arguments.place, Kept::OwedToPlatform, &mut look)?;
    eprintln!("{}", checker.summary());
    Ok(if checker.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Checker {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            endpoints: PcmEndpoints::published().map_err(Failure::runtime)?,
            steps: FunnelRules::published().map_err(Failure::runtime)?,
            json: JsonReader::default(),
            checked: 0,
            refused: 0,
            by_breach: BTreeMap::new(),
        })
    }

    /// What is wrong with a record, if it is one that holds an event. Without a kind it has to say so
    /// itself.
    fn check(&mut self, kind: Option<&str>, payload: &[u8]) -> Option<Refused> {
        let Self { endpoints, steps, json, .. } = self;
        let (id, breaches) = match json.read(payload) {
            Ok(read) => {
                let root = read.root();
                let kind = kind.or_else(|| text(root, "kind"));
                let breaches = match kind {
                    Some("data.call") => call(root, endpoints),
                    Some("data.funnel") => step(root, steps),
                    _ => return None,
                };
                (text(root, "id").unwrap_or_default().to_owned(), breaches)
            }
            Err(_unreadable) => (String::new(), vec![NO_RECORD]),
        };
        self.checked += 1;
        if breaches.is_empty() {
            return None;
        }
        self.refused += 1;
        for Breach { field, words } in &breaches {
            *self.by_breach.entry((*field, *words)).or_default() += 1;
        }
        let told = |Breach { field, words }| Told { field, problem: words };
        Some(Refused { id, breaches: breaches.into_iter().map(told).collect() })
    }

    fn summary(&self) -> String {
        let Self { checked, refused, by_breach, .. } = self;
        let mut lines = format!("{checked} events checked, {refused} would be discarded.");
        for ((field, words), count) in by_breach {
            lines += &format!("\n{count:>9} {field} {words}");
        }
        lines
    }
}

impl Refused {
    fn lines(&self) -> String {
        let Self { id, breaches } = self;
        breaches.iter().fold(String::new(), |lines, Told { field, problem }| {
            lines + &format!("{id}: {field} {problem}\n")
        })
    }
}

fn call(record: Value<'_>, endpoints: &PcmEndpoints) -> Vec<Breach> {
    match (side(record), record.member("event")) {
        (Some(_), Some(event)) => prevalidate(event, endpoints),
        _ => vec![NO_RECORD],
    }
}

fn step(record: Value<'_>, rules: &FunnelRules) -> Vec<Breach> {
    let funnel = match text(record, "funnel") {
        Some("v2") => Some(FunnelKind::V2),
        Some("cotacao") => Some(FunnelKind::Quote),
        _ => None,
    };
    match (side(record), funnel, record.member("event")) {
        (Some(side), Some(funnel), Some(event)) => prevalidate_step(event, funnel, side, rules),
        _ => vec![NO_RECORD],
    }
}

fn side(record: Value<'_>) -> Option<Side> {
    let name = text(record, "side")?;
    Side::ALL.into_iter().find(|side| side.name() == name)
}

fn text<'v>(record: Value<'v>, member: &str) -> Option<&'v str> {
    record.member(member).and_then(Value::as_str)
}

const NO_RECORD: Breach =
    Breach { field: "record", words: "must be a record `data.call` or `data.funnel`, in JSON" };

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(url: &str) -> String {
        json!({
            "kind": "data.call", "id": "e1/call", "side": "server",
            "event": {
                "endpoint": "/open-insurance/consents/v3/consents",
                "url": url,
                "statusCode": 201,
                "httpMethod": "POST",
                "correlationId": "c",
                "additionalInfo": { "consentId": "urn:seguradora:C1" },
                "timestamp": "2026-11-24T12:00:00Z",
                "processTimespan": 1,
                "fapiInteractionId": "i1",
                "clientOrgId": "00000000-0000-4000-8000-000000000001",
                "clientSSId": "00000000-0000-4000-8000-000000000002",
                "serverOrgId": "00000000-0000-4000-8000-000000000003",
                "serverASId": "00000000-0000-4000-8000-000000000004",
            },
        })
        .to_string()
    }

    #[test]
    fn what_would_be_discarded_is_told_without_its_values() {
        let mut checker = Checker::new().expect("rules");
        let url = "/open-insurance/consents/v3/consents";
        let lines = [
            record(url),
            record(&format!("{url}?cpf=12345678909")),
            r#"{"kind":"quality.report","id":"q"}"#.to_owned(),
            "no JSON".to_owned(),
            String::new(),
        ];
        let mut refused = Vec::new();
        let mut input = std::io::Cursor::new(lines.join("\n"));
        super::super::source::read_lines(&mut input, &mut |kind, payload| {
            refused.extend(checker.check(kind, payload))
        })
        .expect("read");
        let lines: String = refused.iter().map(Refused::lines).collect();
        assert_eq!(
            lines,
            "e1/call: url must be a path without query\n: record must be a record `data.call` or \
             `data.funnel`, in JSON\n"
        );
        let summary = checker.summary();
        assert!(summary.starts_with("3 events checked, 2 would be discarded."), "{summary}");
        assert!(!summary.contains("123456"), "{summary}");
    }

    #[test]
    fn a_record_must_say_where_it_goes() {
        let mut checker = Checker::new().expect("rules");
        for text in [
            r#"{"kind":"data.call","id":"x","event":{}}"#,
            r#"{"kind":"data.funnel","id":"x","side":"client","event":{}}"#,
            r#"{"kind":"data.funnel","id":"x","side":"client","funnel":"v9","event":{}}"#,
        ] {
            let refused = checker.check(None, text.as_bytes()).expect("refused");
            assert_eq!(refused.breaches.first().map(|told| told.field), Some("record"), "{text}");
        }
    }
}
