//! Why rules are refused.

use std::fmt;

use thiserror::Error;

use super::{
    MAX_CONDITIONS, MAX_CONSTANTS, MAX_FILE_BYTES, MAX_FILES, MAX_RULES, MAX_SCOPE_ENTRIES,
    MAX_TEXT_BYTES,
};

/// A rule, or a file, that keeps a whole set out. Quotes rules, never messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Name of the file.
    pub file: String,
    /// Id of the rule, or its number in the file when it has no id; `None` when the file itself
    /// is at fault.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: RuleProblem,
}

/// What is wrong with a rule or a file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuleProblem {
    /// A condition is not one operand with one test.
    #[error("a condition is one operand with one test, and {0} is not")]
    Condition(String),
    /// Another rule has the id.
    #[error("another rule has this id")]
    DuplicateId,
    /// A text is empty.
    #[error("its {0} is empty")]
    Empty(&'static str),
    /// An example is not judged as the file says.
    #[error("its {kind} example {number} is not {kind}")]
    Example {
        /// `violating` or `conforming`.
        kind: &'static str,
        /// From 1 on.
        number: usize,
    },
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("it is longer than {MAX_FILE_BYTES} bytes")]
    FileTooLong,
    /// A path of a scope is no pattern of paths.
    #[error("{0} is no pattern of paths")]
    Glob(String),
    /// The id does not have the form of ids.
    #[error("an id is words of a-z, 0-9 and _ joined by dots, at least two of them")]
    Id,
    /// The location does not have one of the forms of locations.
    #[error("{0} is no location")]
    Location(String),
    /// There is no example of each kind.
    #[error("it has no {0} example")]
    NoExample(&'static str),
    /// Nothing is required.
    #[error("it requires nothing")]
    NothingRequired,
    /// There is no such operand.
    #[error("{0} is no operand")]
    Operand(String),
    /// A pattern cannot be compiled.
    #[error("the pattern {pattern} cannot be compiled: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// The id is a code of contract violations.
    #[error("its id is a code of what contracts say")]
    ReservedId,
    /// A status of a scope is neither a status nor a class of them.
    #[error("{0} is neither a status nor a class such as 4xx")]
    Status(String),
    /// Not YAML, or not of the form of rules.
    #[error("{0}")]
    Syntax(String),
    /// There is no such test, or it does not take what it was given.
    #[error("{0} is no test")]
    Test(String),
    /// A text is longer than [`MAX_TEXT_BYTES`].
    #[error("its {0} is longer than {MAX_TEXT_BYTES} bytes")]
    TextTooLong(&'static str),
    /// More conditions than [`MAX_CONDITIONS`].
    #[error("its {0} has more than {MAX_CONDITIONS} conditions")]
    TooManyConditions(&'static str),
    /// More constants than [`MAX_CONSTANTS`].
    #[error("a list has more than {MAX_CONSTANTS} constants")]
    TooManyConstants,
    /// More files than [`MAX_FILES`].
    #[error("there are more than {MAX_FILES} files")]
    TooManyFiles,
    /// More rules than [`MAX_RULES`].
    #[error("there are more than {MAX_RULES} rules")]
    TooManyRules,
    /// More entries of a scope than [`MAX_SCOPE_ENTRIES`].
    #[error("a list of its scope has more than {MAX_SCOPE_ENTRIES} entries")]
    TooManyScopeEntries,
}

impl fmt::Display for RuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, rule, problem } = self;
        match rule {
            Some(rule) => write!(formatter, "{file}: rule {rule}: {problem}"),
            None => write!(formatter, "{file}: {problem}"),
        }
    }
}

impl std::error::Error for RuleError {}
