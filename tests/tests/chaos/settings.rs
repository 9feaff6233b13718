//! What `cargo xtask chaos` asks for, through the environment.

use std::env;

use anyhow::{Context, Result, ensure};

use crate::fault::SCENARIOS;

/// Which set is run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Rounds go on until so many kills were done; `None`: the short set, once.
    pub(crate) kills: Option<usize>,
    pub(crate) seed: u64,
    /// The seed of every round, to do one again.
    pub(crate) seed_of_round: Option<u64>,
    scenario: Option<String>,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self> {
        let number = |name: &str| -> Result<Option<u64>> {
            let Ok(text) = env::var(name) else { return Ok(None) };
            text.parse().map(Some).with_context(|| format!("{name} is no number"))
        };
        let scenario = env::var(SCENARIO).ok();
        if let Some(name) = &scenario {
            let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            ensure!(names.contains(&name.as_str()), "{SCENARIO}: {name} is none of {names:?}");
        }
        Ok(Self {
            kills: number(RUNS)?.map(usize::try_from).transpose()?,
            seed: number(SEED)?.unwrap_or(SEED_OF_SHORT_SET),
            seed_of_round: number(SEED_OF_ROUND)?,
            scenario,
        })
    }

    pub(crate) fn is_long(&self) -> bool {
        self.kills.is_some()
    }

    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.scenario.as_ref().is_none_or(|wanted| wanted == scenario)
    }
}

/// Begins the lines that hold verdicts.
pub(crate) const VERDICT_MARK: &str = "VERDICT ";

const RUNS: &str = "MOP_CHAOS_RUNS";
const SEED: &str = "MOP_CHAOS_SEED";
const SEED_OF_ROUND: &str = "MOP_CHAOS_SEED_OF_ROUND";
const SCENARIO: &str = "MOP_CHAOS_SCENARIO";

/// The same set each time: a test that fails must fail again.
const SEED_OF_SHORT_SET: u64 = 1;
