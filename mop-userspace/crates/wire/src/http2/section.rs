//! A decoded field section: what its pseudo-header fields say, and the field lines after them
//! (RFC 9113, section 8.3).

use crate::{headers::Headers, http2::hpack::Field, limits};

/// A field section in the making.
///
/// What is not known, since the connection was joined midway, is counted and never guessed.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) status: Option<u16>,
    /// It has a pseudo-header field that only requests have.
    is_request: bool,
    headers: Headers,
    /// Crumbs of the cookie, put together again (section 8.2.3).
    cookie: Vec<u8>,
    /// Field lines of which the name, or name and value, are not known.
    pub(super) unknown_fields: u32,
    /// Lines were left out, since there were too many.
    pub(super) is_cut: bool,
}

/// What a field section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The head of a request.
    Request,
    /// The head of a final response.
    Response,
    /// An interim response.
    Interim(u16),
    /// It has no pseudo-header field: trailers.
    Trailers,
    /// What would tell is not known.
    Unknown,
}

impl Section {
    /// Takes the next field line.
    pub(super) fn push(&mut self, field: Field<'_>) {
        let Field::Known { name, value, .. } = field else {
            self.unknown_fields = self.unknown_fields.saturating_add(1);
            return;
        };
        match name {
            b":status" => self.status = status(value),
            [b':', pseudo @ ..] => {
                self.is_request = true;
                match pseudo {
                    b"method" => self.method = Some(text(value)),
                    b"path" => self.path = Some(text(value)),
                    b"authority" => self.authority = Some(text(value)),
                    _ => {}
                }
            }
            b"cookie" => {
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
            }
            _ if self.headers.len() >= limits::MAX_HEADER_LINES => self.is_cut = true,
            _ => self.headers.push(&text(name), value),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.status {
            Some(status @ 100..200) => Kind::Interim(status),
            Some(_) => Kind::Response,
            None if self.is_request => Kind::Request,
            None if self.unknown_fields == 0 => Kind::Trailers,
            None => Kind::Unknown,
        }
    }

    /// The length that the content is to have; none when it is said in different ways.
    pub(super) fn content_length(&self) -> Option<u64> {
        let mut values = self.headers.values("content-length");
        let length = std::str::from_utf8(values.next()?).ok()?.parse().ok()?;
        values.next().is_none().then_some(length)
    }

    /// The field lines. The authority becomes the `Host` that it is in HTTP/1.1 (section 8.3.1), so that
    /// whoever reads messages finds it in one place.
    pub(super) fn headers(self) -> Headers {
        let Self { authority, headers, cookie, .. } = self;
        let host = authority.filter(|_| headers.first("host").is_none());
        if host.is_none() && cookie.is_empty() {
            return headers;
        }
        let mut whole = Headers::default();
        if let Some(host) = host {
            whole.push("host", host.as_bytes());
        }
        for (name, value) in headers.iter() {
            whole.push(name, value);
        }
        if !cookie.is_empty() {
            whole.push("cookie", &cookie);
        }
        whole
    }
}

fn status(value: &[u8]) -> Option<u16> {
    let status = std::str::from_utf8(value).ok()?.parse().ok()?;
    (100..1000).contains(&status).then_some(status)
}

/// Names and targets are ASCII; what is not is told from what is.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
