//! The contract first: texts of a request that conform to what their schema demands of them are what
//! they should be, whatever they look like.
//!
//! Only what really bounds a text counts: an enumeration, a format of dates and the like, or a pattern
//! that no attack would pass. Many published patterns accept any text (`[\w\W\s]*`), and say nothing.
//!
//! This is worked out only once something was found in a call that has an operation, so ordinary
//! calls pay nothing for it.

use std::collections::HashSet;

use mop_contract::{
    Contract,
    format::Format,
    json::{Kind, Reader, Value},
    operation::{Operation, Place},
    route::{Route, decode, path_of, query_of},
    schema::{Combination, Schema, SchemaId, Schemas},
};
use mop_wire::{
    Exchange, Request,
    content::{self, DecodeLimits},
};

/// Texts of a request that their schemas account for. Has no `Debug`: they were received.
#[derive(Default)]
pub(super) struct Trusted {
    texts: HashSet<Box<[u8]>>,
    /// All parameters in the path are: the rest of it is the contract's.
    is_path: bool,
}

impl Trusted {
    /// Works them out for a request of an operation.
    pub(super) fn of(
        contract: &Contract,
        operation: &Operation,
        route: &Route<'_, '_>,
        exchange: &Exchange,
    ) -> Self {
        let mut trusted = Self::default();
        let Some(request) = &exchange.request else { return trusted };
        trusted.parameters(contract.schemas(), operation, route, request);
        trusted.body(contract.schemas(), operation, request);
        trusted
    }

    /// Whether a value that stands in a request as these bytes is one.
    pub(super) fn has(&self, sent: &[u8]) -> bool {
        self.texts.contains(sent)
    }

    /// Whether the path as a whole is.
    pub(super) fn has_path(&self) -> bool {
        self.is_path
    }

    fn parameters(
        &mut self,
        schemas: &Schemas,
        operation: &Operation,
        route: &Route<'_, '_>,
        request: &Request,
    ) {
        self.is_path = true;
        for parameter in &operation.corrected.parameters {
            let is_named = |name: &str| name == &*parameter.name;
            let conforms = |text: &str| conforms(schemas, &[parameter.schema], text);
            match parameter.place {
                Place::Path => {
                    let value = route.parameters.iter().find(|(name, _)| is_named(name));
                    let is_trusted = value.is_some_and(|(_, value)| conforms(value));
                    self.is_path &= is_trusted;
                    if let Some((_, value)) = value.filter(|_| is_trusted) {
                        let sent = path_of(&request.target).split('/');
                        let sent = sent.filter(|sent| decode(sent).as_ref() == Some(value));
                        self.texts.extend(sent.map(|sent| sent.as_bytes().into()));
                    }
                }
                Place::Query => {
                    let query = query_of(&request.target).unwrap_or_default();
                    for pair in query.split('&').take(MAX_PAIRS) {
                        let (name, sent) = pair.split_once('=').unwrap_or((pair, ""));
                        let value = decode(sent).filter(|_| is_named(name));
                        if value.is_some_and(|value| conforms(&value)) {
                            self.texts.insert(sent.as_bytes().into());
                        }
                    }
                }
                Place::Header => {
                    for sent in request.headers.values(&parameter.name).take(MAX_PAIRS) {
                        if std::str::from_utf8(sent).is_ok_and(conforms) {
                            self.texts.insert(sent.into());
                        }
                    }
                }
                Place::Cookie => {}
            }
        }
    }

    fn body(&mut self, schemas: &Schemas, operation: &Operation, request: &Request) {
        let Some(declared) = &operation.corrected.request_body else { return };
        let sources: Vec<SchemaId> =
            declared.content.iter().filter_map(|media| media.schema).collect();
        if sources.is_empty() || !request.body.is_whole() {
            return;
        }
        let plain = content::codings(&request.headers).and_then(|codings| {
            content::decode(&codings, &request.body.bytes, DecodeLimits::default())
        });
        let Ok(plain) = plain else { return };
        let mut reader = Reader::default();
        if let Ok(json) = reader.read(&plain) {
            let mut left = MAX_VALUES;
            self.walk(schemas, &sources, json.root(), 0, &mut left);
        }
    }

    fn walk(
        &mut self,
        schemas: &Schemas,
        sources: &[SchemaId],
        value: Value<'_>,
        depth: usize,
        left: &mut usize,
    ) {
        if depth > MAX_DEPTH || *left == 0 || sources.is_empty() {
            return;
        }
        *left -= 1;
        match value.kind() {
            Kind::Object => {
                for member in value.members() {
                    let below = gathered(schemas, sources, &mut |schema, found| {
                        let Some(object) = &schema.object else { return };
                        let position = object.names.position(member.name, member.hash);
                        found.extend(
                            position
                                .and_then(|at| object.properties.get(at))
                                .map(|property| property.schema),
                        );
                    });
                    self.walk(schemas, &below, member.value, depth + 1, left);
                }
            }
            Kind::Array => {
                let below = gathered(schemas, sources, &mut |schema, found| {
                    found.extend(schema.array.as_ref().and_then(|rules| rules.items));
                });
                for element in value.elements() {
                    self.walk(schemas, &below, element, depth + 1, left);
                }
            }
            _ => {
                if let Some(text) = value.as_str()
                    && conforms(schemas, sources, text)
                {
                    self.texts.insert(text.as_bytes().into());
                }
            }
        }
    }
}

/// Whether any schema that describes a text bounds it, and accepts it.
fn conforms(schemas: &Schemas, sources: &[SchemaId], text: &str) -> bool {
    let mut is_accounted_for = false;
    gathered(schemas, sources, &mut |schema, _| {
        let constants = schema.constants.as_ref();
        is_accounted_for |= constants.is_some_and(|constants| constants.strings.contains(text));
        let Some(rules) = &schema.string else { return };
        let by_format = rules.format.is_some_and(|format| {
            matches!(format, Format::Date | Format::DateTime | Format::Uuid) && format.accepts(text)
        });
        let pattern = rules.pattern.and_then(|pattern| schemas.pattern(pattern));
        let by_pattern = pattern.is_some_and(|pattern| {
            let accepts = |text: &str| pattern.is_match(text).unwrap_or(true);
            // The witnesses are cheap; what is not decided within its limits is not trusted.
            !WITNESSES.iter().any(|witness| accepts(witness))
                && pattern.is_match(text).unwrap_or(false)
        });
        is_accounted_for |= by_format || by_pattern;
    });
    is_accounted_for
}

/// What is found in schemas and in all that they are made of.
fn gathered(
    schemas: &Schemas,
    sources: &[SchemaId],
    look: &mut dyn FnMut(&Schema, &mut Vec<SchemaId>),
) -> Vec<SchemaId> {
    let mut found = Vec::new();
    let mut seen: HashSet<SchemaId> = HashSet::new();
    let mut pending: Vec<SchemaId> = sources.to_vec();
    while let Some(id) = pending.pop() {
        if seen.len() >= MAX_PARTS || !seen.insert(id) {
            continue;
        }
        let schema = schemas.schema(id);
        pending.extend(schema.alias.iter().chain(schema.all_of()));
        if let Some(Combination { any_of, one_of, .. }) = schema.combination.as_deref() {
            pending.extend(any_of.iter().chain(one_of));
        }
        look(schema, &mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Texts that nobody means when a pattern is to bound something: of several interpreters, short and
/// long, with the characters that each of them needs.
const WITNESSES: [&str; 4] = [
    "' or 1=1 -- ",
    "<script>alert(1)</script>",
    "; cat /etc/passwd | sh",
    "../../../../etc/passwd",
];

/// The largest published request has five thousand values.
const MAX_VALUES: usize = 16 << 10;

/// Levels of a body; published ones have 29 at most.
const MAX_DEPTH: usize = 64;

/// Schemas that one is made of.
const MAX_PARTS: usize = 256;

/// Parameters in a query, and fields of one name.
const MAX_PAIRS: usize = 64;
