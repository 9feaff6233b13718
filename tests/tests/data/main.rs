//! The reports of the metrics platform, from calls.

mod delivered;
mod journey;
mod replayed;
mod reported;
