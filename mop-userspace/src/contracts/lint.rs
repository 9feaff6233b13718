//! `mop contracts lint`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::failure::Failure;

#[derive(Args, Debug)]
pub(super) struct LintArguments {
    from: Option<PathBuf>,
}

pub(super) fn run(_arguments: &LintArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
