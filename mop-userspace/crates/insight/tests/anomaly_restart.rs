//! A detector that is written and read again goes on as if it had not been interrupted, and hostile
//! values and states do no harm.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_insight::anomaly::{Detector, GREATEST, KeyState};
use proptest::prelude::*;

/// Values of several kinds: steady, wide, extreme.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -10.0..10.0,
        2 => -1e6..1e6,
        1 => prop::num::f64::ANY,
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
        1 => Just(f64::MIN_POSITIVE),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_changes_nothing(
        values in prop::collection::vec(value(), 1..600),
        interval in 1_i64..4000,
        at in 0_usize..600,
    ) {
        let mut unbroken = Detector::default();
        let mut restarted = Detector::default();
        for (number, value) in values.iter().enumerate() {
            if number == at {
                let written = serde_json::to_string(&restarted).unwrap();
                restarted = serde_json::from_str(&written).unwrap();
            }
            let time = number as i64 * interval;
            let (one, other) = (unbroken.observe(time, *value), restarted.observe(time, *value));
            prop_assert_eq!(one.score.to_bits(), other.score.to_bits());
            prop_assert!((0.0..=1.0).contains(&one.score) && (0.0..=1.0).contains(&one.urgency));
            prop_assert!(one.expected.is_finite());
        }
        prop_assert_eq!(unbroken, restarted);
    }

    #[test]
    fn any_time_and_value_is_taken(observations in prop::collection::vec((any::<i64>(), value()), 0..200)) {
        let mut detector = Detector::default();
        for (time, value) in observations {
            let assessment = detector.observe(time, value);
            prop_assert!((0.0..=1.0).contains(&assessment.score), "{assessment:?}");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any one number of a state may be wrong: the state is refused, or does no harm.
    #[test]
    fn a_damaged_state_does_no_harm(place in 0_usize..1800, number in prop_oneof![any::<u64>(), any::<f64>().prop_map(f64::to_bits)], kept in any::<bool>()) {
        let mut detector = Detector::default();
        for at in 0..300 {
            detector.observe(at * 60, (at % 13) as f64);
        }
        let written = serde_json::to_string(&detector).unwrap();
        let mut parts: Vec<&str> = written.split(',').collect();
        let place = if kept { place % parts.len() } else { parts.len() - 1 - place % parts.len() };
        let Some((head, _)) = parts[place].rsplit_once(':') else { return Ok(()) };
        let damaged = format!("{head}:{number}");
        parts[place] = &damaged;
        if let Ok(mut detector) = serde_json::from_str::<Detector>(&parts.join(",")) {
            for at in 300..400 {
                let score = detector.observe(at * 60, (at % 17) as f64).score;
                prop_assert!((0.0..=1.0).contains(&score), "{score}");
            }
        }
    }
}

#[test]
fn a_state_of_another_version_is_refused() {
    let written = serde_json::to_string(&Detector::default()).unwrap();
    assert!(written.starts_with("{\"version\":1,"));
    let other = written.replacen("\"version\":1", "\"version\":2", 1);
    let error = serde_json::from_str::<Detector>(&other).unwrap_err().to_string();
    assert!(error.starts_with("a state of version 2 of the model; this is 1"), "{error}");
    assert!(serde_json::from_str::<KeyState>("{}").is_err());
}

#[test]
fn the_greatest_value_is_taken_as_such() {
    let (mut one, mut other) = (Detector::default(), Detector::default());
    for at in 0..50 {
        assert_eq!(one.observe(at, f64::MAX), other.observe(at, GREATEST));
    }
    assert_eq!(one, other);
}
