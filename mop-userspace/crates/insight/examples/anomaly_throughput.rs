//! Values a second on one core, and bytes a key.
//!
//! `cargo run --release -p mop-insight --example anomaly_throughput`
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::{hint::black_box, time::Instant};

use mop_insight::anomaly::{Detector, KeyState, Sketch, Watch, Window};

const VALUES: u64 = 4_000_000;
const KEYS: u64 = 1000;

fn main() {
    let mut detector = Detector::default();
    let begin = Instant::now();
    for at in 0..VALUES {
        black_box(detector.observe(at as i64 * 60, noise(at)));
    }
    report("one series", VALUES, begin);

    let mut detectors: Vec<_> = (0..KEYS).map(|_| Detector::default()).collect();
    let begin = Instant::now();
    for at in 0..VALUES / KEYS {
        for (key, detector) in detectors.iter_mut().enumerate() {
            black_box(detector.observe(at as i64 * 60, noise(at * KEYS + key as u64)));
        }
    }
    report("a thousand series by turns", VALUES, begin);

    let (mut watch, mut latencies) = (Watch::new(KEYS as usize), Sketch::default());
    (0..200).for_each(|call| latencies.add(0.01 + f64::from(call) * 1e-3));
    let begin = Instant::now();
    let windows = VALUES / 4;
    for at in 0..windows {
        let calls = 100 + noise(at) as u64;
        let time = (at / KEYS) as i64 * 60;
        let window = Window { time, calls, errors: 1, latencies: &latencies };
        black_box(watch.observe(&(at % KEYS), window));
    }
    report("windows of calls, errors and latencies of a thousand keys", windows, begin);

    println!("state of a series: {} bytes, without heap", size_of::<Detector>());
    println!(
        "state of a key (calls, errors, latencies): {} bytes, in one box",
        size_of::<KeyState>()
    );
}

fn noise(at: u64) -> f64 {
    (at.wrapping_mul(6_364_136_223_846_793_005) >> 40) as f64 / 1e6
}

fn report(what: &str, values: u64, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    let rate = values as f64 / seconds / 1e6;
    println!("{what}: {rate:.2} M/s, {:.0} ns each", seconds * 1e9 / values as f64);
}
