//! Threat intelligence: sources of indicators, read into a store that is replaced as a whole.
//!
//! ```text
//! files and folders ─────────────────────┐
//! HTTPS ── with entity tags ──▶ copies ──┴─▶ load ──▶ Store ── generation ──▶ who looks up
//! ```
//!
//! What is remote is copied into a folder first, so that a restart needs no network and a source that
//! is away costs nothing but news. A generation is made as a whole or not at all: when a source is
//! bad, the one before stays in use.

mod commands;
mod configuration;
mod copies;
mod load;
mod refresh;
mod stores;

pub(crate) use self::{
    commands::{IndicatorsArguments, run},
    configuration::IntelligenceConfiguration,
    refresh::Indicators,
    stores::IndicatorStores,
};

#[cfg(test)]
mod tests;
