//! Bodies of the fuzz targets of funnel and metrics: any bytes in, no panic and no broken invariant
//! out.
#![expect(clippy::panic, reason = "a fuzz target reports by panicking")]

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};

use super::{
    funnel::{
        ConsentDigest, Funnel, FunnelOptions, FunnelRules, HookStep, event::occurrence_of,
        snapshot::Snapshot,
    },
    metrics::{
        MetricsData,
        compare::{Tolerance, compare},
    },
    reconciliation::{Fate, Report, tally::Tally},
};

/// Reads the bytes as a step of the hook; one that is taken is one that a funnel can hold.
pub fn fuzz_hook(data: &[u8]) {
    let Ok(rules) = FunnelRules::published() else { panic!("no rules") };
    let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(490_000);
    let Ok(step) = HookStep::parse(data, &rules, now) else { return };
    let mut funnel = begin(rules);
    check(funnel.hook(step.clone()).is_ok(), "a step that was read is not taken");
    check(funnel.held() == 1, "a step is not held");
    let digest = funnel.digest(&step.consent);
    check(funnel.explain(&digest).is_some(), "a consent is not explained");
    check(funnel.advance(Timestamp::MAX).is_empty(), "a step without permissions is reported");
}

/// Reads the bytes as the funnel's state; one that is taken goes on and comes back the same.
pub fn fuzz_funnel_state(data: &[u8]) {
    let Ok(rules) = FunnelRules::published() else { panic!("no rules") };
    let Ok(snapshot) = Snapshot::parse(data) else { return };
    let options = FunnelOptions::default();
    let Ok(mut funnel) = Funnel::restore(Arc::new(rules), options, Box::new(digest), snapshot)
    else {
        return;
    };
    let again = funnel.snapshot();
    let Ok(bytes) = again.write() else { panic!("a state cannot be written") };
    check(Snapshot::parse(&bytes).is_ok_and(|it| it == again), "a state does not come back");
    let _records = funnel.advance(Timestamp::MAX);
}

/// Reads the bytes as what a participant publishes; it is compared with itself and differs in
/// nothing.
pub fn fuzz_published_figures(data: &[u8]) {
    let Ok(figures) = MetricsData::parse_response(data) else { return };
    let tolerance = Tolerance { absolute: 0, percent: 0 };
    // Of two endpoints with the same name only the first is found.
    let mut urls: Vec<_> =
        figures.availability.downtime.endpoints.iter().map(|it| &it.url).collect();
    urls.sort_unstable();
    let is_unique = urls
        .iter()
        .zip(urls.iter().skip(1))
        .all(|(left, right)| !left.ends_with(right.as_str()) && !right.ends_with(left.as_str()));
    let differences = compare(&figures, &figures, tolerance);
    check(differences.is_empty() || !is_unique, "figures differ from themselves");
}

/// Reads the bytes as a tally; one that is taken is written and read again, and counts the same.
pub fn fuzz_tally(data: &[u8]) {
    let Ok((tally, state)) = Tally::parse::<Option<u64>>(data) else { return };
    let Ok(bytes) = tally.write(&state) else { panic!("a tally cannot be written") };
    let Ok((again, same)) = Tally::parse(&bytes) else { panic!("a tally does not come back") };
    check((&again, same) == (&tally, state), "a tally comes back as another");
    let report = Report::of(again.entries(), Date::MIN, Date::MAX);
    let reported = tally.entries().fold(0_u64, |sum, it| match it.fate {
        Fate::Reported => sum.saturating_add(it.count),
        _ => sum,
    });
    check(report.total.reported == reported, "a count is lost");
}

fn begin(rules: FunnelRules) -> Funnel {
    Funnel::new(Arc::new(rules), FunnelOptions::default(), Box::new(digest))
}

fn digest(consent: &str) -> ConsentDigest {
    let [left, right] = [consent, &format!("{consent}*")].map(occurrence_of);
    let joined = (u128::from(left) << 64) | u128::from(right);
    ConsentDigest(joined.to_be_bytes())
}

fn check(holds: bool, what: &str) {
    if !holds {
        panic!("{what}");
    }
}
