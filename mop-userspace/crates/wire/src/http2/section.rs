//! A decoded field section: what its pseudo-header fields say, and the field lines after them
//! (RFC 9113, section 8.3).

use std::borrow::Cow;

use crate::{exchange::Request, headers::Headers, http2::hpack::Field, limits};

/// A field section in the making.
///
/// What is not known, since the connection was joined midway, is counted and never guessed.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) method: Option<Cow<'static, str>>,
    pub(super) path: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) status: Option<u16>,
    /// It has a pseudo-header field that only requests have.
    is_request: bool,
    headers: Headers,
    /// The first of them is the authority.
    begins_with_authority: bool,
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
                    b"method" => self.method = Some(Request::method_of(&text(value))),
                    b"path" => self.path = Some(text(value).into_owned()),
                    b"authority" => self.authority = Some(text(value).into_owned()),
                    _ => {}
                }
            }
            b"cookie" => {
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
            }
            _ if self.lines() >= limits::MAX_HEADER_LINES => self.is_cut = true,
            _ => {
                if self.headers.is_empty() {
                    self.begin_lines();
                }
                if name == b"host" {
                    self.forget_authority();
                }
                self.headers.push(&text(name), value);
            }
        }
    }

    /// Field lines that were sent as such.
    fn lines(&self) -> usize {
        self.headers.len().saturating_sub(usize::from(self.begins_with_authority))
    }

    /// Begins the field lines with what nearly every request has before them.
    fn begin_lines(&mut self) {
        self.headers = Headers::with_capacity(USUAL_LINES, USUAL_NAME_BYTES, USUAL_VALUE_BYTES);
        if let Some(authority) = &self.authority {
            self.headers.push(HOST, authority.as_bytes());
            self.begins_with_authority = true;
        }
    }

    /// The message says itself what its `Host` is.
    fn forget_authority(&mut self) {
        if std::mem::take(&mut self.begins_with_authority) {
            let mut others = Headers::default();
            self.headers.iter().skip(1).for_each(|(name, value)| others.push(name, value));
            self.headers = others;
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
        let Self { authority, mut headers, begins_with_authority, cookie, .. } = self;
        let host = authority.filter(|_| !begins_with_authority && headers.first(HOST).is_none());
        if let Some(host) = host {
            let mut whole = Headers::default();
            whole.push(HOST, host.as_bytes());
            headers.iter().for_each(|(name, value)| whole.push(name, value));
            headers = whole;
        }
        if !cookie.is_empty() {
            headers.push("cookie", &cookie);
        }
        headers
    }
}

fn status(value: &[u8]) -> Option<u16> {
    let status = std::str::from_utf8(value).ok()?.parse().ok()?;
    (100..1000).contains(&status).then_some(status)
}

/// Names and targets are ASCII; what is not is told from what is.
fn text(value: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(value)
}

/// The field that the authority is in HTTP/1.1.
const HOST: &str = "host";

/// What most messages have at most: room that is made at once.
const USUAL_LINES: usize = 12;
const USUAL_NAME_BYTES: usize = 128;
const USUAL_VALUE_BYTES: usize = 384;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut section = Section::default();
        for (name, value) in fields {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            section.push(Field::Known { name, value, is_never_indexed: false });
        }
        let headers = section.headers();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        headers.iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    fn pairs(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_authority_is_the_host_unless_the_message_has_one() {
        let (authority, accept) = ((":authority", "a.example"), ("accept", "*/*"));
        let host = ("host", "a.example");
        assert_eq!(lines(&[authority, accept]), pairs(&[host, accept]));
        assert_eq!(lines(&[authority]), pairs(&[host]));
        // It should stand before all others (RFC 9113, section 8.3).
        assert_eq!(lines(&[accept, authority]), pairs(&[host, accept]));
        let own = ("host", "b.example");
        assert_eq!(lines(&[authority, accept, own]), pairs(&[accept, own]));
        assert_eq!(lines(&[authority, own, accept]), pairs(&[own, accept]));
        assert_eq!(lines(&[accept]), pairs(&[accept]));
    }

    #[test]
    fn crumbs_of_a_cookie_are_one_line_behind_the_others() {
        let crumbs = [("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")];
        assert_eq!(lines(&crumbs), pairs(&[("accept", "*/*"), ("cookie", "a=1; b=2")]));
    }

    #[test]
    fn as_many_lines_are_kept_with_an_authority_as_without() {
        let many = vec![("a", "b"); limits::MAX_HEADER_LINES + 1];
        let kept = |first: &[(&str, &str)]| lines(&[first, &many].concat()).len();
        assert_eq!(kept(&[]), limits::MAX_HEADER_LINES);
        assert_eq!(kept(&[(":authority", "a.example")]), limits::MAX_HEADER_LINES + 1);
    }
}
