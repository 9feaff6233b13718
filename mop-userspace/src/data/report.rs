//! `mop report`: what became of everything that is owed to the metrics platform, what it would refuse
//! of what waits; and what is owed to others, of incidents and of personal data.

mod check;
mod reconcile;
mod source;

pub(crate) use source::{Kept, each_record};

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};

use crate::{
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
    security::report::{self, IncidentArguments, LgpdArguments},
};

/// Arguments of `mop report`.
#[derive(Args, Debug)]
pub(crate) struct PlatformReportArguments {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// What became of every call and step: observed, reported, sent, accepted, discarded, parked,
    /// waiting. Exit code 1 when that does not balance.
    Pcm(reconcile::PcmArguments),
    /// What the platform would discard, and why, before it is sent. Exit code 1 when there is any.
    Check(check::CheckArguments),
    /// The material for the notice of an incident: a finding, what belongs to it, what it touched, and
    /// until when the regulator wants to know.
    Incident(IncidentArguments),
    /// Which classes of personal data were seen where, and what left the node.
    Lgpd(LgpdArguments),
}

/// Which outbox.
#[derive(Args, Debug)]
pub(crate) struct PlaceArguments {
    /// The folder of the outbox. Without it: that of the configuration.
    #[arg(long, value_name = "FOLDER")]
    outbox: Option<PathBuf>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

/// Reports.
pub(crate) fn run(arguments: &PlatformReportArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        ReportCommand::Pcm(arguments) => reconcile::run(arguments),
        ReportCommand::Check(arguments) => check::run(arguments),
        ReportCommand::Incident(arguments) => report::incident(arguments),
        ReportCommand::Lgpd(arguments) => report::lgpd(arguments),
    }
}

impl PlaceArguments {
    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(folder) = &self.outbox {
            return Ok(folder.clone());
        }
        Configuration::load(&self.configuration)?.outbox.folder.ok_or_else(|| {
            Failure::usage("which outbox? Give --outbox, or set outbox.folder in the configuration")
        })
    }
}

/// Tells a person who waits how far the reading is.
struct Progress {
    read: u64,
    is_told: bool,
    next: Instant,
}

impl Progress {
    fn new() -> Self {
        let is_told = std::io::stderr().is_terminal();
        Self { read: 0, is_told, next: Instant::now() + TELL_EVERY }
    }

    /// One more record.
    fn count(&mut self) {
        self.read += 1;
        // The clock is looked at now and then only.
        if self.is_told && self.read.is_multiple_of(LOOK_EVERY) && self.next <= Instant::now() {
            self.next = Instant::now() + TELL_EVERY;
            eprintln!("Reading the outbox: {} records so far.", self.read);
        }
    }
}

const TELL_EVERY: Duration = Duration::from_secs(2);
const LOOK_EVERY: u64 = 1_024;
