//! Headers asked of the wrong side, and headers that may not have their usual values.

use serde_json::Value;

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for node in context.nodes(Kind::Parameter).filter(|node| node.text("in") == Some("header")) {
        let name = node.text("name").unwrap_or_default().to_ascii_lowercase();
        let is_required = node.value.get("required") == Some(&Value::Bool(true));
        if is_required && RESPONSE_HEADERS.contains(&name.as_str()) {
            let detail = format!("{name} is sent by servers and demanded of requests");
            report.add(Code::ResponseHeaderInRequest, node.pointer, detail);
        }
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
