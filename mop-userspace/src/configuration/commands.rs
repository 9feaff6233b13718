//! Skeleton: `mop config show|check`.

use std::process::ExitCode;

use super::ConfigurationArguments;
use crate::failure::Failure;

/// Arguments of `mop config`.
#[derive(clap::Args, Debug)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(crate) fn run(_arguments: &ConfigArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
