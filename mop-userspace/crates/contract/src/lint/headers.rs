//! Headers asked of the wrong side, and headers that may not have their usual values.

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    // Where a request is asked for it, and not where it is described: a description that nothing
    // refers to asks nobody.
    for place in context.places.of_kind(Kind::Parameter) {
        let node = context.document.tree.pointer(&place.pointer);
        let parameter = node.and_then(|node| context.document.resolve(node).ok());
        let Some(name) = parameter.and_then(header_name) else { continue };
        let is_required = parameter
            .is_some_and(|parameter| parameter.get("required") == Some(&Value::Bool(true)));
        if is_required
            && place.pointer.starts_with("/paths/")
            && RESPONSE_HEADERS.contains(&name.as_str())
        {
            let detail = format!("{name} is sent by servers and demanded of requests");
            report.add(Code::ResponseHeaderInRequest, &place.pointer, detail);
        }
    }
    for node in context.nodes(Kind::Parameter) {
        let Some(name) = header_name(node.value) else { continue };
        let schema = node.value.get("schema").and_then(|s| context.document.resolve(s).ok());
        let most = schema.and_then(|schema| schema.get("maxLength")?.as_u64());
        let usual = USUAL_LENGTHS.iter().find(|(header, _)| *header == name);
        if let (Some(most), Some((_, usual))) = (most, usual)
            && most < *usual
        {
            let detail =
                format!("{name} may have {most} characters, and values of {usual} are usual");
            report.add(Code::HeaderLengthBelowUsualValues, node.pointer, detail);
        }
    }
}

/// The name of a request header, in lower case.
fn header_name(parameter: &Value) -> Option<String> {
    let is_header = parameter.get("in")?.as_str()? == "header";
    is_header.then(|| parameter.get("name")?.as_str().map(str::to_ascii_lowercase))?
}

/// Headers that have a meaning in answers, or whose value for a request is the client's own
/// affair, as with `cache-control`.
const RESPONSE_HEADERS: [&str; 10] = [
    "cache-control",
    "content-security-policy",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
];

/// What browsers inside applications send as their name.
const USUAL_LENGTHS: [(&str, u64); 2] = [("user-agent", 512), ("x-customer-user-agent", 512)];
