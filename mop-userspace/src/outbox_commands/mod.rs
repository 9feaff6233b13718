//! `mop outbox ls|verify|export|drain|repair`: for those who look after an outbox.
//!
//! All but `drain` and `repair` read beside a writer that is at work, without its lock.

mod drain;
mod export;
mod list;
mod repair;
mod verify;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use mop_outbox::Reader;

use crate::{
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
};

/// Arguments of `mop outbox`.
#[derive(Args, Debug)]
pub(crate) struct OutboxArguments {
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Subcommand, Debug)]
enum OutboxCommand {
    /// List what lies in the outbox, and how far each sink is.
    Ls(list::ListArguments),
    /// Check every checksum. Exit code 1 when something is damaged.
    Verify(verify::VerifyArguments),
    /// Print records, one JSON document a line.
    Export(export::ExportArguments),
    /// Deliver what is left, then end: before a node is taken away. Nobody may use the outbox
    /// meanwhile. Exit code 1 when something is left.
    Drain(drain::DrainArguments),
    /// Set damaged files aside and keep what can be read of them. Nobody may use the outbox meanwhile.
    Repair(repair::RepairArguments),
}

/// Which outbox.
#[derive(Args, Debug)]
pub(crate) struct PlaceArguments {
    /// The folder of the outbox. Without it: that of the configuration.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

pub(crate) fn run(arguments: &OutboxArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        OutboxCommand::Ls(arguments) => list::run(arguments),
        OutboxCommand::Verify(arguments) => verify::run(arguments),
        OutboxCommand::Export(arguments) => export::run(arguments),
        OutboxCommand::Drain(arguments) => drain::run(arguments),
        OutboxCommand::Repair(arguments) => repair::run(arguments),
    }
}

impl PlaceArguments {
    /// The folder that was meant.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        Configuration::load(&self.configuration)?.outbox.folder.ok_or_else(|| {
            Failure::usage("which outbox? Give --folder, or set outbox.folder in the configuration")
        })
    }

    fn reader(&self) -> Result<(PathBuf, Reader), Failure> {
        let folder = self.folder()?;
        let reader = Reader::open(&folder).map_err(|error| unreadable(&folder, &error))?;
        Ok((folder, reader))
    }
}

fn unreadable(folder: &Path, error: &io::Error) -> Failure {
    Failure::runtime(format!("the outbox {} cannot be read: {error}", folder.display()))
}

/// A file as people and programs are told of it: without the folder.
fn relative(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

fn timestamp(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}
