//! Objects: attributes that belong together, by a template that others know.
//!
//! Templates are data (`rules/security/misp/objects.json`): identifiers and versions are those that
//! MISP publishes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    attribute::{Attribute, AttributeError, COUNTER, NewAttribute, Seen},
    scalar::{Distribution, Instant, Seconds},
    vocabulary::Vocabulary,
};
use crate::security::uuid::Uuid;

/// An object of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Object {
    uuid: Uuid,
    name: String,
    #[serde(rename = "meta-category")]
    meta_category: String,
    description: String,
    template_uuid: Uuid,
    template_version: String,
    timestamp: Seconds,
    distribution: Distribution,
    deleted: bool,
    comment: String,
    first_seen: Instant,
    last_seen: Instant,
    #[serde(rename = "ObjectReference")]
    references: Vec<ObjectReference>,
    #[serde(rename = "Attribute")]
    attributes: Vec<Attribute>,
}

/// From an object to another, or to an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObjectReference {
    uuid: Uuid,
    object_uuid: Uuid,
    referenced_uuid: Uuid,
    relationship_type: &'static str,
    comment: String,
    timestamp: Seconds,
}

/// Templates by name.
#[derive(Clone, Debug)]
pub struct Templates(Vec<Template>);

/// What an object of a name is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    name: String,
    template_uuid: Uuid,
    template_version: u32,
    meta_category: String,
    description: String,
    required: Vec<String>,
    required_one_of: Vec<String>,
    relations: Vec<Relation>,
}

/// A relation of a template and the type of its attributes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Relation {
    relation: String,
    r#type: String,
}

/// Why an object cannot be.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ObjectError {
    /// One of its attributes.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// What the template requires is not there.
    #[error("a relation that the template requires is missing")]
    Missing,
    /// A relation that the template does not have, or a second time.
    #[error("the template has no such relation, or it is there twice")]
    Relation,
    /// There is no template of the name.
    #[error("no template of this name is known")]
    Template,
}

/// Why a file has no templates.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TemplatesError {
    /// A required relation that is none, or a type that is not written.
    #[error("template {0}: a relation that is required is not described, or has a wrong type")]
    Relation(usize),
    /// Not the JSON that is wanted.
    #[error("line {line}, column {column}: not a list of templates")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "description")]
    _description: String,
    objects: Vec<Template>,
}

impl Templates {
    /// The templates that come with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published(vocabulary: &Vocabulary) -> Result<Self, TemplatesError> {
        Self::parse(PUBLISHED, vocabulary)
    }

    /// Reads templates.
    ///
    /// # Errors
    ///
    /// Every [`TemplatesError`]; templates are counted from 0 on.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, TemplatesError> {
        let File { objects, _description } = serde_json::from_str(text).map_err(|error| {
            TemplatesError::Syntax { line: error.line(), column: error.column() }
        })?;
        for (at, template) in objects.iter().enumerate() {
            let mut required = template.required.iter().chain(&template.required_one_of);
            let are_described = required.all(|it| template.relation(it).is_some());
            let mut types = template.relations.iter().map(|it| it.r#type.as_str());
            if !are_described || !types.all(|it| vocabulary.of(it, None).is_ok()) {
                return Err(TemplatesError::Relation(at));
            }
        }
        Ok(Self(objects))
    }

    /// The type of a relation of a template.
    #[must_use]
    pub fn type_of(&self, name: &str, relation: &str) -> Option<&str> {
        self.0.iter().find(|it| it.name == name)?.relation(relation)
    }

    /// Makes an object of an event. Its identifier follows from the event, its name and its values
    /// but counters.
    ///
    /// # Errors
    ///
    /// Every [`ObjectError`].
    pub fn object(
        &self,
        vocabulary: &Vocabulary,
        event: Uuid,
        name: &str,
        values: &[(&str, &str)],
        seen: Seen,
    ) -> Result<Object, ObjectError> {
        let template = self.0.iter().find(|it| it.name == name).ok_or(ObjectError::Template)?;
        let mut identity = vec![name];
        let mut typed = Vec::new();
        for (at, (relation, value)) in values.iter().enumerate() {
            let r#type = template.relation(relation).ok_or(ObjectError::Relation)?;
            if values.iter().take(at).any(|(before, _)| before == relation) {
                return Err(ObjectError::Relation);
            }
            if r#type != COUNTER {
                identity.extend([*relation, *value]);
            }
            typed.push((r#type, *relation, *value));
        }
        let has = |wanted: &String| values.iter().any(|(relation, _)| relation == wanted);
        let one_of = &template.required_one_of;
        if !template.required.iter().all(has) || !(one_of.is_empty() || one_of.iter().any(has)) {
            return Err(ObjectError::Missing);
        }
        let uuid = Uuid::of(event, &identity);
        let attributes = typed.into_iter().map(|(r#type, relation, value)| {
            let relation = Some(relation);
            let new = NewAttribute { r#type, category: None, value, comment: "", relation };
            Attribute::new(vocabulary, uuid, new, seen)
        });
        Ok(Object {
            uuid,
            name: template.name.clone(),
            meta_category: template.meta_category.clone(),
            description: template.description.clone(),
            template_uuid: template.template_uuid,
            template_version: template.template_version.to_string(),
            timestamp: seen.at,
            distribution: Distribution::Inherit,
            deleted: false,
            comment: String::new(),
            first_seen: seen.first,
            last_seen: seen.last,
            references: Vec::new(),
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }
}

impl Template {
    fn relation(&self, name: &str) -> Option<&str> {
        self.relations.iter().find(|it| it.relation == name).map(|it| it.r#type.as_str())
    }
}

impl Object {
    /// With attributes that were read again.
    pub(super) fn with_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Lets it refer to another of the event; a second time changes nothing.
    pub(super) fn refer_to(&mut self, other: Uuid, timestamp: Seconds) {
        let uuid = Uuid::of(self.uuid, &[RELATED, &other.to_string()]);
        let is_there = self.references.iter().any(|it| it.uuid == uuid);
        if !is_there && other != self.uuid && self.references.len() < MAX_REFERENCES {
            self.references.push(ObjectReference {
                uuid,
                object_uuid: self.uuid,
                referenced_uuid: other,
                relationship_type: RELATED,
                comment: String::new(),
                timestamp,
            });
        }
    }

    /// Takes in a further one with the same identifier. Whether anything changed.
    pub(super) fn merge(&mut self, further: &Self) -> bool {
        let mut is_changed = false;
        for attribute in &mut self.attributes {
            let same = further.attributes.iter().find(|it| it.uuid() == attribute.uuid());
            is_changed |= same.is_some_and(|it| attribute.merge(it));
        }
        let references = self.references.len();
        for reference in &further.references {
            self.refer_to(reference.referenced_uuid, reference.timestamp);
        }
        let first_seen = self.first_seen.min(further.first_seen);
        let last_seen = self.last_seen.max(further.last_seen);
        is_changed |= (first_seen, last_seen) != (self.first_seen, self.last_seen);
        is_changed |= references != self.references.len();
        (self.first_seen, self.last_seen) = (first_seen, last_seen);
        if is_changed {
            self.timestamp = self.timestamp.max(further.timestamp);
        }
        is_changed
    }

    /// Its identifier.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Name of its template.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }
}

const PUBLISHED: &str = include_str!("../../../../../../rules/security/misp/objects.json");
/// The one relationship that is written: which came first is not known.
const RELATED: &str = "related-to";
/// Of one object: a certificate that is used from more addresses is no better known by them.
const MAX_REFERENCES: usize = 16;
