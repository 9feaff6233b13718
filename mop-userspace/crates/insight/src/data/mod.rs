//! Module data: from calls to the reports of the metrics platform.
//!
//! ```text
//! Exchange -> call (facts, signals) -> identity, consent join -> event   one transactional event a call
//!                                                             -> funnel  steps of each consent
//!                                                             -> metrics figures of the participant
//!                                                             -> alarms  what is unlike itself
//! ```
//!
//! Every worker has a [`call::Extractor`]; one thread owns an [`analyst::Analyst`], takes their calls
//! in, and gets events for the outbox and signals for the funnel. What must not be kept is a keyed
//! digest from the extractor on ([`digest`]).

pub mod alarms;
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
mod hkdf;
pub mod identity;
pub mod metrics;
pub mod once;
pub mod reconciliation;
pub mod signal;
pub mod tokens;
