//! `mop ledger`: skeleton.
use std::process::ExitCode;

use crate::failure::Failure;

/// Arguments of `mop ledger`.
#[derive(clap::Args, Debug)]
pub(crate) struct LedgerArguments {}

pub(crate) fn run(_arguments: &LedgerArguments) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
