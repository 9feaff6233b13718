//! The watch on the load of an ordinary month, minute by minute: how often it calls for nothing, and
//! how soon it sees what it is for.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod series;

use mop_insight::anomaly::{Alarm, Signal, Sketch, Transition, Watch, Window};
use series::Random;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
const WEEK: i64 = 7 * DAY;
/// A Monday.
const START: i64 = 1_399_852_800;

/// Calls a minute at noon of a business day.
const PEAKS: [f64; 6] = [1.0, 5.0, 30.0, 200.0, 1000.0, 5000.0];

/// The load of one key: busy in business hours, quiet at night and on weekends, with noise that is
/// not that of chance alone, and slow minutes.
struct Load {
    peak: f64,
    random: Random,
    mood: f64,
}

impl Load {
    fn new(peak: f64, seed: u64) -> Self {
        Self { peak, random: Random::new(seed), mood: 0.0 }
    }

    /// A minute, with more calls, failures and latency by some factors.
    fn minute(&mut self, time: i64, factors: [f64; 3]) -> (u64, u64, Sketch) {
        let random = &mut self.random;
        self.mood = 0.95 * self.mood + 0.03 * random.normal();
        let hour = time.rem_euclid(DAY) as f64 / 3600.0;
        let busy = (-((hour - 14.0) / 4.0).powi(2)).exp();
        let weekend = (time - START).rem_euclid(WEEK) >= 5 * DAY;
        let shape = if weekend { 0.1 + 0.2 * busy } else { 0.1 + 0.9 * busy };
        let mean = self.peak * shape * self.mood.exp() * factors[0];
        let calls = random.poisson(mean) as u64;
        let failing = 0.01 * factors[1];
        let errors = if calls > 50 {
            (random.poisson(calls as f64 * failing) as u64).min(calls)
        } else {
            (0..calls).filter(|_| random.chance(failing)).count() as u64
        };
        let mut latencies = Sketch::default();
        let slow = random.log_normal(0.1) * factors[2];
        for _ in 0..calls.min(100) {
            latencies.add(0.08 * slow * random.log_normal(0.5));
        }
        (calls, errors, latencies)
    }
}

fn feed(
    watch: &mut Watch<usize>,
    key: usize,
    load: &mut Load,
    time: i64,
    factors: [f64; 3],
) -> Vec<Alarm<usize>> {
    let (calls, errors, latencies) = load.minute(time, factors);
    watch.observe(&key, Window { time, calls, errors, latencies: &latencies })
}

#[test]
fn an_ordinary_month_has_at_most_one_false_alarm_a_week_and_key() {
    let mut watch = Watch::new(PEAKS.len());
    let mut loads: Vec<Load> =
        PEAKS.iter().enumerate().map(|(key, peak)| Load::new(*peak, key as u64)).collect();
    let mut false_alarms = vec![[0_u32; 3]; PEAKS.len()];
    let mut time = START;
    while time < START + 4 * WEEK {
        for (key, load) in loads.iter_mut().enumerate() {
            for alarm in feed(&mut watch, key, load, time, [1.0; 3]) {
                if alarm.transition == Transition::Opened && time >= START + DAY {
                    false_alarms[key][alarm.signal as usize] += 1;
                }
            }
        }
        time += MINUTE;
    }
    println!("false alarms in four weeks, calls, errors, latency: {false_alarms:?}");
    for (key, alarms) in false_alarms.iter().enumerate() {
        assert!(alarms.iter().sum::<u32>() <= 4, "{key}: {alarms:?}");
    }
    // The same month goes on with incidents, at noon of a Wednesday.
    let noon = time + 2 * DAY + 12 * 3600;
    while time < noon {
        for (key, load) in loads.iter_mut().enumerate() {
            feed(&mut watch, key, load, time, [1.0; 3]);
        }
        time += MINUTE;
    }
    for (signal, factors, name) in [
        (Signal::Calls, [3.0, 1.0, 1.0], "three times the calls"),
        (Signal::Calls, [0.0, 1.0, 1.0], "silence"),
        (Signal::Errors, [1.0, 5.0, 1.0], "five times the failures"),
        (Signal::Latency, [1.0, 1.0, 3.0], "three times the latency"),
    ] {
        for (key, peak) in PEAKS.iter().enumerate() {
            let found = minutes_to(&watch, key, *peak, time, factors, signal);
            println!("{name}, {peak} calls a minute at noon: {found:?} minutes");
            let most = match signal {
                // A key with a call a minute says little; its share of failures says more.
                _ if *peak < 100.0 => continue,
                Signal::Errors | Signal::Latency if *peak < 500.0 => 10,
                _ => 2,
            };
            assert!(found.is_some_and(|found| found <= most), "{name}, {peak}: {found:?}");
        }
    }
}

/// Minutes until an alarm opens, on a copy of the key's state.
fn minutes_to(
    watch: &Watch<usize>,
    key: usize,
    peak: f64,
    begin: i64,
    factors: [f64; 3],
    signal: Signal,
) -> Option<i64> {
    let state = watch.states().find(|(other, _)| **other == key).unwrap().1.clone();
    let (mut copy, mut load) = (Watch::new(1), Load::new(peak, 99));
    copy.restore(&key, state);
    (1..=120).find(|minute| {
        let alarms = feed(&mut copy, key, &mut load, begin + minute * MINUTE, factors);
        alarms.iter().any(|it| it.signal == signal && it.transition == Transition::Opened)
    })
}
