//! `mop rules`: detection rules, listed, explained, checked and tried out.

mod check;
mod explain;
mod list;
mod source;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Looks at detection rules.
#[derive(Args, Debug)]
pub(crate) struct RulesArguments {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// List the rules that calls are held against, and those that cannot be used here.
    List(list::ListArguments),
    /// Run the tests that rules carry.
    Test(check::CheckArguments),
    /// Find what is doubtful in rules: tests that are missing or fail, names that are taken, fields
    /// that are not observed, conditions that match everything.
    Lint(check::CheckArguments),
    /// Say what a rule looks for, why it matters and what to do.
    Explain(explain::ExplainArguments),
}

/// Runs a subcommand.
pub(crate) fn run(arguments: &RulesArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        RulesCommand::List(arguments) => list::run(arguments),
        RulesCommand::Test(arguments) => check::run(arguments, check::Wanted::Tests),
        RulesCommand::Lint(arguments) => check::run(arguments, check::Wanted::Everything),
        RulesCommand::Explain(arguments) => explain::run(arguments),
    }
}
