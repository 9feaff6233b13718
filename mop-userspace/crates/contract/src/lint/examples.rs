//! Examples that their own schema refuses.
//!
//! Compared are types, lists of values, lengths, bounds, patterns, demanded and unknown
//! properties, and items. Formats, `oneOf`, `anyOf` and `not` are not, so what is found is certain
//! and not all there is.

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        judge(context, report, node.value, node.value.get("example"), &node.at("example"));
    }
    for kind in [Kind::Header, Kind::MediaType, Kind::Parameter] {
        for node in context.nodes(kind) {
            let Some(schema) = node.value.get("schema") else { continue };
            judge(context, report, schema, node.value.get("example"), &node.at("example"));
            let named = node.value.get("examples").and_then(Value::as_object);
            for (name, example) in named.into_iter().flatten() {
                let value = context.document.resolve(example).ok().and_then(|e| e.get("value"));
                let at = format!("{}/examples/{}/value", node.pointer, crate::places::escape(name));
                judge(context, report, schema, value, &at);
            }
        }
    }
}

/// The first rule that a value breaks, as `keyword` or `keyword at /pointer`.
pub(super) fn broken_rule(context: &Context<'_>, schema: &Value, value: &Value) -> Option<String> {
    let mut at = String::new();
    let keyword = broken(context, schema, value, &mut at, 0)?;
    Some(if at.is_empty() { keyword.to_owned() } else { format!("{keyword} at {at}") })
}

fn judge(
    context: &Context<'_>,
    report: &mut Report,
    schema: &Value,
    example: Option<&Value>,
    at: &str,
) {
    if let Some(rule) = example.and_then(|example| broken_rule(context, schema, example)) {
        report.add(Code::ExampleBreaksSchema, at, format!("the example breaks {rule}"));
    }
}

fn broken(
    context: &Context<'_>,
    schema: &Value,
    value: &Value,
    at: &mut String,
    depth: usize,
) -> Option<&'static str> {
    let schema = context.document.resolve(schema).ok()?;
    if depth > MAX_DEPTH || (value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)))
    {
        return None;
    }
    if let Some(type_name) = schema.get("type").and_then(Value::as_str)
        && !has_type(value, type_name)
    {
        return Some("type");
    }
    if let Some(members) = schema.get("enum").and_then(Value::as_array)
        && !members.contains(value)
    {
        return Some("enum");
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if let Some(keyword) = broken(context, part, value, at, depth + 1) {
            return Some(keyword);
        }
    }
    let count = |keyword| schema.get(keyword).and_then(Value::as_u64);
    let out_of = |least, most, length: usize| {
        let length = length as u64;
        if count(least).is_some_and(|bound| length < bound) {
            return Some(least);
        }
        count(most).is_some_and(|bound| length > bound).then_some(most)
    };
    match value {
        Value::String(text) => {
            if let Some(keyword) = out_of("minLength", "maxLength", text.chars().count()) {
                return Some(keyword);
            }
            let pattern = schema.get("pattern").and_then(Value::as_str)?;
            (context.patterns.matches(pattern, text) == Some(false)).then_some("pattern")
        }
        Value::Number(number) => {
            let number = number.as_f64()?;
            let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
            if bound("minimum").is_some_and(|least| number < least) {
                return Some("minimum");
            }
            bound("maximum").is_some_and(|most| number > most).then_some("maximum")
        }
        Value::Array(items) => {
            if let Some(keyword) = out_of("minItems", "maxItems", items.len()) {
                return Some(keyword);
            }
            let schema = schema.get("items")?;
            items.iter().enumerate().find_map(|(index, item)| {
                inside(context, schema, item, at, &index.to_string(), depth)
            })
        }
        Value::Object(members) => {
            if let Some(keyword) = out_of("minProperties", "maxProperties", members.len()) {
                return Some(keyword);
            }
            let required = schema.get("required").and_then(Value::as_array);
            let mut required = required.into_iter().flatten().filter_map(Value::as_str);
            if required.any(|name| !members.contains_key(name)) {
                return Some("required");
            }
            let declared = schema.get("properties").and_then(Value::as_object);
            let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
            members.iter().find_map(|(name, member)| {
                match declared.and_then(|declared| declared.get(name)) {
                    Some(schema) => inside(context, schema, member, at, name, depth),
                    None => is_closed.then_some("additionalProperties"),
                }
            })
        }
        Value::Bool(_) | Value::Null => None,
    }
}

fn inside(
    context: &Context<'_>,
    schema: &Value,
    value: &Value,
    at: &mut String,
    step: &str,
    depth: usize,
) -> Option<&'static str> {
    let length = at.len();
    at.push('/');
    at.push_str(&crate::places::escape(step));
    let keyword = broken(context, schema, value, at, depth + 1);
    if keyword.is_none() {
        at.truncate(length);
    }
    keyword
}

fn has_type(value: &Value, type_name: &str) -> bool {
    match type_name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        // A type that does not exist is another defect.
        _ => true,
    }
}

/// Levels of an example; a reference back to itself ends here.
const MAX_DEPTH: usize = 64;
