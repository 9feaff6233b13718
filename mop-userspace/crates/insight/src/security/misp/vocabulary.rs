//! Which attribute types may be written, in which categories, and which never leave.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use thiserror::Error;

/// The table.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    types: BTreeMap<String, EmittedType>,
    never: BTreeSet<String>,
}

/// What is known of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedType {
    /// Where it may stand; the usual one first.
    pub categories: Vec<String>,
    /// Whether others may detect by it.
    pub to_ids: bool,
}

/// Why a table is none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum VocabularyError {
    /// A type without category, or twice.
    #[error("type {0}: no category, or a second time")]
    Type(usize),
    /// A type that must not be written is among those that are.
    #[error("type {0} must never be written")]
    Never(usize),
    /// Not the JSON that is wanted.
    #[error("line {line}, column {column}: not a table of types")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
}

/// Why an attribute cannot be of a type.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TypeError {
    /// The type may not stand in the category.
    #[error("the category does not take the type")]
    Category,
    /// The type never leaves.
    #[error("attributes of this type are never written")]
    Never,
    /// The type is not in the table.
    #[error("the type is not one that is written")]
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "description")]
    _description: String,
    types: Vec<Line>,
    never: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    r#type: String,
    categories: Vec<String>,
    to_ids: bool,
}

impl Vocabulary {
    /// The table that comes with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, VocabularyError> {
        Self::parse(PUBLISHED, &[])
    }

    /// The table that comes with the program, without further types that the participant does not
    /// let out.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn without(denied: &[String]) -> Result<Self, VocabularyError> {
        Self::parse(PUBLISHED, denied)
    }

    /// Reads a table; `denied` are further types that the participant does not let out.
    ///
    /// # Errors
    ///
    /// Every [`VocabularyError`]; types are counted from 0 on. No file lets out what this program
    /// never does.
    pub fn parse(text: &str, denied: &[String]) -> Result<Self, VocabularyError> {
        let File { types: lines, never, _description } =
            serde_json::from_str(text).map_err(|error| VocabularyError::Syntax {
                line: error.line(),
                column: error.column(),
            })?;
        let mut types = BTreeMap::new();
        for (at, Line { r#type, categories, to_ids }) in lines.into_iter().enumerate() {
            if never.contains(&r#type) || NEVER.contains(&r#type.as_str()) {
                return Err(VocabularyError::Never(at));
            }
            let is_empty = categories.is_empty();
            let before = types.insert(r#type, EmittedType { categories, to_ids });
            if is_empty || before.is_some() {
                return Err(VocabularyError::Type(at));
            }
        }
        let built_in = NEVER.iter().map(|it| (*it).to_owned());
        let never = never.into_iter().chain(built_in).chain(denied.iter().cloned()).collect();
        Ok(Self { types, never })
    }

    /// Whether a type never leaves.
    #[must_use]
    pub fn is_never(&self, name: &str) -> bool {
        self.never.contains(name)
    }

    /// What is known of a type, if it may be written in the category; none is its usual one.
    ///
    /// # Errors
    ///
    /// Every [`TypeError`].
    pub fn of(&self, name: &str, category: Option<&str>) -> Result<&EmittedType, TypeError> {
        if self.never.contains(name) {
            return Err(TypeError::Never);
        }
        let known = self.types.get(name).ok_or(TypeError::Unknown)?;
        let is_pair = category.is_none_or(|it| known.categories.iter().any(|known| known == it));
        is_pair.then_some(known).ok_or(TypeError::Category)
    }
}

const PUBLISHED: &str = include_str!("../../../../../../rules/security/misp/types.json");
/// Personal data that no configuration lets out.
const NEVER: [&str; 10] = [
    "bank-account-nr",
    "cc-number",
    "date-of-birth",
    "email",
    "first-name",
    "full-name",
    "identity-card-number",
    "last-name",
    "passport-number",
    "phone-number",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_the_table_are_written_and_only_in_their_categories() {
        let vocabulary = Vocabulary::published().unwrap();
        assert!(vocabulary.of("ip-src", None).unwrap().to_ids);
        assert!(vocabulary.of("ip-src", Some("Network activity")).is_ok());
        assert_eq!(vocabulary.of("ip-src", Some("Person")), Err(TypeError::Category));
        assert_eq!(vocabulary.of("yara", None), Err(TypeError::Unknown));
        for personal in NEVER.into_iter().chain(["email-src", "target-user", "iban"]) {
            assert_eq!(vocabulary.of(personal, None), Err(TypeError::Never), "{personal}");
        }
    }

    #[test]
    fn a_file_cannot_let_out_what_never_leaves() {
        let table = |name: &str, never: &str| {
            format!(
                r#"{{"description":"","never":[{never}],
                "types":[{{"type":"{name}","categories":["Person"],"to_ids":false}}]}}"#
            )
        };
        let parse = |text: &str| Vocabulary::parse(text, &[]).unwrap_err();
        assert_eq!(parse(&table("full-name", "")), VocabularyError::Never(0));
        assert_eq!(parse(&table("xyz", "\"xyz\"")), VocabularyError::Never(0));
        assert_eq!(parse("{"), VocabularyError::Syntax { line: 1, column: 1 });
        let denied = Vocabulary::parse(PUBLISHED, &["ip-src".to_owned()]).unwrap();
        assert_eq!(denied.of("ip-src", None), Err(TypeError::Never));
    }
}
