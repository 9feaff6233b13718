//! Why a file of rules is refused, where, and what to do.

use std::fmt::{self, Write as _};

use thiserror::Error;

use super::{
    MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH, MAX_CORRELATED_RULES, MAX_DOCUMENTS, MAX_FILE_BYTES,
    MAX_SELECTIONS,
};

/// A document that keeps its file out. Quotes rules, never calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFileError {
    /// Name of the file.
    pub file: String,
    /// Number of the document in it, from 1 on; `None` when the file itself is at fault.
    pub document: Option<usize>,
    /// Its title, when it has one.
    pub title: Option<String>,
    /// What is wrong in it.
    pub fault: Box<Fault>,
}

/// What is wrong with a document, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Keys from the document's root joined by dots, such as `detection.selection.cs-method`;
    /// empty for the whole document.
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a document, and the remedy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// Of a format that is no longer written.
    #[error("`action` documents are of an older format; write each rule out")]
    Action,
    /// The old aggregation after a condition.
    #[error("aggregations after `|` are of an older format; write a correlation document")]
    Aggregation,
    /// An address range that is none.
    #[error("it is no address range; write one such as 10.0.0.0/8 or 2001:db8::/32")]
    AddressRange,
    /// A condition that cannot be read.
    #[error("the condition cannot be read at byte {at}: {expected} is expected there")]
    Condition {
        /// Offset in the condition.
        at: usize,
        /// What is expected.
        expected: &'static str,
    },
    /// A condition that is nested too deeply.
    #[error("the condition is nested more than {MAX_CONDITION_DEPTH} deep; split the rule")]
    ConditionDepth,
    /// A condition that is too long.
    #[error("the condition is longer than {MAX_CONDITION_BYTES} bytes; use `1 of name*`")]
    ConditionLength,
    /// A correlation's condition without one threshold.
    #[error(
        "it needs exactly one of `gte`, `gt` and `eq` with a whole number from 1 on; the absence \
         of calls (`lt`, `lte`) cannot be noticed by looking at calls"
    )]
    CorrelationCondition,
    /// More rules than a correlation remembers.
    #[error("a correlation takes 1 to {MAX_CORRELATED_RULES} different rules")]
    CorrelationRules,
    /// Something is empty.
    #[error("it is empty; give it a value or leave it out")]
    Empty,
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("the file is longer than {MAX_FILE_BYTES} bytes; split it")]
    FileTooLong,
    /// A key that is not there.
    #[error("the key `{0}` is missing; add it")]
    Missing(&'static str),
    /// A modifier that is not known or refused.
    #[error("the modifier `{modifier}` is refused: {reason}")]
    Modifier {
        /// The modifier.
        modifier: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// None of the words that may stand there.
    #[error("`{found}` may not stand here; write one of: {allowed}")]
    NoneOf {
        /// What stands there.
        found: String,
        /// What may.
        allowed: &'static str,
    },
    /// A condition that names a selection that does not exist.
    #[error("there is no selection `{0}`; correct its name in the condition or add it")]
    NoSelection(String),
    /// A regular expression that cannot be compiled.
    #[error(
        "the regular expression cannot be compiled: {0}; look-around and back-references are \
         never taken, since they do not match in linear time"
    )]
    Regex(String),
    /// Not YAML, or too much of it.
    #[error("it cannot be read as YAML: {0}")]
    Syntax(String),
    /// More documents than [`MAX_DOCUMENTS`].
    #[error("the file has more than {MAX_DOCUMENTS} documents; split it")]
    TooManyDocuments,
    /// More than a list may hold.
    #[error("it has more than {0} entries; split the rule")]
    TooMany(usize),
    /// More selections than [`MAX_SELECTIONS`].
    #[error("it has more than {MAX_SELECTIONS} selections; split the rule")]
    TooManySelections,
    /// A text that is too long.
    #[error("it is longer than {0} bytes; shorten it")]
    TooLong(usize),
    /// A key that is not known there.
    #[error("the key `{0}` is not known here; correct or remove it")]
    UnknownKey(String),
    /// A value of another type.
    #[error("it must be {0}")]
    WrongType(&'static str),
}

impl Fault {
    /// A fault of this place.
    pub(super) fn at(place: &str, problem: Problem) -> Self {
        Self { place: place.to_owned(), problem }
    }
}

impl fmt::Display for RuleFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, document, title, fault } = self;
        let Fault { place, problem } = fault.as_ref();
        let mut line = OneLine(formatter);
        write!(line, "{file}: ")?;
        if let Some(document) = document {
            write!(line, "document {document}")?;
            if let Some(title) = title {
                write!(line, " ({title})")?;
            }
            line.write_str(": ")?;
        }
        if !place.is_empty() {
            write!(line, "{place}: ")?;
        }
        write!(line, "{problem}")
    }
}

/// Escapes what would break a line or move a terminal: errors quote names of the file.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| {
            if character.is_control() {
                write!(self.0, "{}", character.escape_default())
            } else {
                self.0.write_char(character)
            }
        })
    }
}

impl std::error::Error for RuleFileError {}
