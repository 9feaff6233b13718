//! What tests and examples share: the scorer of the Numenta Anomaly Benchmark, its labelled series,
//! series made up to be like others, and skipping when there are none.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test uses all of it, and all fail by panicking"
)]

pub(crate) mod corpus;
pub(crate) mod gaussian;
pub(crate) mod scorer;
pub(crate) mod synthetic;

use std::{env, fs::OpenOptions, io::Write};

use mop_insight::anomaly::Detector;

use self::scorer::Labelled;

/// The scores of the detector.
pub(crate) fn detector_scores(series: &Labelled) -> Vec<f64> {
    let mut detector = Detector::default();
    let pairs = series.times.iter().zip(&series.values);
    pairs.map(|(time, value)| detector.observe(*time, *value).score).collect()
}

/// Reports a test as skipped: on the terminal, and in the file that `cargo xtask test` reads.
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    // Past the capture of the test harness, so that it is seen without --nocapture.
    let _shown = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = env::var_os("MOP_SKIPPED_TESTS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _noted = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

/// xorshift64: no quality is asked for, only the same sequence everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        for _ in 0..20 {
            random.unit();
        }
        random
    }

    /// From 0 to 1, neither of them.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, of: f64) -> bool {
        self.unit() < of
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub(crate) fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    pub(crate) fn pareto(&mut self, exponent: f64) -> f64 {
        self.unit().powf(-1.0 / exponent)
    }

    pub(crate) fn log_normal(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal()).exp()
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            count += 1;
            product *= self.unit();
        }
        f64::from(count)
    }
}
