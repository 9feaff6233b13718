//! Series of numbers, and where they are unlike themselves.
//!
//! ```text
//! value -> four expectations -> residuals -> statistics -> tail of each -> votes -> news -> score
//!          recent values        above        quantile         sum      less what    0..1
//!          level                below        and excess                was told
//!          time of the day      drift                                  already
//!          hour of the week     unrest
//!          shift of the level, shape of the last values, range of all values
//! ```
//!
//! # The model
//!
//! One set of parameters serves all series; each is a named constant with its reason. All work is
//! O(1) a value, all state of one size: [`Detector`] is less than 3 KiB, [`KeyState`] less than 4.
//!
//! 1. **Expectations.** The mean of the last few values, the level of the last few hundred, the mean of
//!    this quarter of an hour over the days, and of this hour over the weeks; both moved by how far
//!    the series is from them now. Nothing needs to know the interval: slots are by time, so gaps and
//!    irregular rows do no harm. A cycle that the series does not have makes wide residuals, in which
//!    nothing is surprising.
//! 2. **Statistics.** Of each residual: how far above, how far below, its short mean and its longer
//!    absolute mean, in units of a scale that cuts what is extreme, so that an incident does not become
//!    the norm. Besides: cumulated sums for a shift (Page, "Continuous inspection schemes", Biometrika
//!    41, 1954), and the novelty of the shape that the last values make.
//! 3. **Tails.** No statistic is held to be normal. Each has the quantile that it exceeds three times
//!    in ten thousand, by stochastic approximation (Robbins and Monro, 1951), and the mean excess over
//!    it (Hill, 1975). Exceeding it is a vote, exceeding it by far a little more. This is the idea of
//!    Numenta's anomaly likelihood (Ahmad and others, "Unsupervised real-time anomaly detection for
//!    streaming data", Neurocomputing 262, 2017) and of SPOT (Siffer and others, KDD 2017): what is
//!    judged is how rare a value is for its own series, so that one threshold serves all of them.
//! 4. **Fusion.** Votes add up. A value that leaves the range of all values by a twentieth of it counts
//!    as the logarithm of the number of values, some eight votes: long histories are seldom left.
//! 5. **News.** The strongest evidence is remembered and fades; only what goes beyond it is scored.
//!    `score = 1 - exp(-votes / 5)`: one vote is 0.18, two 0.33, five 0.63, eight 0.80.
//! 6. **Alarms** open when the votes of an incident, those of its last few values together, pass three
//!    and a half, and close when the series was near its expectation for a while; see [`Hysteresis`].
//!
//! The first values teach: nothing is scored before the twenty-first, and scores grow to their full
//! strength until the two hundredth. There is no calendar of holidays: one looks like an incident
//! of its weekday.
//!
//! # What else is judged
//!
//! [`Watch`] holds many keys, and judges for each the number of calls, the share that fails
//! ([`ShareDetector`], which knows how little a few calls say: Wilson's interval and Chernoff's bound)
//! and the latency ([`LatencyDetector`], on a [`Sketch`]). [`burn_rate`] watches the budget of an
//! objective, [`forecast`] says when something runs out. [`series`] reads and writes CSV.
//!
//! # How good it is
//!
//! `cargo run --release -p mop-insight --example nab_score` scores it as the Numenta Anomaly Benchmark
//! does, beside a Gaussian window; `tests/nab.rs` holds it to a margin, and `tests/anomaly_operations.rs`
//! to at most one false alarm a week and key over a month of made-up load, minute by minute.
//!
//! # States
//!
//! [`Detector`] and [`KeyState`] are written with serde. Numbers are written as their bits, so that a
//! restarted run gives the scores of an unbroken one, and with a version, so that a state of another
//! model is refused and not misread.

mod bits;
pub mod burn_rate;
pub mod counts;
mod detector;
mod extent;
pub mod forecast;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
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
