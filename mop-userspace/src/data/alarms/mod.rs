//! Alarms, joined to the observer: calls at the edge and samples of the node in, records out.

mod configuration;
mod families;
mod keeper;
mod node;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use self::{configuration::AlarmsSection, node::NodeSamples};
pub(super) use self::{families::AlarmVitals, keeper::AlarmKeeper};
