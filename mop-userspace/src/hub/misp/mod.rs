//! Findings of all nodes, told to a MISP server: one event for each rule, client organisation and day.
//!
//! ```text
//! PostgresStore ── the record, and its place in misp_queue ──▶ acknowledged to the broker
//! Relay ── misp_queue, misp_event ──▶ Builder ──▶ Server ──▶ misp_event, out of misp_queue
//! ```
//!
//! The relay is no store. A batch is acknowledged when every store has it, so a MISP that is away for
//! a weekend would hold up quality reports that have nothing to do with it. Instead the findings wait in
//! a table, put there by the transaction that stores them: what is acknowledged is queued, and what is
//! queued was stored once. The relay takes a finding out only when its event was told; what was told
//! before a crash is told again with the same identifiers, and counts are those of the event that was
//! kept, so nothing counts twice. Several hubs share the tables, and one of them relays at a time.

mod builder;
mod configuration;
mod markings;
pub(super) mod queue;
mod relay;
mod server;
#[cfg(test)]
mod tests;
mod vitals;

pub(super) use self::{configuration::RelayConfiguration, relay::Relay, vitals::RelayVitals};
