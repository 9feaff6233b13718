//! Series of numbers, and where they are unlike themselves.

mod bits;
mod detector;
mod extent;
mod habit;
mod hysteresis;
mod profile;
mod reason;
mod residual;
pub mod series;
mod shape;
mod shift;
mod tail;

pub use self::{
    detector::{Assessment, Detector, GREATEST},
    hysteresis::{Hysteresis, OPENING_SCORE, Transition},
    reason::{Against, Cause, Change, Reason},
};
