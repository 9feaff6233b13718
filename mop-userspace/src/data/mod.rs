//! Module data, joined to the observer: each worker makes calls of exchanges, one thread makes
//! events and steps of calls.
//!
//! ```text
//! worker ── Port::observe ──▶ queue ──▶ analyst thread ──▶ Outlet ──▶ outbox ──▶ sink `pcm`
//! replay ── Port::observe ───────────▶ the same, without a thread
//! ```
//!
//! Only digests of tokens and codes are in a call, so the queue and the state on disk hold none.

mod alarms;
mod commands;
mod configuration;
mod deadline;
mod directory;
mod figures;
mod hook;
mod hook_socket;
mod module;
pub(crate) mod peers;
mod port;
mod records;
mod report;
mod state;
pub(crate) mod tally;
mod thread;

pub(crate) use self::{
    alarms::NodeSamples,
    commands::{FunnelArguments, run},
    configuration::DataConfiguration,
    deadline::Deadline,
    hook_socket::HookSocket,
    module::Module,
    port::{Circumstances, Port},
    report::{Kept, PlaceArguments, PlatformReportArguments, each_record, run as run_report},
    state::State,
    tally::SharedMade,
    thread::Running,
};

/// Paths on the admin listener.
pub(crate) fn routes(configuration: &DataConfiguration, running: &Running) -> axum::Router {
    hook::routes(configuration, running).merge(figures::routes(configuration, running.hook().0))
}
