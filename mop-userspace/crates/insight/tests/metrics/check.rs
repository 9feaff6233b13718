//! What is published, held against ours: only what was observed whole is ever called different.

use jiff::Timestamp;
use mop_insight::data::metrics::{
    CheckOutcome, Metrics, MetricsCheck, MetricsData, MetricsSnapshot, Period, PollAnswer,
    Published, View,
};
use proptest::prelude::*;

use crate::{AUTO, DAY, ORGANISATION, STATUS, call, data, options, poll, published};

const DAY_SECONDS: i64 = 86_400;
/// Noon of the third day.
const NOON: i64 = DAY + 2 * DAY_SECONDS + 43_200;

/// Two days and a half, watched from their first second: a call each 15 minutes, 5xx at times, and polls.
fn watched() -> Metrics {
    let mut metrics = Metrics::new(options());
    for second in (DAY..=NOON).step_by(900) {
        metrics.observe(&call(second, AUTO, if second % 7 == 0 { 500 } else { 200 }, 300));
        metrics.observe(&call(second, STATUS, 200, 5));
        metrics.poll(&poll(second, PollAnswer::Ok));
    }
    metrics
}

fn check_at(
    metrics: &Metrics,
    second: i64,
    period: Option<Period>,
    published: &MetricsData,
    view: View,
) -> MetricsCheck {
    let at = Timestamp::from_second(second).unwrap();
    let published = Published { exchange: "e1", at, period, data: Some(published) };
    let check = metrics.check(ORGANISATION, &published, view);
    let value = serde_json::to_value(&check).unwrap();
    assert!(published::record_schema("data.metrics_check").is_valid(&value), "{value}");
    check
}

fn different(check: &MetricsCheck) -> Vec<(&str, Option<u64>, Option<u64>)> {
    check.differences.iter().map(|it| (it.figure.as_str(), it.ours, it.published)).collect()
}

#[test]
fn figures_of_days_that_were_observed_whole_are_compared() {
    let metrics = watched();
    let mut theirs = data(&metrics, NOON, Period::All);
    let same = check_at(&metrics, NOON, Some(Period::All), &theirs, View::Every);
    assert_eq!((same.outcome, same.differences.len()), (CheckOutcome::Same, 0));
    // Two classes, calls and mean times, two days; four figures over all classes.
    assert_eq!(same.compared, 2 * 2 * 2 + 4 * 2);

    theirs.invocations.medium_priority.previous_days = vec![40, 96];
    theirs.invocations.high_priority.previous_days = vec![200];
    theirs.average_response.medium_priority.previous_days = vec![300, 900];
    theirs.errors.previous_days = vec![0, 5000];
    // Today moves on, and nobody says what these hold.
    theirs.invocations.medium_priority.current_day = 7;
    theirs.invocations.unattended.previous_days = vec![7, 7];
    let check = check_at(&metrics, NOON, Some(Period::All), &theirs, View::Every);
    assert_eq!(check.outcome, CheckOutcome::Different);
    assert_eq!(
        different(&check),
        [
            ("invocations.highPriority.previousDays[0]", Some(96), Some(200)),
            ("invocations.highPriority.previousDays[1]", Some(96), None),
            ("invocations.mediumPriority.previousDays[0]", Some(96), Some(40)),
            ("averageResponse.mediumPriority.previousDays[1]", Some(300), Some(900)),
            ("errors.previousDays[0]", Some(14), Some(0)),
        ]
    );
    assert!(check.not_observed.contains(&"invocations.unattended.previousDays[0]".to_owned()));
    // Eight days are not observed yet.
    let availability = "availability.uptime.generalUptimeRate".to_owned();
    assert!(check.not_observed.contains(&availability));

    // One of several nodes: what others saw is not missing here.
    let part = check_at(&metrics, NOON, Some(Period::All), &theirs, View::Part);
    assert_eq!(
        different(&part),
        [
            ("invocations.highPriority.previousDays[1]", Some(96), None),
            ("invocations.mediumPriority.previousDays[0]", Some(96), Some(40)),
            ("errors.previousDays[0]", Some(14), Some(0)),
        ]
    );
}

#[test]
fn availability_is_compared_when_its_whole_period_was_observed() {
    let metrics = watched();
    let mut theirs = data(&metrics, NOON, Period::Current);
    theirs.availability.downtime.general_downtime += 3000;
    theirs.availability.uptime.general_uptime_rate = "0.5".into();
    let check = |period, view| check_at(&metrics, NOON, period, &theirs, view);
    let current = check(Some(Period::Current), View::Every);
    let names: Vec<_> = current.differences.iter().map(|it| it.figure.as_str()).collect();
    assert_eq!(
        names,
        ["availability.uptime.generalUptimeRate", "availability.downtime.generalDowntime"]
    );
    for (period, view) in
        [(Some(Period::Current), View::Part), (Some(Period::All), View::Every), (None, View::Every)]
    {
        let check = check(period, view);
        assert!(
            check.differences.iter().all(|it| !it.figure.starts_with("availability")),
            "{check:?}"
        );
    }
    // Without polls, it says only what calls showed.
    let mut unpolled = Metrics::new(options());
    unpolled.observe(&call(NOON - 43_200, AUTO, 200, 1));
    unpolled.observe(&call(NOON, AUTO, 200, 1));
    let check = check_at(&unpolled, NOON, Some(Period::Current), &theirs, View::Every);
    assert_eq!(check.outcome, CheckOutcome::NotObserved);
}

#[test]
fn a_day_that_was_not_observed_whole_accuses_nobody() {
    let mut zeros = data(&called_once(), DAY + 1, Period::All);
    zeros.request_time = "2026-01-06T12:00:00Z".into();
    // Begun in the middle of a day.
    let mut late = Metrics::new(options());
    for second in (DAY + 60..NOON - DAY_SECONDS).step_by(60) {
        late.observe(&call(second, AUTO, 200, 300));
    }
    // Stopped for some minutes, or with calls that were given up.
    let stopped = |pause: i64| {
        let mut metrics = Metrics::new(options());
        metrics.observe(&call(DAY, AUTO, 200, 300));
        metrics.advance(Timestamp::from_second(DAY + 5000).unwrap());
        let bytes = metrics.snapshot().write().unwrap();
        let snapshot = MetricsSnapshot::parse(&bytes).unwrap();
        metrics = Metrics::restore(options(), snapshot).unwrap();
        metrics.advance(Timestamp::from_second(DAY + 5000 + pause).unwrap());
        for second in 0..2000 {
            metrics.observe(&call(DAY + 6000 + second, AUTO, 200, 300));
        }
        metrics.advance(Timestamp::from_second(NOON - DAY_SECONDS).unwrap());
        metrics
    };
    let mut lossy = stopped(1);
    assert_eq!(
        check_at(&lossy, NOON - DAY_SECONDS, Some(Period::All), &zeros, View::Every).outcome,
        CheckOutcome::Different,
        "a restart of a second is none"
    );
    // Of the second day, which is today.
    lossy.lose(1);
    let of_tomorrow = MetricsData { request_time: "2026-01-07T12:00:00Z".into(), ..zeros.clone() };
    let check = check_at(&lossy, NOON, Some(Period::All), &of_tomorrow, View::Every);
    assert!(check.differences.iter().all(|it| it.figure.ends_with("previousDays[1]")), "{check:?}");
    assert_eq!(check.outcome, CheckOutcome::Different);
    for metrics in [&late, &stopped(600)] {
        let check = check_at(metrics, NOON - DAY_SECONDS, Some(Period::All), &zeros, View::Every);
        assert_eq!(check.outcome, CheckOutcome::NotObserved, "{check:?}");
        assert!(check.not_observed.contains(&"invocations.mediumPriority.previousDays[0]".into()));
    }
}

#[test]
fn around_the_beginning_of_a_day_nothing_is_compared() {
    let metrics = watched();
    let mut theirs = data(&metrics, NOON, Period::All);
    theirs.invocations.medium_priority.previous_days = vec![1, 1];
    let midnight = DAY + 2 * DAY_SECONDS;
    let outcome = |second: i64, said: i64, theirs: &mut MetricsData| {
        theirs.request_time = Timestamp::from_second(said).unwrap().to_string();
        check_at(&metrics, second, Some(Period::All), theirs, View::Every).outcome
    };
    for (second, said, expected) in [
        (midnight + 1799, midnight + 1799, CheckOutcome::NotObserved),
        (midnight + 1800, midnight + 1800, CheckOutcome::Different),
        (midnight + 86_400 - 60, midnight + 86_400 - 60, CheckOutcome::NotObserved),
        // Their clock has yesterday.
        (midnight + 1800, midnight - 1, CheckOutcome::NotObserved),
    ] {
        assert_eq!(outcome(second, said, &mut theirs), expected, "{second}");
    }
}

#[test]
fn what_cannot_be_read_or_was_never_called_is_said() {
    let metrics = watched();
    let at = Timestamp::from_second(NOON).unwrap();
    let none = Published { exchange: "e1", at, period: None, data: None };
    assert_eq!(metrics.check(ORGANISATION, &none, View::Every).outcome, CheckOutcome::Unreadable);
    let theirs = data(&metrics, NOON, Period::All);
    let unknown = Published { data: Some(&theirs), ..none };
    let check = metrics.check("somebody else", &unknown, View::Every);
    assert_eq!((check.outcome, check.compared), (CheckOutcome::NotObserved, 0));
}

/// Called once.
fn called_once() -> Metrics {
    let mut metrics = Metrics::new(options());
    metrics.observe(&call(DAY, AUTO, 200, 1));
    metrics
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Figures that are right never differ, whenever they are published and whatever was missed here; and
    /// figures that are wrong differ on exactly those days that were observed whole.
    #[test]
    fn only_days_that_were_observed_whole_are_held_against_anybody(
        begin in 0..2 * DAY_SECONDS,
        calls in prop::collection::vec((0..4 * DAY_SECONDS, 1..2000_u64), 1..100),
        (from, length) in (0..2 * DAY_SECONDS, 1..DAY_SECONDS),
        asked in 0..5 * DAY_SECONDS,
    ) {
        let mut calls = calls;
        calls.sort_unstable();
        let from = begin + from;
        let until = from + length;
        let at = |second: i64| Timestamp::from_second(DAY + second).unwrap();
        let (mut ours, mut theirs) = (Metrics::new(options()), Metrics::new(options()));
        theirs.observe(&call(DAY, STATUS, 200, 1));
        ours.advance(at(begin));
        let restart = |ours: &mut Metrics| {
            ours.advance(at(from));
            *ours = Metrics::restore(options(), ours.snapshot()).unwrap();
            ours.advance(at(until));
        };
        let (mut is_restarted, mut first) = (false, None);
        for (second, milliseconds) in &calls {
            let call = call(DAY + second, AUTO, 200, *milliseconds);
            theirs.observe(&call);
            if *second >= until && !std::mem::replace(&mut is_restarted, true) {
                restart(&mut ours);
            }
            if *second >= begin && !(from..until).contains(second) {
                first = first.or(Some(*second));
                ours.observe(&call);
            }
        }
        let now = asked.max(until).max(calls.last().unwrap().0);
        if !is_restarted {
            restart(&mut ours);
        }
        let Some(first) = first else { return Ok(()) };
        let mut published = data(&theirs, DAY + now, Period::All);
        for view in [View::Every, View::Part] {
            let check = check_at(&ours, DAY + now, Some(Period::All), &published, view);
            prop_assert!(check.differences.is_empty(), "{:?}", check);
        }

        let previous = &mut published.invocations.medium_priority.previous_days;
        let counts = previous.clone();
        previous.iter_mut().for_each(|count| *count += 10);
        let part = check_at(&ours, DAY + now, Some(Period::All), &published, View::Part);
        prop_assert!(part.differences.is_empty(), "more than what one node sees: {:?}", part);
        let today = now / DAY_SECONDS;
        let passed = now % DAY_SECONDS;
        let is_whole = |day: i64| {
            let (start, end) = (day * DAY_SECONDS, (day + 1) * DAY_SECONDS);
            let missed = (until.min(end) - from.max(start)).max(0);
            first.max(begin) <= start && missed <= 60
        };
        let mut expected = Vec::new();
        for position in 0..counts.len() {
            let is_settled = (1800..DAY_SECONDS - 60).contains(&passed);
            if is_settled && is_whole(today - 1 - position as i64) {
                expected.push(format!("invocations.mediumPriority.previousDays[{position}]"));
            }
        }
        let check = check_at(&ours, DAY + now, Some(Period::All), &published, View::Every);
        let names: Vec<_> = check.differences.iter().map(|it| it.figure.clone()).collect();
        prop_assert_eq!(names, expected);
    }
}
