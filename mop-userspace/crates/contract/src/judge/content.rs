//! Bodies: whether one is there, in a declared form, and what its schema says of it.

use std::borrow::Cow;

use mop_wire::content::{self, DecodeLimits};

use super::{Found, Message, Seen, UnjudgedReason};
use crate::{
    check::{Checker, Collector},
    json::{Json, Reader, Value},
    media_type::is_json,
    operation::{Media, Rules, Status},
    schema::SchemaId,
    violation::{Keyword, Location, Severity, Violation, list},
};

/// A body without its content coding.
pub(super) enum Plain<'a> {
    /// No byte.
    Absent,
    /// All its bytes.
    Bytes(Cow<'a, [u8]>),
    /// Not to be had, and why.
    Unknown(UnjudgedReason),
}

/// A body as far as it can be read.
pub(super) enum Content<'a> {
    /// No byte.
    Absent,
    /// JSON.
    Json(Json<'a>),
    /// Not to be read as JSON, and why.
    Unreadable(UnjudgedReason),
}

impl Content<'_> {
    /// The JSON, when it is JSON.
    pub(super) fn json(&self) -> Option<Value<'_>> {
        match self {
            Self::Json(json) => Some(json.root()),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// Takes the content coding off.
pub(super) fn plain(message: Message<'_>) -> Plain<'_> {
    let body = message.body;
    if body.length == 0 {
        return Plain::Absent;
    }
    if body.missing > 0 {
        return Plain::Unknown(UnjudgedReason::Incomplete);
    }
    if !body.is_whole() {
        return Plain::Unknown(UnjudgedReason::NotKept);
    }
    let limits = DecodeLimits { max_plain_bytes: MAX_PLAIN_BYTES, ..DecodeLimits::default() };
    let plain = content::codings(message.headers)
        .and_then(|codings| content::decode(&codings, &body.bytes, limits));
    match plain {
        Ok(plain) if plain.is_empty() => Plain::Absent,
        Ok(plain) => Plain::Bytes(plain),
        Err(_) => Plain::Unknown(UnjudgedReason::ContentCoding),
    }
}

/// Reads JSON. Every body is tried: what it is declared as is looked at later.
pub(super) fn read<'a>(plain: &'a Plain<'_>, reader: &'a mut Reader) -> Content<'a> {
    match plain {
        Plain::Absent => Content::Absent,
        Plain::Unknown(reason) => Content::Unreadable(*reason),
        Plain::Bytes(bytes) => match reader.read(bytes) {
            Ok(json) => Content::Json(json),
            Err(unreadable) => Content::Unreadable(unreadable.kind.into()),
        },
    }
}

impl Found<'_, '_> {
    pub(super) fn request_body(&mut self, rules: &Rules, message: Message<'_>, body: &Content<'_>) {
        match (&rules.request_body, body) {
            (None, Content::Absent) => {}
            (Some(declared), Content::Absent) => {
                if declared.required {
                    self.about_body(Keyword::Required, Severity::Error, "a body");
                }
            }
            (None, _) => self.about_body(Keyword::Undeclared, Severity::Warning, "no body"),
            (Some(declared), body) => self.body(&declared.content, None, message, body),
        }
    }

    pub(super) fn response(
        &mut self,
        rules: &Rules,
        method: &str,
        status: u16,
        message: Message<'_>,
        body: &Content<'_>,
    ) {
        let Some(response) = rules.response(status) else {
            let declared: Vec<String> =
                rules.responses.iter().map(|response| response.status.to_string()).collect();
            self.push(Violation {
                direction: self.direction,
                location: Location::Status,
                keyword: Keyword::Undeclared,
                severity: Severity::Warning,
                attribute: "status".to_owned(),
                schema_path: "/responses".to_owned(),
                expected: list(declared.iter().map(String::as_str), declared.len()),
                occurrences: 1,
            });
            self.parts.unjudged.push(UnjudgedReason::StatusUndeclared);
            return;
        };
        self.headers(&response.headers, message.headers);
        // RFC 9110, sections 6.4.1 and 9.3.2: these have no content, whatever is declared.
        let has_none = matches!(status, 100..=199 | 204 | 304) || method == "HEAD";
        match body {
            Content::Absent if has_none || response.content.is_empty() => {}
            Content::Absent => self.about_body(Keyword::Required, Severity::Error, "a body"),
            // A body under such a status is no body on the wire, whatever a file says.
            _ if has_none && response.content.is_empty() => {}
            _ if response.content.is_empty() => {
                self.about_body(Keyword::Undeclared, Severity::Warning, "no body");
            }
            body => self.body(&response.content, Some(response.status), message, body),
        }
    }

    fn body(
        &mut self,
        forms: &[Media],
        status: Option<Status>,
        message: Message<'_>,
        body: &Content<'_>,
    ) {
        let content_type = match self.seen {
            Seen::Copy => None,
            Seen::Wire => message.headers.first("content-type").map(String::from_utf8_lossy),
        };
        let chosen = content_type
            .as_ref()
            .and_then(|content_type| forms.iter().find(|form| form.range.matches(content_type)));
        if chosen.is_none() && !forms.is_empty() && self.seen == Seen::Wire {
            let keyword =
                if content_type.is_some() { Keyword::Undeclared } else { Keyword::Required };
            self.push(Violation {
                direction: self.direction,
                location: Location::ContentType,
                keyword,
                severity: Severity::Error,
                attribute: "content-type".to_owned(),
                schema_path: "/content".to_owned(),
                expected: list(forms.iter().map(|form| form.range.as_str()), forms.len()),
                occurrences: 1,
            });
        }
        let claims_json = content_type.as_ref().is_none_or(|content_type| is_json(content_type));
        // JSON under a wrong name, or under none, is judged as the JSON that is declared.
        let form = chosen.or_else(|| forms.iter().find(|form| claims_json && form.range.is_json()));
        let Some(form) = form else {
            return self.parts.unjudged.push(UnjudgedReason::NotJsonByContract);
        };
        let Some(schema) = form.schema else { return };
        match body {
            Content::Json(json) if form.range.is_json() || claims_json => {
                self.judged(schema, status, json.root());
            }
            Content::Unreadable(reason) if form.range.is_json() => {
                if *reason == UnjudgedReason::NotJson {
                    self.about_body(Keyword::NotJson, Severity::Error, "JSON");
                }
                self.parts.unjudged.push(*reason);
            }
            _ => self.parts.unjudged.push(UnjudgedReason::NotJsonByContract),
        }
    }

    fn judged(&mut self, schema: SchemaId, status: Option<Status>, value: Value<'_>) {
        let mut checker = Checker::new(self.contract.schemas(), value.text_bytes());
        match checker.is_valid(schema, value) {
            Ok(true) => self.parts.body = Some((schema, status)),
            Err(_) => self.parts.unjudged.push(UnjudgedReason::WorkLimit),
            Ok(false) => {
                let mut collector = Collector::default();
                let mut checker = Checker::new(self.contract.schemas(), value.text_bytes());
                if checker.collect(schema, value, &mut collector).is_err() {
                    return self.parts.unjudged.push(UnjudgedReason::WorkLimit);
                }
                self.parts.body = Some((schema, status));
                let unlisted = collector.unlisted();
                self.parts.reading.total = self.parts.reading.total.saturating_add(unlisted);
                for violation in collector.into_body_violations(self.direction) {
                    self.push(violation);
                }
            }
        }
    }

    fn about_body(&mut self, keyword: Keyword, severity: Severity, expected: &str) {
        self.push(Violation {
            direction: self.direction,
            location: Location::Body(String::new()),
            keyword,
            severity,
            attribute: String::new(),
            schema_path: format!("/{}", keyword.name()),
            expected: expected.to_owned(),
            occurrences: 1,
        });
    }
}

/// Plain bytes of one body: what a JSON reader takes, and one step more.
pub const MAX_PLAIN_BYTES: usize = crate::json::MAX_BYTES;
