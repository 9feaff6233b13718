//! Rules about several calls, and the bounds of what they remember.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use mop_insight::{
    data::digest::{Digest, Key, Subject},
    security::rules::{
        Correlator, EXACT_VALUES, EventMap, FieldName, LintProblem, Occurrence, Reading, RuleSet,
        Scratch, check, parse_documents,
    },
};

const SECOND: u64 = 1_000_000_000;

/// Three rules that match the paths `/a`, `/b` and `/c`, and a correlation of these.
struct Bench {
    rules: RuleSet,
    correlator: Correlator,
    scratch: Scratch,
    key: Key,
}

impl Bench {
    fn new(correlation: &str, limit: usize) -> Self {
        let mut text = String::new();
        for name in ["a", "b", "c"] {
            text.push_str(&format!(
                "title: {name}\nname: {name}\nlogsource: {{category: webserver}}\ndetection: {{s: \
                 {{url.path: /{name}}}, condition: s}}\n---\n"
            ));
        }
        text.push_str(&format!("title: together\ncorrelation: {correlation}\n"));
        let documents = parse_documents("f.yml", &text).unwrap_or_else(|error| panic!("{error}"));
        let rules = RuleSet::compile(&documents).unwrap();
        assert_eq!(rules.unusable(), []);
        let correlator = Correlator::new(limit);
        Self { rules, correlator, scratch: Scratch::default(), key: Key::new([3; 32]) }
    }

    /// The count that is told, when the correlation is reached by this call.
    fn call(&mut self, seconds: u64, path: &str, client: Option<&str>, id: &str) -> Option<u64> {
        let mut event = EventMap::default();
        for (name, value) in [("url.path", Some(path)), ("c-ip", client), ("url.query", Some(id))] {
            if let Some(value) = value {
                event.push(FieldName::new(name).resolve().unwrap(), value);
            }
        }
        let Self { rules, correlator, scratch, key } = self;
        let mut reading = Reading::default();
        let event = reading.read_written(&event);
        let mut matched = Vec::new();
        rules.evaluate(event, scratch, &mut |found| matched.push(found.number));
        let mut told = None;
        for rule in matched {
            let mut digest = |value: &[u8]| key.digest(Subject::Path, value);
            let at_ns = 1_000_000 * SECOND + seconds * SECOND;
            rules.occurrences(rule, event, at_ns, &mut digest, &mut |correlation, occurrence| {
                let reached = correlator.observe(correlation, &occurrence);
                told = reached.map(|reached| reached.count).or(told);
            });
        }
        told
    }
}

#[test]
fn calls_of_one_group_are_counted_within_their_time_and_told_once() {
    let mut bench = Bench::new(
        "{type: event_count, rules: [a], group-by: [c-ip], timespan: 1m, condition: {gte: 3}}",
        100,
    );
    assert_eq!(bench.call(0, "/a", Some("x"), ""), None);
    assert_eq!(bench.call(1, "/a", Some("x"), ""), None);
    assert_eq!(bench.call(2, "/a", Some("y"), ""), None, "another client");
    assert_eq!(bench.call(2, "/b", Some("x"), ""), None, "another rule");
    assert_eq!(bench.call(2, "/a", None, ""), None, "no client");
    assert_eq!(bench.call(3, "/a", Some("x"), ""), Some(3));
    assert_eq!(bench.call(4, "/a", Some("x"), ""), None, "it was told");
    assert_eq!(bench.call(62, "/a", Some("y"), ""), None, "the first of two is over");
    assert_eq!(bench.call(63, "/a", Some("y"), ""), None);
    assert_eq!(bench.call(64, "/a", Some("y"), ""), Some(3));
    for second in 0..5 {
        assert_eq!(bench.call(second, "/a", None, ""), None, "calls without a client are no group");
    }
    assert_eq!(bench.correlator.counts().reached, 2);
}

#[test]
fn different_values_are_counted() {
    let mut bench = Bench::new(
        "{type: value_count, rules: [a], group-by: [c-ip], timespan: 5m, condition: {field: url.query, gt: 3}}",
        100,
    );
    for (id, told) in
        [("1", None), ("2", None), ("2", None), ("3", None), ("1", None), ("4", Some(4))]
    {
        assert_eq!(bench.call(0, "/a", Some("x"), id), told, "{id}");
    }
    let mut bench = Bench::new(
        "{type: value_count, rules: [a], timespan: 5m, condition: {field: url.query, gte: 500}}",
        100,
    );
    let told: Vec<u64> =
        (0..1000).filter(|id| bench.call(0, "/a", None, &id.to_string()).is_some()).collect();
    let [told] = told.as_slice() else { panic!("told {} times", told.len()) };
    assert!((300..700).contains(told) && *told > EXACT_VALUES as u64, "at {told}");
}

#[test]
fn different_rules_are_counted_in_any_order_or_in_theirs() {
    let together = "{type: temporal, rules: [a, b, c], group-by: [c-ip], timespan: 1m}";
    let ordered = "{type: temporal_ordered, rules: [a, b, c], group-by: [c-ip], timespan: 1m}";
    for (correlation, calls, expected) in [
        (together, vec![(0, "/a"), (1, "/b"), (2, "/c")], Some(3)),
        (together, vec![(0, "/c"), (1, "/a"), (2, "/b")], Some(3)),
        (together, vec![(0, "/a"), (1, "/a"), (2, "/b")], None),
        (together, vec![(0, "/a"), (1, "/b"), (60, "/c")], None),
        (ordered, vec![(0, "/a"), (1, "/b"), (2, "/c")], Some(3)),
        (ordered, vec![(0, "/a"), (0, "/a"), (1, "/b"), (1, "/a"), (2, "/c")], Some(3)),
        (ordered, vec![(0, "/c"), (1, "/a"), (2, "/b")], None),
        (ordered, vec![(0, "/b"), (1, "/a"), (2, "/c")], None),
        (ordered, vec![(0, "/a"), (50, "/b"), (61, "/c")], None),
        (ordered, vec![(0, "/a"), (50, "/a"), (51, "/b"), (61, "/c")], Some(3)),
    ] {
        let mut bench = Bench::new(correlation, 100);
        let told =
            calls.iter().filter_map(|(at, path)| bench.call(*at, path, Some("x"), "")).last();
        assert_eq!(told, expected, "{correlation} {calls:?}");
    }
}

#[test]
fn new_keys_never_make_the_memory_grow_and_what_is_lost_is_counted() {
    let correlation =
        "{type: event_count, rules: [a], group-by: [c-ip], timespan: 1h, condition: {gte: 30}}";
    let mut bench = Bench::new(correlation, 10);
    let mut told = None;
    for number in 0..1000 {
        assert_eq!(bench.call(0, "/a", Some(&number.to_string()), ""), None);
        assert!(bench.correlator.len() <= 10);
        // A key that is met now and then stays.
        if number % 3 == 0 {
            told = told.or(bench.call(0, "/a", Some("steady"), ""));
        }
    }
    assert_eq!(told, Some(30));
    let evicted = bench.correlator.counts().evicted;
    assert!((990..=1001).contains(&evicted), "{evicted}");
    // Those whose time is over are not lost.
    let mut bench = Bench::new(correlation, 10);
    for number in 0..100 {
        bench.call(number * 3_600, "/a", Some(&number.to_string()), "");
    }
    assert_eq!(bench.correlator.counts().evicted, 0);
}

#[test]
fn an_occurrence_of_nothing_is_taken() {
    let mut bench = Bench::new(
        "{type: value_count, rules: [a], timespan: 5m, condition: {field: url.query, gte: 2}}",
        2,
    );
    let group = Digest::from_hex("00000000000000000000000000000000").unwrap();
    let mut event = EventMap::default();
    event.push(FieldName::new("url.path").resolve().unwrap(), "/a");
    let mut calls = 0;
    let mut digest = |_: &[u8]| group;
    let mut reading = Reading::default();
    let read = reading.read_written(&event);
    bench.rules.occurrences(0, read, 0, &mut digest, &mut |_, _| calls += 1);
    assert_eq!(calls, 0, "a call without the value counts");
    event.push(FieldName::new("url.query").resolve().unwrap(), "q");
    let correlator = &mut bench.correlator;
    let read = reading.read_written(&event);
    bench.rules.occurrences(0, read, 0, &mut digest, &mut |correlation, occurrence| {
        for rule in [0, usize::MAX] {
            let odd = Occurrence { rule, value: None, at_ns: u64::MAX, ..occurrence };
            assert_eq!(correlator.observe(correlation, &odd), None);
        }
    });
}

#[test]
fn tests_of_correlations_are_run() {
    let text = "
title: a
name: a
logsource: {category: webserver}
detection: {s: {url.path: /a}, condition: s}
tests: {match: [{url.path: /a}], nomatch: [{url.path: /b}]}
---
title: many
correlation: {type: value_count, rules: [a], group-by: [c-ip], timespan: 1m, condition: {field: url.query, gte: 5}}
tests:
  match: [[{repeat: COUNT, every: 1s, event: {url.path: /a, c-ip: 10.0.0.1, url.query: '{n}'}}]]
  nomatch: [[{repeat: 50, every: 1s, event: {url.path: /a, c-ip: 10.0.0.1, url.query: same}}]]
";
    let lints = |count: &str| {
        let documents = parse_documents("f.yml", &text.replace("COUNT", count)).unwrap();
        check(&documents).unwrap().into_iter().map(|lint| lint.problem).collect::<Vec<_>>()
    };
    assert_eq!(lints("5"), []);
    assert_eq!(lints("4"), [LintProblem::Example { kind: "match", number: 1 }]);
}
