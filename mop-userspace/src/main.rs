//! `mop`: sees the API traffic of a node and reports it.

mod batch;
mod capture;
mod cli;
mod clock;
mod connections;
mod contracts;
mod discovery;
mod doctor;
mod failure;
mod journal;
mod mask;
mod observe;
mod output;
mod pipeline;
mod pretty;
mod quality;
mod record;
mod recorder;
mod replay;
mod rulebook;
mod selection;
mod signals;
mod stdout;
mod summary;
mod validate;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Arguments, Command};

fn main() -> ExitCode {
    // A panic's message may quote the data that led to it: say where, not what.
    std::panic::set_hook(Box::new(|info| match info.location() {
        Some(at) => {
            eprintln!("mop: internal error at {}:{}; please report it", at.file(), at.line())
        }
        None => eprintln!("mop: internal error; please report it"),
    }));
    // clap prints its own message for a wrong command line and exits with 2.
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Observe(arguments) => observe::run(&arguments),
        Command::Record(arguments) => recorder::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Contracts(arguments) => contracts::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Completions(arguments) => cli::completions(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
