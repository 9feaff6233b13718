//! Normalisation before matching: the parts of an exchange, and the forms in which a process may
//! read each of them.
//!
//! ```text
//! exchange --part::visit--> Part {place, name, value} --Chain::views--> as sent, decoded, folded
//! ```
//!
//! Invariants: a decoder never writes more bytes than it reads; a value has at most
//! [`chain::MAX_VIEWS`] views; the work for a value is at most a constant times its length.

pub mod chain;
pub mod decode;
mod marks;
pub mod part;
pub mod shape;
pub mod step;
