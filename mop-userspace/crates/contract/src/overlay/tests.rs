//! Each effect on a small document, and the errors of overlays.

use serde_json::{Value, json};

use super::{Applied, Overlay, apply};
use crate::Document;

fn document(tree: Value) -> Document {
    Document { name: "quote-auto".to_owned(), version: "1.10.0".to_owned(), tree }
}

fn overlay(scope: &str, effect: &str) -> Overlay {
    let yaml = format!(
        "corrections:\n  - id: a\n    defect: b\n    reason: c\n    reason_pt: d\n    scope: [{scope}]\n    effect: {effect}\n"
    );
    Overlay::parse("a.yaml", &yaml).unwrap_or_else(|error| panic!("{error}"))
}

const EXACT: &str = r#"{documents: [quote-auto], versions: ["1.10.0"]}"#;

#[test]
fn each_effect_changes_what_it_names_and_nothing_else() {
    for (effect, schema, expected) in [
        (
            "{maximum_length: {select: {format: date-time}, from: 20, to: 35}}",
            json!({"properties": {"a": {"format": "date-time", "maxLength": 20}, "b": {"format": "date-time", "maxLength": 24}, "c": {"maxLength": 20}}}),
            json!({"properties": {"a": {"format": "date-time", "maxLength": 35}, "b": {"format": "date-time", "maxLength": 24}, "c": {"maxLength": 20}}}),
        ),
        (
            r##"{move_to_items: {select: {pointers: ["#/components/schemas/*/properties/errors"]}, keywords: [properties, required]}}"##,
            json!({"properties": {"errors": {"type": "object", "minItems": 1, "required": ["code"], "properties": {"code": {}}}}}),
            json!({"properties": {"errors": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["code"], "properties": {"code": {}}}}}}),
        ),
        (
            "{one_of_as_any_of: {alternatives: ambiguous}}",
            json!({"properties": {"a": {"oneOf": [{"type": "object"}, {"type": "object"}]}, "b": {"oneOf": [{"type": "object"}, {"type": "string"}]}}}),
            json!({"properties": {"a": {"anyOf": [{"type": "object"}, {"type": "object"}]}, "b": {"oneOf": [{"type": "object"}, {"type": "string"}]}}}),
        ),
        (
            r##"{one_of_as_any_of: {alternatives: {pointers: ["#/components/schemas/A"]}}}"##,
            json!({"oneOf": [{"type": "object"}, {"type": "string"}]}),
            json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
        ),
        (
            "{remove_keyword: {select: {type: string, names: [rate]}, keyword: multipleOf}}",
            json!({"properties": {"rate": {"type": "string", "multipleOf": 1}, "other": {"type": "string", "multipleOf": 1}}}),
            json!({"properties": {"rate": {"type": "string"}, "other": {"type": "string", "multipleOf": 1}}}),
        ),
        (
            "{remove_required: {select: {names: [A]}, names: [b]}}",
            json!({"required": ["a", "b"], "properties": {"a": {"required": ["b"]}}}),
            json!({"required": ["a"], "properties": {"a": {"required": ["b"]}}}),
        ),
        // An empty list of demanded properties is not allowed.
        (
            "{remove_required: {select: {names: [A]}, names: [b]}}",
            json!({"required": ["b"]}),
            json!({}),
        ),
        (
            "{rename_required: {select: {has: [required]}, from: resquet, to: request}}",
            json!({"required": ["a", "resquet"]}),
            json!({"required": ["a", "request"]}),
        ),
        (
            r"{replace_pattern: {patterns: ['^\00$'], with: '^00$'}}",
            json!({"properties": {"a": {"pattern": "^\\00$"}, "b": {"pattern": "^\\00"}}}),
            json!({"properties": {"a": {"pattern": "^00$"}, "b": {"pattern": "^\\00"}}}),
        ),
        (
            r"{replace_pattern: {patterns: ['^A$'], with: '^B$', select: {names: [a]}}}",
            json!({"properties": {"a": {"pattern": "^A$"}, "b": {"pattern": "^A$"}}}),
            json!({"properties": {"a": {"pattern": "^B$"}, "b": {"pattern": "^A$"}}}),
        ),
        (
            "{replace_schema: {select: {names: [a]}, with: {type: string}}}",
            json!({"properties": {"a": {"type": "object", "properties": {"a": {}}}}}),
            json!({"properties": {"a": {"type": "string"}}}),
        ),
        (
            "{set_keyword: {select: {lacks: [items], type: array}, keyword: items, value: {type: string}}}",
            json!({"properties": {"a": {"type": "array"}, "b": {"type": "array", "items": {}}}}),
            json!({"properties": {"a": {"type": "array", "items": {"type": "string"}}, "b": {"type": "array", "items": {}}}}),
        ),
    ] {
        let published = document(json!({"components": {"schemas": {"A": schema}}}));
        let corrected = apply(&[overlay(EXACT, effect)], &published);
        assert_eq!(corrected.document.tree["components"]["schemas"]["A"], expected, "{effect}");
        assert_eq!(corrected.applied, [Applied { id: "a".to_owned(), places: 1 }], "{effect}");
    }
}

#[test]
fn headers_are_not_asked_for_wherever_they_are_declared() {
    let header = |name: &str| json!({"in": "header", "name": name, "required": true});
    let published = document(json!({
        "components": {"parameters": {"C": header("Cache-Control")}},
        "paths": {"/a": {
            "parameters": [{"$ref": "#/components/parameters/C"}, header("authorization")],
            "get": {"parameters": [header("cache-control"), {"in": "query", "name": "cache-control"}]}
        }}
    }));
    let effect = "{drop_request_headers: {names: [cache-control]}}";
    let corrected = apply(&[overlay(EXACT, effect)], &published);
    let path = &corrected.document.tree["paths"]["/a"];
    assert_eq!(path["parameters"], json!([header("authorization")]));
    assert_eq!(path["get"]["parameters"], json!([{"in": "query", "name": "cache-control"}]));
    assert_eq!(corrected.applied, [Applied { id: "a".to_owned(), places: 2 }]);
}

#[test]
fn a_shared_response_loses_its_body_only_under_the_empty_status() {
    let published = document(json!({
        "components": {"responses": {"R": {"description": "r", "content": {"application/json": {}}}}},
        "paths": {"/a": {"get": {"responses": {
            "200": {"$ref": "#/components/responses/R"},
            "204": {"$ref": "#/components/responses/R"}
        }}}}
    }));
    let effect = "{empty_body: {statuses: [\"204\"]}}";
    let tree = apply(&[overlay(EXACT, effect)], &published).document.tree;
    let responses = &tree["paths"]["/a"]["get"]["responses"];
    assert_eq!(responses["204"], json!({"description": "r"}));
    assert_eq!(responses["200"], json!({"$ref": "#/components/responses/R"}));
    assert!(tree["components"]["responses"]["R"].get("content").is_some());
}

#[test]
fn the_scope_decides_and_what_finds_nothing_is_reported() {
    let effect = "{maximum_length: {select: {names: [A]}, from: 1, to: 2}}";
    for (scope, is_covered) in [
        (EXACT, true),
        (r#"{documents: ["quote-*"], versions: ["1.*"]}"#, true),
        (r#"{documents: ["*"], versions: ["*"]}"#, true),
        (r#"{documents: [quote-auto], versions: ["1.1"]}"#, false),
        (r#"{documents: ["quote"], versions: ["*"]}"#, false),
        (r#"{documents: ["*-quote"], versions: ["*"]}"#, false),
    ] {
        let published = document(json!({"components": {"schemas": {"A": {"maxLength": 1}}}}));
        let corrected = apply(&[overlay(scope, effect)], &published);
        assert_eq!(corrected.document != published, is_covered, "{scope}");
        let repaired = document(json!({"components": {"schemas": {"A": {"maxLength": 9}}}}));
        let corrected = apply(&[overlay(scope, effect)], &repaired);
        assert_eq!(corrected.document, repaired);
        assert_eq!(!corrected.unused.is_empty(), is_covered, "{scope}");
    }
}

#[test]
fn the_schema_of_a_request_header_is_selected_by_its_name() {
    let published = document(json!({"components": {"parameters": {
        "U": {"in": "header", "name": "User-Agent", "schema": {"maxLength": 100}},
        "V": {"in": "query", "name": "user-agent", "schema": {"maxLength": 100}}
    }}}));
    let effect = "{maximum_length: {select: {headers: [user-agent]}, from: 100, to: 2048}}";
    let parameters =
        &apply(&[overlay(EXACT, effect)], &published).document.tree["components"]["parameters"];
    assert_eq!(parameters["U"]["schema"]["maxLength"], 2048);
    assert_eq!(parameters["V"]["schema"]["maxLength"], 100);
}

#[test]
fn what_is_left_as_published_is_counted_and_not_changed() {
    let published =
        document(json!({"components": {"schemas": {"A": {"type": "integer", "maxLength": 3}}}}));
    let effect = "{leave_as_published: {select: {type: integer, has: [maxLength]}}}";
    let corrected = apply(&[overlay(EXACT, effect)], &published);
    assert_eq!(corrected.document, published);
    assert_eq!(corrected.applied, [Applied { id: "a".to_owned(), places: 1 }]);
}

#[test]
fn an_error_names_the_file_and_the_correction() {
    let entry = |id: &str, scope: &str, effect: &str| {
        format!(
            "  - {{id: {id}, defect: b, reason: c, reason_pt: d, scope: [{scope}], effect: {effect}}}\n"
        )
    };
    let all = r#"{documents: ["*"], versions: ["*"]}"#;
    let fine = "{leave_as_published: {select: {type: integer}}}";
    for (entries, expected) in [
        ("other: []".to_owned(), "a.yaml: the file: unknown field `other`"),
        ("corrections: [".to_owned(), "a.yaml: the file: "),
        (
            format!("corrections:\n{}", entry("x", all, "{no_such_effect: {}}")),
            "a.yaml: correction x: unknown variant `no_such_effect`",
        ),
        (
            format!("corrections:\n{}", entry("x", all, "{empty_body: {status: []}}")),
            "a.yaml: correction x: unknown field `status`",
        ),
        ("corrections:\n  - {reason: c}".to_owned(), "a.yaml: correction 1: missing field `id`"),
        (
            format!("corrections:\n{}", entry("Not_Kebab", all, fine)),
            "a.yaml: correction Not_Kebab: the id is not in kebab case",
        ),
        (
            format!("corrections:\n{0}{0}", entry("x", all, fine)),
            "a.yaml: correction x: the id is used twice",
        ),
        (
            format!("corrections:\n{}", entry("x", "", fine)),
            "a.yaml: correction x: the scope names no document",
        ),
        (
            format!("corrections:\n{}", entry("x", all, "{leave_as_published: {select: {}}}")),
            "a.yaml: correction x: the selector selects everything",
        ),
        (
            format!(
                "corrections:\n{}",
                entry("x", all, "{remove_required: {select: {names: [A]}, names: [b]}}")
            ),
            "a.yaml: correction x: a correction that is tied to places must name the versions exactly",
        ),
        (
            "wrong_examples:\n  - {document: a}".to_owned(),
            "a.yaml: wrong example 1: missing field `version`",
        ),
    ] {
        let error = Overlay::parse("a.yaml", &entries).expect_err(&entries).to_string();
        assert!(error.starts_with(expected), "{error}\nwas expected to start with\n{expected}");
    }
}
