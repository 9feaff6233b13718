//! The real `mop observe`, killed and started again beside real traffic while the broker is away.
//!
//! Here nobody hands records to the agent: what its outbox holds after a kill is what it promised.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{Allowed, Arrival, Attempt, History, Process, mop_command, run, tool, until};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    configuration::Forwarding,
    fault::{Fault, Scenario},
    inbox::{Consumer, SharedInbox},
    journal,
    random::Random,
    records::Series,
    round::{Outcome, WINDOW},
    stage::Stage,
    traffic::Traffic,
};

/// Runs one round: so many kills without a broker, then an orderly end with it.
pub(crate) fn round(
    stage: &Stage,
    scenario: &Scenario,
    count: usize,
    seed: u64,
) -> Result<Outcome> {
    let begin = Instant::now();
    let mut random = Random::of(seed, 3);
    let folder = tempfile::tempdir_in(stage.folder())?;
    let outbox = folder.path().join("outbox");
    let proxy = stage.proxy()?;
    let configuration = folder.path().join("mop.toml");
    let forwarding = Forwarding {
        outbox: &outbox,
        port: proxy.address().port(),
        tls_port: None,
        authority: &stage.certificates.authority(),
        password_file: &stage.password_file(),
    };
    fs::write(&configuration, forwarding.text())?;
    let inbox = SharedInbox::default();
    let consumer = Consumer::start(&stage.broker.url(), &Series::new(seed)?, &inbox)?;
    let mut complaints = Vec::new();
    let mut promised: Vec<Value> = Vec::new();

    proxy.take_down();
    let traffic = Traffic::start(folder.path(), &stage.certificates, seed)?;
    for _ in 0..count {
        let observer = Observing::start(&configuration)?;
        let calls = traffic.wait_for_calls(CALLS_OF_A_LIFE)?;
        std::thread::sleep(random.ms(300, 1_000));
        observer.end(Signal::KILL)?;
        let held = traffic.reports(journal::export(&outbox, &[])?);
        if held.len() < promised.len() + calls {
            complaints.push(format!(
                "{calls} calls were made beside a live that added {} reports to {}",
                held.len().saturating_sub(promised.len()),
                promised.len()
            ));
        }
        promised = held;
    }
    proxy.heal();
    let observer = Observing::start(&configuration)?;
    traffic.wait_for_calls(CALLS_OF_A_LIFE)?;
    complaints.extend(traffic.stop()?);
    observer.end(Signal::INT)?;
    deliver_the_rest(&configuration)?;

    let ids = |records: &[Value]| -> Vec<String> {
        records.iter().filter_map(|record| Some(record["id"].as_str()?.to_owned())).collect()
    };
    let promised = ids(&promised);
    let arrived = || -> Vec<String> {
        let inbox = inbox.lock();
        let records = inbox.own.iter().filter_map(|(_, body)| serde_json::from_slice(body).ok());
        ids(&traffic.reports(records.collect()))
    };
    // What does not come is lost: the verdict says so.
    let _all = until("the arrival of all reports", ARRIVAL_LIMIT, || {
        let arrived: BTreeSet<String> = arrived().into_iter().collect();
        promised.iter().all(|id| arrived.contains(id))
    });
    drop(consumer);
    let arrived = arrived();
    let verdict = history(promised, &arrived, journal::parked(&outbox)?)
        .check(Allowed { duplicated: WINDOW * proxy.connections(), ..Allowed::default() });
    let faults = vec![Fault::AgentKilled; count];
    let took = begin.elapsed();
    Ok(Outcome { scenario: scenario.name, seed, faults, verdict, complaints, took })
}

/// What was promised was attempted; what arrived besides was made after the last kill.
fn history(
    promised: Vec<String>,
    arrived: &[String],
    parked: std::collections::HashSet<String>,
) -> History {
    let known: BTreeSet<&String> = promised.iter().collect();
    let mut later = BTreeSet::new();
    let new: Vec<String> = arrived
        .iter()
        .filter(|id| !known.contains(*id) && later.insert((*id).clone()))
        .cloned()
        .collect();
    let attempts = promised.iter().chain(&new);
    History {
        attempts: attempts
            .map(|id| Attempt { id: id.clone(), stream: "reports".to_owned() })
            .collect(),
        arrivals: arrived
            .iter()
            .map(|id| Arrival {
                id: id.clone(),
                queue: "mop.quality".to_owned(),
                is_genuine: true,
                is_redelivered: false,
                place: None,
            })
            .collect(),
        acknowledged: promised,
        parked,
        counted: 0,
    }
}

/// A running `mop observe`.
struct Observing {
    process: Process,
    /// Its core, which ends in good order when the rest of it is killed.
    core: Vec<u32>,
    /// Its programs in the kernel.
    programs: BTreeSet<u64>,
    log: PathBuf,
}

impl Observing {
    fn start(configuration: &Path) -> Result<Self> {
        let log = configuration.with_extension("log");
        let file = fs::File::create(&log)?;
        let mut command = mop_command();
        command.args(["observe", "--output", "none", "--config"]).arg(configuration);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut process = Process::start("mop observe", &mut command)?;
        until("observation", START_LIMIT, || {
            said(&log).contains("Observing") || !process.running()
        })?;
        if !process.running() {
            bail!("mop observe ended: {}", said(&log));
        }
        let programs = programs()?.of(process.pid());
        let core = process.children();
        Ok(Self { process, core, programs, log })
    }

    /// Ends it and checks that nothing of it stays in the kernel.
    fn end(mut self, signal: Signal) -> Result<()> {
        let begin = Instant::now();
        self.process.signal(signal);
        let status = self.process.wait(END_LIMIT)?;
        ensure!(
            signal == Signal::KILL || (status.success() && begin.elapsed() < GRACE),
            "mop observe ended with {status} after {:?}: {}",
            begin.elapsed(),
            said(&self.log)
        );
        let is_there = |pid: &u32| Path::new("/proc").join(pid.to_string()).exists();
        until("the end of the core", END_LIMIT, || !self.core.iter().any(is_there))?;
        // The kernel frees programs a moment after the last reference is gone.
        until("the end of all probes", END_LIMIT, || {
            programs().is_ok_and(|loaded| loaded.all.is_disjoint(&self.programs))
        })
    }
}

/// Programs in the kernel, as bpftool sees them.
struct Programs {
    all: BTreeSet<u64>,
    list: Vec<Value>,
}

impl Programs {
    fn of(&self, pid: u32) -> BTreeSet<u64> {
        let is_own = |entry: &&Value| {
            entry["pids"].as_array().into_iter().flatten().any(|one| one["pid"] == pid)
        };
        self.list.iter().filter(is_own).filter_map(|entry| entry["id"].as_u64()).collect()
    }
}

fn programs() -> Result<Programs> {
    let bpftool = tool("bpftool").context("bpftool is not installed")?;
    let output = run(Command::new(bpftool).args(["--json", "prog", "show"]), END_LIMIT)?;
    let list: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    Ok(Programs { all: list.iter().filter_map(|entry| entry["id"].as_u64()).collect(), list })
}

/// Has what an outbox still holds delivered.
fn deliver_the_rest(configuration: &Path) -> Result<()> {
    let mut command = mop_command();
    command.args(["forward", "--drain-for", "60s", "--config"]).arg(configuration);
    run(&mut command, Duration::from_secs(80)).map(drop)
}

fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

/// Made while one observer lives: enough for several segments of capture.
const CALLS_OF_A_LIFE: usize = 100;
const START_LIMIT: Duration = Duration::from_secs(60);
const END_LIMIT: Duration = Duration::from_secs(30);
/// An agent may take so long to end in good order.
const GRACE: Duration = Duration::from_secs(10);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
