//! What observed calls mean to security: what a caller controls, in every form in which it may be
//! read, the rules and indicators that it is held against, and findings as events for MISP.

pub mod detectors;
pub mod finding;
pub mod handshake;
pub mod inspector;
pub mod intelligence;
pub mod misp;
pub mod normalise;
pub mod personal;
pub mod profile;
pub mod pseudonym;
pub mod rules;
mod table;
mod trust;
pub mod uuid;
pub mod watch;
