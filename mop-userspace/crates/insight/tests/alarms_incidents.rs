//! Incidents on scripted calls: each opens one alarm, which closes; what is none opens none.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod alarms;

use jiff::Timestamp;
use mop_insight::data::alarms::{
    AlarmSignal::{self, Calls, Errors, Latency},
    AlarmState::{Closed, Opened},
    Alarms, AnomalyRecord, Scope, Severity,
};

use alarms::{
    DAY, HOUR, MINUTE, START, call, minute, schema, settings, short, tick, usual, warm_up,
};

const LEARNT: i64 = 600;

/// An incident of some minutes, and three hours after it.
fn incident(
    alarms: &mut Alarms,
    begin: i64,
    minutes: i64,
    of: impl Fn(i64) -> (i64, i64, u64),
) -> Vec<AnomalyRecord> {
    let mut told = Vec::new();
    for number in 0..minutes + 180 {
        let time = begin + number * MINUTE;
        let (calls, errors, took) =
            if number < minutes { of(usual(time)) } else { (usual(time), 0, 100) };
        minute(alarms, time, 0, calls, errors, took);
        told.extend(tick(alarms, time + MINUTE));
    }
    let schema = schema();
    for record in &told {
        let value = serde_json::to_value(record).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?} {value}");
        assert!(!record.reason.is_empty() && record.since <= record.ts);
    }
    told
}

fn of_signal(told: &[AnomalyRecord], signal: AlarmSignal) -> Vec<AnomalyRecord> {
    told.iter().filter(|record| record.signal == signal).cloned().collect()
}

#[test]
fn an_hour_of_failures_opens_one_alarm_and_closes_it() {
    let mut alarms = Alarms::new(settings(100));
    let begin = warm_up(&mut alarms, LEARNT);
    let told = incident(&mut alarms, begin, 60, |calls| (calls, calls * 3 / 10, 100));
    let errors = of_signal(&told, Errors);
    let whole = Scope::Organisation;
    assert_eq!(short(&errors), [(Errors, whole, Opened), (Errors, whole, Closed)], "{told:#?}");
    let [opened, closed] = &errors[..] else { panic!("two records") };
    assert_eq!(opened.severity, Severity::Page);
    assert!(opened.seen > 0.2 && opened.expected < 0.02, "{opened:?}");
    assert!(opened.reason.starts_with("share of calls that failed: higher"), "{opened:?}");
    assert!(opened.reason.ends_with("/open-insurance/resources/v3/resources/0"), "{opened:?}");
    assert!(opened.ts <= Timestamp::from_second(begin + 3 * MINUTE).unwrap(), "{opened:?}");
    assert!(closed.ts >= Timestamp::from_second(begin + HOUR).unwrap(), "{closed:?}");
    assert_eq!((&opened.incident, opened.since), (&closed.incident, closed.since));
    assert_ne!(opened.id, closed.id);
    // The budget says the same in its own words, and ends too.
    let burn = of_signal(&told, AlarmSignal::AvailabilityBurn);
    assert!(burn.iter().any(|it| it.state == Opened && it.severity == Severity::Page), "{burn:#?}");
    let others: Vec<_> = told.iter().filter(|it| matches!(it.signal, Calls | Latency)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(alarms.counts().opened[&Errors], 1);
    assert_eq!(alarms.counts().open[&Errors], 0);
}

#[test]
fn silence_opens_an_alarm_and_calls_close_it() {
    let mut alarms = Alarms::new(settings(100));
    let begin = warm_up(&mut alarms, LEARNT);
    let told = incident(&mut alarms, begin, 30, |_| (0, 0, 0));
    let whole = Scope::Organisation;
    assert_eq!(short(&told), [(Calls, whole, Opened), (Calls, whole, Closed)], "{told:#?}");
    assert!(told[0].seen == 0.0 && told[0].expected > 30.0, "{:?}", told[0]);
    assert_eq!(told[0].severity, Severity::Page);
    assert!(told[0].reason.starts_with("calls: lower than"), "{:?}", told[0]);
}

#[test]
fn slow_answers_open_an_alarm() {
    let mut alarms = Alarms::new(settings(100));
    let begin = warm_up(&mut alarms, LEARNT);
    let told = incident(&mut alarms, begin, 30, |calls| (calls, 0, 600));
    let whole = Scope::Organisation;
    assert_eq!(short(&told), [(Latency, whole, Opened), (Latency, whole, Closed)], "{told:#?}");
    // Above the limit of their level, half a budget goes as well.
    let mut alarms = Alarms::new(settings(100));
    let begin = warm_up(&mut alarms, LEARNT);
    let told = incident(&mut alarms, begin, 60, |calls| (calls, 0, 2000));
    let burn = of_signal(&told, AlarmSignal::LatencyBurn);
    let named = burn.iter().all(|it| it.subject.name.as_deref() == Some("medium"));
    assert!(!burn.is_empty() && named, "{told:#?}");
}

#[test]
fn a_restart_keeps_what_was_learnt_and_is_no_silence() {
    let mut before = Alarms::new(settings(100));
    let begin = warm_up(&mut before, LEARNT);
    minute(&mut before, begin, 0, 20, 0, 100);
    before.finish(Timestamp::from_second(begin + 30).unwrap());
    let state = before.snapshot().unwrap();
    // Two hours later it begins again, in the middle of a minute.
    let mut after = Alarms::new(settings(100));
    after.restore(&state).unwrap();
    let again = begin + 2 * HOUR;
    minute(&mut after, again + 40, 0, 10, 0, 100);
    let mut told = tick(&mut after, again + 45);
    for number in 1..30 {
        let time = again + number * MINUTE;
        minute(&mut after, time, 0, usual(time), 0, 100);
        told.extend(tick(&mut after, time + MINUTE));
    }
    assert_eq!(told, []);
    // It knows at once what is usual; without the state it would not.
    let silent = |alarms: &mut Alarms| {
        let begin = again + 30 * MINUTE;
        (1..=15).find(|number| !tick(alarms, begin + number * MINUTE).is_empty())
    };
    assert!(silent(&mut after).is_some());
    let mut fresh = Alarms::new(settings(100));
    tick(&mut fresh, again);
    assert_eq!(silent(&mut fresh), None);
}

#[test]
fn a_restart_in_an_incident_closes_what_was_open() {
    let mut before = Alarms::new(settings(100));
    let begin = warm_up(&mut before, LEARNT);
    let mut told = Vec::new();
    for number in 0..10 {
        let time = begin + number * MINUTE;
        minute(&mut before, time, 0, 40, 20, 100);
        told.extend(tick(&mut before, time + MINUTE));
    }
    let opened = of_signal(&told, Errors);
    assert_eq!(opened.len(), 1);
    let mut after = Alarms::new(settings(100));
    after.restore(&before.snapshot().unwrap()).unwrap();
    assert_eq!(after.counts().open[&Errors], 1);
    let mut told = Vec::new();
    for number in 10..60 {
        let time = begin + number * MINUTE;
        minute(&mut after, time, 0, usual(time), 0, 100);
        told.extend(tick(&mut after, time + MINUTE));
    }
    let closed = of_signal(&told, Errors);
    assert_eq!(short(&closed), [(Errors, Scope::Organisation, Closed)]);
    assert_eq!(closed[0].incident, opened[0].incident);
}

#[test]
fn few_calls_and_single_failures_open_nothing() {
    let mut alarms = Alarms::new(settings(100));
    let mut told = Vec::new();
    for number in 0..3 * 24 * 60 {
        let time = START + number * MINUTE;
        if number % 7 == 0 {
            let status = if number % 35 == 14 { 500 } else { 200 };
            let is_failed = number > 2000 && number < 2100;
            alarms.observe(&call(time + 5, 0, if is_failed { status } else { 200 }, 100));
        }
        told.extend(tick(&mut alarms, time + MINUTE));
    }
    assert_eq!(told, []);
}

#[test]
fn a_route_of_its_own_is_told_and_one_of_a_whole_is_not() {
    let mut alarms = Alarms::new(settings(100));
    let load = |alarms: &mut Alarms, time: i64, errors: [i64; 8]| {
        for (route, errors) in errors.into_iter().enumerate() {
            minute(alarms, time, route, 30 + (time / MINUTE) % 3, errors, 100);
        }
    };
    let mut time = START;
    for _ in 0..LEARNT {
        load(&mut alarms, time, [1; 8]);
        let told = of_signal(&tick(&mut alarms, time + MINUTE), Errors);
        assert_eq!(told, []);
        time += MINUTE;
    }
    // A quarter on one route, which is little of all that fails.
    let mut told = Vec::new();
    for number in 0..60 {
        load(&mut alarms, time, if number < 4 { [8, 1, 1, 1, 1, 1, 1, 1] } else { [1; 8] });
        told.extend(tick(&mut alarms, time + MINUTE));
        time += MINUTE;
    }
    let errors = of_signal(&told, Errors);
    assert_eq!(short(&errors), [(Errors, Scope::Route, Opened), (Errors, Scope::Route, Closed)]);
    let endpoint = Some("/open-insurance/resources/v3/resources/0");
    assert!(errors.iter().all(|it| it.subject.endpoint.as_deref() == endpoint));
    // All of them: one alarm.
    let mut told = Vec::new();
    for number in 0..120 {
        load(&mut alarms, time, if number < 30 { [15; 8] } else { [1; 8] });
        told.extend(tick(&mut alarms, time + MINUTE));
        time += MINUTE;
    }
    let errors = of_signal(&told, Errors);
    let whole = Scope::Organisation;
    assert_eq!(short(&errors), [(Errors, whole, Opened), (Errors, whole, Closed)], "{errors:#?}");
    assert!(alarms.counts().covered >= 8, "{:?}", alarms.counts());
}

#[test]
fn what_runs_out_is_told_before() {
    let mut alarms = Alarms::new(settings(100));
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let mut told = Vec::new();
    let mut time = START;
    for number in 0..400_i64 {
        let mut seen = call(time, 0, 200, 50);
        seen.client_certificate_end = Some(at(START + 10 * DAY));
        alarms.observe(&seen);
        alarms.sample_certificate("sinks.pcm.key_file", at(START + 3 * HOUR), at(time));
        alarms.sample_outbox(at(time), 1_000_000 * number.unsigned_abs(), 1_000_000_000);
        told.extend(tick(&mut alarms, time + MINUTE));
        time += MINUTE;
    }
    let ends = of_signal(&told, AlarmSignal::CertificateExpiry);
    let scopes: Vec<_> = ends.iter().map(|it| (it.subject.scope, it.state, it.severity)).collect();
    assert_eq!(
        scopes,
        [
            (Scope::Client, Opened, Severity::Ticket),
            (Scope::Node, Opened, Severity::Page),
            // It is over: told anew.
            (Scope::Node, Closed, Severity::Page),
            (Scope::Node, Opened, Severity::Page),
        ],
        "{ends:#?}"
    );
    let full = of_signal(&told, AlarmSignal::OutboxFull);
    assert_eq!(short(&full), [(AlarmSignal::OutboxFull, Scope::Node, Opened)], "{told:#?}");
    let schema = schema();
    for record in &told {
        assert!(schema.is_valid(&serde_json::to_value(record).unwrap()), "{record:?}");
    }
}

#[test]
fn signals_can_be_silenced_and_tables_have_bounds() {
    let mut silenced = settings(10);
    silenced.silenced.insert(Errors);
    silenced.silenced.insert(AlarmSignal::AvailabilityBurn);
    let mut alarms = Alarms::new(silenced);
    let begin = warm_up(&mut alarms, LEARNT);
    let told = incident(&mut alarms, begin, 30, |calls| (calls, calls / 2, 100));
    assert!(told.iter().all(|it| it.signal == AlarmSignal::BudgetRunOut), "{told:#?}");
    let begin = begin + 300 * MINUTE;
    for number in 0..50 {
        alarms.observe(&call(begin + number, number as usize, 200, 50));
    }
    tick(&mut alarms, begin + 2 * MINUTE);
    alarms.observe(&call(begin + 130, 100, 200, 50));
    tick(&mut alarms, begin + 5 * MINUTE);
    let counts = alarms.counts();
    assert_eq!((counts.keys, counts.beyond), (10 + 1, 40), "{counts:?}");
    assert_eq!(counts.evicted, 1, "{counts:?}");
}

#[test]
fn what_was_not_observed_is_no_silence() {
    let mut alarms = Alarms::new(settings(100));
    let begin = warm_up(&mut alarms, LEARNT);
    // A node that was asleep: told so, and, after more than a day, without being told.
    alarms.interrupted();
    assert_eq!(tick(&mut alarms, begin + HOUR), []);
    for number in 0..20 {
        let time = begin + HOUR + number * MINUTE;
        minute(&mut alarms, time, 0, usual(time), 0, 100);
        assert_eq!(tick(&mut alarms, time + MINUTE), []);
    }
    let counted = alarms.counts();
    assert_eq!(counted.open[&Calls], 0);
    // A clock that was set far ahead costs a day of windows at most.
    let far = Timestamp::MAX.as_second() - DAY;
    tick(&mut alarms, far);
    assert_eq!(tick(&mut alarms, far + 2 * MINUTE), []);
}
