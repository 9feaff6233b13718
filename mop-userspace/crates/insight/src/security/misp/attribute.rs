//! An attribute: one value of one type. It is made through the [`Vocabulary`] only.

use serde::Serialize;
use thiserror::Error;

use super::{
    scalar::{Distribution, Instant, Seconds},
    vocabulary::{TypeError, Vocabulary},
};
use crate::security::uuid::Uuid;

/// An attribute of an event or an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    uuid: Uuid,
    r#type: String,
    category: String,
    value: String,
    to_ids: bool,
    comment: String,
    timestamp: Seconds,
    distribution: Distribution,
    deleted: bool,
    disable_correlation: bool,
    first_seen: Instant,
    last_seen: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_relation: Option<String>,
}

/// What an attribute is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewAttribute<'t> {
    /// Name of the type.
    pub r#type: &'t str,
    /// Category; none is the usual one of the type.
    pub category: Option<&'t str>,
    /// The value.
    pub value: &'t str,
    /// For people; may be empty.
    pub comment: &'t str,
    /// Relation in its object.
    pub relation: Option<&'t str>,
}

/// When something was seen, and when that was written down.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// First time.
    pub first: Instant,
    /// Last time.
    pub last: Instant,
    /// Time of the change.
    pub at: Seconds,
}

/// Why an attribute cannot be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AttributeError {
    /// Its type.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// Its value or comment: empty, longer than [`MAX_VALUE_BYTES`], or with control characters.
    #[error("a value is empty, too long, or not plain text")]
    Value,
}

impl Attribute {
    /// Makes an attribute. Its identifier follows from `parent`, type, relation and, unless it is
    /// a counter, the value.
    ///
    /// # Errors
    ///
    /// Every [`AttributeError`].
    pub fn new(
        vocabulary: &Vocabulary,
        parent: Uuid,
        new: NewAttribute<'_>,
        seen: Seen,
    ) -> Result<Self, AttributeError> {
        let NewAttribute { r#type, category, value, comment, relation } = new;
        let known = vocabulary.of(r#type, category)?;
        let usual = known.categories.first().map(String::as_str);
        let is_plain =
            |text: &str| text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control);
        if value.trim().is_empty() || !is_plain(value) || !is_plain(comment) {
            return Err(AttributeError::Value);
        }
        let is_counter = r#type == COUNTER;
        let identity = if is_counter { "" } else { value };
        let name = [r#type, relation.unwrap_or_default(), identity];
        Ok(Self {
            uuid: Uuid::of(parent, &name),
            r#type: r#type.to_owned(),
            category: category.or(usual).unwrap_or_default().to_owned(),
            value: value.to_owned(),
            to_ids: known.to_ids,
            comment: comment.to_owned(),
            timestamp: seen.at,
            distribution: Distribution::Inherit,
            deleted: false,
            // Counters and names of rules are the same in many events.
            disable_correlation: !known.to_ids,
            first_seen: seen.first,
            last_seen: seen.last,
            object_relation: relation.map(ToOwned::to_owned),
        })
    }

    /// Takes in a further one with the same identifier: counters are added, times widened. Whether
    /// anything changed.
    pub(super) fn merge(&mut self, further: &Self) -> bool {
        let mut merged = self.clone();
        if self.r#type == COUNTER {
            let number = |text: &str| text.parse().unwrap_or(0_u64);
            merged.value = number(&self.value).saturating_add(number(&further.value)).to_string();
        }
        merged.first_seen = self.first_seen.min(further.first_seen);
        merged.last_seen = self.last_seen.max(further.last_seen);
        let is_changed = merged != *self;
        if is_changed {
            merged.timestamp = self.timestamp.max(further.timestamp);
            *self = merged;
        }
        is_changed
    }

    /// Its identifier.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Name of its type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.r#type
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Its relation in an object.
    #[must_use]
    pub fn relation(&self) -> Option<&str> {
        self.object_relation.as_deref()
    }

    /// What others look for: the value, or each part of a composite one.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        let is_composite = self.r#type.contains('|');
        let parts = if is_composite { usize::MAX } else { 1 };
        self.value.splitn(parts, '|').filter(|it| !it.is_empty())
    }
}

/// Values of this type are added up.
pub(super) const COUNTER: &str = "counter";
/// Longer ones are no indicator.
pub const MAX_VALUE_BYTES: usize = 2048;
