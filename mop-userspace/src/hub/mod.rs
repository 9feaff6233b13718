//! Skeleton: `mop hub`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::{configuration::ConfigurationArguments, failure::Failure};

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HubConfiguration {}

/// Arguments of `mop hub`.
#[derive(clap::Args, Debug)]
pub(crate) struct HubArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(crate) fn run(_arguments: &HubArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
