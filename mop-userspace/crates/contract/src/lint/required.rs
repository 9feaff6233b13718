//! Demanded properties that nobody declares.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Code, Context, Report};
use crate::{Document, places::Kind};

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let mut required = node.names("required").peekable();
        // A part of an `allOf` may demand what another part declares.
        if required.peek().is_none() || node.pointer.contains("/allOf/") {
            continue;
        }
        let mut declared = BTreeSet::new();
        declare(context.document, node.value, &mut declared, 0);
        if node.value.get("additionalProperties").is_some_and(Value::is_object) {
            continue;
        }
        let missing: Vec<_> = required.filter(|name| !declared.contains(name)).collect();
        if !missing.is_empty() {
            let detail = format!("nothing declares {}", missing.join(", "));
            report.add(Code::RequiredNotDeclared, &node.at("required"), detail);
        }
    }
}

/// The properties of a schema and of every part and branch of it.
fn declare<'a>(
    document: &'a Document,
    schema: &'a Value,
    into: &mut BTreeSet<&'a str>,
    depth: usize,
) {
    let Ok(schema) = document.resolve(schema) else { return };
    if depth > MAX_DEPTH {
        return;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    into.extend(properties.into_iter().flatten().map(|(name, _)| name.as_str()));
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            declare(document, part, into, depth + 1);
        }
    }
}

/// Levels of parts within parts.
const MAX_DEPTH: usize = 16;
