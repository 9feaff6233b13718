//! Whether one instance can satisfy two branches of a `oneOf`.
//!
//! `oneOf` asks for exactly one, so a message that satisfies two is refused although each branch
//! alone would have let it pass. The question is answered without messages, by a proof of
//! disjointness: two branches are disjoint when their types, their lists of values or their
//! lengths have nothing in common, when one demands a property that the other, closed, does not
//! know, or when a property that at least one of them demands is disjoint in both.
//!
//! Limits: patterns and formats are not compared, `oneOf`, `anyOf` and `not` inside a branch are
//! not entered, and properties are compared [`MAX_DEPTH`] levels deep. So a pair without a proof
//! is *possibly* ambiguous. To read such a `oneOf` as `anyOf` costs nothing where the claim is
//! wrong: between branches that no instance satisfies together the two keywords say the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Document;

/// The first two branches of this `oneOf` that one instance may satisfy.
pub(crate) fn ambiguous_pair(document: &Document, branches: &[Value]) -> Option<(usize, usize)> {
    let branches = branches.get(..MAX_BRANCHES).unwrap_or(branches);
    for (first, left) in branches.iter().enumerate() {
        for (second, right) in branches.iter().enumerate().skip(first + 1) {
            if !disjoint(document, left, right, 0) {
                return Some((first, second));
            }
        }
    }
    None
}

/// What a schema demands, with its references followed and its `allOf` merged.
#[derive(Default)]
struct Demands<'a> {
    /// `None`: any type.
    types: Option<BTreeSet<&'a str>>,
    /// `None`: any value.
    values: Option<Vec<&'a Value>>,
    required: BTreeSet<&'a str>,
    properties: BTreeMap<&'a str, Vec<&'a Value>>,
    /// For each closed part, the names that it knows.
    closed: Vec<BTreeSet<&'a str>>,
    min_length: u64,
    max_length: Option<u64>,
}

impl<'a> Demands<'a> {
    fn of(document: &'a Document, schema: &'a Value) -> Self {
        let mut demands = Self::default();
        demands.add(document, schema, 0);
        demands
    }

    fn add(&mut self, document: &'a Document, schema: &'a Value, depth: usize) {
        let Ok(schema) = document.resolve(schema) else { return };
        if depth > MAX_DEPTH {
            return;
        }
        if let Some(name) = schema.get("type").and_then(Value::as_str) {
            let mut types = BTreeSet::from([name]);
            if name == "number" {
                types.insert("integer");
            }
            if schema.get("nullable") == Some(&Value::Bool(true)) {
                types.insert("null");
            }
            self.types = Some(match self.types.take() {
                Some(known) => known.intersection(&types).copied().collect(),
                None => types,
            });
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            self.values = Some(match self.values.take() {
                Some(known) => known.into_iter().filter(|value| values.contains(value)).collect(),
                None => values.iter().collect(),
            });
        }
        self.required.extend(
            schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str),
        );
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            self.properties.entry(name).or_default().push(property);
        }
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            self.closed
                .push(properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect());
        }
        if let Some(length) = schema.get("minLength").and_then(Value::as_u64) {
            self.min_length = self.min_length.max(length);
        }
        if let Some(length) = schema.get("maxLength").and_then(Value::as_u64) {
            self.max_length = Some(self.max_length.map_or(length, |known| known.min(length)));
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.add(document, part, depth + 1);
        }
    }

    fn only(&self, name: &str) -> bool {
        self.types.as_ref().is_some_and(|types| types.len() == 1 && types.contains(name))
    }

    /// Demands a property that the closed other does not know.
    fn demands_what_is_closed_to(&self, other: &Self) -> bool {
        other.closed.iter().any(|known| self.required.iter().any(|name| !known.contains(name)))
    }
}

fn disjoint(document: &Document, left: &Value, right: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let left = Demands::of(document, left);
    let right = Demands::of(document, right);
    if let (Some(left), Some(right)) = (&left.types, &right.types)
        && left.is_disjoint(right)
    {
        return true;
    }
    if let (Some(left), Some(right)) = (&left.values, &right.values)
        && !left.iter().any(|value| right.contains(value))
    {
        return true;
    }
    if left.only("string") && right.only("string") {
        return left.max_length.is_some_and(|length| length < right.min_length)
            || right.max_length.is_some_and(|length| length < left.min_length);
    }
    if !left.only("object") || !right.only("object") {
        // Without a type, the keywords of objects let every other kind of value pass.
        return false;
    }
    if left.demands_what_is_closed_to(&right) || right.demands_what_is_closed_to(&left) {
        return true;
    }
    left.required.union(&right.required).any(|name| {
        let (Some(lefts), Some(rights)) = (left.properties.get(name), right.properties.get(name))
        else {
            return false;
        };
        lefts.iter().any(|a| rights.iter().any(|b| disjoint(document, a, b, depth + 1)))
    })
}

/// Levels of properties that are compared; a difference that tells branches apart is near the top.
const MAX_DEPTH: usize = 6;

/// Branches of one `oneOf` that are compared in pairs; published documents have at most 9.
const MAX_BRANCHES: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ambiguous_pair;
    use crate::Document;

    fn pair(branches: &Value) -> Option<(usize, usize)> {
        let document = Document {
            name: "a".to_owned(),
            version: "1".to_owned(),
            tree: json!({"components": {"schemas": {
                "Home": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["HOME"]}}},
                "Car": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["CAR"]}}},
            }}}),
        };
        ambiguous_pair(&document, branches.as_array().expect("branches are a list"))
    }

    #[test]
    fn branches_that_one_instance_satisfies_are_named() {
        for (branches, expected) in [
            (json!([{"type": "string"}, {"type": "integer"}]), None),
            (json!([{"type": "string"}, {"type": "string", "enum": ["A"]}]), Some((0, 1))),
            (json!([{"type": "integer"}, {"type": "number"}]), Some((0, 1))),
            (
                json!([{"$ref": "#/components/schemas/Home"}, {"$ref": "#/components/schemas/Car"}]),
                None,
            ),
            (json!([{"type": "object"}, {"type": "object"}]), Some((0, 1))),
            (
                json!([
                    {"type": "object", "required": ["a"]},
                    {"type": "object", "properties": {"b": {}}, "additionalProperties": false}
                ]),
                None,
            ),
            (
                json!([
                    {"type": "object", "properties": {"a": {}}},
                    {"type": "object", "properties": {"b": {}}, "additionalProperties": false}
                ]),
                Some((0, 1)),
            ),
            // The distinguishing property is declared but nobody demands it.
            (
                json!([
                    {"type": "object", "properties": {"kind": {"type": "string", "enum": ["A"]}}},
                    {"type": "object", "properties": {"kind": {"type": "string", "enum": ["B"]}}}
                ]),
                Some((0, 1)),
            ),
            (
                json!([
                    {"type": "string", "maxLength": 11},
                    {"type": "string", "minLength": 14, "maxLength": 14}
                ]),
                None,
            ),
        ] {
            assert_eq!(pair(&branches), expected, "{branches}");
        }
    }
}
