//! Closed objects in an `allOf`: each part refuses the properties that only the others declare.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let parts =
            node.list("allOf").iter().filter_map(|part| context.document.resolve(part).ok());
        let parts: Vec<_> = parts.chain(std::iter::once(node.value)).collect();
        if parts.len() < 2 {
            continue;
        }
        let declared: BTreeSet<_> = parts.iter().flat_map(|part| properties(part)).collect();
        for (index, part) in parts.iter().enumerate() {
            if part.get("additionalProperties") != Some(&Value::Bool(false)) {
                continue;
            }
            let known: BTreeSet<_> = properties(part).collect();
            let refused: Vec<_> = declared.difference(&known).copied().collect();
            if !refused.is_empty() {
                let pointer = if index + 1 == parts.len() {
                    node.at("additionalProperties")
                } else {
                    format!("{}/allOf/{index}", node.pointer)
                };
                let detail = format!("it refuses {}", refused.join(", "));
                report.add(Code::ClosedUnderAllOf, &pointer, detail);
            }
        }
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
}
