//! The section `[security]`.

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
