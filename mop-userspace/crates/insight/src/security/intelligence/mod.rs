//! Threat intelligence: what others know to be bad, and whether a call has to do with it.
//!
//! ```text
//! bytes of a feed -> read (typed indicators) -> Store (compact, immutable) -> matches of a field
//!                         warninglists lower confidence ┘       decay at the time of the lookup
//! ```
//!
//! A store is built beside the one in use and then takes its place; nothing of it ever changes.

pub mod decay;
pub mod indicator;
pub mod read;
pub mod store;
pub mod value;
pub mod warninglist;
