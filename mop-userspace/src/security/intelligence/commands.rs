//! `mop indicators`: what is looked for, and what is known of a value.

use std::{net::IpAddr, process::ExitCode};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use mop_insight::security::intelligence::{
    indicator::Value,
    store::{Match, Store},
    value::Form,
};
use serde::Serialize;

use super::load::{Loaded, SourceReport, load};
use crate::{
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
    stdout::print_line,
};

/// Looks into indicators.
#[derive(Args, Debug)]
pub(crate) struct IndicatorsArguments {
    #[command(subcommand)]
    command: IndicatorsCommand,
}

#[derive(Debug, Subcommand)]
enum IndicatorsCommand {
    /// What each source has, and what cannot be read of it. Remote sources as they were last fetched.
    #[command(after_help = "Example: mop indicators stats --config /etc/mop/mop.toml")]
    Stats {
        #[command(flatten)]
        configuration: ConfigurationArguments,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// What is known of an address, a name, a URL, a path, a user agent or a fingerprint.
    #[command(after_help = "Example: mop indicators check 198.51.100.7\n\n\
        Exit codes: 0 nothing is known of it; 1 it is known to be bad, or the command failed; \
        2 wrong usage; 78 wrong configuration or bad sources.")]
    Check {
        /// The value; `hxxp://a[.]b` is read, too.
        value: String,
        #[command(flatten)]
        configuration: ConfigurationArguments,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Stats<'t> {
    indicators: usize,
    warned: usize,
    refused: usize,
    memory_bytes: usize,
    sources: &'t [SourceReport],
}

/// A match in words.
#[derive(Serialize)]
struct Line<'t> {
    kind: &'static str,
    confidence: u8,
    source: &'t str,
    event: Option<String>,
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &IndicatorsArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        IndicatorsCommand::Stats { configuration, json } => stats(&open(configuration)?, *json),
        IndicatorsCommand::Check { value, configuration, json } => {
            check(&open(configuration)?.store, value, *json)
        }
    }
}

fn open(arguments: &ConfigurationArguments) -> Result<Loaded, Failure> {
    let configuration = Configuration::load(arguments)?;
    let section = configuration.security.intelligence;
    let section = section.ok_or_else(|| {
        Failure::configuration("there is no section [security.intelligence]: nothing is looked for")
    })?;
    load(&section, Timestamp::now().as_second())
}

fn stats(loaded: &Loaded, json: bool) -> Result<ExitCode, Failure> {
    let Loaded { store, sources } = loaded;
    let counts = store.counts();
    let stats = Stats {
        indicators: counts.taken,
        warned: counts.warned,
        refused: counts.refused,
        memory_bytes: store.bytes(),
        sources,
    };
    if json {
        print_line(&serde_json::to_string_pretty(&stats).map_err(Failure::runtime)?);
        return Ok(ExitCode::SUCCESS);
    }
    let Stats { indicators, warned, refused, memory_bytes, sources } = stats;
    for source in sources {
        let SourceReport { name, files, indicators, unreadable, first_unreadable, .. } = source;
        let first = first_unreadable.as_ref().map(|place| format!(" (first: {place})"));
        print_line(&format!(
            "{name:<24} {indicators:>9} indicators, {files} files, {} of other types, {} deleted, \
             {unreadable} unreadable{}",
            source.unknown_types,
            source.deleted,
            first.unwrap_or_default(),
        ));
    }
    print_line(&format!(
        "{:<24} {indicators:>9} indicators, {warned} on warninglists, {refused} without room, \
         {memory_bytes} bytes",
        "all"
    ));
    Ok(ExitCode::SUCCESS)
}

fn check(store: &Store, value: &str, json: bool) -> Result<ExitCode, Failure> {
    let now = Timestamp::now().as_second();
    let matches = look_up(store, value, now);
    let lines: Vec<_> = matches
        .iter()
        .filter_map(|found| {
            let origin = store.origin(found.id)?;
            Some(Line {
                kind: found.kind.name(),
                confidence: found.confidence,
                source: origin.source,
                event: origin.event.map(|event| event.to_string()),
            })
        })
        .collect();
    if json {
        print_line(&serde_json::to_string_pretty(&lines).map_err(Failure::runtime)?);
    } else {
        for Line { kind, confidence, source, event } in &lines {
            let event = event.as_ref().map(|event| format!(", event {event}")).unwrap_or_default();
            print_line(&format!("{kind}, confidence {confidence}, source {source}{event}"));
        }
        if lines.is_empty() {
            print_line("Nothing is known of it.");
        }
    }
    Ok(if lines.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Everything that a value could be a match of, by what it looks like.
pub(super) fn look_up(store: &Store, text: &str, now: i64) -> Vec<Match> {
    let mut matches = Vec::new();
    let typed = Value::infer(text);
    match &typed {
        Some(Value::Network(network)) if network.is_address() => {
            let address: IpAddr = network.first();
            matches.extend(store.address(address, now));
        }
        Some(Value::Domain(name) | Value::Hostname(name)) => matches.extend(store.host(name, now)),
        Some(Value::Url(url)) => {
            let (authority, target) =
                url.find(['/', '?']).and_then(|at| url.split_at_checked(at)).unwrap_or((url, "/"));
            matches.extend(store.url(authority, target, now));
            matches.extend(store.host(authority, now));
            matches.extend(store.path(target, now));
        }
        Some(Value::Path(path)) => matches.extend(store.path(path, now)),
        Some(Value::Ja4(text)) => matches.extend(store.ja4(text, now)),
        _ => {}
    }
    // Digits of a fingerprint look the same whatever they are of.
    for form in [Form::Ja3, Form::X509Sha1, Form::X509Sha256] {
        match Value::parse(form, text) {
            Some(Value::Ja3(digest)) => matches.extend(store.ja3(&digest, now)),
            Some(Value::X509Sha1(digest)) => matches.extend(store.certificate_sha1(&digest, now)),
            Some(Value::X509Sha256(digest)) => {
                matches.extend(store.certificate_sha256(&digest, now));
            }
            _ => {}
        }
    }
    if typed.is_none() {
        matches.extend(store.user_agent(text, now));
    }
    matches
}
