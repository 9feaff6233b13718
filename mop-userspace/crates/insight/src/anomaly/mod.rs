//! Series of numbers, and where they are unlike themselves.

mod bits;
pub mod burn_rate;
pub mod counts;
mod detector;
mod extent;
pub mod forecast;
mod habit;
mod hysteresis;
mod latency;
mod load;
mod profile;
mod reason;
mod residual;
pub mod series;
mod shape;
mod share;
mod shift;
mod sketch;
mod tail;
mod watch;

pub use self::{
    detector::{Assessment, Detector, GREATEST},
    hysteresis::{Hysteresis, OPENING_URGENCY, Transition},
    latency::LatencyDetector,
    reason::{Against, Cause, Change, Reason},
    share::ShareDetector,
    sketch::{ACCURACY, MAX_BINS, Sketch, SketchError},
    watch::{Alarm, KeyState, MAX_KEYS, Signal, Watch, Window},
};
