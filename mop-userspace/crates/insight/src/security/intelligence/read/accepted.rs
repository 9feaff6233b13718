//! Which attribute types of MISP are indicators: a table, because MISP's list grows.

use serde::Deserialize;
use thiserror::Error;

use crate::security::intelligence::value::Form;

/// The table.
#[derive(Clone, Debug)]
pub struct AcceptedTypes(Vec<AcceptedType>);

/// One line of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedType {
    /// Name of the type.
    pub r#type: String,
    /// Relation of an object that it must have.
    pub relation: Option<String>,
    /// Of each part of its value; none is a part that is not looked for.
    pub forms: Vec<Option<Form>>,
    /// Confidence in an attribute with `to_ids`, from 0 to 100.
    pub confidence: u8,
}

/// Why a file is no table.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AcceptedTypesError {
    /// A confidence above 100.
    #[error("type {0}: its confidence is above 100")]
    Confidence(usize),
    /// Not as many forms as parts between `|`.
    #[error("type {0}: not as many forms as its value has parts")]
    Parts(usize),
    /// Not the JSON that is wanted.
    #[error("line {line}, column {column}: not a table of types")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
    /// More than [`MAX_TYPES`].
    #[error("it has more than {MAX_TYPES} types")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "description")]
    _description: String,
    types: Vec<AcceptedType>,
}

impl AcceptedTypes {
    /// The table that comes with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, AcceptedTypesError> {
        Self::parse(PUBLISHED)
    }

    /// Reads a table.
    ///
    /// # Errors
    ///
    /// Every [`AcceptedTypesError`]; types are counted from 0 on.
    pub fn parse(text: &str) -> Result<Self, AcceptedTypesError> {
        let File { types, _description } = serde_json::from_str(text).map_err(|error| {
            AcceptedTypesError::Syntax { line: error.line(), column: error.column() }
        })?;
        if types.len() > MAX_TYPES {
            return Err(AcceptedTypesError::TooMany);
        }
        for (at, line) in types.iter().enumerate() {
            if line.confidence > 100 {
                return Err(AcceptedTypesError::Confidence(at));
            }
            if line.forms.len() != line.r#type.split('|').count() {
                return Err(AcceptedTypesError::Parts(at));
            }
        }
        Ok(Self(types))
    }

    /// The line of a type, if it is accepted.
    #[must_use]
    pub fn of(&self, name: &str, relation: Option<&str>) -> Option<&AcceptedType> {
        let is_it = |line: &&AcceptedType| {
            line.r#type == name && (line.relation.is_none() || line.relation.as_deref() == relation)
        };
        self.0.iter().find(is_it)
    }
}

const PUBLISHED: &str = include_str!("../../../../../../../rules/security/intelligence/types.json");
/// MISP has some two hundred; each attribute is compared with them.
const MAX_TYPES: usize = 256;
