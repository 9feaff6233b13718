//! Paths of a document to operations.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value as Tree};

use super::SchemaCompiler;
use crate::{
    document::{Document, escape_token},
    media_type::MediaRange,
    operation::{Media, Parameter, Place, RequestBody, Response, Rules, Status},
};

/// An operation before it has its place in a contract.
pub(crate) struct CompiledOperation {
    pub(crate) operation_id: Option<Arc<str>>,
    pub(crate) rules: Rules,
}

/// Method and path template.
pub(crate) type OperationKey = (String, String);

/// The operations of a document.
pub(crate) fn operations(
    document: &Document,
    compiler: &mut SchemaCompiler<'_>,
) -> BTreeMap<OperationKey, CompiledOperation> {
    let mut operations = BTreeMap::new();
    for (template, item) in document.section("paths").into_iter().flatten() {
        let place = format!("/paths/{}", escape_token(template));
        let Some(item) = object(document, item, &place, compiler) else { continue };
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let place = format!("{place}/{method}");
            let Some(operation) = object(document, operation, &place, compiler) else { continue };
            let compiled = CompiledOperation {
                operation_id: operation
                    .get("operationId")
                    .and_then(Tree::as_str)
                    .map(|name| compiler.builder().name(name)),
                rules: rules(document, item, operation, &place, compiler),
            };
            operations.insert((method.to_ascii_uppercase(), template.clone()), compiled);
        }
    }
    operations
}

fn rules(
    document: &Document,
    item: &Map<String, Tree>,
    operation: &Map<String, Tree>,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Rules {
    // Parameters of the operation replace those of the path of the same place and name.
    let mut parameters: BTreeMap<(&str, Arc<str>), Parameter> = BTreeMap::new();
    for owner in [item, operation] {
        let listed = owner.get("parameters").and_then(Tree::as_array);
        for (at, tree) in listed.into_iter().flatten().enumerate() {
            if let Some(parameter) =
                parameter(document, tree, &format!("{place}/parameters/{at}"), compiler)
            {
                let key = (parameter.place.name(), Arc::clone(&parameter.name));
                parameters.insert(key, parameter);
            }
        }
    }
    let request_body = operation.get("requestBody").and_then(|tree| {
        let place = format!("{place}/requestBody");
        let body = object(document, tree, &place, compiler)?;
        Some(RequestBody {
            required: flag(body, "required"),
            content: content(document, body, &place, compiler),
        })
    });
    let mut responses: Vec<Response> = operation
        .get("responses")
        .and_then(Tree::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, tree)| {
            let place = format!("{place}/responses/{}", escape_token(key));
            let Some(status) = Status::parse(key) else {
                compiler.problem(&place, "no status: the response is left out");
                return None;
            };
            let response = object(document, tree, &place, compiler)?;
            Some(Response {
                status,
                headers: headers(document, response, &place, compiler),
                content: content(document, response, &place, compiler),
            })
        })
        .collect();
    responses.sort_by_key(|response| response.status);
    Rules {
        parameters: parameters.into_values().collect(),
        request_body,
        responses: responses.into(),
    }
}

fn parameter(
    document: &Document,
    tree: &Tree,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Option<Parameter> {
    let parameter = object(document, tree, place, compiler)?;
    let text = |key: &str| parameter.get(key).and_then(Tree::as_str);
    let (Some(name), Some(kind)) = (text("name"), text("in").and_then(Place::parse)) else {
        compiler.problem(place, "no `name`, or no known `in`: the parameter is left out");
        return None;
    };
    let lower;
    let name = if kind == Place::Header {
        lower = name.to_ascii_lowercase();
        // OpenAPI 3.0, section 4.7.12.1: definitions of these are ignored, since other parts
        // of a document speak of them.
        if matches!(lower.as_str(), "accept" | "content-type") {
            return None;
        }
        &lower
    } else {
        name
    };
    let required = flag(parameter, "required");
    Some(described(name, kind, required, parameter, place, compiler))
}

fn headers(
    document: &Document,
    response: &Map<String, Tree>,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Box<[Parameter]> {
    let declared = response.get("headers").and_then(Tree::as_object);
    declared
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
        .filter_map(|(name, tree)| {
            let place = format!("{place}/headers/{}", escape_token(name));
            let header = object(document, tree, &place, compiler)?;
            let (lower, required) = (name.to_ascii_lowercase(), flag(header, "required"));
            Some(described(&lower, Place::Header, required, header, &place, compiler))
        })
        .collect()
}

/// A parameter or header with the schema that it has, or that its only form has.
fn described(
    name: &str,
    kind: Place,
    required: bool,
    tree: &Map<String, Tree>,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Parameter {
    static ANYTHING: std::sync::LazyLock<Tree> =
        std::sync::LazyLock::new(|| Tree::Object(Map::new()));
    let schema = tree.get("schema").unwrap_or(&ANYTHING);
    let schema = compiler.compile(schema, &format!("{place}/schema"));
    Parameter { place: kind, name: compiler.builder().name(name), required, schema }
}

fn content(
    document: &Document,
    owner: &Map<String, Tree>,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Box<[Media]> {
    let forms = owner.get("content").and_then(Tree::as_object);
    forms
        .into_iter()
        .flatten()
        .filter_map(|(key, tree)| {
            let place = format!("{place}/content/{}", escape_token(key));
            let form = object(document, tree, &place, compiler)?;
            let schema = form
                .get("schema")
                .map(|schema| compiler.compile(schema, &format!("{place}/schema")));
            Some(Media { range: MediaRange::new(key), schema })
        })
        .collect()
}

/// The object at a place, its reference followed.
fn object<'a>(
    document: &'a Document,
    tree: &'a Tree,
    place: &str,
    compiler: &mut SchemaCompiler<'_>,
) -> Option<&'a Map<String, Tree>> {
    match document.resolve(tree) {
        Ok(Tree::Object(object)) => Some(object),
        Ok(_) => {
            compiler.problem(place, "no object: it is left out");
            None
        }
        Err(error) => {
            compiler.problem(place, format!("{error}: it is left out"));
            None
        }
    }
}

fn flag(tree: &Map<String, Tree>, key: &str) -> bool {
    tree.get(key).and_then(Tree::as_bool).unwrap_or(false)
}

/// The methods of a Path Item Object (OpenAPI 3.0, section 4.7.9).
const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];
