//! Arbitrary calls.

use std::sync::LazyLock;

use mop_wire::Headers;
use proptest::prelude::*;

use super::{borrowed, broken, shipped};
use crate::{
    json::{Json, Reader},
    rules::{CallFacts, MessageFacts, RuleSet},
    violation::Direction,
};

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
        let request = MessageFacts { headers: &request_headers, body: request_body.as_ref().map(Json::root) };
        let response = MessageFacts { headers: &response_headers, body: response_body.as_ref().map(Json::root) };
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
