//! Whole messages against a small contract: where each kind of violation is told, and what is not
//! judged.

use std::io::Write as _;

use mop_contract::{
    Call, Contract, ContractBuilder, Document, Judge, JudgedBody, Judgement, Message, Unjudged,
    UnjudgedReason, Visitor,
    attributes::AttributeTree,
    fill::Fill,
    violation::{Direction, Violation},
};
use mop_wire::{Body, Headers};

const CONTRACT: &str = r##"
openapi: 3.0.0
info: {version: 1.0.0}
servers: [{url: "https://host.example/open-insurance/a/v1"}]
paths:
  /things/{thingId}:
    get:
      parameters:
        - {name: thingId, in: path, required: true, schema: {type: string, pattern: '^[a-z]+$'}}
        - {name: page, in: query, schema: {type: integer, minimum: 1}}
        - {name: kinds, in: query, schema: {type: array, items: {type: string, enum: [A, B]}}}
        - {name: X-Interaction-Id, in: header, required: true, schema: {type: string, maxLength: 4}}
      responses:
        "200":
          headers: {x-interaction-id: {required: true, schema: {type: string}}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
        "204": {}
    post:
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
      responses:
        default: {content: {application/json: {schema: {type: object}}}}
  /tokens:
    post:
      requestBody: {required: true, content: {application/jwt: {schema: {type: object}}}}
      responses: {"200": {}}
components:
  schemas:
    Thing:
      type: object
      required: [name]
      properties:
        name: {type: string, maxLength: 3, nullable: true}
        inner: {$ref: "#/components/schemas/Thing"}
"##;

struct Sent<'a> {
    method: &'a str,
    target: &'a str,
    status: Option<u16>,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

const GET: Sent<'_> = Sent {
    method: "GET",
    target: "/open-insurance/a/v1/things/abc",
    status: None,
    headers: &[("x-interaction-id", "1")],
    body: b"",
};

const ANSWER: Sent<'_> = Sent {
    status: Some(200),
    headers: &[("x-interaction-id", "1"), ("content-type", "application/json; charset=utf-8")],
    body: br#"{"name":"abc"}"#,
    ..GET
};

const POST: Sent<'_> = Sent {
    method: "POST",
    headers: &[("content-type", "application/json")],
    body: br#"{"name":"abc"}"#,
    ..GET
};

const TOKEN: Sent<'_> = Sent {
    target: "/open-insurance/a/v1/tokens",
    headers: &[("content-type", "application/jwt")],
    body: b"e30.e30.c2ln",
    ..POST
};

fn contract() -> Contract {
    let mut builder = ContractBuilder::default();
    builder.add(&Document::parse("a", CONTRACT).expect("a document"), None);
    builder.build()
}

fn judged(sent: &Sent<'_>) -> Judgement {
    let mut headers = Headers::default();
    for (name, value) in sent.headers {
        headers.push(name, value.as_bytes());
    }
    let body = Body::whole(sent.body.to_vec(), false);
    let message = Message { headers: &headers, body: &body };
    let call = Call {
        method: sent.method,
        target: sent.target,
        request: sent.status.is_none().then_some(message),
        response: sent.status.map(|status| (status, message)),
        incomplete: false,
    };
    Judge::default().judge(&contract(), call, &mut ())
}

/// Codes and places of what is wrong, and reasons of what was not judged.
fn told(sent: &Sent<'_>) -> Vec<String> {
    let judgement = judged(sent);
    assert_eq!(judgement.published, judgement.corrected, "nothing is corrected here");
    let wrong = judgement.corrected.violations.iter();
    wrong
        .map(|violation| format!("{} {}", violation.code(), violation.location))
        .chain(judgement.unjudged.iter().map(|unjudged| format!("? {}", unjudged.reason.name())))
        .collect()
}

#[test]
fn each_violation_is_told_at_its_place() {
    let target = |target| Sent { target, ..GET };
    let fields = |headers| Sent { headers, ..ANSWER };
    let answer = |status| Sent { status: Some(status), ..ANSWER };
    let cases: &[(&str, Sent<'_>, &[&str])] = &[
        ("a right request", GET, &[]),
        ("a right answer", ANSWER, &[]),
        ("a right body", POST, &[]),
        (
            "a path parameter",
            target("/open-insurance/a/v1/things/ABC"),
            &["path.pattern path:thingId"],
        ),
        (
            "a number that is none",
            target("/open-insurance/a/v1/things/abc?page=x"),
            &["query.type query:page"],
        ),
        (
            "a number that is too small",
            target("/open-insurance/a/v1/things/abc?page=0"),
            &["query.minimum query:page"],
        ),
        (
            "an element of a list",
            target("/open-insurance/a/v1/things/abc?kinds=A,C&kinds=B"),
            &["query.enum query:kinds"],
        ),
        (
            "an undeclared name that is no word of the contract",
            target("/open-insurance/a/v1/things/abc?12345678909=1"),
            &["query.undeclared query:*"],
        ),
        (
            "an undeclared name that is one",
            target("/open-insurance/a/v1/things/abc?name=1"),
            &["query.undeclared query:name"],
        ),
        (
            "a header that is missing",
            Sent { headers: &[], ..GET },
            &["header.required header:x-interaction-id"],
        ),
        (
            "a header that is too long",
            Sent { headers: &[("X-INTERACTION-ID", "12345")], ..GET },
            &["header.max_length header:x-interaction-id"],
        ),
        (
            "a header of another operation",
            Sent {
                headers: &[("content-type", "application/json"), ("x-interaction-id", "1")],
                ..POST
            },
            &["header.undeclared header:x-interaction-id"],
        ),
        ("a body that nobody declares", Sent { body: b"{}", ..GET }, &["body.undeclared body:"]),
        ("a body that is missing", Sent { body: b"", ..POST }, &["body.required body:"]),
        (
            "no content type, yet JSON",
            fields(&[("x-interaction-id", "1")]),
            &["content_type.required content_type"],
        ),
        (
            "JSON under another name",
            fields(&[("x-interaction-id", "1"), ("content-type", "text/json")]),
            &["content_type.undeclared content_type"],
        ),
        (
            "another content type",
            fields(&[("x-interaction-id", "1"), ("content-type", "text/plain")]),
            &["content_type.undeclared content_type", "? not_json_by_contract"],
        ),
        (
            "a response header that is missing",
            fields(&[("content-type", "application/json")]),
            &["header.required header:x-interaction-id"],
        ),
        ("an undeclared status", answer(418), &["status.undeclared status", "? status_undeclared"]),
        ("no body under 204", Sent { status: Some(204), body: b"", ..ANSWER }, &[]),
        ("an answer without its body", Sent { body: b"", ..ANSWER }, &["body.required body:"]),
        ("an answer to HEAD of a path without it", Sent { method: "HEAD", ..ANSWER }, &[]),
        (
            "attributes at every depth",
            Sent { body: br#"{"name":null,"inner":{"inner":{"name":"abcd"}}}"#, ..ANSWER },
            &["body.max_length body:/inner/inner/name", "body.required body:/inner"],
        ),
        ("no JSON", Sent { body: b"{", ..ANSWER }, &["body.not_json body:", "? not_json"]),
        (
            "a name twice",
            Sent { body: br#"{"name":"a","name":"b"}"#, ..ANSWER },
            &["? duplicate_name"],
        ),
        ("a form that is not JSON by contract", TOKEN, &["? not_json_by_contract"]),
    ];
    for (what, sent, expected) in cases {
        let mut found = told(sent);
        found.sort_unstable();
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn content_codings_are_taken_off_first() {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(br#"{"name":"abcd"}"#).expect("memory");
    let coded = coder.finish().expect("memory");
    let headers: &[(&str, &str)] = &[
        ("x-interaction-id", "1"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let whole = Sent { headers, body: &coded, ..ANSWER };
    assert_eq!(told(&whole), ["body.max_length body:/name"]);
    let cut = Sent { body: &coded[..coded.len() - 4], ..whole };
    assert_eq!(told(&cut), ["? content_coding"]);
}

#[test]
fn what_was_not_seen_whole_has_no_violations() {
    let headers = Headers::default();
    let mut body = Body::whole(b"{}".to_vec(), false);
    body.length += 10;
    body.missing = 10;
    let message = Message { headers: &headers, body: &body };
    let call = |incomplete| Call {
        method: "POST",
        target: POST.target,
        request: Some(message),
        response: None,
        incomplete,
    };
    let contract = contract();
    let judge = |incomplete| Judge::default().judge(&contract, call(incomplete), &mut ());
    let names = |judgement: &Judgement| -> Vec<&str> {
        judgement.unjudged.iter().map(|unjudged| unjudged.reason.name()).collect()
    };
    let incomplete = judge(true);
    assert_eq!(names(&incomplete), ["incomplete", "incomplete"]);
    assert!(incomplete.corrected.violations.is_empty() && !incomplete.is_conforming());
    // The head was seen, the body was not.
    let cut = judge(false);
    assert_eq!(names(&cut), ["incomplete"]);
    assert!(
        cut.corrected
            .violations
            .iter()
            .all(|violation| violation.code() == "content_type.required")
    );
}

/// Each schema contains itself in another way; judging and counting must come to an end, on the
/// stack of a thread, and say that nothing was found out.
#[test]
fn schemas_that_are_parts_of_themselves_come_to_an_end() {
    const SCHEMAS: [&str; 8] = [
        "{allOf: [{$ref: '#/components/schemas/A'}]}",
        "{allOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/A'}]}",
        "{type: string, allOf: [{$ref: '#/components/schemas/A'}]}",
        "{oneOf: [{$ref: '#/components/schemas/A'}, {type: object, required: [a]}]}",
        "{oneOf: [{type: string, allOf: [{$ref: '#/components/schemas/B'}]}, {type: array}]}",
        "{not: {$ref: '#/components/schemas/A'}}",
        "{type: array, items: {$ref: '#/components/schemas/A'}}",
        "{type: object, properties: {a: {$ref: '#/components/schemas/A'}}}",
    ];
    let nested_objects = format!("{}1{}", "{\"a\":".repeat(120), "}".repeat(120));
    let nested_arrays = format!("{}{}", "[".repeat(120), "]".repeat(120));
    for schema in SCHEMAS {
        let text = format!(
            "openapi: 3.0.0\ninfo: {{version: 1.0.0}}\npaths: {{/a: {{post: {{requestBody: {{content: \
             {{application/json: {{schema: {{$ref: '#/components/schemas/A'}}}}}}}}, responses: {{}}}}}}}}\n\
             components: {{schemas: {{A: {schema}, B: {{type: string, allOf: [{{$ref: \
             '#/components/schemas/B'}}]}}}}}}\n"
        );
        let document = Document::parse("a", &text).expect(schema);
        let mut builder = ContractBuilder::default();
        builder.add(&document, None);
        let contract = builder.build();
        for body in ["{\"a\":1}", "[1]", "1", &nested_objects, &nested_arrays] {
            let mut headers = Headers::default();
            headers.push("content-type", b"application/json");
            let body = Body::whole(body.as_bytes().to_vec(), false);
            let call = Call {
                method: "POST",
                target: "/a",
                request: Some(Message { headers: &headers, body: &body }),
                response: None,
                incomplete: false,
            };
            Judge::default().judge(&contract, call, &mut Counts(&contract));
        }
    }
}

/// Makes the tree of attributes of every body that is judged.
struct Counts<'c>(&'c Contract);

impl Visitor for Counts<'_> {
    fn body(&mut self, body: JudgedBody<'_>) {
        let tree = AttributeTree::new(self.0.schemas(), body.schema);
        Fill::default().add(&tree, body.value, body.violations);
    }
}

#[test]
fn copies_are_judged_without_the_header_fields_that_they_lack() {
    let judged_copy = |status: Option<u16>, body: &[u8]| {
        let headers = Headers::default();
        let body = Body::whole(body.to_vec(), false);
        let message = Message { headers: &headers, body: &body };
        let call = Call {
            method: if status.is_some() { "GET" } else { "POST" },
            target: GET.target,
            request: status.is_none().then_some(message),
            response: status.map(|status| (status, message)),
            incomplete: false,
        };
        Judge::default().judge_copy(&contract(), call, &mut ())
    };
    let codes = |judgement: &Judgement| -> Vec<String> {
        judgement.corrected.violations.iter().map(Violation::code).collect()
    };
    for (status, direction) in [(None, Direction::Request), (Some(200), Direction::Response)] {
        let right = judged_copy(status, br#"{"name":"abc"}"#);
        assert_eq!(codes(&right), Vec::<String>::new(), "{status:?}");
        let reason = UnjudgedReason::HeadersNotSeen;
        assert_eq!(right.unjudged, [Unjudged { direction, reason }]);
        let wrong = judged_copy(status, b"{}");
        assert_eq!(codes(&wrong), ["body.required"], "{status:?}");
    }
}
