//! The reports of the metrics platform, from calls.

mod delivered;
mod figures;
mod journey;
mod replayed;
