//! The section `[security]`, and the flags over it.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::SignedDuration;
use mop_insight::{
    data::digest::Key,
    security::{
        pseudonym::Pseudonymiser,
        watch::{DEFAULT_POINTS, DEFAULT_TOLD_SINGLY, WatchSettings},
    },
};
use serde::{Deserialize, Serialize};

use super::{feed::FeedConfiguration, intelligence::IntelligenceConfiguration, pseudonym_key};
use crate::{
    configuration::{Problem, duration},
    failure::Failure,
};

/// What is looked for in calls.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SecurityArguments {
    /// Do not look for attacks and weaknesses.
    #[arg(long)]
    pub(crate) no_security: bool,
    /// How suspicious to be, from 1, where ordinary traffic has no finding, to 4, where much of it
    /// may; looks also where the configuration says not to. Without it: as the configuration says,
    /// or 1.
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) paranoia: Option<u8>,
}

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SecurityConfiguration {
    pub(crate) enabled: bool,
    /// From 1 to 4.
    pub(crate) paranoia: u8,
    /// Files and folders of further detection rules and filters.
    pub(crate) detections: Vec<PathBuf>,
    /// Findings of one rule, client and endpoint that are told one by one in a minute; the rest is
    /// told in one.
    pub(crate) told_singly: u64,
    /// Points of one client from which on it is told.
    pub(crate) points: u32,
    /// Time in which points are summed.
    #[serde(with = "duration")]
    pub(crate) points_window: Duration,
    /// Check the security profile of the ecosystem.
    pub(crate) profile: bool,
    /// Issuer and endpoints of the participant's own authorization servers, as `aud` names them.
    pub(crate) audiences: Vec<String>,
    /// Callers reach the observed processes themselves, and not through a balancer that hides their
    /// addresses.
    pub(crate) direct_clients: bool,
    /// File with the root of pseudonyms, for the nodes of a participant to make the same; without it
    /// each has its own.
    pub(crate) pseudonym_key_file: Option<PathBuf>,
    /// The feed for MISP; none without this section.
    pub(crate) misp: Option<FeedConfiguration>,
    /// What others know to be bad; nothing without this section.
    pub(crate) intelligence: Option<IntelligenceConfiguration>,
}

impl SecurityConfiguration {
    /// Whether calls are looked at, and how suspiciously.
    pub(crate) fn over(&mut self, arguments: &SecurityArguments) {
        self.enabled = (self.enabled || arguments.paranoia.is_some()) && !arguments.no_security;
        self.paranoia = arguments.paranoia.unwrap_or(self.paranoia);
    }

    /// Folders that are written.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let misp = self.misp.iter().map(|misp| &misp.folder);
        let intelligence = self.intelligence.iter();
        misp.chain(intelligence.filter_map(|intelligence| intelligence.folder.as_ref()))
    }

    /// Files and folders that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let intelligence = self.intelligence.iter().flat_map(IntelligenceConfiguration::files);
        intelligence.chain(&self.pseudonym_key_file)
    }

    /// TCP ports that are connected to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        self.intelligence.as_ref().map_or(Some(Vec::new()), IntelligenceConfiguration::ports)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, text: &str| problems.push(Problem::new(key, text));
        if !(1..=4).contains(&self.paranoia) {
            wrong("security.paranoia", "a level from 1 to 4 is wanted");
        }
        if self.points == 0 {
            wrong("security.points", "at least 1 is wanted");
        }
        if !(Duration::from_secs(10)..=MAX_POINTS_WINDOW).contains(&self.points_window) {
            wrong("security.points_window", "from 10s to 24h are wanted");
        }
        if let Some(misp) = &self.misp {
            misp.check(problems);
        }
        if let Some(intelligence) = &self.intelligence {
            intelligence.check(problems);
        }
    }

    /// What makes pseudonyms; none where nobody is told of any. `own` is the key of this node. A
    /// file that cannot be used is said also where nobody is told.
    pub(super) fn pseudonymiser(&self, own: &Key) -> Result<Option<Pseudonymiser>, Failure> {
        let root = match &self.pseudonym_key_file {
            Some(file) => pseudonym_key::read(file)?,
            None => own.clone(),
        };
        Ok(self.misp.is_some().then(|| Pseudonymiser::new(root)))
    }

    pub(super) fn watch(&self, key: Key) -> WatchSettings {
        let seconds = i64::try_from(self.points_window.as_secs()).unwrap_or(i64::MAX);
        WatchSettings {
            paranoia: self.paranoia,
            told_singly: self.told_singly,
            points: self.points,
            points_window: SignedDuration::from_secs(seconds),
            ..WatchSettings::new(key)
        }
    }
}

impl Default for SecurityConfiguration {
    fn default() -> Self {
        Self {
            enabled: true,
            paranoia: 1,
            detections: Vec::new(),
            told_singly: DEFAULT_TOLD_SINGLY,
            points: DEFAULT_POINTS,
            points_window: Duration::from_secs(5 * 60),
            profile: true,
            audiences: Vec::new(),
            direct_clients: false,
            pseudonym_key_file: None,
            misp: None,
            intelligence: None,
        }
    }
}

/// What is spread over longer is what correlations are for.
const MAX_POINTS_WINDOW: Duration = Duration::from_secs(24 * 3600);
