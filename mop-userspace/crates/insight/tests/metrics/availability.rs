//! Slots of thirty seconds in which something was down.

use mop_insight::data::metrics::{Metrics, MetricsOptions, Outages, Period, PollAnswer};

use crate::{AUTO, CONSENTS, DAY, call, data, options, poll};

#[test]
fn availability_counts_slots_of_thirty_seconds() {
    let mut metrics = Metrics::new(options());
    let named = vec!["insurance-auto".to_owned()];
    metrics.observe(&call(DAY, AUTO, 200, 10));
    metrics.observe(&call(DAY, CONSENTS, 200, 10));
    for slot in 0..2880 {
        let answer = match slot {
            10..20 => PollAnswer::Unavailable,
            20..25 => PollAnswer::NoAnswer,
            25..27 => PollAnswer::ServerError,
            30..40 => PollAnswer::PartialFailure(&named),
            100..300 => PollAnswer::ScheduledOutage,
            _ => PollAnswer::Ok,
        };
        metrics.poll(&poll(DAY + slot * 30 + 3, answer));
    }
    // 5xx in a slot of its own, in one that is down already, and in one of an announced outage.
    for slot in [500, 500, 15, 200] {
        metrics.observe(&call(DAY + slot * 30 + 7, CONSENTS, 503, 10));
    }
    // 4xx is none.
    metrics.observe(&call(DAY + 600 * 30, AUTO, 404, 10));
    let figures = data(&metrics, DAY + 86_399, Period::Current).availability;
    assert_eq!(figures.downtime.scheduled_outage, 200 * 30);
    // Slots 15 and 200 come hours too late.
    assert_eq!(figures.downtime.general_downtime, (17 + 10 + 1) * 30);
    let partial = |url: &str| {
        figures.downtime.endpoints.iter().find(|it| it.url == url).unwrap().partial_downtime
    };
    assert_eq!(partial(AUTO), 27 * 30);
    assert_eq!(partial(CONSENTS), (17 + 1) * 30);
    let whole = 86_400_u64 - 6000;
    let expected = format!("0.{:06}", (whole - 810) * 1_000_000 / whole);
    let rate = figures.uptime.endpoints.iter().find(|it| it.url == AUTO).unwrap();
    assert_eq!(rate.uptime_rate, expected);

    let mut polls_alone = Metrics::new(MetricsOptions { outages: Outages::Polls, ..options() });
    polls_alone.observe(&call(DAY, CONSENTS, 503, 10));
    let figures = data(&polls_alone, DAY + 1000, Period::Current).availability;
    assert_eq!(figures.uptime.general_uptime_rate, "1.000000");
}

#[test]
fn an_announced_outage_takes_back_what_failed_in_its_slot() {
    let mut metrics = Metrics::new(options());
    metrics.observe(&call(DAY + 1, CONSENTS, 503, 10));
    metrics.poll(&poll(DAY + 2, PollAnswer::ScheduledOutage));
    metrics.observe(&call(DAY + 3, CONSENTS, 503, 10));
    let figures = data(&metrics, DAY + 59, Period::Current).availability.downtime;
    assert_eq!((figures.general_downtime, figures.scheduled_outage), (0, 30));
    assert_eq!(figures.endpoints[0].partial_downtime, 0);
}

#[test]
fn an_endpoint_that_is_named_is_down_and_no_other() {
    let address = format!("https://api.seguradora.com.br{AUTO}");
    for (name, expected) in [
        (address.as_str(), [30, 0]),
        ("/open-insurance/insurance-auto/v2", [30, 0]),
        ("consents", [0, 30]),
        // Never called, half of a segment, too long to be kept.
        ("https://api.seguradora.com.br/open-insurance/channels/v1/branches", [0, 0]),
        ("/open-insurance/insurance-aut", [0, 0]),
        ("", [0, 0]),
    ] {
        let mut metrics = Metrics::new(options());
        metrics.observe(&call(DAY, AUTO, 200, 10));
        metrics.observe(&call(DAY, CONSENTS, 200, 10));
        let named = [name.to_owned()];
        metrics.poll(&poll(DAY + 1, PollAnswer::PartialFailure(&named)));
        let figures = data(&metrics, DAY + 59, Period::Current).availability.downtime;
        assert_eq!(figures.general_downtime, 30, "{name}");
        let partial = [AUTO, CONSENTS]
            .map(|url| figures.endpoints.iter().find(|it| it.url == url).unwrap().partial_downtime);
        assert_eq!(partial, expected, "{name}");
    }
}
