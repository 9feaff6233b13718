//! The report of what became of everything: its identities hold, and it says where they do not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod published;

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use mop_insight::data::{
    funnel::Side,
    reconciliation::{
        Entry, Fate, Imbalance, MAX_REASONS, OTHERS, Reason, Report,
        tally::{KEPT_DAYS, MAX_ROWS, Subject, Tally},
    },
};
use proptest::prelude::*;

const AUTO: &str = "/open-insurance/insurance-auto/v2/insurance-auto";

fn entry(day: i8, side: Side, fate: Fate, count: u64) -> Entry {
    Entry { day: date(2026, 1, day), side, endpoint: AUTO.into(), fate, count }
}

/// A day on which everything was accounted for.
fn balanced(day: i8, side: Side) -> Vec<Entry> {
    let reason = |text: &str| Reason::new(text);
    vec![
        entry(day, side, Fate::Observed, 100),
        entry(day, side, Fate::Reported, 90),
        entry(day, side, Fate::NotReportable(reason("consent_unknown")), 7),
        entry(day, side, Fate::NotReportable(reason("not_in_list")), 3),
        entry(day, side, Fate::Sent, 85),
        entry(day, side, Fate::Accepted, 50),
        entry(day, side, Fate::Accepted, 30),
        entry(day, side, Fate::Discarded(reason("invalid_timestamp")), 2),
        entry(day, side, Fate::Parked, 1),
        entry(day, side, Fate::Waiting, 7),
    ]
}

fn days() -> (Date, Date) {
    (date(2026, 1, 5), date(2026, 1, 6))
}

#[test]
fn what_balances_is_said_to_and_other_days_are_left_out() {
    let (from, to) = days();
    let entries =
        (4..8).flat_map(|day| Side::ALL.into_iter().flat_map(move |it| balanced(day, it)));
    let report = Report::of(entries, from, to);
    assert!(report.is_balanced);
    assert_eq!(report.rows.len(), 4);
    assert_eq!((report.total.observed, report.total.accepted), (400, 320));
    assert_eq!(report.total.not_reportable[&Reason::new("consent_unknown")], 28);
    let text = report.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 4 + 1 + 3);
    assert!(lines[0].starts_with("day        side   endpoint"), "{text}");
    assert!(lines[1].starts_with("2026-01-05 client /open-insurance/"), "{text}");
    assert!(
        lines[..6]
            .iter()
            .all(|line| line.find("  ok") == lines[1].find("  ok") || line.ends_with("balance"))
    );
    assert_eq!(lines[8], "discarded: 8 invalid_timestamp");
    let value = serde_json::to_value(&report).unwrap();
    let schema = published::record_schema("data.reconciliation");
    assert!(schema.is_valid(&value), "{value}");
}

#[test]
fn what_does_not_balance_is_named() {
    let (from, to) = days();
    let mut entries = balanced(5, Side::Client);
    entries.extend(balanced(6, Side::Server));
    entries.push(entry(6, Side::Server, Fate::Observed, 1));
    entries.push(entry(6, Side::Server, Fate::Accepted, 4));
    let report = Report::of(entries, from, to);
    assert!(!report.is_balanced);
    assert!(report.rows[0].differences.is_empty());
    assert_eq!(
        report.rows[1].differences,
        [
            Imbalance::Observed { observed: 101, accounted: 100 },
            Imbalance::Reported { reported: 90, accounted: 94 },
            Imbalance::Sent { sent: 85, answered: 86, reported: 90 },
        ]
    );
    let text = report.to_string();
    let line = format!(
        "wrong: 2026-01-06 server {AUTO}: 101 were observed, 100 were reported or could not be"
    );
    assert!(text.contains(&line), "{text}");
    let schema = published::record_schema("data.reconciliation");
    assert!(schema.is_valid(&serde_json::to_value(&report).unwrap()));
}

#[test]
fn free_text_is_no_reason_and_limits_are_kept_without_losing_a_count() {
    let text = r#"{"discarded": "invalid cpf 123.456.789-09"}"#;
    let fate: Fate = serde_json::from_str(text).unwrap();
    assert_eq!(fate, Fate::Discarded(Reason::other()));
    let (from, to) = days();
    let many = (0..200).map(|number| {
        let reason = Reason::new(&format!("reason_{number}"));
        entry(5, Side::Client, Fate::NotReportable(reason), 1)
    });
    let long = Entry { endpoint: "x".repeat(1000), ..entry(5, Side::Client, Fate::Observed, 3) };
    let report = Report::of(many.chain([long]), from, to);
    let row = &report.rows[0];
    assert_eq!((row.endpoint.as_str(), row.counts.observed), (OTHERS, 3));
    let row = &report.rows[1];
    assert_eq!(row.counts.not_reportable.len(), MAX_REASONS + 1);
    assert_eq!(row.counts.not_reportable.values().sum::<u64>(), 200);
}

fn fate() -> impl Strategy<Value = Fate> {
    let reason = prop::sample::select(vec!["a", "b", "c"]).prop_map(Reason::new);
    prop_oneof![
        Just(Fate::Observed),
        Just(Fate::Reported),
        Just(Fate::Sent),
        Just(Fate::Accepted),
        Just(Fate::Parked),
        Just(Fate::Waiting),
        reason.clone().prop_map(Fate::Discarded),
        reason.prop_map(Fate::NotReportable),
    ]
}

proptest! {
    /// The order of entries and how they are cut does not matter, and no count is lost.
    #[test]
    fn a_report_is_the_sum_of_its_entries(
        entries in prop::collection::vec((1..9_i8, any::<bool>(), fate(), 0..100_u64), 0..80)
            .prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(day, is_client, fate, count)| {
                        entry(day, if is_client { Side::Client } else { Side::Server }, fate, count)
                    })
                    .collect::<Vec<_>>()
            }),
    ) {
        let (from, to) = days();
        let report = Report::of(entries.clone(), from, to);
        let mut reversed = entries.clone();
        reversed.reverse();
        prop_assert_eq!(&report, &Report::of(reversed, from, to));
        let of_period = entries.iter().filter(|it| (from..=to).contains(&it.day));
        let counts = &report.total;
        let discarded: u64 = counts.discarded.values().sum();
        let not_reportable: u64 = counts.not_reportable.values().sum();
        let sum = counts.observed + counts.reported + counts.sent + counts.accepted
            + counts.parked + counts.waiting + discarded + not_reportable;
        prop_assert_eq!(sum, of_period.map(|it| it.count).sum::<u64>());
        for row in &report.rows {
            let counts = &row.counts;
            let not_reportable: u64 = counts.not_reportable.values().sum();
            let told = row.differences.iter().any(|it| matches!(it, Imbalance::Observed { .. }));
            prop_assert_eq!(told, counts.observed != counts.reported + not_reportable);
        }
    }
}

/// One thing that happens to a tally: day, side, endpoint, fate, and whether it is taken back.
fn happening() -> impl Strategy<Value = (Subject, Fate, bool)> {
    (0..70_i32, any::<bool>(), 0..4_u8, fate(), prop::bool::weighted(0.2)).prop_map(
        |(day, is_client, endpoint, fate, is_taken_back)| {
            let day = date(2026, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
            let side = if is_client { Side::Client } else { Side::Server };
            (Subject { day, side, endpoint: format!("/{endpoint}") }, fate, is_taken_back)
        },
    )
}

proptest! {
    /// What is written comes back; days are those that are the latest; counts are those of a model.
    #[test]
    fn a_tally_keeps_its_counts(happenings in prop::collection::vec(happening(), 0..300)) {
        let mut tally = Tally::default();
        let mut model: BTreeMap<(Subject, String), i64> = BTreeMap::new();
        for (subject, fate, is_taken_back) in &happenings {
            let name = format!("{fate:?}");
            let count = model.entry((subject.clone(), name)).or_default();
            if *is_taken_back && *count > 0 {
                prop_assert!(tally.take_back(subject, fate));
                *count -= 1;
            } else {
                tally.add(subject, fate);
                *count += 1;
            }
            let mut days: Vec<Date> = model.keys().map(|(subject, _)| subject.day).collect();
            days.dedup();
            if days.len() > KEPT_DAYS {
                let first = days[days.len() - KEPT_DAYS];
                model.retain(|(subject, _), _| subject.day >= first);
            }
        }
        let bytes = tally.write(&"state").unwrap();
        let (read, state): (Tally, String) = Tally::parse(&bytes).unwrap();
        prop_assert_eq!(state, "state");
        prop_assert_eq!(&read, &tally);
        let counted: BTreeMap<(Subject, String), i64> = read
            .entries()
            .map(|Entry { day, side, endpoint, fate, count }| {
                let subject = Subject { day, side, endpoint };
                ((subject, format!("{fate:?}")), i64::try_from(count).unwrap())
            })
            .collect();
        model.retain(|_, count| *count > 0);
        prop_assert_eq!(counted, model);
    }
}

#[test]
fn what_is_no_tally_is_refused_with_its_reason() {
    for (text, word) in [
        ("{", "no tally"),
        (r#"{"version":2,"state":0,"days":{}}"#, "version 2"),
        (r#"{"version":1,"state":0,"days":{"2026-13-01":[]}}"#, "no tally"),
        (
            r#"{"version":1,"state":0,"days":{"2026-01-01":[{"side":"client","endpoint":"x"},
               {"side":"client","endpoint":"x"}]}}"#,
            "limits",
        ),
    ] {
        let error = Tally::parse::<u64>(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn endpoints_beyond_the_limit_are_added_up() {
    let mut tally = Tally::default();
    for number in 0..MAX_ROWS + 3 {
        let subject =
            Subject { day: date(2026, 1, 5), side: Side::Client, endpoint: format!("/{number}") };
        tally.add(&subject, &Fate::Reported);
    }
    let others: Vec<Entry> = tally.entries().filter(|entry| entry.endpoint == OTHERS).collect();
    assert_eq!(others.iter().map(|entry| entry.count).collect::<Vec<_>>(), [3]);
    assert_eq!(tally.entries().map(|entry| entry.count).sum::<u64>(), MAX_ROWS as u64 + 3);
}
