//! Rules as they are shipped, and rules that use everything that the language has.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{fs, path::Path};

use common::Made;
use mop_insight::security::rules::{
    Document, EventMap, FieldName, Lint, LintProblem, MAX_EVENT_BYTES, MAX_VALUE_BYTES, Reading,
    RuleSet, Scratch, Side, check, parse_documents,
};

fn event(values: &[(&str, &str)]) -> EventMap {
    let mut event = EventMap::default();
    for (name, value) in values {
        event.push(FieldName::new(name).resolve().unwrap(), *value);
    }
    event
}

fn parse(text: &str) -> Vec<Document> {
    parse_documents("test.yml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn rule(detection: &str) -> Vec<Document> {
    parse(&format!("title: t\nlogsource: {{category: webserver}}\ndetection:\n{detection}\n"))
}

fn matches(rules: &RuleSet, event: &EventMap) -> Vec<usize> {
    let mut matched = Vec::new();
    let mut reading = Reading::default();
    let event = reading.read_written(event);
    rules.evaluate(event, &mut Scratch::default(), &mut |found| matched.push(found.number));
    matched
}

fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../rules/security");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap()))
        .collect();
    files.sort_unstable();
    files
}

#[test]
fn shipped_rules_pass_their_own_tests_and_have_no_lint() {
    let mut documents = Vec::new();
    for (file, text) in shipped() {
        documents.extend(parse_documents(&file, &text).unwrap_or_else(|error| panic!("{error}")));
    }
    assert!(documents.len() >= 4);
    assert_eq!(check(&documents).unwrap(), []);
    assert_eq!(RuleSet::compile(&documents).unwrap().unusable(), []);
}

/// Each item with a value that it matches and one that it does not.
#[test]
fn items_match_what_they_say() {
    for (item, matching, other) in [
        ("url.path: /A", "/a", "/ab"),
        ("url.path: ['/a', '/b?']", "/bc", "/b"),
        ("url.path: '/a*b'", "/a//B", "/a/b/"),
        (r"url.path: '/a\*b'", "/a*b", "/axb"),
        ("url.path: ''", "", "/"),
        ("url.path|contains: Admin", "/x/ADMIN/y", "/x/admi/n"),
        ("url.path|contains|all: [a, b]", "/b/a", "/a/c"),
        ("url.path|startswith: [/v1, /v2]", "/V2/x", "/x/v2"),
        ("url.path|endswith: .php", "/a.PHP", "/a.php/"),
        ("url.path|contains|cased: Admin", "/Admin", "/admin"),
        ("url.path|cased: '/A*b'", "/Axb", "/axb"),
        ("url.path|re: '^/[0-9]{3}$'", "/123", "/1234"),
        ("url.path|re: 'a.c'", "xabcx", "xABCx"),
        ("url.path|re|i: 'a.c'", "xABCx", "xAC"),
        ("url.path|re|m: '^b$'", "a\nb\nc", "ab"),
        ("url.path|re|i|s: 'A.c'", "a\nc", "ac"),
        ("url.path|base64: 'select '", "c2VsZWN0IA==", "c2vszWN0IA=="),
        ("url.path|base64offset|contains: ' union '", "eHggdW5pb24geHg=", "dW5pb24="),
        ("url.path|windash|contains: ' -enc '", "cmd /enc x", "cmd enc x"),
        ("url.path|exists: true", "", "-absent-"),
        ("url.path|exists: false", "-absent-", "x"),
        ("url.path: null", "-absent-", "x"),
        ("url.path|neq: /a", "/b", "/A"),
        ("url.path|neq: /a", "/b", "-absent-"),
        ("url.path|cidr: 10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
        ("url.path|cidr: 10.0.0.0/8", "::ffff:10.1.2.3", "10.1.2"),
        ("url.path|cidr: ['192.168.0.0/16', '2001:db8::/32']", "2001:db8::1", "2001:db9::1"),
        ("url.path|gt: 5", "5.5", "5"),
        ("url.path|gte: 5", "5", "4"),
        ("url.path|lt: 5", "-1", "5"),
        ("url.path|lte: '5'", "5", "x"),
        ("url.path|fieldref: url.query", "Q-VALUE", "q"),
        ("url.path|fieldref|startswith: url.query", "q-value/x", "xq-value"),
        ("url.path|fieldref|endswith|cased: url.query", "/q-value", "/Q-value"),
        ("url.path: 404", "404", "4040"),
    ] {
        let documents = rule(&format!("  s:\n    {item}\n  condition: s"));
        let rules = RuleSet::compile(&documents).unwrap();
        assert_eq!(rules.unusable(), [], "{item}");
        for (value, expected) in [(matching, 1), (other, 0)] {
            let mut event = event(&[("cs-uri-query", "q-value")]);
            if value != "-absent-" {
                event.push(FieldName::new("cs-uri-stem").resolve().unwrap(), value);
            }
            assert_eq!(matches(&rules, &event).len(), expected, "{item} and {value:?}");
        }
    }
}

#[test]
fn selections_are_mappings_lists_and_keywords() {
    for (detection, matching, other) in [
        (
            "  s: {cs-method: POST, sc-status: 500}\n  condition: s",
            vec![("cs-method", "POST"), ("sc-status", "500")],
            vec![("cs-method", "POST"), ("sc-status", "200")],
        ),
        (
            "  s:\n    - cs-method: PUT\n    - sc-status|gte: 500\n  condition: s",
            vec![("cs-method", "GET"), ("sc-status", "503")],
            vec![("cs-method", "GET"), ("sc-status", "200")],
        ),
        (
            "  keywords: ['${jndi:', '*/etc/pass?d*']\n  condition: keywords",
            vec![("c-useragent", "x ${JNDI:ldap://a}")],
            vec![("c-useragent", "jndi"), ("cs-uri-query", "/etc/pass")],
        ),
        (
            "  keywords:\n    '|all': [alpha, beta]\n  condition: keywords",
            vec![("c-useragent", "alpha"), ("cs-uri-query", "beta")],
            vec![("c-useragent", "alpha alpha")],
        ),
        (
            "  sel_a: {cs-method: GET}\n  sel_b: {sc-status: 200}\n  filter_x: {cs-host|endswith: .example}\n  condition: all of sel_* and not 1 of filter_*",
            vec![("cs-method", "GET"), ("sc-status", "200"), ("cs-host", "a.test")],
            vec![("cs-method", "GET"), ("sc-status", "200"), ("cs-host", "a.example")],
        ),
        (
            "  a: {cs-method: GET}\n  b: {cs-method: PUT}\n  condition: [a, b]",
            vec![("cs-method", "PUT")],
            vec![("cs-method", "POST")],
        ),
    ] {
        let rules = RuleSet::compile(&rule(detection)).unwrap();
        assert_eq!(matches(&rules, &event(&matching)), [0], "{detection}");
        assert_eq!(matches(&rules, &event(&other)), [0; 0], "{detection}");
    }
}

/// Made up, in the form of public rules for web servers.
#[test]
fn rules_in_the_form_of_public_ones_are_read() {
    let text = r"
title: Suspicious Upload Followed By Script Call
id: 11111111-2222-4333-8444-555555555555
related:
    - {id: 21111111-2222-4333-8444-555555555555, type: derived}
status: test
description: |
    Two lines
    of text
references:
    - https://example.org/a
author: Nobody
date: 2024-01-31
modified: 2024-02-01
tags: [attack.persistence, attack.t1505.003, cve.2024-0001]
logsource: {category: webserver}
detection:
    selection_method:
        cs-method: ['POST', 'PUT']
        sc-status: [200, 201]
    selection_uri:
        - cs-uri-stem|endswith: ['.php', '.jspx']
        - cs-uri-query|contains|all: ['cmd=', 'whoami']
    selection_encoded:
        cs-uri-query|base64offset|contains: ['<\?php', 'eval(']
    selection_agent:
        c-useragent|re: '(?i)curl/[0-9.]+$'
        cs-cookie|startswith: 'x='
        cs-referer: null
        cs-bytes|gte: 100
        c-ip|cidr: 203.0.113.0/24
    filter_main_health:
        cs-uri-stem: '/health*'
    keywords: ['%00']
    condition: (selection_method and 1 of selection_uri*) or all of selection_encoded* or (keywords and not 1 of filter_main_*)
fields: [c-ip, c-dns]
falsepositives: [Unknown]
level: high
---
title: Local Tuning
logsource: {category: webserver}
filter:
    rules: [11111111-2222-4333-8444-555555555555]
    own: {c-ip|cidr: 10.0.0.0/8}
    condition: not own
";
    let documents = parse(text);
    let rules = RuleSet::compile(&documents).unwrap();
    assert_eq!(rules.unusable(), []);
    let mut call = vec![("cs-method", "POST"), ("sc-status", "200"), ("cs-uri-stem", "/x.PHP")];
    call.push(("c-ip", "203.0.113.9"));
    assert_eq!(matches(&rules, &event(&call)), [0]);
    let other = text.replace("rules: [11111111", "rules: [31111111");
    let other = RuleSet::compile(&parse(&other)).unwrap();
    let own = [call.clone(), vec![("c-ip", "10.0.0.9")]].concat();
    assert_eq!(matches(&other, &event(&own)), [0], "the filter is for another rule");
    call.push(("c-ip", "10.0.0.9"));
    assert_eq!(matches(&rules, &event(&call)), [0; 0], "the filter does nothing");
}

#[test]
fn what_cannot_be_had_is_listed_and_never_matches() {
    for (text, reason) in [
        (
            "title: t\nlogsource: {category: process_creation, product: windows}\ndetection: {s: {url.path: a}, condition: s}",
            "windows",
        ),
        (
            "title: t\nlogsource: {category: webserver}\ndetection: {s: {cs-username: a}, f: {url.path: a}, condition: not s or f}",
            "no field cs-username",
        ),
        (
            "title: t\nlogsource: {category: webserver}\ndetection: {s: {url.path: a}, condition: s}\nmop: {engine: '>=2.3'}",
            "version 2.3",
        ),
        (
            "title: t\nlogsource: {category: webserver}\ndetection: {s: {url.path: a}, condition: s}\nmop: {builtin: other}",
            "no matcher other",
        ),
        (
            "title: t\nstatus: deprecated\nlogsource: {category: webserver}\ndetection: {s: {url.path: a}, condition: s}",
            "deprecated",
        ),
        (
            "title: t\ncorrelation: {type: event_count, rules: [x], timespan: 1m, condition: {gte: 2}}",
            "it counts x",
        ),
    ] {
        let rules = RuleSet::compile(&parse(text)).unwrap();
        let [unusable] = rules.unusable() else { panic!("{text} is used") };
        assert!(unusable.reason.contains(reason), "{text}: {}", unusable.reason);
        assert_eq!(matches(&rules, &event(&[("url.path", "a")])), [0; 0]);
    }
}

#[test]
fn refusals_name_document_place_and_remedy() {
    let head = "title: T\nlogsource: {category: webserver}\n";
    for (body, place, told) in [
        ("detection: {s: {url.path|near: a}, condition: s}", "detection.s.url.path|near", "known"),
        ("detection: {s: {a|expand: '%x%'}, condition: s}", "detection.s.a|expand", "write the"),
        ("detection: {s: {a|re: '(?=b)'}, condition: s}", "detection.s.a|re", "look-around"),
        ("detection: {s: {a|cidr: 10.0}, condition: s}", "detection.s.a|cidr", "10.0.0.0/8"),
        ("detection: {s: {a|gt: x}, condition: s}", "detection.s.a|gt", "a number"),
        ("detection: {s: {a|re|contains: x}, condition: s}", "detection.s", "remove those"),
        ("detection: {s: {a|contains|startswith: x}, condition: s}", "detection.s", "keep one"),
        ("detection: {s: {a|fieldref|contains: b}, condition: s}", "detection.s", "linear"),
        ("detection: {s: {a: []}, condition: s}", "detection.s.a", "empty"),
        ("detection: {s: {}, condition: s}", "detection.s", "empty"),
        ("detection: {s: {a: b}, condition: s and}", "detection.condition", "byte 5"),
        ("detection: {s: {a: b}, condition: t}", "detection.condition", "no selection `t`"),
        ("detection: {s: {a: b}}", "detection", "`condition` is missing"),
        ("level: bad\ndetection: {s: {a: b}, condition: s}", "level", "critical"),
        ("mop: {paranoia: x}\ndetection: {s: {a: b}, condition: s}", "mop.paranoia", "whole"),
        ("mop: {decode: [rot13]}\ndetection: {s: {a: b}, condition: s}", "mop.decode.1", "base64"),
        ("mop: {sore: 1}\ndetection: {s: {a: b}, condition: s}", "mop", "`sore`"),
        ("tests: {match: [{x: 1}]}\ndetection: {s: {a: b}, condition: s}", "tests.match.1", "`x`"),
        ("action: global", "", "write each rule out"),
        ("x: 1", "", "`detection` is missing"),
        (
            "correlation: {type: event_count, rules: [a], timespan: 1x, condition: {gte: 1}}",
            "correlation.timespan",
            "30s",
        ),
        (
            "correlation: {type: event_count, rules: [a], timespan: 1m, condition: {lt: 1}}",
            "correlation.condition",
            "absence",
        ),
        (
            "correlation: {type: value_avg, rules: [a], timespan: 1m, condition: {gte: 1}}",
            "correlation.type",
            "temporal_ordered",
        ),
    ] {
        let good = format!("{head}detection: {{s: {{a: b}}, condition: s}}\n");
        let error = parse_documents("f.yml", &format!("{good}---\n{head}{body}")).unwrap_err();
        assert_eq!(error.document, Some(2), "{body}: {error}");
        assert_eq!(error.title.as_deref(), Some("T"), "{body}");
        let text = error.to_string();
        assert!(error.fault.place.starts_with(place), "{body}: {text}");
        assert!(text.starts_with("f.yml: document 2 (T): "), "{text}");
        assert!(text.contains(told) && !text.contains('\n'), "{body}: {text}");
    }
    for text in ["a: [", "a: 1\na: 2", "- a", "&a [*a]", "{", &"[".repeat(1000), "x: !!binary 1"] {
        assert!(parse_documents("f.yml", text).is_err(), "{text}");
    }
    assert_eq!(parse_documents("f.yml", "").unwrap(), []);
    let long = " ".repeat((1 << 20) + 1);
    assert!(parse_documents("f.yml", &long).unwrap_err().to_string().contains("split it"));
}

#[test]
fn lints_tell_what_is_doubtful() {
    let text = "
title: one
id: a
logsource: {category: webserver}
detection: {s: {url.path: /a}, condition: not s}
mop: {paranoia: 5}
tests:
  match: [{url.path: /a}, {url.path: /b}]
---
title: two
id: a
logsource: {category: webserver}
detection: {s: {nowhere: /a}, condition: s}
";
    let lints = check(&parse(text)).unwrap();
    let told: Vec<_> = lints
        .iter()
        .map(|Lint { document, known_as, problem }| {
            assert_eq!(known_as, "a");
            (*document, problem.clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            (0, LintProblem::Paranoia(5)),
            (0, LintProblem::TooBroad),
            (0, LintProblem::Example { kind: "match", number: 1 }),
            (0, LintProblem::NoExample("nomatch")),
            (1, LintProblem::NotUnique(0)),
            (1, LintProblem::NotUsable("a call has no field nowhere".to_owned())),
        ]
    );
}

#[test]
fn a_call_that_is_too_large_is_looked_at_in_part_and_that_is_counted() {
    let documents = rule(
        "  s:\n    - url.path|contains: needle\n    - url.path|endswith: x\n    - url.path|re: 'x$'\n  \
         condition: s",
    );
    let rules = RuleSet::compile(&documents).unwrap();
    let (mut reading, mut scratch) = (Reading::default(), Scratch::default());
    for (value, expected) in [
        (format!("needle{}", "y".repeat(2 * MAX_EVENT_BYTES)), 1),
        (format!("{}needle", "y".repeat(2 * MAX_EVENT_BYTES)), 0),
        ("x".repeat(2 * MAX_EVENT_BYTES), 0),
    ] {
        let mut matched = 0;
        let event = reading.read_written(&event(&[("url.path", &value)]));
        rules.evaluate(event, &mut scratch, &mut |_| matched += 1);
        assert_eq!(matched, expected);
        assert!(event.unscanned_bytes() >= MAX_EVENT_BYTES);
    }
    let mut matched = 0;
    let event = reading.read_written(&event(&[("url.path", "a needle")]));
    rules.evaluate(event, &mut scratch, &mut |found| {
        matched += 1;
        assert_eq!(found.rule.head.title, "t");
    });
    assert_eq!((matched, event.unscanned_bytes()), (1, 0));
    let mut values = Vec::new();
    rules.matched_values(0, event, &mut scratch, &mut |value| {
        values.push(event.get(value).unwrap().bytes);
    });
    assert_eq!(values, [b"a needle"]);
}

/// Filling must not make a value pass for one in which nothing was found, nor hide what is left out.
#[test]
fn what_is_filled_up_is_counted_and_not_taken_for_quiet() {
    let documents =
        parse(&shipped().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n---\n"));
    let rules = RuleSet::compile(&documents).unwrap();
    let attack = "x' or '1'='1";
    let is_found = |reading: &mut Reading, scratch: &mut Scratch, written: &EventMap| {
        let event = reading.read_written(written);
        let mut is_found = false;
        rules.evaluate(event, scratch, &mut |found| {
            is_found |= found.rule.head.told_as() == "opin_sql_injection";
        });
        (is_found, event.unscanned_bytes() + scratch.unread_bytes())
    };
    let (mut reading, mut scratch) = (Reading::default(), Scratch::default());
    let mut filled = EventMap::default();
    filled.push(FieldName::new("http.request.method").resolve().unwrap(), "GET");
    for number in 0..40 {
        let filling = format!("filling {number} {}", "of words, ".repeat(700));
        filled.push(FieldName::new("url.query.values").resolve().unwrap(), filling);
    }
    filled.push(FieldName::new("http.request.header.x-note").resolve().unwrap(), attack);
    let (_, left_out) = is_found(&mut reading, &mut scratch, &filled);
    assert!(left_out > 0, "what detectors do not read is counted");
    let plain = event(&[("http.request.method", "GET"), ("http.request.header.x-note", attack)]);
    assert_eq!(is_found(&mut reading, &mut scratch, &plain), (true, 0));
    // Identifiers and words cost detectors nothing, so many of them hide nothing.
    let mut large = EventMap::default();
    large.push(FieldName::new("http.request.method").resolve().unwrap(), "GET");
    for number in 0..4000 {
        let value = format!("an-identifier-of-a-policy-{number}");
        large.push(FieldName::new("url.query.values").resolve().unwrap(), value);
    }
    large.push(FieldName::new("url.query.values").resolve().unwrap(), attack);
    assert_eq!(is_found(&mut reading, &mut scratch, &large), (true, 0));
    let long = format!("{}{attack}", "a ".repeat(40_000));
    let long = event(&[("http.request.method", "GET"), ("url.query.values", &long)]);
    assert_eq!(
        is_found(&mut reading, &mut scratch, &long).1,
        2 * 40_000 + attack.len() - MAX_VALUE_BYTES
    );
}

#[test]
fn of_the_fields_of_a_response_those_that_are_looked_for_are_read() {
    let mut made = Made::new("GET", "/a", 200);
    let headers = &mut made.exchange.response.as_mut().unwrap().headers;
    for (name, value) in [
        ("Server", "nginx/1.27.0"),
        ("Date", "Tue, 24 Nov 2026 12:00:00 GMT"),
        ("X-Note", "-----BEGIN PRIVATE KEY-----"),
        ("X-Other", "a"),
    ] {
        headers.push(name, value.as_bytes());
    }
    let read = |detection: &str| {
        let rules = RuleSet::compile(&rule(detection)).unwrap();
        let mut reading = Reading::of(rules.fields());
        reading.begin();
        let event = reading.read(&made.exchange);
        let of_response = event.values().filter(|value| value.header == Some(Side::Response));
        of_response.map(|value| String::from_utf8(value.name.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    let looked_for = ["server", "x-note"];
    assert_eq!(read("  s: {http.request.method: GET}\n  condition: s"), looked_for);
    let all = ["server", "date", "x-note", "x-other"];
    assert_eq!(read("  s: {http.response.header.x-other: a}\n  condition: s"), all);
    // Keywords are looked for everywhere.
    assert_eq!(read("  k: [b, c]\n  condition: k"), all);
}
