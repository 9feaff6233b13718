//! The compiled set against a plain evaluation of the same documents, and damaged files.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use mop_insight::security::rules::{
    Atom, Document, Event, EventMap, FieldName, Part, Predicate, Reading, RuleSet, Scratch,
    parse_documents,
};
use proptest::prelude::*;

const FIELDS: [&str; 3] = ["url.path", "url.query", "user_agent.original"];

/// One line of a selection. Texts are of few letters, so that they meet.
fn item() -> impl Strategy<Value = String> {
    let modifier = prop_oneof![
        Just(""),
        Just("|contains"),
        Just("|startswith"),
        Just("|endswith"),
        Just("|cased"),
        Just("|contains|cased"),
        Just("|contains|all"),
        Just("|neq"),
    ];
    let text = r"[abAB]{1,3}|[abA*?]{1,4}|a\\\\[*?]b?";
    let listed = (prop::sample::select(&FIELDS[..]), modifier, prop::collection::vec(text, 1..4))
        .prop_map(|(field, modifier, texts)| {
            format!("{field}{modifier}: ['{}']", texts.join("', '"))
        });
    prop_oneof![
        6 => listed,
        1 => prop::sample::select(&FIELDS[..]).prop_map(|field| format!("{field}|exists: false")),
        1 => (prop::sample::select(&FIELDS[..]), 0_u8..3)
            .prop_map(|(field, bound)| format!("{field}|gte: {bound}")),
        1 => Just("url.path|fieldref|startswith: url.query".to_owned()),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        Just("a and b"),
        Just("a or b"),
        Just("a and not b"),
        Just("not (a or b)"),
        Just("1 of them"),
        Just("all of *"),
    ];
    (item(), prop::collection::vec(item(), 1..3), condition).prop_map(|(a, b, condition)| {
        let alternatives: String = b.iter().map(|item| format!("    - {item}\n")).collect();
        format!(
            "title: t\nlogsource: {{category: webserver}}\ndetection:\n  a:\n    {a}\n  \
             b:\n{alternatives}  condition: {condition}\n"
        )
    })
}

fn event() -> impl Strategy<Value = EventMap> {
    let value = (prop::sample::select(&FIELDS[..]), "[abAB]{0,4}|[a*?]{1,3}|[0-3]");
    prop::collection::vec(value, 0..5).prop_map(|values| {
        let mut event = EventMap::default();
        for (field, value) in values {
            event.push(FieldName::new(field).resolve().unwrap(), value);
        }
        event
    })
}

fn values(event: &Event, field: &FieldName) -> Vec<Vec<u8>> {
    event.values_of(&field.resolve().unwrap()).map(<[u8]>::to_vec).collect()
}

/// By trying everything.
fn is_pattern(parts: &[Part], value: &[u8], is_cased: bool) -> bool {
    let Some((part, rest)) = parts.split_first() else { return value.is_empty() };
    match part {
        Part::AnyBytes => (0..=value.len()).any(|at| is_pattern(rest, &value[at..], is_cased)),
        Part::OneCharacter => !value.is_empty() && is_pattern(rest, &value[1..], is_cased),
        Part::Literal(literal) => {
            let Some(head) = value.get(..literal.len()) else { return false };
            let is_same =
                if is_cased { head == literal } else { head.eq_ignore_ascii_case(literal) };
            is_same && is_pattern(rest, &value[literal.len()..], is_cased)
        }
    }
}

fn plain(event: &Event, atom: &Atom) -> bool {
    values(event, &atom.field).iter().any(|value| match &atom.predicate {
        Predicate::Exists => true,
        Predicate::Text { pattern, is_cased } => is_pattern(pattern.parts(), value, *is_cased),
        Predicate::Compares(comparison, bound) => comparison.holds(value, *bound),
        Predicate::Refers { to, anchor, is_cased } => {
            values(event, to).iter().any(|part| anchor.holds(value, part, *is_cased))
        }
        Predicate::Matches(_) | Predicate::Network(_) => unreachable!("not generated"),
    })
}

proptest! {
    #[test]
    fn a_set_matches_what_its_documents_say(
        rules in prop::collection::vec(rule(), 1..6),
        events in prop::collection::vec(event(), 1..6),
    ) {
        let documents = parse_documents("f.yml", &rules.join("---\n")).unwrap();
        let set = RuleSet::compile(&documents).unwrap();
        // One scratch, so that what a call leaves behind would be noticed.
        let (mut reading, mut scratch) = (Reading::default(), Scratch::default());
        for event in &events {
            let event = reading.read_written(event);
            let mut matched = Vec::new();
            set.evaluate(event, &mut scratch, &mut |found| matched.push(found.number));
            let expected: Vec<usize> = documents
                .iter()
                .enumerate()
                .filter(|(_, document)| match document {
                    Document::Detection(rule) => {
                        rule.detection.expression.holds(&mut |atom| plain(event, atom))
                    }
                    Document::Correlation(_) | Document::Filter(_) => false,
                })
                .map(|(number, _)| number)
                .collect();
            prop_assert_eq!(&matched, &expected, "{}", rules.join("---\n"));
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, "\\PC{0,3}|[:{}\\[\\]&*!|>'\"\n -]{0,4}"), 1..5)
    ) {
        let mut text = WHOLE.to_owned();
        for (at, length, inserted) in cuts {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + length).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &inserted);
        }
        match parse_documents("f.yml", &text) {
            Ok(documents) => {
                let set = RuleSet::compile(&documents).unwrap();
                let empty = Event::default();
                set.evaluate(&empty, &mut Scratch::default(), &mut |_| {});
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(!text.contains('\n'), "{text:?}");
            }
        }
    }
}

#[test]
fn an_error_is_one_line_whatever_it_quotes() {
    let text = WHOLE.replace("sc-status|gte", r#""sc-status|\ngte\e[2J""#);
    let error = parse_documents("f.yml", &text).unwrap_err().to_string();
    assert!(error.contains(r"`\ngte\u{1b}[2J` is refused"), "{error:?}");
}

const WHOLE: &str = r#"title: a
name: base
id: 1
logsource: {category: webserver}
detection:
  s:
    url.path|contains|all: [a, "b*"]
    url.query|re|i: 'x[0-9]{2,3}'
  k: ["%00", 'é']
  condition: s or (k and not 1 of f*)
  f: {sc-status|gte: 400, c-ip|cidr: "10.0.0.0/8"}
level: high
tags: [a.b]
mop: {engine: ">=1.0", paranoia: 1, decode: [url], score: 5, misp: {tlp: amber}, mask: [url.query]}
tests: {match: [{url.path: [a, b]}], nomatch: [[{repeat: 3, every: 1s, event: {url.path: "{n}"}}]]}
---
title: b
correlation: {type: value_count, rules: [base], group-by: [c-ip], timespan: 5m, condition: {field: url.path, gt: 3}}
---
title: c
logsource: {category: webserver}
filter: {rules: any, s: {url.path: x}, condition: not s}
"#;
