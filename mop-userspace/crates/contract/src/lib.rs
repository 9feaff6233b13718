//! OpenAPI contracts, compiled, and messages judged against them.
//!
//! No I/O, no clock: documents and messages come in as bytes, verdicts go out. What is judged is
//! named by the contract's own words and by positions only: no value of a message is in a verdict.

pub mod check;
mod compile;
pub mod contract;
pub mod document;
pub mod format;
pub mod json;
pub mod judge;
pub mod media_type;
pub mod name_table;
pub mod operation;
pub mod pattern;
pub mod route;
pub mod rules;
pub mod schema;
pub mod violation;

pub use compile::Problem;
pub use contract::{Contract, ContractBuilder};
pub use document::{Document, DocumentError};
pub use judge::{Call, Judge, JudgedBody, Judgement, Message, Reading, Unjudged, UnjudgedReason};
pub use rules::{CallFacts, MessageFacts, Rule, RuleError, RuleSet, RuleViolation};
