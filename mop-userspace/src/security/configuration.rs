//! The section `[security]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{feed::FeedConfiguration, intelligence::IntelligenceConfiguration};
use crate::configuration::Problem;

/// Its section of the configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SecurityConfiguration {
    /// The feed for MISP; none without this section.
    pub(crate) misp: Option<FeedConfiguration>,
    /// What others know to be bad; nothing without this section.
    pub(crate) intelligence: Option<IntelligenceConfiguration>,
}

impl SecurityConfiguration {
    /// Folders that are written.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let Self { misp, intelligence } = self;
        let misp = misp.iter().map(|misp| &misp.folder);
        misp.chain(intelligence.iter().filter_map(|intelligence| intelligence.folder.as_ref()))
    }

    /// Files and folders that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.intelligence.iter().flat_map(IntelligenceConfiguration::files)
    }

    /// TCP ports that are connected to; `None` when they cannot be told.
    pub(crate) fn ports(&self) -> Option<Vec<u16>> {
        self.intelligence.as_ref().map_or(Some(Vec::new()), IntelligenceConfiguration::ports)
    }

    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let Self { misp, intelligence } = self;
        if let Some(misp) = misp {
            misp.check(problems);
        }
        if let Some(intelligence) = intelligence {
            intelligence.check(problems);
        }
    }
}
