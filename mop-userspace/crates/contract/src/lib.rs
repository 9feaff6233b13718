//! OpenAPI contracts, compiled, and messages judged against them.
//!
//! No I/O, no clock: documents and messages come in as bytes, verdicts go out. What is judged is
//! named by the contract's own words and by positions only: no value of a message is in a verdict.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic, clippy::expect_used))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod ambiguity;
pub mod attributes;
pub mod check;
mod compile;
pub mod contract;
pub mod document;
pub mod fill;
pub mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod json;
pub mod judge;
pub mod lint;
pub mod media_type;
pub mod name_table;
pub mod operation;
pub mod overlay;
pub mod pack;
pub mod pattern;
mod places;
pub mod route;
pub mod rules;
pub mod schema;
pub mod violation;
pub mod window;

pub use compile::Problem;
pub use contract::{Contract, ContractBuilder};
pub use document::{Document, DocumentError};
pub use judge::{
    Call, Judge, JudgedBody, Judgement, Message, Reading, Unjudged, UnjudgedReason, Visitor,
};
pub use rules::{CallFacts, MessageFacts, Rule, RuleError, RuleSet, RuleViolation};
