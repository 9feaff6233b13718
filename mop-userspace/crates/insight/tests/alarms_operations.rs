//! Two ordinary weeks of a participant, call by call: how often alarms call for nothing.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod alarms;
mod series;

use std::collections::BTreeMap;

use mop_insight::data::alarms::{AlarmState, Alarms, Scope};

use alarms::{DAY, MINUTE, START, WEEK, call, settings, tick};
use series::Random;

/// Calls a minute at noon of a business day, of each route.
const PEAKS: [f64; 8] = [0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0];

#[test]
fn two_ordinary_weeks_have_few_false_alarms() {
    let mut alarms = Alarms::new(settings(100));
    let mut random = Random::new(7);
    let mut moods = [0.0; PEAKS.len()];
    let mut told: BTreeMap<String, u32> = BTreeMap::new();
    let mut calls = 0_u64;
    let mut time = START;
    while time < START + 2 * WEEK {
        for (route, (peak, mood)) in PEAKS.iter().zip(&mut moods).enumerate() {
            *mood = 0.95 * *mood + 0.03 * random.normal();
            let hour = (time - START).rem_euclid(DAY) as f64 / 3600.0;
            let busy = (-((hour - 14.0) / 4.0).powi(2)).exp();
            let is_weekend = (time - START).rem_euclid(WEEK) >= 5 * DAY;
            let shape = if is_weekend { 0.1 + 0.2 * busy } else { 0.1 + 0.9 * busy };
            let slow = random.log_normal(0.1);
            for _ in 0..random.poisson(peak * shape * mood.exp()) as u64 {
                // Two in a thousand fail: less than what is demanded.
                let status = if random.chance(0.002) { 500 } else { 200 };
                let milliseconds = (80.0 * slow * random.log_normal(0.5)) as u64;
                let second = (random.unit() * 60.0) as i64;
                alarms.observe(&call(time + second, route, status, milliseconds));
                calls += 1;
            }
        }
        for record in tick(&mut alarms, time + MINUTE) {
            if record.state == AlarmState::Opened && time >= START + DAY {
                let of = match record.subject.scope {
                    Scope::Route => record.subject.endpoint.clone().unwrap(),
                    scope => format!("{scope:?} {:?}", record.subject.name),
                };
                *told.entry(of).or_default() += 1;
            }
        }
        time += MINUTE;
    }
    println!("{calls} calls; alarms in two weeks: {told:#?}");
    assert!(calls > 100_000, "{calls}");
    // One a week and subject, as for the engine alone.
    assert!(told.values().all(|count| *count <= 2), "{told:#?}");
    // Only what came before the first whole window.
    assert!(alarms.counts().late < 100 && alarms.counts().beyond == 0, "{:?}", alarms.counts());
}
