//! `mop outbox drain`: delivers what is left, before a node is taken away.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;

use crate::{
    cli::parse_duration,
    configuration::{Configuration, ConfigurationArguments},
    failure::Failure,
    forwarding::Forwarding,
    output::Dropped,
    signals::StopRequest,
    stdout::print_line,
    vitals::Vitals,
};

/// Arguments of `mop outbox drain`.
#[derive(Args, Debug)]
#[command(after_help = "Example: mop outbox drain --config /etc/mop/mop.toml --for 10m")]
pub(crate) struct DrainArguments {
    #[command(flatten)]
    configuration: ConfigurationArguments,
    /// Give up after this time.
    #[arg(long = "for", value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    limit: Duration,
}

pub(super) fn run(arguments: &DrainArguments) -> Result<ExitCode, Failure> {
    let configuration = Configuration::load(&arguments.configuration)?;
    if configuration.sinks.is_empty() {
        return Err(Failure::configuration(
            "there is no sink to drain into: configure one in [sinks]",
        ));
    }
    let stop = StopRequest::listen()?;
    let dropped = Arc::new(Dropped::default());
    let started = Forwarding::start(&configuration, dropped, &Vitals::new())?;
    let Some((mut spool, forwarding)) = started else {
        return Err(Failure::configuration("there is no outbox: set `folder` in [outbox]"));
    };
    let left_before = forwarding.vitals.spooled();
    let is_empty = forwarding.drain(&mut spool, arguments.limit, || stop.is_requested());
    let vitals = Arc::clone(&forwarding.vitals);
    forwarding.stop(spool);
    let left = vitals.spooled();
    print_line(&format!(
        "{} of {left_before} records delivered.",
        left_before.saturating_sub(left)
    ));
    if is_empty && left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::runtime(format!("{left} records are still in the outbox")))
}
