//! Schema Objects of OpenAPI 3.0 (section 4.7.24) to [`Schema`]s.
//!
//! Never fails: what cannot be understood is left out, which makes the schema more lenient, and is
//! reported as a [`Problem`].

use std::collections::HashMap;

use serde_json::{Map, Value as Tree};

use super::Problem;
use crate::{
    document::{Document, escape_token},
    format::Format,
    json::Kind,
    name_table::NameTable,
    schema::{
        Additional, ArrayRules, Combination, Constants, Decimal, NumberRules, ObjectRules,
        Property, Schema, SchemaId, SchemasBuilder, StringRules, Types,
    },
};

/// Compiles the schemas of one document.
pub(crate) struct SchemaCompiler<'a> {
    document: &'a Document,
    builder: &'a mut SchemasBuilder,
    /// Schemas that references led to: compiled, or being compiled.
    referenced: HashMap<String, Progress>,
    depth: usize,
    problems: Vec<Problem>,
}

#[derive(Clone, Copy)]
enum Progress {
    Done(SchemaId),
    /// Being compiled; the id that stands for it inside itself, once one was needed.
    Open(Option<SchemaId>),
}

impl<'a> SchemaCompiler<'a> {
    pub(crate) fn new(document: &'a Document, builder: &'a mut SchemasBuilder) -> Self {
        Self { document, builder, referenced: HashMap::new(), depth: 0, problems: Vec::new() }
    }

    /// What was left out so far.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(crate) fn builder(&mut self) -> &mut SchemasBuilder {
        self.builder
    }

    /// The schema at a place of the document.
    pub(crate) fn compile(&mut self, tree: &Tree, pointer: &str) -> SchemaId {
        if self.depth >= MAX_SCHEMA_DEPTH {
            self.problem(pointer, "nested too deep: what is inside is not checked");
            return self.builder.intern(Schema::default());
        }
        self.depth += 1;
        let id = match tree.get("$ref").and_then(Tree::as_str) {
            Some(reference) => self.reference(tree, reference, pointer),
            None => match tree.as_object() {
                Some(keywords) => self.keywords(keywords, pointer),
                None => {
                    self.problem(pointer, "not a schema: nothing is checked");
                    self.builder.intern(Schema::default())
                }
            },
        };
        self.depth -= 1;
        id
    }

    pub(crate) fn problem(&mut self, pointer: &str, detail: impl Into<String>) {
        self.problems.push(Problem { pointer: pointer.to_owned(), detail: detail.into() });
    }

    fn reference(&mut self, tree: &Tree, reference: &str, pointer: &str) -> SchemaId {
        match self.referenced.get(reference).copied() {
            Some(Progress::Done(id) | Progress::Open(Some(id))) => return id,
            Some(Progress::Open(None)) => {
                let id = self.builder.reserve();
                self.referenced.insert(reference.to_owned(), Progress::Open(Some(id)));
                return id;
            }
            None => {}
        }
        let document = self.document;
        let target = match document.resolve(tree) {
            Ok(target) => target,
            Err(error) => {
                self.problem(pointer, format!("{error}: nothing is checked"));
                return self.builder.intern(Schema::default());
            }
        };
        self.referenced.insert(reference.to_owned(), Progress::Open(None));
        let place = reference.strip_prefix('#').unwrap_or(reference).to_owned();
        let id = self.compile(target, &place);
        if let Some(Progress::Open(Some(reserved))) =
            self.referenced.insert(reference.to_owned(), Progress::Done(id))
        {
            self.builder.close(reserved, id);
        }
        id
    }

    fn keywords(&mut self, keywords: &Map<String, Tree>, pointer: &str) -> SchemaId {
        let schema = Schema {
            types: self.types(keywords, pointer),
            constants: self.constants(keywords),
            string: self.string(keywords, pointer),
            number: self.number(keywords),
            array: self.array(keywords, pointer),
            object: self.object(keywords, pointer),
            combination: self.combination(keywords, pointer),
            alias: None,
        };
        // `allOf` of one schema and nothing else is that schema: a common way to hang a
        // description on a reference.
        if let [only] = *schema.all_of() {
            let all_of = Box::new([only]);
            let combination = Some(Box::new(Combination { all_of, ..Combination::default() }));
            if schema == (Schema { combination, ..Schema::default() }) {
                return only;
            }
        }
        self.builder.intern(schema)
    }

    fn types(&mut self, keywords: &Map<String, Tree>, pointer: &str) -> Types {
        let Some(name) = keywords.get("type") else { return Types::ANY };
        let kind = match name.as_str() {
            Some("array") => Kind::Array,
            Some("boolean") => Kind::Boolean,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("object") => Kind::Object,
            Some("string") => Kind::String,
            _ => {
                self.problem(pointer, "`type` is no type of OpenAPI 3.0: every type is allowed");
                return Types::ANY;
            }
        };
        let types = Types::NONE.with(kind);
        if is_nullable(keywords) { types.with(Kind::Null) } else { types }
    }

    fn constants(&mut self, keywords: &Map<String, Tree>) -> Option<Box<Constants>> {
        let members = keywords.get("enum")?.as_array()?;
        let strings: Vec<_> =
            members.iter().filter_map(Tree::as_str).map(|name| self.builder.name(name)).collect();
        let others = members
            .iter()
            .filter(|member| !member.is_string() && !member.is_null())
            .map(|member| member.to_string().into_boxed_str())
            .collect();
        let null = members.iter().any(Tree::is_null) || is_nullable(keywords);
        Some(Box::new(Constants { strings: NameTable::new(strings), others, null }))
    }

    fn string(&mut self, keywords: &Map<String, Tree>, pointer: &str) -> Option<Box<StringRules>> {
        let pattern = keywords.get("pattern").and_then(Tree::as_str).and_then(|source| {
            self.builder
                .pattern(source)
                .map_err(|error| {
                    self.problem(
                        &format!("{pointer}/pattern"),
                        format!("{error}: the pattern is not checked"),
                    );
                })
                .ok()
        });
        let rules = StringRules {
            min_length: count(keywords, "minLength").unwrap_or(0),
            max_length: count(keywords, "maxLength").unwrap_or(u32::MAX),
            pattern,
            format: format(keywords).filter(|format| !is_of_integers(*format)),
        };
        (rules != StringRules::default()).then(|| Box::new(rules))
    }

    fn number(&mut self, keywords: &Map<String, Tree>) -> Option<Box<NumberRules>> {
        let decimal = |key: &str| keywords.get(key)?.as_f64().and_then(Decimal::new);
        let flag = |key: &str| keywords.get(key).and_then(Tree::as_bool).unwrap_or(false);
        let rules = NumberRules {
            minimum: decimal("minimum").map(|limit| (limit, flag("exclusiveMinimum"))),
            maximum: decimal("maximum").map(|limit| (limit, flag("exclusiveMaximum"))),
            multiple_of: decimal("multipleOf").filter(|step| step.value() > 0.0),
            format: format(keywords).filter(|format| is_of_integers(*format)),
        };
        (rules != NumberRules::default()).then(|| Box::new(rules))
    }

    fn array(&mut self, keywords: &Map<String, Tree>, pointer: &str) -> Option<Box<ArrayRules>> {
        let rules = ArrayRules {
            items: keywords
                .get("items")
                .map(|items| self.compile(items, &format!("{pointer}/items"))),
            min_items: count(keywords, "minItems").unwrap_or(0),
            max_items: count(keywords, "maxItems").unwrap_or(u32::MAX),
            unique: keywords.get("uniqueItems").and_then(Tree::as_bool).unwrap_or(false),
        };
        (rules != ArrayRules::default()).then(|| Box::new(rules))
    }

    fn object(&mut self, keywords: &Map<String, Tree>, pointer: &str) -> Option<Box<ObjectRules>> {
        let declared = keywords.get("properties").and_then(Tree::as_object);
        let required: Vec<&str> = keywords
            .get("required")
            .and_then(Tree::as_array)
            .map(|names| names.iter().filter_map(Tree::as_str).collect())
            .unwrap_or_default();
        let names =
            NameTable::new(declared.into_iter().flatten().map(|(name, _)| self.builder.name(name)));
        let properties: Box<[Property]> = declared
            .into_iter()
            .flatten()
            .take(names.len())
            .map(|(name, tree)| Property {
                schema: self.compile(tree, &format!("{pointer}/properties/{}", escape_token(name))),
                required: required.contains(&name.as_str()),
            })
            .collect();
        let undeclared_required = NameTable::new(
            required
                .iter()
                .filter(|name| !names.contains(name))
                .map(|name| self.builder.name(name)),
        );
        let additional = match keywords.get("additionalProperties") {
            None | Some(Tree::Bool(true)) => Additional::Any,
            Some(Tree::Bool(false)) => Additional::Closed,
            Some(tree) => {
                Additional::Schema(self.compile(tree, &format!("{pointer}/additionalProperties")))
            }
        };
        let rules = ObjectRules {
            required: properties.iter().filter(|property| property.required).count() as u32,
            names,
            properties,
            undeclared_required: undeclared_required.iter().cloned().collect(),
            additional,
            min_properties: count(keywords, "minProperties").unwrap_or(0),
            max_properties: count(keywords, "maxProperties").unwrap_or(u32::MAX),
        };
        (rules != ObjectRules::default()).then(|| Box::new(rules))
    }

    fn combination(
        &mut self,
        keywords: &Map<String, Tree>,
        pointer: &str,
    ) -> Option<Box<Combination>> {
        let combination = Combination {
            all_of: self.several(keywords, "allOf", pointer),
            any_of: self.several(keywords, "anyOf", pointer),
            one_of: self.several(keywords, "oneOf", pointer),
            not: keywords.get("not").map(|not| self.compile(not, &format!("{pointer}/not"))),
        };
        (combination != Combination::default()).then(|| Box::new(combination))
    }

    fn several(
        &mut self,
        keywords: &Map<String, Tree>,
        key: &str,
        pointer: &str,
    ) -> Box<[SchemaId]> {
        let Some(trees) = keywords.get(key).and_then(Tree::as_array) else { return Box::default() };
        trees
            .iter()
            .enumerate()
            .map(|(place, tree)| self.compile(tree, &format!("{pointer}/{key}/{place}")))
            .collect()
    }
}

fn is_nullable(keywords: &Map<String, Tree>) -> bool {
    keywords.contains_key("type")
        && keywords.get("nullable").and_then(Tree::as_bool).unwrap_or(false)
}

fn count(keywords: &Map<String, Tree>, key: &str) -> Option<u32> {
    keywords.get(key)?.as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn format(keywords: &Map<String, Tree>) -> Option<Format> {
    Format::parse(keywords.get("format")?.as_str()?)
}

fn is_of_integers(format: Format) -> bool {
    matches!(format, Format::Int32 | Format::Int64)
}

/// The deepest published schema has 29 levels; every level costs a stack frame or two.
const MAX_SCHEMA_DEPTH: usize = 256;
