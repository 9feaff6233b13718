//! One round: an agent, its records, and faults at random moments, from an empty outbox to a verdict.

use std::{
    collections::HashSet,
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mop_tests::{Allowed, History, Proxy, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    agent::{Agent, Promises, Setup},
    configuration::Forwarding,
    fault::{self, Fault, Needs, Scenario},
    hub::{self, Hub},
    inbox::{Consumer, SharedInbox},
    journal,
    random::Random,
    records::Series,
    small_disk::SmallDisk,
    stage::Stage,
};

/// What is alive in a round.
pub(crate) struct Round<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) series: Series,
    pub(crate) random: Random,
    pub(crate) promises: Promises,
    pub(crate) inbox: SharedInbox,
    pub(crate) proxy: Proxy,
    pub(crate) setup: Setup,
    pub(crate) agent: Option<Agent>,
    pub(crate) consumer: Option<Consumer>,
    /// Takes the place of the consumer.
    pub(crate) hub: Option<Hub>,
    pub(crate) disk: Option<SmallDisk>,
    /// Faults in which the broker refuses single messages.
    pub(crate) refusals: usize,
    /// Faults so far.
    strikes: usize,
    /// Agents connect to the broker without the proxy between them.
    is_direct: bool,
    folder: TempDir,
}

/// What came of one round.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) verdict: Verdict,
    /// What is wrong besides the verdict.
    pub(crate) complaints: Vec<String>,
    pub(crate) took: Duration,
}

impl Outcome {
    pub(crate) fn is_valid(&self) -> bool {
        self.verdict.is_valid && self.complaints.is_empty()
    }

    pub(crate) fn kills(&self) -> usize {
        self.faults.iter().filter(|fault| fault.is_kill()).count()
    }

    /// As one JSON object.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = json!({
            "seed": self.seed,
            "scenario": self.scenario,
            "faults": self.faults.iter().map(|fault| fault.name()).collect::<Vec<_>>(),
            "kill-count": self.kills(),
            "seconds": self.took.as_secs_f64(),
            "complaints": self.complaints,
        });
        if let (Some(all), Value::Object(verdict)) = (json.as_object_mut(), self.verdict.to_json())
        {
            all.extend(verdict);
            all.insert("valid?".to_owned(), self.is_valid().into());
        }
        json
    }
}

/// Runs one round of a scenario whose needs are met.
pub(crate) fn run(
    stage: &mut Stage,
    scenario: &'static Scenario,
    count: usize,
    seed: u64,
) -> Result<Outcome> {
    let begin = Instant::now();
    let mut random = Random::of(seed, 2);
    let faults = fault::plan(scenario, count, &mut random);
    let mut round = Round::begin(stage, scenario, seed, random)?;
    for fault in &faults {
        let told = |error: anyhow::Error| error.context(format!("fault {}", fault.name()));
        round.strikes += 1;
        round.strike(*fault).map_err(told)?;
        round.check_alive().map_err(told)?;
    }
    let (verdict, complaints) = round.end()?;
    let took = begin.elapsed();
    Ok(Outcome { scenario: scenario.name, seed, faults, verdict, complaints, took })
}

impl<'a> Round<'a> {
    fn begin(stage: &'a mut Stage, scenario: &Scenario, seed: u64, random: Random) -> Result<Self> {
        let folder = tempfile::tempdir_in(stage.folder()).context("no folder for a round")?;
        let outbox = folder.path().join("outbox");
        let disk = match scenario.needs {
            Needs::Mount => Some(SmallDisk::mount(&outbox)?),
            Needs::Clock | Needs::Hub | Needs::Nothing | Needs::Observer | Needs::Tls => None,
        };
        let clock = (scenario.needs == Needs::Clock).then(|| folder.path().join("clock"));
        if let Some(clock) = &clock {
            fs::write(clock, "+0")?;
        }
        let proxy = stage.proxy()?;
        let configuration = folder.path().join("mop.toml");
        let forwarding = Forwarding {
            outbox: &outbox,
            port: proxy.address().port(),
            tls_port: (scenario.needs == Needs::Tls).then(|| stage.broker.tls_port()),
            authority: &stage.certificates.authority(),
            password_file: &stage.password_file(),
        };
        fs::write(&configuration, forwarding.text())?;
        let inbox = SharedInbox::default();
        let series = Series::new(seed)?;
        let (mut consumer, mut hub) = (None, None);
        if scenario.needs == Needs::Hub {
            stage.start_database()?;
            hub = Some(stage.hub(folder.path())?);
        } else {
            consumer = Some(Consumer::start(&stage.broker.url(), &series, &inbox)?);
        }
        let mut round = Self {
            stage,
            promises: Promises::new(series.clone()),
            series,
            random,
            inbox,
            proxy,
            setup: Setup { configuration, clock },
            agent: None,
            consumer,
            hub,
            disk,
            refusals: 0,
            strikes: 0,
            is_direct: scenario.needs == Needs::Tls,
            folder,
        };
        round.start_agent()?;
        Ok(round)
    }

    /// Where the records lie.
    pub(crate) fn outbox(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    pub(crate) fn start_agent(&mut self) -> Result<()> {
        self.agent = Some(Agent::start(&self.setup, &self.promises)?);
        Ok(())
    }

    pub(crate) fn agent(&mut self) -> Result<&mut Agent> {
        self.agent.as_mut().context("invariant: an agent runs between faults")
    }

    pub(crate) fn take_agent(&mut self) -> Result<Agent> {
        self.agent.take().context("invariant: an agent runs between faults")
    }

    /// Lets all go on for a random while.
    pub(crate) fn go_on(&mut self, from_ms: u64, to_ms: u64) {
        thread::sleep(self.random.ms(from_ms, to_ms));
    }

    /// Waits until all that was acknowledged has arrived, with no new records meanwhile.
    pub(crate) fn settle(&mut self, limit: Duration) -> Result<()> {
        self.agent()?.pause(true);
        let deadline = Instant::now() + limit;
        loop {
            // What was damaged and counted does not arrive any more.
            let counted = journal::damaged(&self.promises.lock().said)?;
            let missing = self.missing()?.len();
            if missing <= counted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("{missing} records have not arrived within {limit:?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Acknowledged, and not arrived yet.
    pub(crate) fn missing(&mut self) -> Result<HashSet<String>> {
        if self.hub.is_some() {
            let arrivals = hub::arrivals(self.stage.database()?, &self.series)?;
            self.inbox.lock().arrivals = arrivals;
        }
        let mut missing: HashSet<String> =
            self.promises.lock().acknowledged.iter().cloned().collect();
        for arrival in &self.inbox.lock().arrivals {
            missing.remove(&arrival.id);
        }
        Ok(missing)
    }

    /// Nothing ends by itself, whatever is wrong around it.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if self.hub.as_mut().is_some_and(|hub| !hub.is_running()) {
            bail!("the hub ended by itself");
        }
        if !self.agent()?.is_running() {
            bail!("the agent ended by itself; it said: {}", self.said());
        }
        Ok(())
    }

    /// The last lines that agents said.
    pub(crate) fn said(&self) -> String {
        let state = self.promises.lock();
        let said = &state.said;
        said[said.len().saturating_sub(8)..].join(" | ")
    }

    /// Heals everything, has the agent deliver all that is left, and judges.
    fn end(mut self) -> Result<(Verdict, Vec<String>)> {
        self.proxy.heal();
        let agent = self.take_agent()?;
        let last_attempts = agent.attempts_before();
        let finished = agent.finish();
        let mut complaints = Vec::new();
        if let Err(error) = finished {
            complaints.push(format!("{error:#}; it said: {}", self.said()));
        }
        let parked = journal::parked(&self.outbox())?;
        self.await_arrivals(&parked)?;
        self.consumer = None;
        let is_hub = self.hub.take().is_some();
        let inbox = std::mem::take(&mut *self.inbox.lock());
        let state = self.promises.lock();
        let history = History {
            attempts: state.records.attempts().to_vec(),
            acknowledged: state.acknowledged.clone(),
            arrivals: inbox.arrivals,
            parked,
            counted: journal::damaged(&state.said)?,
        };
        let in_last = history.attempts.len() - last_attempts;
        complaints.extend(journal::ledger(&self.outbox(), &inbox.own, in_last)?);
        let verdict = history.check(Allowed {
            // Each connection that ended may have left a window without answers.
            // A hub keeps one of each.
            duplicated: if is_hub { 0 } else { WINDOW * self.connections() },
            reordered: WINDOW * self.refusals,
            counted_in_vain: false,
        });
        ensure!(!history.acknowledged.is_empty(), "nothing was acknowledged: {:?}", state.said);
        Ok((verdict, complaints))
    }

    /// Connections that agents had, at most: those by TLS do not go through the proxy.
    fn connections(&self) -> usize {
        let by_tls = if self.is_direct { self.strikes + 1 } else { 0 };
        self.proxy.connections() + by_tls
    }

    /// Waits until nothing is missing and nothing more comes. What does not come is lost: the verdict
    /// says so.
    fn await_arrivals(&mut self, parked: &HashSet<String>) -> Result<()> {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        let mut before = 0;
        loop {
            let is_whole = self.missing()?.is_subset(parked);
            let arrived = self.inbox.lock().arrivals.len();
            if (is_whole && arrived == before) || Instant::now() >= deadline {
                return Ok(());
            }
            before = arrived;
            thread::sleep(QUIET);
        }
    }
}

/// Records that may be on their way at once, as configured.
pub(crate) const WINDOW: usize = 256;
const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
/// A consumer beside an idle broker gets what there is within milliseconds.
const QUIET: Duration = Duration::from_millis(300);
