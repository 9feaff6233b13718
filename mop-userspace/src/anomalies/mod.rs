//! `mop anomalies`: where series of numbers are unlike themselves.

mod score;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Looks for anomalies.
#[derive(Args, Debug)]
pub(crate) struct AnomaliesArguments {
    #[command(subcommand)]
    command: AnomaliesCommand,
}

#[derive(Debug, Subcommand)]
enum AnomaliesCommand {
    /// Score every value of a series, in the order of time.
    Score(score::ScoreArguments),
}

pub(crate) fn run(arguments: &AnomaliesArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        AnomaliesCommand::Score(arguments) => score::run(arguments),
    }
}
