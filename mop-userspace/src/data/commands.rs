//! `mop funnel`: what became of consents, by their keyed names.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mop_insight::data::funnel::{ConsentDigest, Funnel};
use serde::Serialize;

use super::{State, configuration, module::restored};
use crate::{
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
    stdout::print_line,
};

/// Arguments of `mop funnel`.
#[derive(Args, Debug)]
pub(crate) struct FunnelArguments {
    #[command(subcommand)]
    command: FunnelCommand,
}

#[derive(Debug, Subcommand)]
enum FunnelCommand {
    /// The keyed name of a consent, under which the others show it.
    #[command(after_help = "Example: mop funnel name --config /etc/mop/mop.toml urn:seguradora:C1")]
    Name {
        /// The consent's identifier.
        consent: String,
        #[command(flatten)]
        configuration: ConfigurationArguments,
    },
    /// Every consent that is remembered, one a line.
    List {
        #[command(flatten)]
        configuration: ConfigurationArguments,
        /// Print JSON Lines.
        #[arg(long)]
        json: bool,
    },
    /// The journey of one consent: each step, whether it was reported, and if not, why.
    #[command(after_help = "Example: mop funnel show --config /etc/mop/mop.toml \
                            df43d6ba39a9fee7f9eb67f2f4ac45b6")]
    Show {
        /// Its keyed name: 32 hexadecimal digits.
        #[arg(value_name = "CONSENT_HASH")]
        consent: String,
        #[command(flatten)]
        configuration: ConfigurationArguments,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Line {
    consent: String,
    reported: usize,
    waiting: usize,
}

/// Looks at what a node keeps of funnels.
pub(crate) fn run(arguments: &FunnelArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        FunnelCommand::Name { consent, configuration } => {
            print_line(&open(configuration)?.digest(consent).to_string());
        }
        FunnelCommand::List { configuration, json } => list(&open(configuration)?, *json)?,
        FunnelCommand::Show { consent, configuration, json } => {
            let digest = ConsentDigest::parse(consent).ok_or_else(|| {
                Failure::usage(
                    "the keyed name of a consent has 32 hexadecimal digits; `mop funnel name` gives it",
                )
            })?;
            return show(&open(configuration)?, &digest, *json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a node keeps, as of its last saving.
fn open(arguments: &ConfigurationArguments) -> Result<Funnel, Failure> {
    let configuration = Configuration::load(arguments)?;
    let Some(data) = &configuration.data else {
        return Err(Failure::configuration("there is no section [data]: no funnel is reported"));
    };
    let Some(outbox) = &configuration.outbox.folder else {
        return Err(Failure::configuration(
            "outbox.folder is missing: without it nothing is kept of funnels",
        ));
    };
    let state = State::beside(Some(outbox));
    let rules = configuration::rules()?;
    Ok(restored(&state, &rules, data.funnel(), &state.known_key()?))
}

fn list(funnel: &Funnel, json: bool) -> Result<(), Failure> {
    for digest in funnel.digests() {
        let Some(explanation) = funnel.explain(&digest) else { continue };
        let steps = explanation.sides.iter().flat_map(|side| &side.steps);
        let (mut reported, mut waiting) = (0, 0);
        for step in steps {
            reported += usize::from(step.state.is_reported());
            waiting += usize::from(step.state.is_waiting());
        }
        let line = Line { consent: explanation.consent, reported, waiting };
        if json {
            print_line(&serde_json::to_string(&line).map_err(Failure::runtime)?);
        } else {
            let Line { consent, reported, waiting } = line;
            print_line(&format!("{consent}  {reported} reported, {waiting} waiting"));
        }
    }
    Ok(())
}

fn show(funnel: &Funnel, digest: &ConsentDigest, json: bool) -> Result<ExitCode, Failure> {
    let Some(explanation) = funnel.explain(digest) else {
        return Err(Failure::runtime(
            "no such consent is remembered: it may have been forgotten, or belongs to another node",
        ));
    };
    if json {
        print_line(&serde_json::to_string_pretty(&explanation).map_err(Failure::runtime)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = explanation.unknown {
        print_line(&format!("Nothing of it is reported: {}.", unknown.name()));
    }
    for side in &explanation.sides {
        print_line(&format!("{}:", side.side.name()));
        for step in &side.steps {
            print_line(&format!("  {:<28} {}", step.step.name(), step.sentence));
        }
    }
    Ok(ExitCode::SUCCESS)
}
