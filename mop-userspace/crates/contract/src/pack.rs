//! Contract packs: the facts of documents and nothing else.
//!
//! A pack is JSON Lines. The first line says what it is and how many documents follow; each
//! further line is one document: its name, its version, the SHA-256 of the text it was made from,
//! and an OpenAPI document that keeps paths, names, types and constraints. Descriptions, titles,
//! examples, defaults, tags, host names and components that nothing refers to are left out: they
//! change no verdict. A pack can be read by whatever reads OpenAPI, and two packs can be compared
//! line by line.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Tree, json};
use thiserror::Error;

use crate::document::{Document, DocumentError, MAX_DOCUMENT_BYTES, path_of_url};

/// One document of a pack.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedDocument {
    /// The facts of the document.
    pub document: Document,
    /// SHA-256, in hexadecimal, of the text that it was made from.
    pub source_sha256: String,
}

/// Why a text is no pack.
#[derive(Debug, Error)]
pub enum PackError {
    /// The first line is not that of a pack.
    #[error("it does not begin like a contract pack")]
    NoPack,
    /// Made by a later program.
    #[error("it has format {found}; this program reads format {FORMAT}")]
    Format {
        /// The format it says.
        found: u32,
    },
    /// A line is no document.
    #[error("line {line} is no document: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Lines are missing, or there are too many.
    #[error("it says {said} documents and has {found}")]
    Count {
        /// Number of the first line.
        said: usize,
        /// Documents that are there.
        found: usize,
    },
}

#[derive(Deserialize, Serialize)]
struct Head {
    mop_contracts: u32,
    documents: usize,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    version: String,
    source_sha256: String,
    openapi: Tree,
}

/// Writes a pack, its documents sorted by name and version.
#[must_use]
pub fn write(documents: &[PackedDocument]) -> String {
    let mut sorted: Vec<&PackedDocument> = documents.iter().collect();
    sorted.sort_by(|one, two| {
        (&one.document.name, &one.document.version)
            .cmp(&(&two.document.name, &two.document.version))
    });
    let mut text = json!({ "mop_contracts": FORMAT, "documents": sorted.len() }).to_string();
    for packed in sorted {
        let Document { name, version, tree } = &packed.document;
        let line = json!({
            "name": name,
            "version": version,
            "source_sha256": packed.source_sha256,
            "openapi": facts(tree),
        });
        text.push('\n');
        text.push_str(&line.to_string());
    }
    text.push('\n');
    text
}

/// Reads a pack.
pub fn read(text: &str) -> Result<Vec<PackedDocument>, PackError> {
    documents(text)?.collect()
}

/// Reads a pack document by document: a tree takes ten times the room of its text, so that it is
/// best to be done with one before the next is read.
pub fn documents(
    text: &str,
) -> Result<impl Iterator<Item = Result<PackedDocument, PackError>>, PackError> {
    let mut lines = text.lines().enumerate();
    let head: Head = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str(line).ok())
        .ok_or(PackError::NoPack)?;
    if head.mop_contracts != FORMAT {
        return Err(PackError::Format { found: head.mop_contracts });
    }
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let found = lines.clone().count();
    if found != head.documents {
        return Err(PackError::Count { said: head.documents, found });
    }
    Ok(lines.map(|(number, line)| document(number + 1, line)))
}

fn document(number: usize, line: &str) -> Result<PackedDocument, PackError> {
    let bad = |reason: String| PackError::Line { line: number, reason };
    if line.len() > MAX_DOCUMENT_BYTES {
        return Err(bad(DocumentError::TooLong.to_string()));
    }
    let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
    let document =
        Document::from_tree(&line.name, line.openapi).map_err(|error| bad(error.to_string()))?;
    Ok(PackedDocument { document, source_sha256: line.source_sha256 })
}

/// Whether a text begins like a pack.
#[must_use]
pub fn is_pack(text: &str) -> bool {
    text.starts_with('{')
        && text.lines().next().is_some_and(|line| serde_json::from_str::<Head>(line).is_ok())
}

/// The tree with nothing but facts.
#[must_use]
pub fn facts(tree: &Tree) -> Tree {
    let mut kept = Map::new();
    let version = tree.pointer("/info/version").cloned().unwrap_or_default();
    kept.insert("openapi".to_owned(), tree.get("openapi").cloned().unwrap_or_default());
    kept.insert("info".to_owned(), json!({ "version": version }));
    if let Some(servers) = tree.get("servers").and_then(Tree::as_array) {
        let paths: BTreeSet<&str> = servers
            .iter()
            .filter_map(|server| server.get("url").and_then(Tree::as_str))
            .map(path_of_url)
            .collect();
        let paths = paths.into_iter().map(|path| json!({ "url": path })).collect();
        kept.insert("servers".to_owned(), Tree::Array(paths));
    }
    let paths = tree.get("paths").map(named).unwrap_or_default();
    if let Some(components) = referenced_components(tree, &paths) {
        kept.insert("components".to_owned(), components);
    }
    kept.insert("paths".to_owned(), paths);
    Tree::Object(kept)
}

/// Components that are referred to, by paths or by each other.
fn referenced_components(tree: &Tree, paths: &Tree) -> Option<Tree> {
    let all = tree.get("components")?.as_object()?;
    let mut pending = Vec::new();
    references(paths, &mut pending);
    let mut components: Map<String, Tree> = Map::new();
    while let Some(reference) = pending.pop() {
        // What refers to something else is kept with the paths, or leads nowhere.
        let Some(place) = reference.strip_prefix("#/components/") else { continue };
        let mut tokens = place.split('/');
        let (Some(kind), Some(name)) = (tokens.next(), tokens.next()) else { continue };
        let name = name.replace("~1", "/").replace("~0", "~");
        let of_kind = components.entry(kind).or_insert_with(|| Tree::Object(Map::new()));
        let Some(of_kind) = of_kind.as_object_mut() else { continue };
        let Some(component) = all.get(kind).and_then(|of_kind| of_kind.get(&name)) else {
            continue;
        };
        if !of_kind.contains_key(&name) {
            let component = keywords(component);
            references(&component, &mut pending);
            of_kind.insert(name, component);
        }
    }
    (!components.is_empty()).then_some(Tree::Object(components))
}

fn references(tree: &Tree, found: &mut Vec<String>) {
    match tree {
        Tree::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Tree::as_str) {
                found.push(reference.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        Tree::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

/// An object whose keys are words of OpenAPI.
fn keywords(tree: &Tree) -> Tree {
    match tree {
        Tree::Object(members) => Tree::Object(
            members
                .iter()
                .filter(|(key, _)| KEPT.contains(&key.as_str()))
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        // Values that may look like keywords.
                        "enum" | "required" => value.clone(),
                        // Objects whose keys are names.
                        "content" | "headers" | "properties" | "responses" => named(value),
                        _ => keywords(value),
                    };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Tree::Array(elements) => Tree::Array(elements.iter().map(keywords).collect()),
        scalar => scalar.clone(),
    }
}

/// An object whose keys are names.
fn named(tree: &Tree) -> Tree {
    match tree {
        Tree::Object(members) => Tree::Object(
            members.iter().map(|(name, value)| (name.clone(), keywords(value))).collect(),
        ),
        other => keywords(other),
    }
}

/// Words of OpenAPI 3.0 that decide on a verdict.
const KEPT: [&str; 48] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "allowEmptyValue",
    "allowReserved",
    "anyOf",
    "content",
    "delete",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "explode",
    "format",
    "get",
    "head",
    "headers",
    "in",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "name",
    "not",
    "nullable",
    "oneOf",
    "operationId",
    "options",
    "parameters",
    "patch",
    "pattern",
    "post",
    "properties",
    "put",
    "readOnly",
    "requestBody",
    "required",
    "responses",
    "schema",
    "style",
    "trace",
    "type",
    "uniqueItems",
];

/// Version of the format.
pub const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"
openapi: 3.0.0
info: {title: A title, version: 1.2.3, description: words}
servers: [{url: "https://host.example/open-insurance/a/v1", description: words}]
tags: [{name: words}]
paths:
  /a/{description}:
    get:
      operationId: getA
      summary: words
      parameters:
        - {name: description, in: path, required: true, description: words, schema: {$ref: "#/components/schemas/Used"}}
      responses:
        "200":
          description: words
          content:
            application/json:
              example: {title: words}
              schema:
                type: object
                title: words
                required: [title]
                properties:
                  title: {type: string, example: words, default: words}
                  example: {type: string, enum: [description]}
components:
  schemas:
    Used: {type: string, maxLength: 3, description: words, allOf: [{$ref: "#/components/schemas/UsedToo"}]}
    UsedToo: {type: string}
    Unused: {type: string}
"##;

    #[test]
    fn a_pack_holds_facts_only_and_reads_back() {
        let document = Document::parse("a", TEXT).expect("a document");
        let packed = PackedDocument { document, source_sha256: "00".to_owned() };
        let text = write(std::slice::from_ref(&packed));
        assert!(is_pack(&text));
        for absent in ["words", "A title", "host.example", "\"Unused\"", "summary", "tags"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
        let read = read(&text).expect("a pack");
        let [document] = read.as_slice() else { panic!("one document") };
        let tree = &document.document.tree;
        let schema = "/paths/~1a~1{description}/get/responses/200/content/application~1json/schema";
        for present in [
            "/components/schemas/Used/maxLength",
            "/components/schemas/UsedToo/type",
            &format!("{schema}/properties/title/type"),
            &format!("{schema}/properties/example/enum/0"),
        ] {
            assert!(tree.pointer(present).is_some(), "{present} in {tree}");
        }
        assert_eq!(tree.pointer("/servers/0/url"), Some(&json!("/open-insurance/a/v1")));
        // Packing what was packed changes nothing.
        assert_eq!(write(&read), text);
    }

    #[test]
    fn what_is_no_pack_says_why() {
        for (text, expected) in [
            ("", "does not begin"),
            ("{\"openapi\":\"3.0.0\"}", "does not begin"),
            ("{\"mop_contracts\":9,\"documents\":0}", "format 9"),
            ("{\"mop_contracts\":1,\"documents\":2}\n", "says 2 documents and has 0"),
            ("{\"mop_contracts\":1,\"documents\":1}\n{}", "line 2"),
        ] {
            let error = read(text).expect_err("no pack").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
