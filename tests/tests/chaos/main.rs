//! Breaks agent, broker, network, disk and clock at random moments, and judges what became of the
//! records.
//!
//! Every round has a seed from which its faults and its records follow; only the moments at which
//! the machine does what it is told are its own. A short set runs with all other tests;
//! `cargo xtask chaos` runs long ones by the same code. `docs/chaos.md` says what the verdicts mean.

mod agent;
mod configuration;
mod fault;
mod hub;
mod inbox;
mod journal;
mod observe;
mod random;
mod records;
mod round;
mod settings;
mod small_disk;
mod stage;
mod strike;
mod traffic;

use anyhow::{Result, bail};
use mop_tests::{observing, skip, tool};

use crate::{
    fault::{Needs, SCENARIOS, Scenario},
    random::Random,
    settings::Settings,
    stage::Stage,
};

#[test]
fn what_was_acknowledged_survives_every_fault() -> Result<()> {
    let settings = Settings::from_environment()?;
    if tool("rabbitmq-server").is_none() {
        skip("what_was_acknowledged_survives_every_fault", "rabbitmq-server is not installed");
        return Ok(());
    }
    println!("seed {}", settings.seed);
    let mut stage = Stage::start()?;
    let mut seeds = Random::new(settings.seed);
    let mut invalid = Vec::new();
    let mut kills = 0;
    let mut skipped: Vec<&str> = Vec::new();
    'set: loop {
        let mut kills_of_pass = 0;
        for scenario in SCENARIOS.iter().filter(|one| settings.wants(one.name)) {
            let count = if settings.is_long() { scenario.long } else { scenario.short };
            // Drawn also for what is skipped: the same seed is the same set on every machine.
            let seed = settings.seed_of_round.unwrap_or_else(|| seeds.next());
            if skipped.contains(&scenario.name) {
                continue;
            }
            if let Some(reason) = obstacle(scenario) {
                skip(&format!("chaos scenario {}", scenario.name), reason);
                skipped.push(scenario.name);
                continue;
            }
            let outcome = match scenario.needs {
                Needs::Observer => observe::round(&stage, scenario, count, seed),
                _ => round::run(&mut stage, scenario, count, seed),
            };
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(error) => bail!("scenario {} with seed {seed}: {error:#}", scenario.name),
            };
            println!("{}{}", settings::VERDICT_MARK, outcome.to_json());
            if !outcome.is_valid() {
                invalid.push(outcome.to_json().to_string());
            }
            kills_of_pass += outcome.kills();
            if settings.kills.is_some_and(|wanted| kills + kills_of_pass >= wanted) {
                break 'set;
            }
        }
        kills += kills_of_pass;
        if settings.kills.is_none() || kills_of_pass == 0 {
            break;
        }
    }
    if !invalid.is_empty() {
        bail!("{} rounds are not valid:\n{}", invalid.len(), invalid.join("\n"));
    }
    Ok(())
}

/// Why a scenario cannot be tried here.
fn obstacle(scenario: &Scenario) -> Option<&'static str> {
    let is_root = rustix::process::geteuid().is_root();
    match scenario.needs {
        Needs::Clock => {
            agent::clock_library().is_none().then_some("libfaketime (package faketime) is missing")
        }
        Needs::Hub => tool("initdb").is_none().then_some("PostgreSQL is not installed"),
        Needs::Mount => (!is_root).then_some("mounting needs root"),
        Needs::Nothing | Needs::Tls => None,
        Needs::Observer => (!observing("chaos scenario observer") || tool("bpftool").is_none())
            .then_some("kernel programs cannot be loaded or listed (bpftool)"),
    }
}
