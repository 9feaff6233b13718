//! Skeleton: `mop outbox ls|verify|export|drain|repair`.

use std::process::ExitCode;

use crate::{configuration::ConfigurationArguments, failure::Failure};

/// Arguments of `mop outbox`.
#[derive(clap::Args, Debug)]
pub(crate) struct OutboxArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(crate) fn run(_arguments: &OutboxArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
