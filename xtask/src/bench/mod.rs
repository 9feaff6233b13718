//! Measures what MOP costs and how much of the traffic it reports.
//!
//! One JSON object a line. Every figure is a ratio taken in one run on one machine, because an
//! absolute number says more about the machine than about MOP. nginx, with one worker, and the
//! load generator share the first core; MOP and this program have the second one.

mod capture;
mod contract;
mod load;
mod modules;
mod outbox;
mod report;
mod security;
mod share;
mod sites;
mod steady;
mod subject;

use std::{env, thread, time::Duration};

use anyhow::{Context, Result};
use mop_tests::{Certificates, Nginx};
use serde_json::json;

use self::{
    load::{Load, Served},
    report::{Report, median},
    subject::{Observed, Subject, Watched},
};
use crate::{
    build,
    setup::{self, UsedBy},
    shell,
};

/// Options of `cargo xtask bench`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these figures; all but `capture` when none are named.
    #[arg(value_enum)]
    figures: Option<Figures>,
    /// Short rounds: shows that the bench works, its figures scatter.
    #[arg(long)]
    quick: bool,
    /// Rounds, each with every subject once; the medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Figures {
    /// What capture costs by size, version and connections, with other tools beside it.
    Capture,
    /// Reading and judging of bodies, with Python's and Node's validators beside it.
    Contract,
    /// What the data module and the security module cost in a whole observer.
    Data,
    /// Putting and draining records, with `SQLite` and redb beside it.
    Outbox,
    /// What the security module finds in ordinary texts, regulated calls and attacks, and what
    /// looking at a call costs.
    Security,
    /// Processor time and memory without calls, and with ten thousand connections open.
    Steady,
    /// The parser, without kernel programs and servers.
    Wire,
}

/// Runs the bench.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.figures {
        Some(Figures::Contract) => return contract::run(options.quick),
        Some(Figures::Outbox) => return outbox::run(options.quick),
        Some(Figures::Security) => return security::run(options.quick),
        Some(Figures::Wire) => return wire_rate(options.quick),
        Some(Figures::Capture | Figures::Data | Figures::Steady) | None => {}
    }
    setup::ensure_parts(UsedBy::Bench)?;
    // Another build can be measured, such as that of an earlier release.
    if env::var_os("MOP_BINARY").is_none() {
        build::mop(true)?;
    }
    match options.figures {
        Some(Figures::Capture) => return capture::run(options.quick, options.rounds),
        Some(Figures::Data) => return modules::cost(&Bench::new(options)?),
        Some(Figures::Steady) => return steady::run(Cores::split(), options.quick),
        _ => Bench::new(options)?.run()?,
    }
    wire_rate(options.quick)?;
    contract::run(options.quick)?;
    outbox::run(options.quick)?;
    security::run(options.quick)
}

struct Bench {
    nginx: Nginx,
    cores: Cores,
    is_quick: bool,
    round: Duration,
    rounds: u32,
    paced: Duration,
    report: Report,
    folder: tempfile::TempDir,
}

/// Where servers and load run, and where MOP does.
#[derive(Clone, Copy, Debug)]
struct Cores {
    /// How many there are, before this program is bound to one.
    all: usize,
    load: Option<u32>,
    mop: Option<u32>,
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let cores = Cores::split();
        if let Some(core) = cores.mop {
            // What is started from here inherits it, unless it is told otherwise.
            let mut set = rustix::thread::CpuSet::new();
            set.set(core as usize);
            rustix::thread::sched_setaffinity(None, &set).context("cannot choose a core")?;
        }
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let certificates = Certificates::create(folder.path())?;
        let mut nginx = Nginx::builder(folder.path())
            .tls(&certificates)
            .location(
                "/open-insurance/",
                &format!("default_type application/json; return 200 '{}';", answer()),
            )
            .location("= /served", "stub_status;");
        if let Some(core) = cores.load {
            nginx = nginx.cpu(core);
        }
        let seconds = |full, quick| Duration::from_secs(if options.quick { quick } else { full });
        Ok(Self {
            nginx: nginx.start()?,
            cores,
            is_quick: options.quick,
            round: seconds(5, 2),
            rounds: if options.quick { 1 } else { options.rounds },
            paced: seconds(30, 5),
            report: Report,
            folder,
        })
    }

    fn run(&mut self) -> Result<()> {
        self.report.line(&json!({
            "figure": "setting",
            "cores": self.cores.all,
            "core_of_load": self.cores.load,
            "core_of_mop": self.cores.mop,
            "round_s": self.round.as_secs(),
            "rounds": self.rounds,
            "connections": load::CONNECTIONS,
            "body_bytes": BODY_BYTES,
            "kernel": shell::output("uname", &["-r"]).unwrap_or_default().trim(),
        }));
        self.throughput_and_completeness()?;
        steady::run(self.cores, self.is_quick)?;
        self.fixed_rate()?;
        modules::cost(self)
    }

    /// Interleaved, so that what the machine does meanwhile hits all subjects alike.
    fn throughput_and_completeness(&mut self) -> Result<()> {
        let library = subject::libssl_of(self.nginx.pid())?;
        let mut subjects = vec![Subject::Nothing, Subject::EmptyProbes, Subject::Mop];
        match shell::which("bpftrace") {
            Some(_) => subjects.push(Subject::Bpftrace { library }),
            None => self.report.line(&json!({
                "figure": "throughput", "subject": "bpftrace", "skipped": "bpftrace is not installed",
            })),
        }
        // The first round after a start is slower than all others.
        self.load().run(self.round / 2)?;
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
        let mut watched = Vec::new();
        for round in 0..self.rounds as usize {
            for step in 0..subjects.len() {
                // Each round begins with another subject.
                let number = (round + step) % subjects.len();
                let running = subjects[number].start(self.cores)?;
                let served = Served::now(&self.nginx)?;
                let before = running.watch()?;
                let load = self.load().run(self.round)?;
                let after = running.watch()?;
                let served = Served::now(&self.nginx)?.since(&served);
                let observed = running.stop()?;
                rates[number].push(load.requests_per_second);
                if let (Subject::Mop, Some(observed)) = (&subjects[number], observed) {
                    watched.push(Round { observed, served, before, after });
                }
            }
        }
        let medians: Vec<f64> = rates.iter().map(|rates| median(rates)).collect();
        for ((subject, median), rates) in subjects.iter().zip(&medians).zip(&rates) {
            self.report.line(&json!({
                "figure": "throughput", "subject": subject.name(),
                "requests_per_s": median.round(), "each_round": rates,
            }));
        }
        for (of, to) in [(1, 0), (2, 0), (2, 1), (2, 3)] {
            if let (Some(of_rate), Some(to_rate)) = (medians.get(of), medians.get(to)) {
                self.report.line(&json!({
                    "figure": "throughput_ratio", "of": subjects[of].name(),
                    "to": subjects[to].name(), "ratio": rounded(of_rate / to_rate),
                }));
            }
        }
        for round in &watched {
            self.report_round(round);
        }
        Ok(())
    }

    fn report_round(&self, round: &Round) {
        let Round { observed, served, before, after } = round;
        self.report.completeness("completeness_at_full_load", observed, *served);
        let exchanges = observed.number("/exchanges").max(1);
        let cpu_us = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
        self.report.line(&json!({
            "figure": "cpu_per_exchange", "us": rounded(cpu_us / exchanges as f64),
            "exchanges": exchanges,
        }));
        self.report.line(&json!({
            "figure": "memory_at_full_load", "memory_mib": after.memory_bytes >> 20,
        }));
    }

    fn fixed_rate(&self) -> Result<()> {
        if shell::which("hey").is_none() {
            self.report.line(&json!({ "figure": "fixed_rate", "skipped": "hey is not installed" }));
            return Ok(());
        }
        let running = Subject::Mop.start(self.cores)?;
        let served = Served::now(&self.nginx)?;
        self.load().run_paced(load::FIXED_RATE, self.paced)?;
        let served = Served::now(&self.nginx)?.since(&served);
        let observed = running.stop()?.context("MOP gave no summary")?;
        self.report.completeness("completeness_at_fixed_rate", &observed, served);
        Ok(())
    }

    fn load(&self) -> Load<'_> {
        Load { nginx: &self.nginx, core: self.cores.load }
    }
}

/// One round of MOP at full load.
struct Round {
    observed: Observed,
    served: u64,
    before: Watched,
    after: Watched,
}

impl Cores {
    fn split() -> Self {
        let all = thread::available_parallelism().map_or(1, usize::from);
        if all < 2 {
            Self { all, load: None, mop: None }
        } else {
            Self { all, load: Some(0), mop: Some(1) }
        }
    }
}

/// The parser has programs of its own: it needs no kernel and no privilege.
fn wire_rate(quick: bool) -> Result<()> {
    for (package, example) in [("mop-tests", "wire_rate"), ("mop-wire", "hpack_rate")] {
        let mut command = shell::cargo();
        command.args(["run", "--quiet", "--release", "--package", package]);
        command.args(["--example", example, "--"]);
        if quick {
            command.arg("--quick");
        }
        shell::run(&mut command)?;
    }
    Ok(())
}

/// A JSON document of the wanted length with synthetic values.
fn answer() -> String {
    const HEAD: &str = r#"{"data":[""#;
    const TAIL: &str = r#""]}"#;
    let filler = "synthetic-value-".repeat(BODY_BYTES / 16 + 1);
    format!("{HEAD}{}{TAIL}", &filler[..BODY_BYTES - HEAD.len() - TAIL.len()])
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

const BODY_BYTES: usize = 2048;
