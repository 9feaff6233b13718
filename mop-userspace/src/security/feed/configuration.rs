//! The section `[security.misp]`: who tells, to whom, and what is never told.

use std::path::PathBuf;

use mop_insight::security::{
    misp::{
        event::Organisation,
        feed::FeedOptions,
        scalar::Distribution,
        tag::{Pap, Tlp},
        vocabulary::{TypeError, Vocabulary},
    },
    uuid::Uuid,
};
use serde::{Deserialize, Serialize};

use crate::configuration::Problem;

/// Its section of the configuration. Without it there is no feed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FeedConfiguration {
    /// Where the feed lies. It holds nothing else.
    pub(crate) folder: PathBuf,
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
    /// Days (UTC) that events are kept, with the current one.
    pub(crate) keep_days: u16,
    /// Types of attributes that are not let out, beside those that never are.
    pub(crate) denied_types: Vec<String>,
    /// Tell addresses of callers. They may be those of a person.
    pub(crate) client_addresses: bool,
    /// Serve the folder on the admin listener, below `/misp/`.
    pub(crate) serve: bool,
}

/// Which servers may have an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    /// That of the own organisation.
    Organisation,
    /// Those of the community.
    Community,
    /// Those of connected communities.
    Connected,
    /// All.
    All,
}

impl Reach {
    /// As MISP has it.
    pub(crate) fn distribution(self) -> Distribution {
        match self {
            Self::Organisation => Distribution::Organisation,
            Self::Community => Distribution::Community,
            Self::Connected => Distribution::Connected,
            Self::All => Distribution::All,
        }
    }
}

impl FeedConfiguration {
    /// Says what is wrong with it.
    pub(crate) fn check(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |key: &str, text: &str| {
            problems.push(Problem::new(&format!("security.misp.{key}"), text));
        };
        if !self.folder.is_absolute() {
            wrong("folder", "an absolute path is wanted");
        }
        check_organisation(&self.organisation, &self.organisation_uuid, &mut wrong);
        if !(1..=MAX_DAYS).contains(&self.keep_days) {
            wrong("keep_days", "a number from 1 to 366 is wanted");
        }
        // A slip of the keyboard would let out what was meant to stay.
        let is_known = |name: &String| {
            Vocabulary::published()
                .is_ok_and(|known| !matches!(known.of(name, None), Err(TypeError::Unknown)))
        };
        if self.denied_types.len() > MAX_DENIED || !self.denied_types.iter().all(is_known) {
            wrong("denied_types", "only types that are written can be denied, at most 256");
        }
    }

    /// What the feed is made with; none where [`FeedConfiguration::check`] finds fault.
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

/// Says what is wrong with how the participant's organisation is named for MISP.
pub(crate) fn check_organisation(name: &str, uuid: &str, wrong: &mut dyn FnMut(&str, &str)) {
    let is_name =
        !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    if !is_name {
        wrong("organisation", "the organisation's name in MISP is wanted");
    }
    if Uuid::parse(uuid).is_none() {
        wrong("organisation_uuid", "the organisation's UUID in MISP is wanted");
    }
}

impl Default for FeedConfiguration {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            organisation: String::new(),
            organisation_uuid: String::new(),
            tlp: Tlp::Amber,
            pap: Pap::Green,
            distribution: Reach::Community,
            keep_days: 30,
            denied_types: Vec::new(),
            client_addresses: false,
            serve: true,
        }
    }
}

/// A column of MISP.
const MAX_NAME_BYTES: usize = 255;
/// A year: older incidents are for those who have pulled them.
const MAX_DAYS: u16 = 366;
/// MISP has some two hundred.
const MAX_DENIED: usize = 256;
