//! How attributes are filled ("preenchimento de atributos"): counts for every attribute of a body,
//! which add up over calls, nodes and windows.

use crate::{
    attributes::AttributeTree,
    json::{Kind, Value},
    violation::{Keyword, Location, Violation},
};

/// Counts for the attributes of one [`AttributeTree`], by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Bodies that were counted.
    pub bodies: u64,
    attributes: Vec<AttributeFill>,
}

/// The counts of one body: of the attributes that could have been there, so that many are held in
/// little memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyFill {
    /// Positions in the tree, ascending.
    attributes: Box<[(u32, BodyAttribute)]>,
}

/// Counts for one attribute in one body. A body has fewer values than fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct BodyAttribute {
    seen: u32,
    present: u32,
    null: u32,
    empty: u32,
    not_available: u32,
    invalid: u32,
}

/// Counts for one attribute.
///
/// `null + empty + not_available <= present <= seen` and `invalid <= present`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeFill {
    /// How often it could have been there: the objects that it is an attribute of.
    pub seen: u64,
    /// How often it was there.
    pub present: u64,
    /// Of these: `null`.
    pub null: u64,
    /// Of these: an empty string, array or object.
    pub empty: u64,
    /// Of these: the string `NA`, by which a mandatory attribute says that it has no value.
    pub not_available: u64,
    /// Of these: against the contract.
    pub invalid: u64,
}

impl Fill {
    /// Counts one body and what is wrong in it.
    pub fn add(&mut self, tree: &AttributeTree, body: Value<'_>, violations: &[Violation]) {
        self.attributes.resize(tree.nodes().len(), AttributeFill::default());
        self.bodies += 1;
        self.walk(tree, 0, body);
        for violation in violations {
            // What is missing is not present, and what is wrong with a whole has no attribute.
            let about_value = matches!(violation.location, Location::Body(_))
                && violation.keyword != Keyword::Required;
            if !about_value {
                continue;
            }
            let position = tree.position(&violation.attribute);
            if let Some(fill) = position.and_then(|position| self.attributes.get_mut(position)) {
                let invalid = fill.invalid + u64::from(violation.occurrences);
                fill.invalid = invalid.min(fill.present);
            }
        }
    }

    /// Adds the counts of one body, which is of the same tree.
    pub fn add_body(&mut self, tree: &AttributeTree, body: &BodyFill) {
        self.attributes.resize(tree.nodes().len(), AttributeFill::default());
        self.bodies += 1;
        for (position, counts) in &body.attributes {
            let position = usize::try_from(*position).unwrap_or(usize::MAX);
            let Some(fill) = self.attributes.get_mut(position) else { continue };
            let BodyAttribute { seen, present, null, empty, not_available, invalid } = *counts;
            fill.seen += u64::from(seen);
            fill.present += u64::from(present);
            fill.null += u64::from(null);
            fill.empty += u64::from(empty);
            fill.not_available += u64::from(not_available);
            fill.invalid += u64::from(invalid);
        }
    }

    /// Adds the counts of another node or window for the same tree.
    pub fn merge(&mut self, other: &Self) {
        self.bodies += other.bodies;
        if self.attributes.len() < other.attributes.len() {
            self.attributes.resize(other.attributes.len(), AttributeFill::default());
        }
        for (ours, theirs) in self.attributes.iter_mut().zip(&other.attributes) {
            let AttributeFill { seen, present, null, empty, not_available, invalid } = theirs;
            ours.seen += seen;
            ours.present += present;
            ours.null += null;
            ours.empty += empty;
            ours.not_available += not_available;
            ours.invalid += invalid;
        }
    }

    /// The counts, by position in the tree.
    #[must_use]
    pub fn attributes(&self) -> &[AttributeFill] {
        &self.attributes
    }

    fn walk(&mut self, tree: &AttributeTree, node: usize, value: Value<'_>) {
        match value.kind() {
            Kind::Array => {
                for element in value.elements() {
                    self.walk(tree, node, element);
                }
            }
            Kind::Object => {
                for child in tree.children(node) {
                    if let Some(fill) = self.attributes.get_mut(*child) {
                        fill.seen += 1;
                    }
                }
                for member in value.members() {
                    let Some(child) = tree.child(node, member.name, member.hash) else { continue };
                    if let Some(fill) = self.attributes.get_mut(child) {
                        fill.present += 1;
                        fill.null += u64::from(member.value.kind() == Kind::Null);
                        fill.empty += u64::from(is_empty(member.value));
                        fill.not_available +=
                            u64::from(member.value.as_str() == Some(NOT_AVAILABLE));
                    }
                    self.walk(tree, child, member.value);
                }
            }
            _ => {}
        }
    }
}

impl BodyFill {
    /// Counts one body and what is wrong in it. `scratch` is overwritten.
    #[must_use]
    pub fn of(
        tree: &AttributeTree,
        body: Value<'_>,
        violations: &[Violation],
        scratch: &mut Fill,
    ) -> Self {
        scratch.attributes.clear();
        scratch.add(tree, body, violations);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let attributes = (0_u32..).zip(&scratch.attributes).filter(|(_, fill)| fill.seen > 0);
        let attributes = attributes.map(|(position, fill)| {
            let AttributeFill { seen, present, null, empty, not_available, invalid } = *fill;
            let counts = BodyAttribute {
                seen: small(seen),
                present: small(present),
                null: small(null),
                empty: small(empty),
                not_available: small(not_available),
                invalid: small(invalid),
            };
            (position, counts)
        });
        Self { attributes: attributes.collect() }
    }

    /// Memory that it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.attributes)
    }
}

fn is_empty(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::String => value.as_str() == Some(""),
        Kind::Array | Kind::Object => value.is_empty(),
        _ => false,
    }
}

/// What a mandatory string without a value must carry.
const NOT_AVAILABLE: &str = "NA";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        attributes::Presence,
        check::{Checker, Collector},
        compile::SchemaCompiler,
        document::Document,
        json::Reader,
        schema::SchemasBuilder,
        violation::Direction,
    };

    #[test]
    fn attributes_are_counted_where_they_could_be() {
        let document = Document::from_tree(
            "a",
            json!({ "openapi": "3.0.0", "info": { "version": "1" }, "paths": {} }),
        )
        .expect("a document");
        let schema = json!({
            "type": "object", "required": ["data"], "properties": { "data": { "type": "array", "items": {
                "type": "object", "required": ["id"],
                "properties": {
                    "id": { "type": "string", "maxLength": 3 },
                    "note": { "type": "string", "nullable": true },
                    "tags": { "type": "array", "items": { "type": "string" } },
                },
                "oneOf": [
                    { "type": "object", "properties": { "cpf": { "type": "string" } }, "required": ["cpf"] },
                    { "type": "object", "properties": { "cnpj": { "type": "string" } }, "required": ["cnpj"] },
                ],
            } } },
        });
        let mut builder = SchemasBuilder::default();
        let root = SchemaCompiler::new(&document, &mut builder).compile(&schema, "");
        let (schemas, _) = builder.finish();
        let tree = AttributeTree::new(&schemas, root);
        let paths: Vec<(&str, Presence)> =
            tree.nodes().iter().map(|node| (&*node.path, node.presence)).collect();
        assert_eq!(
            paths,
            [
                ("", Presence::Required),
                ("data", Presence::Required),
                ("data.cnpj", Presence::Alternative),
                ("data.cpf", Presence::Alternative),
                ("data.id", Presence::Required),
                ("data.note", Presence::Optional),
                ("data.tags", Presence::Optional),
            ]
        );

        let body = br#"{"data":[{"id":"1","cpf":"NA","note":null,"tags":[]},
            {"id":"toolong","cnpj":"","tags":["a"],"other":1},{"cpf":"x"}]}"#;
        let mut reader = Reader::default();
        let json = reader.read(body).expect("JSON");
        let value = json.root();
        let mut collector = Collector::default();
        let valid = Checker::new(&schemas, body.len()).collect(root, value, &mut collector);
        assert_eq!(valid, Ok(false));
        let violations: Vec<_> = collector.into_body_violations(Direction::Response).collect();
        let mut fill = Fill::default();
        fill.add(&tree, value, &violations);
        let of = |path: &str| fill.attributes()[tree.position(path).expect(path)];
        let counts = |seen, present, null, empty, not_available, invalid| AttributeFill {
            seen,
            present,
            null,
            empty,
            not_available,
            invalid,
        };
        assert_eq!(of("data"), counts(1, 1, 0, 0, 0, 0));
        assert_eq!(of("data.id"), counts(3, 2, 0, 0, 0, 1));
        assert_eq!(of("data.cpf"), counts(3, 2, 0, 0, 1, 0));
        assert_eq!(of("data.cnpj"), counts(3, 1, 0, 1, 0, 0));
        assert_eq!(of("data.note"), counts(3, 1, 1, 0, 0, 0));
        assert_eq!(of("data.tags"), counts(3, 2, 0, 1, 0, 0));

        // Counted by itself, and added later.
        let mut scratch = fill.clone();
        let body = BodyFill::of(&tree, value, &violations, &mut scratch);
        let mut later = Fill::default();
        later.add_body(&tree, &body);
        assert_eq!(later, fill);

        let mut twice = fill.clone();
        twice.merge(&fill);
        assert_eq!((twice.bodies, twice.attributes()[1].seen), (2, 2));
    }
}
