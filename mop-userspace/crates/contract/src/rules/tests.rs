//! Tests of whole sets: the rules that are shipped, operands and tests by table, refusals.

use std::{fs, path::Path, sync::LazyLock};

use mop_wire::Headers;
use proptest::prelude::*;

use super::*;
use crate::json::Reader;

/// Files that are shipped, as names and texts.
fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../rules/opin/rules");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

#[test]
fn shipped_rules_judge_their_examples_as_they_say() {
    let files = shipped();
    let checked = check_examples(&borrowed(&files)).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked >= 100, "{checked} examples");
}

#[test]
fn shipped_rules_make_one_set() {
    let files = shipped();
    let rules = RuleSet::parse(&borrowed(&files)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rules.len(), rules.rules().count());
    assert!(rules.len() >= 25, "{} rules", rules.len());
    for rule in rules.rules() {
        assert_ne!(rule.explanation, rule.explanation_pt, "{}", rule.id);
    }
}

#[test]
fn an_ordinary_call_breaks_no_shipped_rule() {
    let files = shipped();
    let rules = RuleSet::parse(&borrowed(&files)).expect("shipped");
    let request = headers(&[("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001")]);
    let good = headers(&[
        ("cache-control", "no-store"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001"),
    ]);
    let body = r#"{"data": [{}, {}], "meta": {"totalRecords": 5, "totalPages": 3}, "links": {
        "self": "https://a/open-insurance/resources/v3/resources?page=2&page-size=2",
        "first": "https://a/open-insurance/resources/v3/resources?page=1&page-size=2",
        "prev": "https://a/open-insurance/resources/v3/resources?page=1&page-size=2",
        "next": "https://a/open-insurance/resources/v3/resources?page=3&page-size=2",
        "last": "https://a/open-insurance/resources/v3/resources?page=3&page-size=2"}}"#;
    let mut reader = Reader::default();
    let body = reader.read(body.as_bytes()).expect("JSON");
    let facts = CallFacts {
        method: "GET",
        target: "/open-insurance/resources/v3/resources?page=2&page-size=2",
        template: "/open-insurance/resources/v3/resources",
        document: "resources_v3",
        request: Some(MessageFacts { headers: &request, body: None }),
        response: Some((200, MessageFacts { headers: &good, body: Some(body) })),
    };
    assert_eq!(broken(&rules, &facts), Vec::<&str>::new());
    let bare = MessageFacts { headers: &request, body: Some(body) };
    let facts = CallFacts {
        target: "/open-insurance/resources/v3/resources?page=3&page-size=1",
        response: Some((200, bare)),
        ..facts
    };
    assert_eq!(
        broken(&rules, &facts),
        [
            "header.cache_control_without_no_store",
            "header.content_type_options_without_nosniff",
            "header.csp_without_frame_ancestors_none",
            "header.frame_options_not_deny",
            "header.hsts_missing",
            "links.next_not_ahead",
            "links.next_on_last_page",
            "links.self_of_another_page",
            "pagination.more_items_than_page_size",
            "pagination.pages_too_few",
        ]
    );
}

/// A call with something in every place.
const REQUEST_BODY: &str = r#"{"sent": true, "name": "Ab", "a/b": {"~": 1}}"#;
const RESPONSE_BODY: &str = r#"{"items": [1, 2, 3], "none": [], "total": 51, "size": 2.5, "void": null,
    "text": "51", "object": {"a": 1}, "big": 99999999999999999999, "escaped": "a\"b",
    "self": "https://host/a%20b/c?page=4&name=a+b&twice=1&twice=2", "word": "self"}"#;

#[test]
fn conditions_hold_as_the_language_says() {
    let present = |operand: &str| format!("{operand}: present");
    for (condition, expected) in [
        (present("request.method"), Some(true)),
        ("request.method: {equals: POST}".to_owned(), Some(true)),
        ("request.method: {equals: post}".to_owned(), Some(false)),
        ("request.method: {equals_ignoring_case: post}".to_owned(), Some(true)),
        ("request.path: {equals: /p/a b}".to_owned(), Some(true)),
        ("request.path: {matches: '^/p/a b$'}".to_owned(), Some(true)),
        ("response.status: {one_of: [200, 201]}".to_owned(), Some(true)),
        ("response.status: {one_of: [400]}".to_owned(), Some(false)),
        ("response.status: {one_of: ['201']}".to_owned(), None),
        ("response.status: {not_equals: 200}".to_owned(), Some(true)),
        (present("request.header.X-Sent"), Some(true)),
        ("request.header.x-sent: {equals: '7'}".to_owned(), Some(true)),
        ("request.header.x-sent: {equals: 7}".to_owned(), Some(true)),
        ("request.header.x-sent: is_integer".to_owned(), Some(true)),
        ("request.header.x-sent: {greater_than: 6}".to_owned(), Some(true)),
        (present("response.header.x-sent"), Some(false)),
        ("response.header.x-sent: absent".to_owned(), Some(true)),
        ("response.header.x-sent: {equals: '7'}".to_owned(), None),
        ("response.header.x-sent: is_integer".to_owned(), None),
        ("response.header.list: {contains_token: b}".to_owned(), Some(true)),
        ("response.header.list: {equals: a}".to_owned(), None),
        ("response.header.octets: {matches: x}".to_owned(), None),
        ("response.header.octets: {equals: x}".to_owned(), Some(false)),
        ("request.query.page: {equals: 3}".to_owned(), Some(true)),
        (
            "request.query.page: {equals: {value_of: count(response.body/items)}}".to_owned(),
            Some(true),
        ),
        ("request.query.q: {equals: a b}".to_owned(), Some(true)),
        ("request.query.q: {matches: '^a b$'}".to_owned(), Some(true)),
        ("request.query.empty: present".to_owned(), Some(true)),
        ("request.query.empty: is_integer".to_owned(), Some(false)),
        ("request.query.none: absent".to_owned(), Some(true)),
        ("default(request.query.empty, 9): {equals: 9}".to_owned(), Some(true)),
        ("default(request.query.none, 9): {equals: 9}".to_owned(), Some(true)),
        ("default(request.query.page, 9): {equals: 9}".to_owned(), Some(false)),
        ("request.body/sent: {equals: true}".to_owned(), Some(true)),
        ("request.body/sent: {equals: 1}".to_owned(), None),
        ("request.body/name: {equals_ignoring_case: aB}".to_owned(), Some(true)),
        ("request.body/a~1b/~0: {equals: 1}".to_owned(), Some(true)),
        ("request.body: present".to_owned(), Some(true)),
        ("response.body/items/2: {equals: 3}".to_owned(), Some(true)),
        ("response.body/items/3: absent".to_owned(), Some(true)),
        ("response.body/items/x: absent".to_owned(), Some(true)),
        ("response.body/text/x: absent".to_owned(), Some(true)),
        ("response.body/void: absent".to_owned(), Some(true)),
        ("response.body/total: is_integer".to_owned(), Some(true)),
        ("response.body/size: is_integer".to_owned(), Some(false)),
        ("response.body/size: {less_than: 3}".to_owned(), Some(true)),
        ("response.body/size: {at_least: 3}".to_owned(), Some(false)),
        ("response.body/text: is_integer".to_owned(), Some(false)),
        ("response.body/text: {equals: 51}".to_owned(), None),
        ("response.body/text: {at_most: 51}".to_owned(), None),
        ("response.body/big: {at_most: 51}".to_owned(), None),
        ("response.body/big: present".to_owned(), None),
        ("response.body/object: {equals: 1}".to_owned(), None),
        ("response.body/escaped: {equals: 'a\"b'}".to_owned(), Some(true)),
        ("count(response.body/items): {equals: 3}".to_owned(), Some(true)),
        ("count(response.body/none): {at_least: 1}".to_owned(), Some(false)),
        ("count(response.body/object): {equals: 1}".to_owned(), None),
        ("count(response.body/absent): {equals: 0}".to_owned(), None),
        ("path(response.body/self): {equals: /a b/c}".to_owned(), Some(true)),
        ("path(response.body/self): {ends_with: b/c}".to_owned(), Some(true)),
        ("path(response.body/self): {ends_with: /x/a b/c}".to_owned(), Some(false)),
        ("path(response.body/word): present".to_owned(), None),
        ("path(response.body/total): present".to_owned(), None),
        ("query(response.body/self, page): {equals: 4}".to_owned(), Some(true)),
        ("query(response.body/self, page): {equals: '4'}".to_owned(), Some(true)),
        ("query(response.body/self, name): {equals: a b}".to_owned(), Some(true)),
        ("query(response.body/self, none): absent".to_owned(), Some(true)),
        ("query(response.body/self, twice): absent".to_owned(), None),
        ("query(response.body/word, page): absent".to_owned(), None),
        ("pages(response.body/total, request.query.page): {equals: 17}".to_owned(), Some(true)),
        ("pages(response.body/total, response.body/size): {at_least: 0}".to_owned(), None),
        ("response.body/text: {contains_token: '51'}".to_owned(), Some(true)),
        ("response.body/text: {matches: '^\\d+$'}".to_owned(), Some(true)),
        ("response.body/total: {matches: '^\\d+$'}".to_owned(), None),
    ] {
        assert_eq!(outcome(&condition), expected, "{condition}");
    }
}

/// What a condition is in the call with something in every place: a rule whose `when` it is and
/// that requires what never holds is broken when it holds, one that requires it when it does not.
fn outcome(condition: &str) -> Option<bool> {
    let holds = one_rule(condition, "request.method: {equals: never}");
    let fails = one_rule("request.method: present", condition);
    let breaks = |file: &str| {
        let rules = RuleSet::parse(&[("a.yaml", file)]).unwrap_or_else(|error| panic!("{error}"));
        let request_headers = headers(&[("x-sent", "7")]);
        let mut response_headers = headers(&[("List", "a"), ("list", "b")]);
        response_headers.push("octets", b"x\xff");
        let (mut one, mut two) = (Reader::default(), Reader::default());
        let request = one.read(REQUEST_BODY.as_bytes()).expect("JSON");
        let response = two.read(RESPONSE_BODY.as_bytes()).expect("JSON");
        let facts = CallFacts {
            method: "POST",
            target: "https://host/p/a%20b?page=3&q=a+b&empty=",
            template: "/p/{x}",
            document: "d",
            request: Some(MessageFacts { headers: &request_headers, body: Some(request) }),
            response: Some((
                201,
                MessageFacts { headers: &response_headers, body: Some(response) },
            )),
        };
        !broken(&rules, &facts).is_empty()
    };
    match (breaks(&holds), breaks(&fails)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("{condition} holds and does not"),
    }
}

#[test]
fn what_was_not_seen_is_not_judged() {
    let none = Headers::default();
    let nothing = CallFacts {
        method: "GET",
        target: "/p",
        template: "/p",
        document: "d",
        request: None,
        response: None,
    };
    let bodiless = MessageFacts { headers: &none, body: None };
    let seen = CallFacts { request: Some(bodiless), response: Some((200, bodiless)), ..nothing };
    for (condition, facts) in [
        ("request.header.a: present", nothing),
        ("request.body/a: present", nothing),
        ("response.header.a: present", nothing),
        ("response.status: {equals: 999}", nothing),
        ("response.body/a: present", seen),
        ("request.body: present", seen),
        ("response.body/a: {equals: 1}", seen),
        ("request.header.a: {equals: 1}", seen),
    ] {
        let file = one_rule("request.method: present", condition);
        let rules = RuleSet::parse(&[("a.yaml", &file)]).expect("well-formed");
        assert_eq!(broken(&rules, &facts), Vec::<&str>::new(), "{condition}");
    }
    for condition in ["response.header.a: present", "request.header.a: present"] {
        let file = one_rule("request.method: present", condition);
        let rules = RuleSet::parse(&[("a.yaml", &file)]).expect("well-formed");
        assert_eq!(broken(&rules, &seen), ["a.b"], "{condition}");
    }
}

#[test]
fn scopes_of_file_and_rule_both_count() {
    let file = one_rule("request.method: present", "request.method: {equals: never}")
        .replace("rules:", "scope: {methods: [GET], paths: [/a/**]}\nrules:")
        .replace("    when:", "    scope: {statuses: [2xx, 404], documents: [d]}\n    when:");
    let rules = RuleSet::parse(&[("a.yaml", &file)]).expect("well-formed");
    let none = Headers::default();
    for (method, template, document, status, expected) in [
        ("GET", "/a/b", "d", Some(200), true),
        ("GET", "/a/b", "d", Some(299), true),
        ("GET", "/a/b", "d", Some(404), true),
        ("GET", "/a/b", "d", Some(405), false),
        ("GET", "/a/b", "d", Some(9999), false),
        ("GET", "/a/b", "d", Some(0), false),
        ("GET", "/a/b", "d", None, false),
        ("GET", "/a/b", "e", Some(200), false),
        ("POST", "/a/b", "d", Some(200), false),
        ("GET", "/b/b", "d", Some(200), false),
    ] {
        let message = MessageFacts { headers: &none, body: None };
        let facts = CallFacts {
            method,
            target: template,
            template,
            document,
            request: Some(message),
            response: status.map(|status| (status, message)),
        };
        let found = !broken(&rules, &facts).is_empty();
        assert_eq!(found, expected, "{method} {template} {document} {status:?}");
    }
}

#[test]
fn a_bad_rule_keeps_all_files_out_and_is_named() {
    let good = one_rule("request.method: present", "request.method: present");
    let other = good.replace("a.b", "a.c");
    let text = "x".repeat(MAX_TEXT_BYTES + 1);
    let many =
        format!("require:{}", "\n      - request.method: present".repeat(MAX_CONDITIONS + 1));
    let require = "require:\n      - request.method: present";
    for (what, file, rule, message) in [
        ("no YAML", "rules: [".to_owned(), None, ""),
        ("no rules", "scope: {}".to_owned(), None, "rules"),
        ("unknown key of a file", format!("more: 1\n{other}"), None, "more"),
        ("unknown key of a scope", format!("scope: {{path: [/a]}}\n{other}"), None, "path"),
        ("glob", format!("scope: {{paths: [a]}}\n{other}"), None, "a is no pattern of paths"),
        ("status", format!("scope: {{statuses: [7xx]}}\n{other}"), None, "7xx is neither"),
        ("too long", " ".repeat(MAX_FILE_BYTES + 1), None, "longer than"),
        ("unknown key", other.replace("title:", "titel:"), Some("a.c"), "titel"),
        ("no key", other.replace("title: t\n", "attribute: t\n"), Some("a.c"), "title"),
        ("no id", other.replace("id: a.c", "name: a.c"), Some("number 1"), "name"),
        ("severity", other.replace("severity: info", "severity: bad"), Some("a.c"), "bad"),
        ("direction", other.replace("direction: response", "direction: x"), Some("a.c"), "x"),
        ("location", other.replace("status\n", "body:x\n"), Some("a.c"), "body:x is no location"),
        ("header name", other.replace("status\n", "'header:'\n"), Some("a.c"), "no location"),
        ("empty text", other.replace("title: t", "title: ' '"), Some("a.c"), "title is empty"),
        ("long text", other.replace("title: t", &format!("title: {text}")), Some("a.c"), "longer"),
        ("one word", other.replace("a.c", "abc"), Some("abc"), "an id is words"),
        ("capitals", other.replace("a.c", "a.C"), Some("a.C"), "an id is words"),
        ("empty word", other.replace("a.c", "a..c"), Some("a..c"), "an id is words"),
        ("code", other.replace("a.c", "header.pattern"), Some("header.pattern"), "is a code"),
        ("duplicate", good.clone(), Some("a.b"), "another rule has this id"),
        ("nothing", other.replace(require, "require: []"), Some("a.c"), "requires nothing"),
        ("many", other.replace(require, &many), Some("a.c"), "more than 16 conditions"),
        ("operand", other.replace("- request.method: p", "- x: p"), Some("a.c"), "x is no operand"),
        ("test", other.replace(require, "require: [{request.path: is}]"), Some("a.c"), "no test"),
        ("example", format!("{other}    tests: {{violating: [{{}}]}}\n"), Some("a.c"), "target"),
    ] {
        let refused = RuleSet::parse(&[("good.yaml", &good), ("other.yaml", &file)]).err();
        let refused = refused.unwrap_or_else(|| panic!("{what} is taken"));
        assert_eq!(refused.file, "other.yaml", "{what}");
        assert_eq!(refused.rule.as_deref(), rule, "{what}: {refused}");
        let told = refused.to_string();
        assert!(told.starts_with("other.yaml: ") && told.contains(message), "{what}: {told}");
        assert!(!told.contains('\n'), "{what}: {told}");
    }
    assert!(RuleSet::parse(&[("good.yaml", &good), ("other.yaml", &other)]).is_ok());
    assert!(RuleSet::parse(&[]).is_ok_and(|rules| rules.is_empty()));
    let files: Vec<(&str, &str)> = vec![("a.yaml", "rules: []"); MAX_FILES + 1];
    let refused = RuleSet::parse(&files).err().map(|error| error.problem);
    assert_eq!(refused, Some(RuleProblem::TooManyFiles));
}

#[test]
fn examples_that_are_wrong_or_missing_are_told() {
    let rule = one_rule("request.method: present", "response.header.a: present");
    let broken = "{target: /p, status: 200}";
    let kept = "{target: /p, status: 200, response_headers: {a: b}}";
    for (tests, expected) in [
        (format!("violating: [{broken}], conforming: [{kept}]"), Ok(2)),
        (
            format!("violating: [{broken}, {kept}], conforming: [{kept}]"),
            Err(RuleProblem::Example { kind: "violating", number: 2 }),
        ),
        (
            format!("violating: [{broken}], conforming: [{broken}]"),
            Err(RuleProblem::Example { kind: "conforming", number: 1 }),
        ),
        (format!("violating: [{broken}]"), Err(RuleProblem::NoExample("conforming"))),
        (format!("conforming: [{kept}]"), Err(RuleProblem::NoExample("violating"))),
    ] {
        let file = format!("{rule}    tests: {{{tests}}}\n");
        let found = check_examples(&[("a.yaml", &file)]).map_err(|error| error.problem);
        assert_eq!(found, expected, "{tests}");
    }
}

/// A file of one rule.
fn one_rule(when: &str, require: &str) -> String {
    format!(
        "rules:
  - id: a.b
    severity: info
    direction: response
    location: status
    title: t
    explanation: e
    explanation_pt: p
    source: s
    when:
      - {when}
    require:
      - {require}
"
    )
}

fn headers(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.push(name, value.as_bytes());
    }
    headers
}

/// Ids of the rules that a call breaks, sorted.
fn broken<'r>(rules: &'r RuleSet, facts: &CallFacts<'_>) -> Vec<&'r str> {
    let mut found = Vec::new();
    rules.evaluate(facts, &mut found);
    let mut ids: Vec<&str> = found.iter().map(|violation| violation.rule.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

/// JSON of few names and small shapes, so that pointers meet something.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        (-2_i64..30).prop_map(Into::into),
        "(https://[a-z]{0,3})?(/|%|%2|%41|\\PC){0,8}(\\?(page|%|=|&|[0-9]|\\+){0,8})?"
            .prop_map(Into::into),
    ];
    let name = prop_oneof![
        Just("data"),
        Just("meta"),
        Just("links"),
        Just("errors"),
        Just("brand"),
        Just("next"),
        Just("self"),
        Just("last"),
        Just("totalRecords"),
        Just("totalPages"),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn field_lines() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just("x-fapi-interaction-id".to_owned()),
        Just("Cache-Control".to_owned()),
        Just("content-security-policy".to_owned()),
        "\\PC{0,6}",
    ];
    let line = (name, prop::collection::vec(any::<u8>(), 0..12));
    prop::collection::vec(line, 0..6).prop_map(|lines| {
        let mut headers = Headers::default();
        for (name, value) in &lines {
            headers.push(name, value);
        }
        headers
    })
}

proptest! {
    #[test]
    fn evaluating_never_panics_and_names_known_rules(
        method in "GET|POST|\\PC{0,4}",
        target in "(/open-insurance/resources/v3/resources|\\PC{0,12})\
                   (\\?((page|page-size)=[-+%0-9]{0,20}&?|\\PC){0,4})?",
        template in "/open-insurance/resources/v3/resources|/open-insurance(/\\PC{0,4}){0,4}|\\PC{0,6}",
        status in prop_oneof![Just(200), Just(429), Just(500), any::<u16>()],
        request_headers in field_lines(),
        response_headers in field_lines(),
        request_body in prop::option::of(json()),
        response_body in prop::option::of(json()),
        seen in 0..4_u8,
    ) {
        let rules = &*ALL;
        let (mut one, mut two) = (Reader::default(), Reader::default());
        let texts = [request_body, response_body].map(|body| body.map(|body| body.to_string()));
        let [request_text, response_text] = &texts;
        let request_body = request_text.as_ref().and_then(|text| one.read(text.as_bytes()).ok());
        let response_body = response_text.as_ref().and_then(|text| two.read(text.as_bytes()).ok());
        let request = MessageFacts { headers: &request_headers, body: request_body };
        let response = MessageFacts { headers: &response_headers, body: response_body };
        let facts = CallFacts {
            method: &method,
            target: &target,
            template: &template,
            document: "",
            request: (seen & 1 == 0).then_some(request),
            response: (seen & 2 == 0).then_some((status, response)),
        };
        let found = broken(rules, &facts);
        prop_assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{found:?}");
        if facts.response.is_none() {
            prop_assert!(found.iter().all(|id| {
                let rule = rules.rules().find(|rule| rule.id == *id);
                id.starts_with("every.") || rule.is_some_and(|rule| rule.direction == Direction::Request)
            }), "{found:?}");
        }
    }
}

/// The shipped rules, and one of every operand.
static ALL: LazyLock<RuleSet> = LazyLock::new(|| {
    let mut files = shipped();
    files.push(("every.yaml".to_owned(), EVERY_TEST.to_owned()));
    RuleSet::parse(&borrowed(&files)).expect("well-formed")
});

/// Every operand below every test that takes it.
const EVERY_TEST: &str = r#"
rules:
  - id: every.test
    severity: info
    direction: request
    location: "body:"
    title: t
    explanation: e
    explanation_pt: p
    source: s
    require:
      - request.query.page: {matches: '^\d+$'}
      - request.path: {ends_with: {value_of: path(response.body/links/self)}}
      - path(response.body/links/self): {matches: '^/(a|b)*$'}
      - query(response.body/links/next, page): is_integer
      - count(response.body): {one_of: [1, a, true]}
      - pages(response.body/meta/totalRecords, response.body/meta/totalPages): {greater_than: -1}
      - request.header.cache-control: {contains_token: a b}
      - response.header.cache-control: {equals_ignoring_case: {value_of: request.header.cache-control}}
      - default(response.body/meta, 3): {not_equals: {value_of: response.body/meta/totalPages}}
"#;
