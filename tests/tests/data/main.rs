//! The reports of the metrics platform, from calls.

mod journey;
mod replayed;
