//! Body of the fuzz target of states.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use jiff::Timestamp;

use super::{AlarmSettings, Alarms};
use crate::data::metrics::Priorities;

/// Reads the bytes as a state of alarms; what is read is written and read again, and goes on.
pub fn fuzz_alarms_state(data: &[u8]) {
    let Ok(priorities) = Priorities::published() else { return };
    let settings = AlarmSettings {
        window_seconds: 60,
        most_keys: 8,
        silenced: std::collections::BTreeSet::new(),
        priorities,
        node: "fuzz".to_owned(),
    };
    let mut alarms = Alarms::new(settings.clone());
    if alarms.restore(data).is_err() {
        return;
    }
    let written = alarms.snapshot().unwrap_or_default();
    let mut again = Alarms::new(settings);
    check(again.restore(&written).is_ok(), "a state is not read again");
    check(again.snapshot().ok().as_deref() == Some(&*written), "a state changes");
    for minute in 0..20 {
        let Ok(now) = Timestamp::from_second(1_400_000_000 + minute * 60) else { return };
        for record in alarms.advance(now) {
            let is_sound = (0.0..=1.0).contains(&record.score) && record.seen.is_finite();
            check(is_sound, "a record has numbers that are none");
            check(serde_json::to_string(&record).is_ok(), "a record is no JSON");
        }
    }
}

fn check(holds: bool, otherwise: &str) {
    if !holds {
        panic!("{otherwise}");
    }
}
