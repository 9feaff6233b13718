//! Compiled schemas: the closed set of keywords of OpenAPI 3.0's Schema Object, each equal schema
//! once.
//!
//! Invariants: every [`SchemaId`] of a [`Schemas`] is an index below its length; references are
//! followed; `nullable` has become the type `null` (and, where there is an enumeration, a member
//! of it), as the Schema Object of OpenAPI 3.0.3 means it.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
};

use crate::{
    format::Format,
    json::Kind,
    name_table::NameTable,
    pattern::{Pattern, PatternError},
};

/// One schema among [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(u32);

/// A pattern among [`Schemas`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatternId(u32);

/// What a value must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Schema {
    /// The types that are allowed.
    pub types: Types,
    /// `enum`.
    pub constants: Option<Box<Constants>>,
    /// Rules for strings.
    pub string: Option<Box<StringRules>>,
    /// Rules for numbers and integers.
    pub number: Option<Box<NumberRules>>,
    /// Rules for arrays.
    pub array: Option<Box<ArrayRules>>,
    /// Rules for objects.
    pub object: Option<Box<ObjectRules>>,
    /// Other schemas that it is made of.
    pub combination: Option<Box<Combination>>,
    /// Stands for another schema: the way a schema that contains itself is closed.
    pub alias: Option<SchemaId>,
}

/// Schemas that a schema is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Combination {
    /// `allOf`.
    pub all_of: Box<[SchemaId]>,
    /// `anyOf`.
    pub any_of: Box<[SchemaId]>,
    /// `oneOf`.
    pub one_of: Box<[SchemaId]>,
    /// `not`.
    pub not: Option<SchemaId>,
}

/// A set of types. Empty is written as every type: a schema without `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Types(u8);

/// The members of an enumeration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Constants {
    /// Those that are strings.
    pub strings: NameTable,
    /// All others, as JSON.
    pub others: Box<[Box<str>]>,
    /// Whether `null` is one.
    pub null: bool,
}

/// Rules for strings. Lengths count characters (code points).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StringRules {
    /// `minLength`.
    pub min_length: u32,
    /// `maxLength`; `u32::MAX` without one.
    pub max_length: u32,
    /// `pattern`.
    pub pattern: Option<PatternId>,
    /// `format`.
    pub format: Option<Format>,
}

/// Rules for numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NumberRules {
    /// `minimum`, and whether it is itself excluded.
    pub minimum: Option<(Decimal, bool)>,
    /// `maximum`, and whether it is itself excluded.
    pub maximum: Option<(Decimal, bool)>,
    /// `multipleOf`, greater than 0.
    pub multiple_of: Option<Decimal>,
    /// `int32` or `int64`.
    pub format: Option<Format>,
}

/// A finite double that can be compared and hashed by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(u64);

/// Rules for arrays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArrayRules {
    /// `items`.
    pub items: Option<SchemaId>,
    /// `minItems`.
    pub min_items: u32,
    /// `maxItems`; `u32::MAX` without one.
    pub max_items: u32,
    /// `uniqueItems`.
    pub unique: bool,
}

/// Rules for objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRules {
    /// Names of `properties`.
    pub names: NameTable,
    /// Their schemas, in the order of the names.
    pub properties: Box<[Property]>,
    /// How many of the properties are required.
    pub required: u32,
    /// Names that are required but not declared.
    pub undeclared_required: Box<[Arc<str>]>,
    /// `additionalProperties`.
    pub additional: Additional,
    /// `minProperties`.
    pub min_properties: u32,
    /// `maxProperties`; `u32::MAX` without one.
    pub max_properties: u32,
}

/// A declared property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// Of its value.
    pub schema: SchemaId,
    /// Whether it must be there.
    pub required: bool,
}

/// What properties may be there besides the declared ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Additional {
    /// Any.
    Any,
    /// None.
    Closed,
    /// Those whose value matches.
    Schema(SchemaId),
}

/// All schemas and patterns of a set of documents.
#[derive(Debug, Default)]
pub struct Schemas {
    schemas: Vec<Schema>,
    patterns: Vec<Pattern>,
}

/// Adds schemas, each equal one once.
#[derive(Default)]
pub struct SchemasBuilder {
    built: Schemas,
    hasher: RandomState,
    by_hash: HashMap<u64, Vec<SchemaId>>,
    patterns: HashMap<Box<str>, Result<PatternId, PatternError>>,
    names: HashMap<Box<str>, Arc<str>>,
}

impl Schemas {
    /// The schema.
    #[must_use]
    pub fn schema(&self, id: SchemaId) -> &Schema {
        // Ids come from the builder of this very value only.
        self.schemas.get(id.0 as usize).unwrap_or_else(|| &ANYTHING)
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self, id: PatternId) -> Option<&Pattern> {
        self.patterns.get(id.0 as usize)
    }

    /// Number of distinct schemas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.schemas.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }

    /// Number of distinct patterns.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }
}

impl Schema {
    /// The parts of `allOf`.
    #[must_use]
    pub fn all_of(&self) -> &[SchemaId] {
        self.combination.as_ref().map(|combination| &*combination.all_of).unwrap_or_default()
    }
}

impl SchemasBuilder {
    /// The id of this schema, new or known.
    pub fn intern(&mut self, schema: Schema) -> SchemaId {
        let same = self.by_hash.entry(self.hasher.hash_one(&schema)).or_default();
        let schemas = &mut self.built.schemas;
        if let Some(id) = same.iter().find(|id| schemas.get(id.0 as usize) == Some(&schema)) {
            return *id;
        }
        let id = SchemaId(schemas.len() as u32);
        schemas.push(schema);
        same.push(id);
        id
    }

    /// An id for a schema that is not compiled yet, for references to what contains them.
    pub fn reserve(&mut self) -> SchemaId {
        let id = SchemaId(self.built.schemas.len() as u32);
        self.built.schemas.push(Schema::default());
        id
    }

    /// Says what a reserved id stands for.
    pub fn close(&mut self, reserved: SchemaId, target: SchemaId) {
        if let Some(schema) = self.built.schemas.get_mut(reserved.0 as usize) {
            schema.alias = Some(target);
        }
    }

    /// The id of this pattern, new or known, or why it cannot be compiled.
    pub fn pattern(&mut self, source: &str) -> Result<PatternId, PatternError> {
        if let Some(known) = self.patterns.get(source) {
            return known.clone();
        }
        let compiled = Pattern::compile(source).map(|pattern| {
            let id = PatternId(self.built.patterns.len() as u32);
            self.built.patterns.push(pattern);
            id
        });
        self.patterns.insert(source.into(), compiled.clone());
        compiled
    }

    /// One copy of each name.
    pub fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.names.insert(name.into(), Arc::clone(&shared));
        shared
    }

    /// All that was added, and every name in it, sorted.
    #[must_use]
    pub fn finish(self) -> (Schemas, NameTable) {
        let Self { mut built, names, .. } = self;
        built.schemas.shrink_to_fit();
        built.patterns.shrink_to_fit();
        let mut names: Vec<Arc<str>> = names.into_values().collect();
        names.sort_unstable();
        (built, NameTable::new(names))
    }
}

impl Types {
    /// Every type.
    pub const ANY: Self = Self(0x7F);
    /// No type.
    pub const NONE: Self = Self(0);

    /// These and one more. A number may also be an integer.
    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        let more = match kind {
            Kind::Number => bit(Kind::Number) | bit(Kind::Integer),
            other => bit(other),
        };
        Self(self.0 | more)
    }

    /// Whether a value of this kind is allowed.
    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// The names of JSON Schema for what is allowed.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Kind, &str); 7] = [
            (Kind::Object, "object"),
            (Kind::Array, "array"),
            (Kind::String, "string"),
            (Kind::Number, "number"),
            (Kind::Integer, "integer"),
            (Kind::Boolean, "boolean"),
            (Kind::Null, "null"),
        ];
        NAMES.into_iter().filter_map(move |(kind, name)| {
            // Whoever may send a number may send an integer: one word says both.
            let implied = kind == Kind::Integer && self.contains(Kind::Number);
            (self.contains(kind) && !implied).then_some(name)
        })
    }
}

impl Default for Types {
    fn default() -> Self {
        Self::ANY
    }
}

const fn bit(kind: Kind) -> u8 {
    match kind {
        Kind::Array => 1,
        Kind::Boolean => 2,
        Kind::Integer => 4,
        Kind::Null => 8,
        Kind::Number => 16,
        Kind::Object => 32,
        Kind::String => 64,
    }
}

impl Decimal {
    /// `None` when it is not finite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // One zero only, so that equal limits are equal bits.
        value.is_finite().then(|| Self((value + 0.0).to_bits()))
    }

    /// As a double.
    #[must_use]
    pub const fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl Default for StringRules {
    fn default() -> Self {
        Self { min_length: 0, max_length: u32::MAX, pattern: None, format: None }
    }
}

impl Default for ArrayRules {
    fn default() -> Self {
        Self { items: None, min_items: 0, max_items: u32::MAX, unique: false }
    }
}

impl Default for ObjectRules {
    fn default() -> Self {
        Self {
            names: NameTable::default(),
            properties: Box::default(),
            required: 0,
            undeclared_required: Box::default(),
            additional: Additional::Any,
            min_properties: 0,
            max_properties: u32::MAX,
        }
    }
}

static ANYTHING: std::sync::LazyLock<Schema> = std::sync::LazyLock::new(Schema::default);
