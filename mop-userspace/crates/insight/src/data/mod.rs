//! Module data: from calls to the reports of the metrics platform.
//!
//! ```text
//! Exchange -> call (facts, signals) -> identity, consent join -> event   one transactional event a call
//!                                                             -> funnel  steps of each consent
//!                                                             -> metrics figures of the participant
//! ```

pub mod funnel;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod metrics;
pub mod reconciliation;
pub mod signal;
