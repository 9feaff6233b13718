//! The section `[security.intelligence]`: where indicators come from, and how they are believed.

use std::{path::PathBuf, time::Duration};

use mop_insight::security::intelligence::{decay::Decay, value::Form};
use serde::{Deserialize, Serialize};

use crate::{
    configuration::{Problem, duration},
    failure::Failure,
    sinks::http::{SecretFile, check_url, ports_of},
};

/// Its section of the configuration. Without it nothing is looked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IntelligenceConfiguration {
    /// Where copies of remote sources lie.
    pub(crate) folder: Option<PathBuf>,
    /// Folder of MISP's warninglists: `<name>/list.json`, or files of JSON.
    pub(crate) warninglists: Option<PathBuf>,
    /// From one look at remote sources to the next.
    #[serde(with = "duration")]
    pub(crate) refresh: Duration,
    /// What is left of the confidence in an indicator on a warninglist, percent.
    pub(crate) warned_percent: u8,
    pub(crate) decay: DecaySection,
    pub(crate) sources: Vec<SourceSection>,
}

/// How confidence fades.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DecaySection {
    /// From the last sight until nothing is left.
    #[serde(with = "duration")]
    pub(crate) lifetime: Duration,
    /// Above 1 it falls late, below 1 early.
    pub(crate) speed: f64,
    /// Below this confidence an indicator counts no more.
    pub(crate) threshold: u8,
}

/// One source.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourceSection {
    /// Names it in records and metrics.
    pub(crate) name: String,
    /// A file, or a folder of files; or else `url`.
    pub(crate) path: Option<PathBuf>,
    /// Where to fetch it; one that ends in `/manifest.json` is a feed of MISP.
    pub(crate) url: Option<String>,
    pub(crate) format: SourceFormat,
    /// What the values of a list without types are. Not set: inferred of each.
    pub(crate) form: Option<Form>,
    /// Confidence in values of a list that says nothing of it, from 0 to 100.
    pub(crate) confidence: u8,
    /// File with the value of `Authorization` in one line.
    pub(crate) key_file: Option<SecretFile>,
    /// Roots to trust beside those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
}

/// How a source is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceFormat {
    /// Comma-separated values.
    Csv,
    /// One value a line.
    Freetext,
    /// Lines that MISP exports for Kunai.
    Kunai,
    /// Events of a feed, or an answer of `restSearch`.
    #[default]
    Misp,
}

impl IntelligenceConfiguration {
    /// Files and folders that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let of_sources = self.sources.iter().flat_map(|source| {
            let key = source.key_file.iter().map(|file| &file.0);
            source.path.iter().chain(&source.ca_file).chain(key)
        });
        self.warninglists.iter().chain(of_sources)
    }

    /// TCP ports that are connected to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        let remote = self.sources.iter().filter(|source| source.url.is_some());
        let ports = remote.map(|source| ports_of(source.url.as_deref(), source.proxy.as_deref()));
        ports.collect::<Option<Vec<_>>>().map(|ports| ports.concat())
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, text: &str| {
            problems.push(Problem::new(&format!("security.intelligence.{key}"), text));
        };
        if !(SHORTEST_REFRESH..=LONGEST_REFRESH).contains(&self.refresh) {
            wrong("refresh", "from a minute to a week is wanted");
        }
        if self.warned_percent > 100 {
            wrong("warned_percent", "a number from 0 to 100 is wanted");
        }
        if let Err(failure) = self.decay() {
            wrong("decay", &failure.to_string());
        }
        let is_remote = self.sources.iter().any(|source| source.url.is_some());
        if is_remote && self.folder.is_none() {
            wrong("folder", "sources with a URL want a folder for their copies");
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            wrong("folder", "an absolute path is wanted");
        }
        if self.sources.len() > MAX_SOURCES {
            wrong("sources", "at most 256 sources are possible");
        }
        for (place, source) in self.sources.iter().enumerate() {
            let is_known = self.sources.iter().take(place).any(|before| before.name == source.name);
            if is_known {
                wrong(&format!("sources.{place}.name"), "another source has it already");
            }
            for (key, text) in source.problems() {
                wrong(&format!("sources.{place}.{key}"), &text);
            }
        }
    }

    /// The model of decay.
    pub(super) fn decay(&self) -> Result<Decay, Failure> {
        let DecaySection { lifetime, speed, threshold } = self.decay;
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        Decay::new(seconds, speed, threshold).map_err(Failure::configuration)
    }
}

impl SourceSection {
    /// What is wrong with it, by key.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty()
            || self.name.len() > MAX_NAME_BYTES
            || !self.name.bytes().all(is_name)
        {
            let text = "at most 64 small letters, digits and - are wanted: it names a folder";
            problems.push(("name", text.to_owned()));
        }
        match (&self.path, &self.url) {
            (Some(_), None) => {}
            (None, Some(url)) => {
                if let Err(failure) = check_url("it", url) {
                    problems.push(("url", failure.to_string()));
                }
            }
            _ => problems.push(("path", "either path or url is wanted".to_owned())),
        }
        if self.confidence > 100 {
            problems.push(("confidence", "a number from 0 to 100 is wanted".to_owned()));
        }
        problems
    }

    /// The address that the names of a feed's files are added to, when it is a feed of MISP.
    pub(super) fn feed(&self) -> Option<&str> {
        let url = self.url.as_deref().filter(|_| self.format == SourceFormat::Misp)?;
        url.strip_suffix("manifest.json").filter(|base| base.ends_with('/'))
    }
}

impl Default for IntelligenceConfiguration {
    fn default() -> Self {
        Self {
            folder: None,
            warninglists: None,
            refresh: Duration::from_secs(3600),
            warned_percent: 50,
            decay: DecaySection::default(),
            sources: Vec::new(),
        }
    }
}

impl Default for DecaySection {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(90 * 86_400), speed: 2.0, threshold: 20 }
    }
}

impl Default for SourceSection {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: None,
            url: None,
            format: SourceFormat::default(),
            form: None,
            confidence: 50,
            key_file: None,
            ca_file: None,
            proxy: None,
        }
    }
}

/// Others' servers are asked no more often.
const SHORTEST_REFRESH: Duration = Duration::from_secs(60);
/// What is older is no news.
const LONGEST_REFRESH: Duration = Duration::from_secs(7 * 86_400);
/// A store tells more apart; a configuration with more is made by a mistake.
const MAX_SOURCES: usize = 256;
/// It is the name of a folder and a label of metrics.
const MAX_NAME_BYTES: usize = 64;
