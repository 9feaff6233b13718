//! What observed calls mean to security: what a caller controls, in every form in which it may be
//! read, and the personal data and secrets that are in it.

pub mod normalise;
pub mod personal;
