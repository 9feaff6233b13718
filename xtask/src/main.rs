//! Sets up, builds, tests, demonstrates and measures MOP.
//!
//! `cargo xtask COMMAND` is the one entry point for developers and continuous integration. Every
//! command first runs what it needs of `setup`, so each works on a fresh machine.

mod bench;
mod build;
mod chaos;
mod demo;
mod kernel_stack;
mod kernels;
mod lint;
mod rules;
mod services;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, tests, demonstrates and measures MOP.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures MOP's cost and completeness; one JSON object a line.
    Bench(bench::Options),
    /// Builds the kernel programs and the `mop` binary.
    Build {
        /// Optimised build.
        #[arg(long)]
        release: bool,
    },
    /// Builds the kernel programs only, into target/ebpf/mop.bpf.o.
    BuildEbpf,
    /// Kills agent, broker and hub by the hundred and judges what became of the records.
    Chaos(chaos::Options),
    /// Shows the main job on real traffic: nginx with TLS, an OPIN API, curl and MOP.
    Demo(demo::Options),
    /// Boots kernels of a distribution in emulation and has MOP observe an exchange in each.
    Kernels(kernels::Options),
    /// Checks formatting, lints and, with --deny, the dependencies.
    Lint {
        /// Also checks licences, bans and sources of dependencies; builds cargo-deny if missing.
        #[arg(long)]
        deny: bool,
    },
    /// Makes the contract pack and its table of versions anew from OpenAPI documents.
    Rules(rules::Options),
    /// Builds an optimised `mop` and runs it: cargo xtask run -- doctor
    Run {
        /// Arguments of `mop`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// RabbitMQ and PostgreSQL to work with, on loopback: up, down, status.
    Services(services::Options),
    /// Makes this machine able to build and, with --with-tests, to test MOP.
    Setup(setup::Options),
    /// Runs every test: unit, property, fuzz smoke and end-to-end against real servers.
    Test(test::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            let unserved = error.downcast_ref::<setup::Unserved>().is_some();
            ExitCode::from(if unserved { EXIT_CONFIGURATION } else { EXIT_FAILURE })
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Bench(options) => bench::run(&options),
        Command::Build { release } => build::mop(release).map(drop),
        Command::BuildEbpf => build::ebpf(),
        Command::Chaos(options) => chaos::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Kernels(options) => kernels::run(&options),
        Command::Lint { deny } => lint::run(deny),
        Command::Rules(options) => rules::run(&options),
        Command::Run { arguments } => build::run(&arguments),
        Command::Services(options) => services::run(&options),
        Command::Setup(options) => setup::run(&options),
        Command::Test(options) => test::run(&options),
    }
}

const EXIT_FAILURE: u8 = 1;
/// `EX_CONFIG` of sysexits.h: the machine cannot be served as it is.
const EXIT_CONFIGURATION: u8 = 78;
