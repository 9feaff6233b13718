//! OpenAPI contracts, compiled, and messages judged against them.
//!
//! No I/O, no clock: documents and messages come in as bytes, verdicts go out. What is judged is
//! named by the contract's own words and by positions only: no value of a message is in a verdict.
//!

mod ambiguity;
pub mod document;
pub mod lint;
pub mod overlay;
mod places;

pub use document::{Document, DocumentError};
