//! Keywords and formats that have no effect on the declared type, lists without items, and
//! formats that nobody knows.

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Schema) {
        let Some(type_name) = node.text("type") else { continue };
        for (keyword, types) in KEYWORDS {
            if node.value.get(keyword).is_some() && !types.contains(&type_name) {
                let detail = format!("{keyword} has no effect on {type_name}");
                report.add(Code::KeywordOfAnotherType, &node.at(keyword), detail);
            }
        }
        if let Some(format) = node.text("format") {
            match FORMATS.iter().find(|(name, _)| *name == format) {
                Some((_, types)) if !types.contains(&type_name) => {
                    let detail = format!("the format {format} has no effect on {type_name}");
                    report.add(Code::KeywordOfAnotherType, &node.at("format"), detail);
                }
                Some(_) => {}
                None => {
                    let detail = format!("the format {format} is not checked");
                    report.add(Code::UnknownFormat, &node.at("format"), detail);
                }
            }
        }
        if type_name == "array" && node.value.get("items").is_none() {
            let detail = "any items pass".to_owned();
            report.add(Code::ArrayWithoutItems, node.pointer, detail);
        }
    }
}

const NUMBERS: &[&str] = &["integer", "number"];

/// Keywords and the types on which they have an effect.
const KEYWORDS: [(&str, &[&str]); 17] = [
    ("additionalProperties", &["object"]),
    ("exclusiveMaximum", NUMBERS),
    ("exclusiveMinimum", NUMBERS),
    ("items", &["array"]),
    ("maxItems", &["array"]),
    ("maxLength", &["string"]),
    ("maxProperties", &["object"]),
    ("maximum", NUMBERS),
    ("minItems", &["array"]),
    ("minLength", &["string"]),
    ("minProperties", &["object"]),
    ("minimum", NUMBERS),
    ("multipleOf", NUMBERS),
    ("pattern", &["string"]),
    ("properties", &["object"]),
    ("required", &["object"]),
    ("uniqueItems", &["array"]),
];

/// Formats of OpenAPI 3.0 and of JSON Schema, and their types.
const FORMATS: [(&str, &[&str]); 16] = [
    ("binary", &["string"]),
    ("byte", &["string"]),
    ("date", &["string"]),
    ("date-time", &["string"]),
    ("double", &["number"]),
    ("email", &["string"]),
    ("float", &["number"]),
    ("hostname", &["string"]),
    ("int32", NUMBERS),
    ("int64", NUMBERS),
    ("ipv4", &["string"]),
    ("ipv6", &["string"]),
    ("password", &["string"]),
    ("regex", &["string"]),
    ("uri", &["string"]),
    ("uuid", &["string"]),
];
