//! Module data: from calls to the reports of the metrics platform.
//!
//! ```text
//! Exchange -> call (facts, signals) -> identity, consent join -> event   one transactional event a call
//!                                                             -> funnel  steps of each consent
//!                                                             -> metrics figures of the participant
//! ```

pub mod analyst;
pub mod call;
pub mod consent;
pub mod consent_join;
pub mod digest;
pub mod endpoint;
pub mod event;
pub mod funnel;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod metrics;
pub mod once;
pub mod reconciliation;
pub mod signal;
pub mod tokens;
