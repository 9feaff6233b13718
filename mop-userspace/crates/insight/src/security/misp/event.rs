//! An event: what one client did against one rule on one day.

use serde::{Deserialize, Serialize};

use super::{
    attribute::Attribute,
    contents::PSEUDONYM,
    object::Object,
    scalar::{Analysis, Distribution, Info, Seconds, ThreatLevel},
    tag::Tag,
};
use crate::security::uuid::Uuid;

/// An event of a feed: without the numbers that a server gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    pub(super) uuid: Uuid,
    pub(super) info: Info,
    /// `YYYY-MM-DD`.
    pub(super) date: String,
    pub(super) timestamp: Seconds,
    pub(super) publish_timestamp: Seconds,
    pub(super) published: bool,
    pub(super) threat_level_id: ThreatLevel,
    pub(super) analysis: Analysis,
    pub(super) distribution: Distribution,
    /// Always empty: it extends none.
    pub(super) extends_uuid: String,
    #[serde(rename = "Orgc")]
    pub(super) organisation: Organisation,
    #[serde(rename = "Tag")]
    pub(super) tags: Vec<Tag>,
    #[serde(rename = "Attribute")]
    pub(super) attributes: Vec<Attribute>,
    #[serde(rename = "Object")]
    pub(super) objects: Vec<Object>,
}

/// Who made an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its name.
    pub name: String,
    /// Its identifier in MISP.
    pub uuid: Uuid,
}

impl Event {
    /// Takes in what one more finding says; whether anything changed. What is beyond
    /// [`MAX_ATTRIBUTES`], and pseudonyms beyond [`MAX_PSEUDONYMS`], are left out, and counted in
    /// the second.
    pub(super) fn merge(
        &mut self,
        (attributes, objects, tags): (Vec<Attribute>, Vec<Object>, Vec<Tag>),
        threat_level: ThreatLevel,
    ) -> (bool, usize) {
        let (mut is_changed, mut left_out) = (false, 0);
        for attribute in attributes {
            let known = self.attributes.iter_mut().find(|it| it.uuid() == attribute.uuid());
            if let Some(known) = known {
                is_changed |= known.merge(&attribute);
            } else if self.has_room_for(&attribute) {
                self.attributes.push(attribute);
                is_changed = true;
            } else {
                left_out += 1;
            }
        }
        for object in objects {
            let room = MAX_ATTRIBUTES.saturating_sub(self.all_attributes().count());
            let known = self.objects.iter_mut().find(|it| it.uuid() == object.uuid());
            if let Some(known) = known {
                is_changed |= known.merge(&object);
            } else if object.attributes().len() <= room {
                self.objects.push(object);
                is_changed = true;
            } else {
                left_out += object.attributes().len();
            }
        }
        for tag in tags {
            if !self.tags.contains(&tag) && self.tags.len() < MAX_TAGS {
                self.tags.push(tag);
                is_changed = true;
            }
        }
        if threat_level < self.threat_level_id {
            self.threat_level_id = threat_level;
            is_changed = true;
        }
        (is_changed, left_out)
    }

    fn has_room_for(&self, attribute: &Attribute) -> bool {
        let is_pseudonym = |it: &&Attribute| it.type_name() == PSEUDONYM;
        self.all_attributes().count() < MAX_ATTRIBUTES
            && (!is_pseudonym(&attribute)
                || self.attributes.iter().filter(is_pseudonym).count() < MAX_PSEUDONYMS)
    }

    /// Its attributes and those of its objects.
    pub fn all_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().chain(self.objects.iter().flat_map(Object::attributes))
    }

    /// Its identifier.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Seconds since 1970 of its last change.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp.0
    }

    /// Its objects.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }
}

/// Attributes of one event and its objects: who attacks from a thousand addresses is known by the
/// first.
pub const MAX_ATTRIBUTES: usize = 256;
/// Pseudonyms of one event: whoever goes through consents or tokens brings new ones with every call,
/// and addresses and fingerprints are to have their place.
pub const MAX_PSEUDONYMS: usize = 64;
/// Two markings, a few sorts of incident, ten classes.
const MAX_TAGS: usize = 24;
