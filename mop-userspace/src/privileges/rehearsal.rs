//! Makes a core as `mop observe` does, has it try what it must not be able to do, and reports.

use std::{
    io::Read as _,
    process::{ExitCode, Stdio},
};

use serde::{Deserialize, Serialize};

use super::{
    Layers, Needs, PrivilegesConfiguration,
    attempts::{self, Attempt},
    core::{self, Core},
    split::{self, SpawnedCore},
};
use crate::{failure::Failure, stdout::print_line};

/// Arguments of the hidden command.
#[derive(clap::Args, Debug)]
pub(crate) struct RehearsalArguments {}

/// What a core of this machine is like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rehearsed {
    #[serde(flatten)]
    pub(crate) layers: Layers,
    pub(crate) attempts: Vec<Attempt>,
}

/// Makes a core for a moment. This process gives up for good what a prober does not need.
pub(crate) fn rehearse(configuration: &PrivilegesConfiguration) -> Result<Rehearsed, Failure> {
    let whole = |reason: &str| Rehearsed { layers: Layers::none(reason), attempts: Vec::new() };
    if let Some(reason) = split::refusal(configuration) {
        return Ok(whole(reason));
    }
    let kept = split::PROBER_CAPABILITIES;
    let started = SpawnedCore::start(configuration, &Needs::none(), kept, |command| {
        command.arg(COMMAND).stdout(Stdio::piped());
    })?;
    let SpawnedCore { mut child, channel } = match started {
        Ok(core) => core,
        Err(reason) => return Ok(whole(&reason)),
    };
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_REPORT_BYTES).read_to_string(&mut text).map_err(Failure::runtime)?;
    }
    drop(channel);
    let status = child.wait().map_err(Failure::runtime)?;
    serde_json::from_str(&text)
        .map_err(|_no_report| Failure::runtime(format!("a core does not start here ({status})")))
}

/// The hidden command: what that core does. Without a prober it tells what this process could do.
pub(crate) fn run_rehearsal(_arguments: &RehearsalArguments) -> Result<ExitCode, Failure> {
    let layers = match core::started_by() {
        Some(prober) => {
            Core::enter(&prober, &PrivilegesConfiguration::default(), &Needs::none())?.layers
        }
        None => Layers::none("this is no core"),
    };
    let rehearsed = Rehearsed { layers, attempts: attempts::try_all() };
    print_line(&serde_json::to_string(&rehearsed).map_err(Failure::runtime)?);
    Ok(ExitCode::SUCCESS)
}

/// Its name on the command line.
const COMMAND: &str = "privileges-rehearsal";

/// Far more than layers and attempts fill.
const MAX_REPORT_BYTES: u64 = 64 << 10;
