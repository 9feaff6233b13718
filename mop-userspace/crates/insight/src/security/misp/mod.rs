//! What was found, for MISP: events of its core format (the RFC draft), as a feed that others pull.
//!
//! ```text
//! Finding + Network + Marking -> Feed (one event a rule, client and day) -> manifest.json, <uuid>.json, hashes.csv
//! ```
//!
//! Values are texts, also where they are numbers, because the format says so. What may be written is
//! a table ([`vocabulary`]): a type of personal data cannot be built.

pub mod attribute;
mod contents;
pub mod event;
pub mod feed;
mod index;
pub mod marking;
pub mod object;
pub mod restore;
pub mod scalar;
pub mod sighting;
pub mod tag;
pub mod vocabulary;
