//! `mop`: sees the API traffic of a node and reports it.

mod admin;
mod anomalies;
mod batch;
mod capture;
mod cli;
mod clock;
mod configuration;
mod connections;
mod contracts;
mod coverage;
mod data;
mod detections;
mod discovery;
mod doctor;
mod drafts;
mod failure;
mod forward;
mod forwarding;
mod gathering;
mod handover;
mod handshakes;
mod hellos;
mod hub;
mod identifiers;
mod kept_once;
mod ledger;
mod mask;
mod observe;
mod official;
mod outbox_commands;
mod output;
mod pipeline;
mod pretty;
mod privileges;
mod protection;
mod quality;
mod record;
mod recorder;
mod replay;
mod rulebook;
mod scope;
mod security;
mod selection;
mod session;
mod signals;
mod sinks;
mod spool;
mod stdout;
mod summary;
mod tidying;
mod validate;
mod vitals;
mod worker;
mod workloads;

use std::{alloc::System, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

use crate::cli::{Arguments, Command};

/// Wipes what is given back, so that no payload, header or key outlives its use: whoever reads the
/// memory of the process finds what it works on now, and nothing of before.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    // A panic's message may quote the data that led to it: say where, not what.
    std::panic::set_hook(Box::new(|info| match info.location() {
        Some(at) => {
            eprintln!("mop: internal error at {}:{}; please report it", at.file(), at.line())
        }
        None => eprintln!("mop: internal error; please report it"),
    }));
    let arguments = Arguments::read();
    let outcome = match arguments.command {
        Command::Observe(arguments) => observe::run(arguments),
        Command::Record(arguments) => recorder::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Contracts(arguments) => contracts::run(&arguments),
        Command::Rules(arguments) => detections::run(&arguments),
        Command::Anomalies(arguments) => anomalies::run(&arguments),
        Command::Config(arguments) => configuration::commands::run(&arguments),
        Command::Forward(arguments) => forward::run(&arguments),
        Command::Outbox(arguments) => outbox_commands::run(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Funnel(arguments) => data::run(&arguments),
        Command::Report(arguments) => data::run_report(&arguments),
        Command::Indicators(arguments) => security::intelligence::run(&arguments),
        Command::Hub(arguments) => hub::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => cli::completions(&arguments),
        Command::PrivilegesRehearsal(arguments) => privileges::run_rehearsal(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
