//! The reports of the metrics platform, from calls.

mod alarms;
mod delivered;
mod journey;
mod replayed;
