//! The command line.

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::{
    anomalies::AnomaliesArguments,
    configuration::{Configuration, ConfigurationArguments, Given, commands::ConfigArguments},
    contracts::ContractsArguments,
    data::{FunnelArguments, PlatformReportArguments},
    detections::RulesArguments,
    failure::Failure,
    forward::ForwardArguments,
    hub::HubArguments,
    ledger::LedgerArguments,
    outbox_commands::OutboxArguments,
    privileges::RehearsalArguments,
    quality::QualityArguments,
    security::{SecurityArguments, intelligence::IndicatorsArguments},
    validate::ValidateArguments,
};

/// Sees the API traffic of this node at the TLS libraries and sockets, without any change to the
/// applications, and reports every call with proof of how much of it was seen.
#[derive(Debug, Parser)]
#[command(name = "mop", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed while running; 2 wrong usage; \
    78 wrong configuration, or a machine that does not allow it.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Observe the calls on this node.
    Observe(ObserveArguments),
    /// Write what the kernel side sees to a file, to be replayed later.
    Record(RecordArguments),
    /// Report the calls of a file: `.mopcap` or `.exchanges.jsonl`. Needs no privileges.
    Replay(ReplayArguments),
    /// Judge one message against the contract of its operation. Needs no privileges.
    Validate(ValidateArguments),
    /// List, check, compare and build contracts. Needs no privileges.
    Contracts(ContractsArguments),
    /// List, explain, check and test detection rules. Needs no privileges.
    Rules(RulesArguments),
    /// Find where a series of numbers is unlike itself. Needs no privileges.
    Anomalies(AnomaliesArguments),
    /// Show or check the configuration.
    Config(ConfigArguments),
    /// Put records into the outbox and forward them. Needs no privileges.
    Forward(ForwardArguments),
    /// Look into the outbox, check it, export, drain or repair it. Needs no privileges.
    Outbox(OutboxArguments),
    /// Check the ledger of what was produced, delivered and lost.
    Ledger(LedgerArguments),
    /// Explain the funnel of a consent, as it is reported to the metrics platform.
    Funnel(FunnelArguments),
    /// Account for what is owed to the metrics platform, or check it before it is sent.
    Report(PlatformReportArguments),
    /// Look into the indicators of threat intelligence. Needs no privileges.
    Indicators(IndicatorsArguments),
    /// Take records from the broker into PostgreSQL. Needs no privileges.
    Hub(HubArguments),
    /// Say what this kernel, this node and its processes allow.
    Doctor(DoctorArguments),
    /// Print a completion script for a shell.
    Completions(CompletionArguments),
    /// Try what the core of `mop observe` must not be able to do; run by the doctor.
    #[command(hide = true)]
    PrivilegesRehearsal(RehearsalArguments),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: mop observe --for 30s --path-prefix /open-insurance/consents/")]
pub(crate) struct ObserveArguments {
    #[command(flatten)]
    pub(crate) kernel: KernelArguments,
    #[command(flatten)]
    pub(crate) report: ReportArguments,
    #[command(flatten)]
    pub(crate) quality: QualityArguments,
    #[command(flatten)]
    pub(crate) security: SecurityArguments,
    /// Do everything in one process, with all its rights, instead of handing the work to a second
    /// one that has none.
    #[arg(long)]
    pub(crate) no_privilege_split: bool,
    /// Stop after this time, e.g. 500ms, 30s, 5m, 2h. Without it: at Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Follow the observer that runs with the same outbox, without missing a call: it ends once those
    /// that are under way are over.
    #[arg(long)]
    pub(crate) take_over: bool,
    #[command(flatten)]
    pub(crate) forwarding: ForwardingArguments,
    /// Serve metrics and health there, e.g. 127.0.0.1:9464. Without it: as the configuration says,
    /// and not at all without one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// Threads that reassemble calls.
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_WORKERS,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_WORKERS)))]
    pub(crate) workers: u16,
    /// Which of these were given: they win over the configuration.
    #[arg(skip)]
    pub(crate) given: Given,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: mop record --out calls.mopcap --for 30s --yes")]
pub(crate) struct RecordArguments {
    #[command(flatten)]
    pub(crate) kernel: KernelArguments,
    /// The file to write. It must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Stop after this time. Without it: at Ctrl-C or SIGTERM.
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Store payloads without asking: they hold personal data in clear.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Stop when the file has this many MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_mib: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: mop replay calls.mopcap --output pretty --all")]
pub(crate) struct ReplayArguments {
    /// The file: its name ends in `.mopcap` or `.exchanges.jsonl`.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportArguments,
    #[command(flatten)]
    pub(crate) quality: QualityArguments,
    #[command(flatten)]
    pub(crate) security: SecurityArguments,
    #[command(flatten)]
    pub(crate) forwarding: ForwardingArguments,
}

/// Where records go besides the standard output.
#[derive(Args, Clone, Debug)]
pub(crate) struct ForwardingArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Keep records in an outbox in this folder, from which the configured sinks take them. Without a
    /// sink they stay, up to the bounds of size and age: `mop outbox export` prints them.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) outbox: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionArguments {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// How the kernel side is set up.
#[derive(Args, Clone, Debug)]
pub(crate) struct KernelArguments {
    /// Room for data on its way from the kernel, in MiB per CPU; a power of two.
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_RING_MIB,
          value_parser = parse_ring_mib)]
    pub(crate) ring_mib: u32,
    /// Where probes are put in the functions of TLS libraries.
    #[arg(long, value_name = "WHERE", default_value = "auto", hide = true)]
    pub(crate) probe_sites: ProbeSites,
    /// How probes are attached to functions.
    #[arg(long, value_name = "WAY", default_value = "auto", hide = true)]
    pub(crate) attach: AttachChoice,
    /// Attach the probes but let them do nothing: the floor for measurements.
    #[arg(long, hide = true)]
    pub(crate) probes_only: bool,
    /// Attach also where certificates are decoded: somebody wants to know who calls.
    #[arg(skip)]
    pub(crate) certificates: bool,
    /// While this file exists, nothing is attached; empty: there is no switch.
    #[arg(skip)]
    pub(crate) switch: PathBuf,
    /// Files that nothing is attached to.
    #[arg(skip)]
    pub(crate) never_attach: Vec<String>,
    /// Something beside probes takes `CAP_SYS_ADMIN`: sockets of other network namespaces are to be
    /// listed, or a budget wants to know what the programs cost.
    #[arg(skip)]
    pub(crate) wants_administration: bool,
}

/// What is reported, and how.
#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// How records are printed.
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub(crate) output: OutputFormat,
    /// Report only calls whose path starts like this; may be given several times.
    #[arg(long, value_name = "PREFIX", default_value = DEFAULT_PATH_PREFIX, conflicts_with = "all")]
    pub(crate) path_prefix: Vec<String>,
    /// Report every call.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show header values and bodies in clear. Only on a terminal, never in files.
    #[arg(long)]
    pub(crate) show_payload: bool,
    /// Add the SHA-256 of each body. A digest of a short body can be guessed: for tests.
    #[arg(long)]
    pub(crate) body_digest: bool,
}

impl ForwardingArguments {
    /// The configuration, with what the command line says over it.
    pub(crate) fn load(&self) -> Result<Configuration, Failure> {
        let mut configuration = Configuration::load(&self.configuration)?;
        if let Some(folder) = &self.outbox {
            configuration.outbox.folder = Some(folder.clone());
        }
        Ok(configuration)
    }

    /// The same, but nothing at all unless the command line asks for it.
    pub(crate) fn load_if_given(&self) -> Result<Configuration, Failure> {
        if self.configuration.config.is_none() && self.outbox.is_none() {
            return Ok(Configuration::default());
        }
        self.load()
    }
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputFormat {
    /// A line or two a call, for people.
    Pretty,
    /// One JSON document a line.
    Jsonl,
    /// Nothing.
    None,
}

/// Where probes are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProbeSites {
    /// Where they cost least.
    Auto,
    /// At the first instruction and at the return.
    Entry,
}

/// How probes are attached to functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum AttachChoice {
    /// By `uprobe_multi` where the kernel has it, else by perf events.
    Auto,
    /// One link for many places, from Linux 6.6 on.
    UprobeMulti,
    /// A perf event for each place.
    PerfEvent,
}

impl From<AttachChoice> for mop_probe::AttachChoice {
    fn from(choice: AttachChoice) -> Self {
        match choice {
            AttachChoice::Auto => Self::Auto,
            AttachChoice::UprobeMulti => Self::UprobeMulti,
            AttachChoice::PerfEvent => Self::PerfEvent,
        }
    }
}

impl Arguments {
    /// Reads the command line. For a wrong one clap prints its own message and exits with 2.
    pub(crate) fn read() -> Self {
        Self::read_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    pub(crate) fn read_from(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(words)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        if let (Command::Observe(observe), Some((_, matches))) =
            (&mut arguments.command, matches.subcommand())
        {
            observe.given = Given::of(matches);
        }
        Ok(arguments)
    }
}

/// Prints a completion script.
pub(crate) fn completions(arguments: &CompletionArguments) -> Result<ExitCode, Failure> {
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "mop", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "a number and one of ms, s, m, h, d is wanted, e.g. 30s";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_not_a_number| FORM.to_owned())?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => return Err(FORM.to_owned()),
    };
    match milliseconds {
        None => Err("that is longer than can be counted".to_owned()),
        Some(0) => Err("it must be longer than nothing".to_owned()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

fn parse_ring_mib(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(mib) => check_ring_mib(mib).map(|()| mib),
        Err(_) => check_ring_mib(0).map(|()| 0),
    }
}

pub(crate) fn check_ring_mib(mib: u32) -> Result<(), String> {
    if mib.is_power_of_two() && mib <= MAX_RING_MIB {
        Ok(())
    } else {
        Err(format!("a power of two from 1 to {MAX_RING_MIB} is wanted"))
    }
}

pub(crate) const DEFAULT_RING_MIB: u32 = mop_probe::DEFAULT_RING_BYTES >> 20;
const MAX_RING_MIB: u32 = 256;

pub(crate) const DEFAULT_WORKERS: u16 = 1;
pub(crate) const MAX_WORKERS: u16 = 64;

/// All regulated interfaces of Open Insurance Brasil lie below it.
pub(crate) const DEFAULT_PATH_PREFIX: &str = "/open-insurance/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        for bad in
            ["", "30", "s", "-1s", "1.5s", "0s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rings_are_powers_of_two() {
        assert_eq!(parse_ring_mib("8"), Ok(8));
        for bad in ["0", "3", "512", "x"] {
            assert!(parse_ring_mib(bad).is_err(), "{bad}");
        }
    }
}
