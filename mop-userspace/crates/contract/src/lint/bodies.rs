//! Bodies where there are none, bodies left out by omission, and media types as keys.

use super::{Code, Context, Report};
use crate::places::Kind;

pub(super) fn check(context: &Context<'_>, report: &mut Report) {
    for place in context.places.of_kind(Kind::Response) {
        let is_empty_status = EMPTY_STATUSES.contains(&place.name.as_str());
        let response = context.document.tree.pointer(&place.pointer);
        let response = response.and_then(|node| context.document.resolve(node).ok());
        let content = response.and_then(|response| response.get("content")?.as_object());
        if is_empty_status
            && place.pointer.starts_with("/paths/")
            && content.is_some_and(|c| !c.is_empty())
        {
            let detail = format!("status {} has no body", place.name);
            report.add(Code::BodyOnEmptyStatus, &place.pointer, detail);
        }
    }
    for operation in context.nodes(Kind::Operation) {
        let Some(body) = operation.value.get("requestBody") else { continue };
        let Ok(body) = context.document.resolve(body) else { continue };
        if METHODS_WITH_BODY.contains(&operation.name) && body.get("required").is_none() {
            let detail = format!("the body of this {} may be absent", operation.name);
            report.add(Code::OptionalRequestBody, &operation.at("requestBody"), detail);
        }
    }
    for media_type in context.nodes(Kind::MediaType) {
        if media_type.name.contains(';') {
            let detail = "the key is compared as a text by many tools".to_owned();
            report.add(Code::MediaTypeWithParameters, media_type.pointer, detail);
        }
    }
}

/// RFC 9110, sections 15.2, 15.3.5, 15.3.6 and 15.4.5.
const EMPTY_STATUSES: [&str; 5] = ["100", "101", "204", "205", "304"];

/// Methods whose meaning is in the body.
const METHODS_WITH_BODY: [&str; 3] = ["patch", "post", "put"];
