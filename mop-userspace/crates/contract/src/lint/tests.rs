//! For each code, a document that has the defect and one that only looks like it.

use serde_json::Value;

use super::{Code, MAX_FINDINGS, lint};
use crate::Document;

fn codes(name: &str, yaml: &str) -> Vec<(Code, String)> {
    let text = format!("openapi: 3.0.0\ninfo: {{version: 1.0.0}}\n{yaml}");
    let document = Document::parse(name, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let report = lint(&document);
    for finding in &report.findings {
        assert!(document.tree.pointer(&finding.pointer).is_some(), "{}", finding.pointer);
        assert_eq!(finding.severity, finding.code.severity());
        assert!(!finding.remedy.is_empty());
    }
    report.findings.into_iter().map(|finding| (finding.code, finding.pointer)).collect()
}

fn schema(yaml: &str) -> String {
    format!("paths: {{}}\ncomponents: {{schemas: {{A: {yaml}}}}}")
}

fn operation(path: &str, yaml: &str) -> String {
    format!("paths: {{'{path}': {{post: {yaml}}}}}")
}

#[test]
fn defects_of_schemas_are_found_and_near_misses_are_not() {
    for (code, at, defect, near_miss) in [
        (
            Code::AmbiguousOneOf,
            "/oneOf",
            "{oneOf: [{type: object}, {type: object}]}",
            "{oneOf: [{type: object}, {type: array, items: {}}]}",
        ),
        (Code::ArrayWithoutItems, "", "{type: array}", "{type: array, items: {}}"),
        (Code::BlankEnumMember, "/enum/1", "{enum: [A, ' B']}", "{enum: [A, 'B C']}"),
        (
            Code::ClosedUnderAllOf,
            "/allOf/0",
            "{allOf: [{additionalProperties: false, properties: {a: {}}}, {properties: {b: {}}}]}",
            "{allOf: [{additionalProperties: false, properties: {a: {}, b: {}}}, {properties: {b: {}}}]}",
        ),
        (
            Code::ContradictoryBounds,
            "/minLength",
            "{type: string, minLength: 5, maxLength: 4}",
            "{type: string, minLength: 5, maxLength: 5}",
        ),
        (
            Code::DateTimePatternTooNarrow,
            "/pattern",
            r"{type: string, format: date-time, pattern: '^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$'}",
            r"{type: string, format: date-time, pattern: '^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$'}",
        ),
        (
            Code::DefaultBreaksSchema,
            "/default",
            "{type: string, enum: [A, B], default: C}",
            "{type: string, enum: [A, B], default: B}",
        ),
        (Code::DuplicateEnumMember, "/enum/2", "{enum: [A, B, A]}", "{enum: [A, B, a]}"),
        (
            Code::EnumMemberBreaksSchema,
            "/enum/1",
            "{type: string, maxLength: 2, enum: [AB, ABC]}",
            "{type: string, maxLength: 3, enum: [AB, ABC]}",
        ),
        (
            Code::ExampleBreaksSchema,
            "/example",
            "{type: string, maxLength: 2, example: ABC}",
            "{type: string, maxLength: 2, example: ÃÇ}",
        ),
        (
            Code::ExampleBreaksSchema,
            "/example",
            "{type: array, items: {enum: [A]}, example: [A, B]}",
            "{type: array, items: {enum: [A]}, example: [A]}",
        ),
        (
            Code::ExampleBreaksSchema,
            "/example",
            "{type: object, required: [a], properties: {a: {}}, example: {}}",
            "{type: object, nullable: true, required: [a], properties: {a: {}}, example: null}",
        ),
        (
            Code::KeywordOfAnotherType,
            "/maxLength",
            "{type: integer, maxLength: 3}",
            "{type: string, maxLength: 3}",
        ),
        (
            Code::KeywordOfAnotherType,
            "/format",
            "{type: string, format: double}",
            "{type: number, format: double}",
        ),
        (
            Code::KeywordOfAnotherType,
            "/properties",
            "{type: array, items: {}, properties: {a: {}}}",
            "{properties: {a: {}}}",
        ),
        (
            Code::KeywordOfAnotherType,
            "/multipleOf",
            "{type: string, multipleOf: 0.1}",
            "{type: number, multipleOf: 0.1}",
        ),
        (
            Code::LengthTooShortForFormat,
            "/maxLength",
            "{type: string, format: date-time, maxLength: 20}",
            "{type: string, format: date-time, maxLength: 35}",
        ),
        (
            Code::NamePatternTooNarrow,
            "/pattern",
            r"{type: string, pattern: '^[A-Za-z\sáãéçÁÃÉÇ]+$'}",
            r"{type: string, pattern: '^[A-Za-zÀ-ÿ\s''-]+$'}",
        ),
        (
            Code::PatternDoesNotCompile,
            "/pattern",
            r"{type: string, pattern: '^100\.\00$'}",
            r"{type: string, pattern: '^100\.00$'}",
        ),
        (
            Code::PatternNeedsBacktracking,
            "/pattern",
            r"{type: string, pattern: '^(?!\s)(.*)(\S)$'}",
            r"{type: string, pattern: '^(?:\S.*)?\S$'}",
        ),
        (
            Code::RequiredNotDeclared,
            "/required",
            "{type: object, required: [b], properties: {a: {}}}",
            "{type: object, required: [b], allOf: [{properties: {b: {}}}]}",
        ),
        (
            Code::UnanchoredAlternation,
            "/pattern",
            r"{type: string, pattern: '\d{8}|^NA$'}",
            r"{type: string, pattern: '^\d{8}$|^NA$'}",
        ),
        (
            Code::UnknownFormat,
            "/format",
            "{type: string, format: date-fullyear}",
            "{type: string, format: date}",
        ),
        (
            Code::UnresolvableReference,
            "/items",
            "{type: array, items: {$ref: '#/components/schemas/B'}}",
            "{type: array, items: {$ref: '#/components/schemas/A'}}",
        ),
        (
            Code::UnresolvableReference,
            "/items",
            "{type: array, items: {$ref: 'other.yaml#/A'}}",
            "{type: object, properties: {$ref: {type: string}}}",
        ),
    ] {
        let pointer = format!("/components/schemas/A{at}");
        assert_eq!(codes("a", &schema(defect)), [(code, pointer)], "{defect}");
        let found = codes("a", &schema(near_miss));
        assert!(found.is_empty(), "{near_miss}: {found:?}");
    }
}

#[test]
fn defects_of_operations_are_found_and_near_misses_are_not() {
    let ok = "responses: {'200': {}}";
    let body = "requestBody: {required: true, content: {application/json: {}}}";
    for (code, at, path, defect, near_miss) in [
        (
            Code::BodyOnEmptyStatus,
            "/responses/204",
            "/a",
            "{responses: {'204': {content: {application/json: {}}}}}".to_owned(),
            "{responses: {'204': {}, '200': {content: {application/json: {}}}}}".to_owned(),
        ),
        (
            Code::HeaderLengthBelowUsualValues,
            "/parameters/0",
            "/a",
            format!("{{{ok}, parameters: [{{in: header, name: User-Agent, schema: {{maxLength: 100}}}}]}}"),
            format!("{{{ok}, parameters: [{{in: header, name: User-Agent, schema: {{maxLength: 512}}}}]}}"),
        ),
        (
            Code::MediaTypeWithParameters,
            "/responses/200/content/application~1json; charset=utf-8",
            "/a",
            "{responses: {'200': {content: {application/json; charset=utf-8: {}}}}}".to_owned(),
            "{responses: {'200': {content: {application/json: {}}}}}".to_owned(),
        ),
        (
            Code::OptionalRequestBody,
            "/requestBody",
            "/a",
            format!("{{{ok}, requestBody: {{content: {{application/json: {{}}}}}}}}"),
            format!("{{{ok}, {body}}}"),
        ),
        (
            Code::PathParameterNotDeclared,
            "",
            "/a/{id}",
            format!("{{{ok}, parameters: [{{in: query, name: id}}]}}"),
            format!("{{{ok}, parameters: [{{in: path, name: id}}]}}"),
        ),
        (
            Code::PathParameterNotInTemplate,
            "",
            "/a",
            format!("{{{ok}, parameters: [{{in: path, name: id}}]}}"),
            format!("{{{ok}, parameters: [{{in: query, name: id}}]}}"),
        ),
        (
            Code::ResponseHeaderInRequest,
            "/parameters/0",
            "/a",
            format!("{{{ok}, parameters: [{{in: header, name: Cache-Control, required: true}}]}}"),
            format!("{{{ok}, parameters: [{{in: header, name: Cache-Control}}, {{in: header, name: authorization, required: true}}]}}"),
        ),
        (
            Code::ExampleBreaksSchema,
            "/responses/200/content/application~1json/examples/one/value",
            "/a",
            "{responses: {'200': {content: {application/json: {schema: {type: string}, examples: {one: {value: 1}}}}}}}".to_owned(),
            "{responses: {'200': {content: {application/json: {schema: {type: string}, examples: {one: {value: '1'}}}}}}}".to_owned(),
        ),
    ] {
        let pointer = format!("/paths/{}/post{at}", crate::places::escape(path));
        assert_eq!(codes("a", &operation(path, &defect)), [(code, pointer)], "{defect}");
        let found = codes("a", &operation(path, &near_miss));
        assert!(found.is_empty(), "{near_miss}: {found:?}");
    }
}

#[test]
fn the_second_use_of_an_operation_id_is_found() {
    let operation = "{operationId: a, responses: {}}";
    assert_eq!(
        codes("a", &format!("paths: {{/a: {{get: {operation}}}, /b: {{get: {operation}}}}}")),
        [(Code::DuplicateOperationId, "/paths/~1b/get/operationId".to_owned())]
    );
}

#[test]
fn findings_are_bounded_and_the_rest_is_counted() {
    let properties: serde_json::Map<String, Value> = (0..MAX_FINDINGS + 7)
        .map(|index| (format!("p{index}"), serde_json::json!({"type": "array"})))
        .collect();
    let tree = serde_json::json!({"components": {"schemas": {"A": {"properties": properties}}}});
    let report = lint(&Document { name: "a".to_owned(), version: "1".to_owned(), tree });
    assert_eq!((report.findings.len(), report.omitted), (MAX_FINDINGS, 7));
}

#[test]
fn what_is_too_deep_to_search_is_said() {
    let mut schema = serde_json::json!({"type": "string"});
    for _ in 0..100 {
        schema = serde_json::json!({"type": "array", "items": schema});
    }
    let tree = serde_json::json!({"components": {"schemas": {"A": schema}}});
    let report = lint(&Document { name: "a".to_owned(), version: "1".to_owned(), tree });
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::NotSearched]);
}
