//! The funnel: whole journeys, disorder, and what the platform's own schemas say of every event.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../published/mod.rs"]
mod published;

mod disorder;
mod documents;
mod journeys;
mod prevalidated;
mod properties;
mod world;
