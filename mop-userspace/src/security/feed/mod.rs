//! What was found, for MISP: a folder that other MISPs pull, kept as findings come in.
//!
//! ```text
//! Told ── FeedKeeper::observe ──▶ Feed ── FeedKeeper::advance, every few seconds ──▶ folder
//!                                                                 GET /misp/<file> ◀── folder
//! ```
//!
//! The folder is the state: what stands there is read again at the start. Its files are replaced as a
//! whole, events before the index that names them, so that a puller never sees half a state.

mod configuration;
mod folder;
mod keeper;
mod serve;
mod vitals;

pub(crate) use self::{
    configuration::{FeedConfiguration, Reach, check_organisation},
    keeper::{FeedKeeper, Told},
    serve::routes,
    vitals::FeedVitals,
};

#[cfg(test)]
mod tests;
