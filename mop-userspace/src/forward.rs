//! `mop forward`: puts records that were made elsewhere into the outbox and forwards them.

use std::process::ExitCode;

use crate::{configuration::ConfigurationArguments, failure::Failure};

/// Arguments of `mop forward`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: mop replay calls.mopcap --output jsonl | mop forward --config mop.toml"
)]
pub(crate) struct ForwardArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Print the id of each record, one a line, once it is safe on disk.
    #[arg(long)]
    pub(crate) acknowledge: bool,
    /// After the last record, wait so long for the sinks to take all that is left.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::cli::parse_duration)]
    pub(crate) drain_for: std::time::Duration,
}

pub(crate) fn run(_arguments: &ForwardArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
