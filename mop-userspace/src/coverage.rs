//! Coverage: what part of the node's TCP traffic is decoded, and whose is not, and why.
//!
//! What MOP cannot decode it does not see, and what it does not see looks like silence. So once in
//! an interval all TCP sockets of the node are looked at ([`mop_probe::sockets`]), what each moved is
//! held against the connections that are decoded, and the rest is told by process and reason: as
//! record `node.coverage`, as metrics, and by `mop doctor`.
//!
//! ```text
//!   sockets and owners ── SurveyThread (prober) ──▶ Survey ─┐
//!                                                           ├─▶ Window ──▶ record, metrics
//!   openings, bindings, ends ── Sight (workers) ──▶ Decoded ┘
//! ```
//!
//! A socket counts as decoded when MOP follows a connection between the same two ends. Connections
//! through TLS libraries whose socket is not known are held against the other sockets of their process
//! by volume. **When sockets cannot be looked at, coverage is unknown, and that is told: never zero.**

mod account;
mod configuration;
mod decoded;
mod families;
mod gathering;
mod record;
mod surveys;
mod thread;

pub(crate) use self::{
    configuration::CoverageConfiguration,
    decoded::{Decoded, Sight},
    families::CoverageVitals,
    gathering::Gathering,
    surveys::{Answer, Ask, SurveyThread, Surveys},
    thread::Running,
};
