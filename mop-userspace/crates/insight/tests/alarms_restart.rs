//! The state of alarms as bytes: what is read goes on as if it had not been written, and damaged
//! bytes are refused or do no harm.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod alarms;

use std::time::Instant;

use jiff::Timestamp;
use mop_insight::data::alarms::{Alarms, AlarmsSnapshotError, fuzzing::fuzz_alarms_state};
use proptest::prelude::*;

use alarms::{DAY, MINUTE, START, call, minute, settings, tick, usual, warm_up};

/// A minute of some routes: calls, how many of ten fail, milliseconds.
type Scripted = Vec<(usize, i64, i64, u64)>;

fn script() -> impl Strategy<Value = Vec<Scripted>> {
    let route = (0_usize..12, 0_i64..60, 0_i64..10, 1_u64..3000);
    prop::collection::vec(prop::collection::vec(route, 0..4), 1..120)
}

fn play(alarms: &mut Alarms, begin: i64, script: &[Scripted]) -> Vec<String> {
    let mut told = Vec::new();
    for (number, routes) in script.iter().enumerate() {
        let time = begin + number as i64 * MINUTE;
        for (route, calls, tenths, took) in routes {
            minute(alarms, time, *route, *calls, calls * tenths / 10, *took);
        }
        let records = tick(alarms, time + MINUTE);
        told.extend(records.iter().map(|record| serde_json::to_string(record).unwrap()));
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_changes_nothing(before in script(), after in script(), warm in any::<bool>()) {
        let mut unbroken = Alarms::new(settings(8));
        let begin = if warm { warm_up(&mut unbroken, 300) } else { START };
        play(&mut unbroken, begin, &before);
        unbroken.interrupted();
        let bytes = unbroken.snapshot().unwrap();
        let mut restarted = Alarms::new(settings(8));
        restarted.restore(&bytes).unwrap();
        prop_assert_eq!(&restarted.snapshot().unwrap(), &bytes);
        let again = begin + DAY;
        prop_assert_eq!(play(&mut unbroken, again, &after), play(&mut restarted, again, &after));
        prop_assert_eq!(unbroken.snapshot().unwrap(), restarted.snapshot().unwrap());
        if after.len() > 4 {
            prop_assert_eq!(unbroken.burn_rates(), restarted.burn_rates());
        }
    }

    /// The same calls in another order within their minute are the same.
    #[test]
    fn the_order_within_a_window_does_not_matter(script in script()) {
        let (mut one, mut other) = (Alarms::new(settings(100)), Alarms::new(settings(100)));
        let reversed: Vec<Scripted> =
            script.iter().map(|routes| routes.iter().rev().copied().collect()).collect();
        prop_assert_eq!(play(&mut one, START, &script), play(&mut other, START, &reversed));
        prop_assert_eq!(one.snapshot().unwrap(), other.snapshot().unwrap());
    }
}

#[test]
fn a_state_of_another_version_or_window_is_refused_and_changes_nothing() {
    let mut learnt = Alarms::new(settings(8));
    warm_up(&mut learnt, 30);
    let bytes = learnt.snapshot().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with("{\"version\":1,"));
    let mut fresh = Alarms::new(settings(8));
    let other = text.replacen("\"version\":1", "\"version\":2", 1);
    let error = fresh.restore(other.as_bytes()).unwrap_err();
    assert!(matches!(error, AlarmsSnapshotError::Version(2)), "{error}");
    let mut slower = Alarms::new(mop_insight::data::alarms::AlarmSettings {
        window_seconds: 300,
        ..settings(8)
    });
    let error = slower.restore(&bytes).unwrap_err();
    assert!(matches!(error, AlarmsSnapshotError::Window(60)), "{error}");
    assert!(matches!(fresh.restore(b"{}"), Err(AlarmsSnapshotError::Form(_))));
    let long = text.replace("05050000-0000", &"9".repeat(600));
    assert!(matches!(fresh.restore(long.as_bytes()), Err(AlarmsSnapshotError::Limits)));
    assert_eq!(fresh.snapshot().unwrap(), Alarms::new(settings(8)).snapshot().unwrap());
}

#[test]
fn fewer_keys_keep_those_that_were_called_last() {
    let mut learnt = Alarms::new(settings(100));
    tick(&mut learnt, START - 10 * MINUTE);
    for number in 0..40 {
        minute(&mut learnt, START + number * MINUTE, number as usize, 5, 0, 50);
        tick(&mut learnt, START + (number + 1) * MINUTE + 20);
    }
    let mut fewer = Alarms::new(settings(10));
    fewer.restore(&learnt.snapshot().unwrap()).unwrap();
    assert_eq!((learnt.counts().keys, fewer.counts().keys), (40 + 1, 10 + 1));
    let kept = String::from_utf8(fewer.snapshot().unwrap()).unwrap();
    assert!(kept.contains("resources/7") && kept.contains("000000000004"), "route 39");
}

#[test]
fn damaged_states_do_no_harm() {
    let mut learnt = Alarms::new(settings(8));
    let begin = warm_up(&mut learnt, 60);
    for number in 0..20 {
        let time = begin + number * MINUTE;
        minute(&mut learnt, time, 0, usual(time), 20, 400);
        tick(&mut learnt, time + MINUTE);
    }
    let bytes = learnt.snapshot().unwrap();
    fuzz_alarms_state(&bytes);
    let mut random = 0x616c_6172_6d73_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    for _ in 0..3000 {
        let mut damaged = bytes.clone();
        for _ in 0..=below(3) {
            let at = below(damaged.len());
            let end = (at + 1 + below(8)).min(damaged.len());
            match below(3) {
                0 if damaged[at].is_ascii_digit() => damaged[at] = b'0' + below(10) as u8,
                1 => damaged[at] ^= 1 << below(8),
                _ => drop(damaged.drain(at..end)),
            }
        }
        fuzz_alarms_state(&damaged);
    }
}

/// How large a full table is as bytes, and how long its writing takes: told, and held to a bound that
/// only a mistake goes beyond.
#[test]
fn the_state_of_a_full_table_is_of_bounded_size() {
    const KEYS: usize = 1000;
    let mut alarms = Alarms::new(settings(KEYS));
    tick(&mut alarms, START - 10 * MINUTE);
    for number in 0..130 {
        let time = START + number * MINUTE;
        for route in 0..KEYS {
            let took = 20 + (route as u64 * 7 + number.unsigned_abs() * 13) % 400;
            alarms.observe(&call(time + 5, route, 200, took));
        }
        tick(&mut alarms, time + MINUTE);
    }
    let before = Instant::now();
    let bytes = alarms.snapshot().unwrap();
    let written = before.elapsed();
    let before = Instant::now();
    let mut again = Alarms::new(settings(KEYS));
    again.restore(&bytes).unwrap();
    let read = before.elapsed();
    let counts = again.counts();
    println!(
        "{} keys: {} bytes, written in {written:?}, read in {read:?}",
        counts.keys,
        bytes.len()
    );
    assert_eq!(counts.keys, KEYS as u64 + 1);
    assert!(bytes.len() < KEYS * 12_000, "{}", bytes.len());
    let before = Instant::now();
    assert!(again.advance(Timestamp::from_second(START + 200 * MINUTE).unwrap()).is_empty());
    tick(&mut again, START + 212 * MINUTE + 30);
    println!("ten windows of silence for all of them: {:?}", before.elapsed());
}
