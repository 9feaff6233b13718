//! What observed calls mean to a participant: the reports that the metrics platform (PCM) demands,
//! the consent funnel, operational metrics, and what is unlike itself.
//!
//! No I/O, no clock, no randomness: calls and times go in, records and alarms come out; keys are
//! arguments.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic, clippy::expect_used))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

pub mod anomaly;
pub mod data;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hexadecimal;
pub mod security;
mod short_text;
