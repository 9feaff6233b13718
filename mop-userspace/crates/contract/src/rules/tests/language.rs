//! Operands, tests and scopes, by table.

use mop_wire::Headers;

use super::{broken, headers, one_rule};
use crate::{
    json::Reader,
    rules::{CallFacts, MessageFacts, RuleSet},
};

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
        ("count(response.body/items): {at_least: 3}".to_owned(), Some(true)),
        ("count(response.body/items): {at_least: 4}".to_owned(), Some(false)),
        ("count(response.body/items): {at_most: 3}".to_owned(), Some(true)),
        ("count(response.body/items): {at_most: 2}".to_owned(), Some(false)),
        ("count(response.body/items): {greater_than: 3}".to_owned(), Some(false)),
        ("count(response.body/items): {greater_than: 2}".to_owned(), Some(true)),
        ("count(response.body/items): {less_than: 3}".to_owned(), Some(false)),
        ("count(response.body/items): {less_than: 4}".to_owned(), Some(true)),
        ("count(response.body/items): {not_equals: 3}".to_owned(), Some(false)),
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
        let request = request.root();
        let response = two.read(RESPONSE_BODY.as_bytes()).expect("JSON");
        let response = response.root();
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
