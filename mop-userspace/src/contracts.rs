//! `mop contracts`: what the contracts are, what is wrong with them, and what changed.

mod build;
mod diff;
mod lint;
mod list;
mod show;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use crate::{failure::Failure, rulebook::RuleArguments};

/// Looks at contracts.
#[derive(Args, Debug)]
pub(crate) struct ContractsArguments {
    #[command(subcommand)]
    command: ContractsCommand,
}

#[derive(Debug, Subcommand)]
enum ContractsCommand {
    /// List the documents that calls are judged by, with their versions and corrections.
    List {
        #[command(flatten)]
        rules: RuleArguments,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Show one operation: its parameters, bodies and attributes, in both readings.
    Show(show::ShowArguments),
    /// Find defects of documents that make correct messages fail, or wrong ones pass.
    Lint(lint::LintArguments),
    /// Say what differs between two sets of documents.
    #[command(after_help = "Exit codes: 0 the same; 1 different; 2 wrong usage; 78 bad documents.")]
    Diff {
        /// The older pack, document or folder of documents.
        old: PathBuf,
        /// The newer one.
        new: PathBuf,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Compile OpenAPI documents into a pack that holds facts only.
    #[command(after_help = "Example: mop contracts build documents/ --out opin.contracts.jsonl")]
    Build {
        /// The document, or the folder of documents.
        from: PathBuf,
        /// The pack to write. An existing one is replaced.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Also write a table of the documents and their versions.
        #[arg(long, value_name = "FILE")]
        versions: Option<PathBuf>,
    },
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &ContractsArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        ContractsCommand::List { rules, json } => list::run(rules, *json),
        ContractsCommand::Show(arguments) => show::run(arguments),
        ContractsCommand::Lint(arguments) => lint::run(arguments),
        ContractsCommand::Diff { old, new, json } => diff::run(old, new, *json),
        ContractsCommand::Build { from, out, versions } => {
            build::run(from, out, versions.as_deref())
        }
    }
}
