//! The section `[hub.misp]`: which server is told, by whom, and to whom events may go on from there.

use std::path::PathBuf;

use mop_insight::security::{
    misp::{
        event::Organisation,
        feed::FeedOptions,
        tag::{Pap, Tlp},
    },
    uuid::Uuid,
};
use serde::{Deserialize, Serialize};

use crate::{
    configuration::Problem,
    security::feed::{Reach, check_organisation},
    sinks::http::{SecretFile, check_url},
};

/// Its section of the configuration. Without it nothing is relayed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RelayConfiguration {
    /// Address of the server, such as `https://misp.example`.
    pub(crate) url: String,
    /// Holds the key of its API.
    pub(crate) key_file: Option<SecretFile>,
    /// Authority of its certificate, besides those that the system trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// Name of the participant's organisation in MISP.
    pub(crate) organisation: String,
    /// Its identifier there.
    pub(crate) organisation_uuid: String,
    /// To whom events may be told; a rule can narrow it.
    pub(crate) tlp: Tlp,
    /// What may be done with them; a rule can narrow it.
    pub(crate) pap: Pap,
    /// Which servers may have them.
    pub(crate) distribution: Reach,
    /// Publish events; otherwise they are drafts for somebody to look at.
    pub(crate) publish: bool,
    /// Tell a sighting for each hour in which there were findings of an event.
    pub(crate) sightings: bool,
}

impl RelayConfiguration {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, text: &str| {
            problems.push(Problem::new(&format!("hub.misp.{key}"), text));
        };
        if let Err(failure) = check_url("the address", &self.url) {
            wrong("url", &failure.to_string());
        }
        if self.key_file.is_none() {
            wrong("key_file", "a file with the key of the server's API is wanted");
        }
        check_organisation(&self.organisation, &self.organisation_uuid, &mut wrong);
    }

    /// What events are made with; none where [`RelayConfiguration::check`] finds fault.
    pub(super) fn options(&self) -> Option<FeedOptions> {
        let uuid = Uuid::parse(&self.organisation_uuid)?;
        Some(FeedOptions {
            organisation: Organisation { name: self.organisation.clone(), uuid },
            tlp: self.tlp,
            pap: self.pap,
            distribution: self.distribution.distribution(),
        })
    }
}

impl Default for RelayConfiguration {
    fn default() -> Self {
        Self {
            url: String::new(),
            key_file: None,
            ca_file: None,
            organisation: String::new(),
            organisation_uuid: String::new(),
            tlp: Tlp::Amber,
            pap: Pap::Green,
            distribution: Reach::Community,
            publish: false,
            sightings: true,
        }
    }
}
