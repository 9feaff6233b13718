//! Module security, joined to the observer: each worker inspects calls, one thread makes findings
//! of what they show.
//!
//! ```text
//! worker ── Port::observe ──▶ queue ──▶ watch thread ──▶ Outlet ──▶ outbox
//! replay ── Port::observe ───────────▶ the same, without a thread
//! ```
//!
//! What workers hand on names rules and places, and holds keyed digests; no value of a call is in
//! it.

mod configuration;
pub(crate) mod feed;
pub(crate) mod intelligence;
mod module;
mod port;
mod profile;
mod pseudonym_key;
mod records;
pub(crate) mod report;
mod thread;

pub(crate) use self::{
    configuration::{SecurityArguments, SecurityConfiguration},
    module::Module,
    port::Port,
    thread::Running,
};
