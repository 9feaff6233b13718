//! What is counted, in which class and on which day.

use jiff::Timestamp;
use mop_insight::data::metrics::{
    CallFigures, DayBoundary, Metrics, MetricsOptions, MetricsSnapshot, Period, figures::ByClass,
};
use proptest::prelude::*;

use crate::{AUTO, CONSENTS, DAY, STATUS, call, data, options};

#[test]
fn a_day_of_calls_gives_the_figures_of_that_day() {
    let mut metrics = Metrics::new(options());
    for second in 0..100 {
        metrics.observe(&call(DAY + second, AUTO, 200, 300));
        metrics.observe(&call(DAY + second, CONSENTS, 201, 500));
    }
    metrics.observe(&call(DAY + 50, AUTO, 429, 60_000));
    metrics.observe(&call(DAY + 50, AUTO, 404, 400));
    metrics.observe(&call(DAY + 60, STATUS, 200, 20));
    metrics.observe(&call(DAY + 60, "/.well-known/openid-configuration", 200, 7));
    metrics.observe(&call(DAY + 60, "/token", 500, 90));
    let unanswered = CallFigures { status: None, microseconds: None, ..call(DAY, AUTO, 0, 0) };
    metrics.observe(&unanswered);
    let today = data(&metrics, DAY + 199, Period::All);
    let classes = |of: &ByClass| {
        [&of.unauthenticated, &of.high_priority, &of.medium_priority, &of.unattended]
            .map(|days| days.current_day)
    };
    assert_eq!(classes(&today.invocations), [1, 1, 203, 1]);
    assert_eq!(classes(&today.average_response), [7, 20, 400, 90]);
    assert_eq!(today.average_tps.current_day, 1, "206 calls in 200 seconds");
    assert_eq!(today.peak_tps.current_day, 5, "at second 60");
    assert_eq!((today.errors.current_day, today.rejections.current_day), (1, 1));
    assert!(today.errors.previous_days.is_empty(), "nothing was observed before");

    // The next day, they are yesterday's.
    metrics.observe(&call(DAY + 86_400, AUTO, 200, 100));
    let next = data(&metrics, DAY + 86_401, Period::All);
    assert_eq!(next.invocations.medium_priority.current_day, 1);
    assert_eq!(next.invocations.medium_priority.previous_days, [203]);
    assert_eq!(next.peak_tps.previous_days, [5]);
    let current = data(&metrics, DAY + 86_401, Period::Current);
    assert!(current.invocations.medium_priority.previous_days.is_empty());
}

#[test]
fn there_are_seven_days_before_today_and_days_without_calls_are_among_them() {
    let mut metrics = Metrics::new(options());
    for day in [0, 1, 4, 9] {
        for _ in 0..=day {
            metrics.observe(&call(DAY + day * 86_400, AUTO, 200, 100));
        }
    }
    let of = |second| data(&metrics, second, Period::All).invocations.medium_priority;
    let ninth = of(DAY + 9 * 86_400 + 10);
    assert_eq!(ninth.current_day, 10);
    assert_eq!(ninth.previous_days, [0, 0, 0, 0, 5, 0, 0]);
    let later = of(DAY + 11 * 86_400);
    assert_eq!((later.current_day, later.previous_days), (0, vec![0, 10, 0, 0, 0, 0, 5]));
    // Too late to be counted, and told.
    metrics.observe(&call(DAY, AUTO, 200, 100));
    assert_eq!(metrics.uncounted(), 1);
}

#[test]
fn a_day_begins_where_the_options_say() {
    let brasilia = MetricsOptions { boundary: DayBoundary::Brasilia, ..options() };
    let mut metrics = Metrics::new(brasilia);
    metrics.observe(&call(DAY + 3 * 3600 - 1, AUTO, 200, 100));
    metrics.observe(&call(DAY + 3 * 3600, AUTO, 200, 100));
    let figures = data(&metrics, DAY + 4 * 3600, Period::All).invocations.medium_priority;
    assert_eq!((figures.current_day, figures.previous_days), (1, vec![1]));
}

#[test]
fn a_call_that_is_told_minutes_late_is_counted_and_does_not_raise_the_peak_of_another_second() {
    let mut metrics = Metrics::new(options());
    for second in [1000, 1000, 1000 - 128, 1000 - 256, 999, 999, 999] {
        metrics.observe(&call(DAY + second, AUTO, 200, 10));
    }
    let figures = data(&metrics, DAY + 2000, Period::Current);
    assert_eq!(figures.peak_tps.current_day, 3);
    metrics.observe(&call(DAY + 1000 - 128, AUTO, 200, 10));
    metrics.observe(&call(DAY + 1000 - 256, AUTO, 200, 10));
    let figures = data(&metrics, DAY + 2000, Period::Current);
    assert_eq!(figures.peak_tps.current_day, 3);
    assert_eq!(figures.invocations.medium_priority.current_day, 9);
}

#[test]
fn memory_is_bounded() {
    let mut metrics = Metrics::new(options());
    for number in 0..1000 {
        let (organisation, endpoint) =
            (format!("organisation-{number}"), format!("{AUTO}/{number}"));
        let call = call(DAY, &endpoint, 200, 1);
        metrics.observe(&CallFigures { organisation: &organisation, ..call });
        metrics.observe(&CallFigures { organisation: "organisation-1", ..call });
    }
    assert_eq!(metrics.organisations().count(), 64);
    assert_eq!(metrics.uncounted(), 1000 - 64);
    let now = Timestamp::from_second(DAY).unwrap();
    let figures = metrics.data("organisation-1", now, Period::All).unwrap();
    assert_eq!(figures.availability.uptime.endpoints.len(), 512);
    assert_eq!(figures.invocations.medium_priority.current_day, 1001);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A simple count of the same calls gives the same figures, and a restart changes nothing.
    #[test]
    fn figures_are_sums_and_a_restart_changes_nothing(
        calls in prop::collection::vec(
            (0..10 * 86_400_i64, 0..4_usize, prop::sample::select(vec![200_u16, 404, 429, 500]), 1..5000_u64),
            1..150,
        ),
        restart in any::<prop::sample::Index>(),
    ) {
        let mut calls = calls;
        calls.sort_unstable();
        let paths = [AUTO, CONSENTS, STATUS, "/token"];
        let (mut steady, mut restarted) = (Metrics::new(options()), Metrics::new(options()));
        let restart = restart.index(calls.len());
        for (position, (second, path, status, milliseconds)) in calls.iter().enumerate() {
            let call = call(DAY + second, paths[*path], *status, *milliseconds);
            steady.observe(&call);
            restarted.observe(&call);
            if position == restart {
                // While nobody calls, time goes on; only what passes without a process is missing.
                if let Some((next, ..)) = calls.iter().find(|it| it.0 > *second) {
                    restarted.advance(Timestamp::from_second(DAY + next).unwrap());
                }
                let bytes = restarted.snapshot().write().unwrap();
                let snapshot =
                    MetricsSnapshot::parse(&bytes).unwrap();
                restarted = Metrics::restore(options(), snapshot).unwrap();
            }
        }
        prop_assert_eq!(steady.snapshot(), restarted.snapshot());
        let now = calls.last().unwrap().0;
        let figures = data(&steady, DAY + now, Period::All);
        let today = now / 86_400;
        let of_day = |day: i64, class: usize| {
            calls.iter().filter(move |(second, path, ..)| {
                let of = [1, 1, 0, 2][*path];
                second / 86_400 == day && of == class
            })
        };
        for (class, days) in [
            &figures.invocations.high_priority,
            &figures.invocations.medium_priority,
            &figures.invocations.unattended,
        ]
        .into_iter()
        .enumerate()
        {
            prop_assert_eq!(days.current_day as usize, of_day(today, class).count());
            for (position, figure) in days.previous_days.iter().enumerate() {
                let day = today - 1 - position as i64;
                prop_assert_eq!(*figure as usize, of_day(day, class).count());
            }
            let first = calls[0].0 / 86_400;
            prop_assert_eq!(days.previous_days.len() as i64, (today - first).min(7));
        }
        let errors = calls.iter().filter(|it| it.0 / 86_400 == today && it.2 == 500).count();
        prop_assert_eq!(figures.errors.current_day as usize, errors);
        for (class, days) in
            [&figures.average_response.high_priority, &figures.average_response.medium_priority]
                .into_iter()
                .enumerate()
        {
            let times: Vec<u64> =
                of_day(today, class).filter(|it| it.2 != 429).map(|it| it.3).collect();
            let count = times.len().max(1) as f64;
            let mean = times.iter().sum::<u64>() as f64 / count;
            prop_assert!((days.current_day as f64 - mean).abs() <= 0.5);
        }
    }
}
