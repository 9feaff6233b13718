//! Answers of the door, in the forms of the official client.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use mop_wire::Role;
use serde_json::{Value, json};

use super::{
    copy::{CORRELATION_ID, HTTP_TYPE, Head, OPERATION, ORIGIN, PATH, Refusal, STATUS_CODE},
    worker::Judged,
};

/// The copy was judged, and what came of it was handed over.
pub(super) fn accepted(head: &Head, judged: &Judged) -> Response {
    let Head { role, path, operation, status: _, told } = head;
    let (origin, http_type) = match role {
        Role::Client => ("client", "request"),
        Role::Server => ("server", "response"),
    };
    let mut header = json!({
        (CORRELATION_ID.to_ascii_lowercase()): told.correlation_id,
        (ORIGIN): origin,
        (HTTP_TYPE): http_type,
        (PATH): path,
        (OPERATION): operation,
    });
    if let (Some(status), Some(header)) = (&told.status_code, header.as_object_mut()) {
        header.insert(STATUS_CODE.to_owned(), json!(status));
    }
    let body = json!({
        "message": "Request accepted and queued for delivery to the server.",
        "timestamp": now(),
        "context": {
            "correlationId": told.correlation_id,
            "clientSSId": told.client_ss_id.as_deref().unwrap_or(origin),
            "serverASId": told.server_as_id.as_deref().unwrap_or_default(),
        },
        "request": { "path": path, "operation": operation, "header": header },
        "validations": judged.validations,
    });
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// It was not.
pub(super) fn refused(refusal: &Refusal) -> Response {
    match refusal {
        Refusal::MissingHeader(name) => list(
            StatusCode::BAD_REQUEST,
            &format!("Missing required header: {name}"),
            &format!(
                "Required request header '{name}' for method parameter type String is not present"
            ),
        ),
        Refusal::NotJson => list(
            StatusCode::BAD_REQUEST,
            "Invalid or unreadable JSON payload.",
            "the body is no JSON, or names an attribute twice",
        ),
        Refusal::TooLarge => list(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The payload is too large.",
            "a copy has 8 MiB at most, and its message 4 MiB",
        ),
        Refusal::InvalidHeader(details) => {
            object(StatusCode::BAD_REQUEST, "Invalid header", details)
        }
        Refusal::NotAnObject => object(
            StatusCode::BAD_REQUEST,
            "Invalid JSON body",
            "Request body must be a single JSON object: send one event per HTTP request",
        ),
        Refusal::Slow => object(
            StatusCode::REQUEST_TIMEOUT,
            "Request timeout",
            "the body did not come within ten seconds",
        ),
        Refusal::Full => later("too many copies at once", 1),
        Refusal::NoFieldPolicy => {
            later("it is not known yet which attributes may be sent to the server", 30)
        }
        Refusal::Closed => later("the door is closed", 5),
    }
}

/// In the form of Spring's actuator; `fields` says whether the lists of attributes are known.
pub(super) fn health(is_open: bool, fields: Option<bool>) -> Response {
    let up = |is_up| if is_up { "UP" } else { "DOWN" };
    let mut components = json!({ "door": { "status": up(is_open) } });
    if let (Some(known), Some(components)) = (fields, components.as_object_mut()) {
        // Not DOWN: to be started anew would not help it.
        let status = if known { "UP" } else { "UNKNOWN" };
        components.insert("anonymizationFields".to_owned(), json!({ "status": status }));
    }
    let status = if is_open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": up(is_open), "components": components }))).into_response()
}

fn list(status: StatusCode, error: &str, details: &str) -> Response {
    (status, Json(json!([error, format!("Details: {details}")]))).into_response()
}

fn object(status: StatusCode, error: &str, details: &str) -> Response {
    let body: Value = json!({ "error": error, "details": details, "timestamp": now() });
    (status, Json(body)).into_response()
}

fn later(details: &str, seconds: u32) -> Response {
    let mut answer = object(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable", details);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

fn now() -> String {
    format!("{:.3}", Timestamp::now())
}
