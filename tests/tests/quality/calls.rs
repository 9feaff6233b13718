//! Calls that are right in every respect, to be spoilt in one.

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A call with both its messages.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) role: &'static str,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) request: Part,
    pub(crate) status: u16,
    pub(crate) response: Part,
}

/// Headers and body of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Call {
    /// The creation of a consent.
    pub(crate) fn consent() -> Self {
        let request = json!({ "data": {
            "loggedUser": { "document": { "identification": "00000000000", "rel": "CPF" } },
            "permissions": ["RESOURCES_READ", "CUSTOMERS_PERSONAL_IDENTIFICATIONS_READ"],
            "expirationDateTime": "2027-02-01T23:59:59Z",
        } });
        let response = json!({
            "data": {
                "consentId": "urn:participante:synthetic-000001",
                "creationDateTime": "2027-01-01T00:00:00Z",
                "status": "AWAITING_AUTHORISATION",
                "statusUpdateDateTime": "2027-01-01T00:00:00Z",
                "permissions": ["RESOURCES_READ"],
                "expirationDateTime": "2027-02-01T23:59:59Z",
            },
            "links": { "self": "https://api.participante.example/open-insurance/consents/v3/consents" },
            "meta": { "totalRecords": 1, "totalPages": 1 },
        });
        let mut call = Self::with("POST", CONSENTS, &request, 201, &response);
        call.request.set("x-idempotency-key", "synthetic-key-1");
        call
    }

    /// A page of resources.
    pub(crate) fn resources() -> Self {
        let response = json!({
            "data": [{ "resourceId": "synthetic-1", "type": "CUSTOMERS_PERSONAL_IDENTIFICATIONS", "status": "AVAILABLE" }],
            "links": { "self": "https://api.participante.example/open-insurance/resources/v3/resources" },
            "meta": { "totalRecords": 1, "totalPages": 1 },
        });
        Self::with("GET", RESOURCES, &Value::Null, 200, &response)
    }

    /// A call with these bodies, `null` for none, and the fields that every call has.
    pub(crate) fn with(
        method: &str,
        target: &str,
        request: &Value,
        status: u16,
        response: &Value,
    ) -> Self {
        let part = |body: &Value, fields: &[(&str, &str)]| {
            let mut part = Part::default();
            for (name, value) in fields {
                part.set(name, value);
            }
            if !body.is_null() {
                part.set("content-type", "application/json");
                part.body = body.to_string().into_bytes();
            }
            part
        };
        Self {
            role: "server",
            method: method.to_owned(),
            target: target.to_owned(),
            request: part(request, &REQUEST_FIELDS),
            status,
            response: part(response, &RESPONSE_FIELDS),
        }
    }

    pub(crate) fn part(&self, side: Side) -> &Part {
        match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        }
    }

    /// The neutral form, as a line of a file.
    pub(crate) fn line(&self, id: &str) -> Value {
        let Self { role, method, target, request, status, response } = self;
        let mut line = json!({
            "id": id, "ts": "2026-11-24T12:00:00Z", "duration_ms": 5, "role": role,
            "request": request.line(), "response": response.line(),
        });
        line["request"]["method"] = method.as_str().into();
        line["request"]["target"] = target.as_str().into();
        line["response"]["status"] = (*status).into();
        line
    }
}

impl Part {
    /// Gives a header field this value only.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Puts another value into a place of the body, which must be there.
    pub(crate) fn replace(&mut self, pointer: &str, value: Value) -> Result<()> {
        let mut body: Value = serde_json::from_slice(&self.body)?;
        *body.pointer_mut(pointer).with_context(|| format!("no {pointer}"))? = value;
        self.body = body.to_string().into_bytes();
        Ok(())
    }

    fn line(&self) -> Value {
        let mut line = json!({ "headers": self.headers });
        match std::str::from_utf8(&self.body) {
            Ok("") => {}
            Ok(text) => line["body"] = text.into(),
            Err(_) => {
                line["body"] = STANDARD.encode(&self.body).into();
                line["body_encoding"] = "base64".into();
            }
        }
        line
    }
}

pub(crate) const CONSENTS: &str = "/open-insurance/consents/v3/consents";
pub(crate) const RESOURCES: &str = "/open-insurance/resources/v3/resources";

const REQUEST_FIELDS: [(&str, &str); 3] = [
    ("host", "api.participante.example"),
    ("authorization", "Bearer synthetic"),
    ("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001"),
];
const RESPONSE_FIELDS: [(&str, &str); 6] = [
    ("x-fapi-interaction-id", "6f1b2a3c-0000-4000-8000-000000000001"),
    ("cache-control", "no-store"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];
