//! The reports of the metrics platform, from calls.

mod alarms;
mod delivered;
mod figures;
mod journey;
mod live;
mod published;
mod replayed;
mod reported;
