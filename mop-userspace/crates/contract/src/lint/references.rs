//! References that lead nowhere, out of the document or in a circle.

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::escape;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    let mut open = vec![(String::new(), &context.document.tree)];
    while let Some((at, node)) = open.pop() {
        match node {
            Value::Object(members) => {
                if members.get("$ref").is_some_and(Value::is_string)
                    && let Err(error) = context.document.resolve(node)
                {
                    report.add(Code::UnresolvableReference, &at, error.to_string());
                }
                for (name, member) in members {
                    // An example may hold anything.
                    if name != "example" && name != "examples" {
                        open.push((format!("{at}/{}", escape(name)), member));
                    }
                }
            }
            Value::Array(members) => {
                let members = members.iter().enumerate();
                open.extend(members.map(|(index, member)| (format!("{at}/{index}"), member)));
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
        }
    }
}
