//! Bodies, read as JSON or as a form, if they were seen whole.
//!
//! Limits: [`MAX_BODY_BYTES`] without content coding, [`MAX_FIELDS`] fields of a form. A field that
//! is given twice is none: the process may have taken the other one.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mop_contract::{
    json::{Reader, Value},
    route::decode,
};
use mop_wire::{
    Body, Headers,
    content::{self, DecodeLimits},
};

/// Reads bodies one after the other.
#[derive(Default)]
pub(crate) struct Bodies {
    reader: Reader,
    /// A body that was asked for could not be read.
    pub(crate) is_unread: bool,
}

/// Fields of a form or a query.
pub(crate) struct Fields<'t>(Vec<(Cow<'t, str>, Cow<'t, str>)>);

impl Bodies {
    /// What a function makes of a body of JSON; `None` when it cannot be read.
    pub(crate) fn json<R>(
        &mut self,
        headers: &Headers,
        body: &Body,
        make: impl FnOnce(Value<'_>) -> R,
    ) -> Option<R> {
        let made = plain(headers, body).and_then(|bytes| {
            let json = self.reader.read(&bytes).ok()?;
            Some(make(json.root()))
        });
        self.is_unread |= made.is_none();
        made
    }

    /// A body without its content coding, if that has at most so many bytes; `None` when it cannot be
    /// read.
    pub(crate) fn bytes<'b>(
        &mut self,
        headers: &Headers,
        body: &'b Body,
        max_bytes: usize,
    ) -> Option<Cow<'b, [u8]>> {
        let bytes = plain(headers, body).filter(|bytes| bytes.len() <= max_bytes);
        self.is_unread |= bytes.is_none();
        bytes
    }

    /// What a function makes of the claims of a signed token (RFC 7519), whose signature is not
    /// checked; `None` when it is opaque or encrypted. Nothing is counted: opaque is ordinary.
    pub(crate) fn claims<R>(
        &mut self,
        token: &str,
        make: impl FnOnce(Value<'_>) -> R,
    ) -> Option<R> {
        let mut parts = token.split('.');
        let (_header, claims) = (parts.next()?, parts.next()?);
        parts.next()?;
        if parts.next().is_some() || claims.len() > MAX_CLAIMS_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let json = self.reader.read(&bytes).ok()?;
        Some(make(json.root()))
    }

    /// The body of a request as text, when it is a form.
    pub(crate) fn form<'b>(&mut self, headers: &Headers, body: &'b Body) -> Option<Cow<'b, str>> {
        if !is_form(headers) {
            return None;
        }
        // What is longer is an upload, of which nothing is wanted.
        if body.length > MAX_FORM_BYTES as u64 {
            return None;
        }
        let text = plain(headers, body).and_then(|bytes| match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        });
        let text = text.filter(|text| text.len() <= MAX_FORM_BYTES);
        self.is_unread |= text.is_none();
        text
    }
}

impl<'t> Fields<'t> {
    /// Fields of `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &'t str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(MAX_FIELDS);
        Self(
            pairs
                .filter_map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((unescape(name)?, unescape(value)?))
                })
                .collect(),
        )
    }

    /// Whether a field is given at all, be it empty or several times.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The value of a field that is given once and is not empty.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| &**value)?;
        (values.next().is_none() && !value.is_empty()).then_some(value)
    }
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        return decode(&text.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()));
    }
    decode(text)
}

/// Whole content without its content coding.
fn plain<'b>(headers: &Headers, body: &'b Body) -> Option<Cow<'b, [u8]>> {
    if !body.is_whole() || body.bytes.len() > MAX_BODY_BYTES {
        return None;
    }
    let codings = content::codings(headers).ok()?;
    let limits = DecodeLimits { max_plain_bytes: MAX_BODY_BYTES, ..DecodeLimits::default() };
    content::decode(&codings, &body.bytes, limits).ok()
}

fn is_form(headers: &Headers) -> bool {
    headers.first("content-type").is_some_and(|value| {
        let media = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        media.eq_ignore_ascii_case(FORM)
    })
}

/// A member of an object that is text of at most this many bytes.
pub(crate) fn text(value: Value<'_>, pointer: &str, max_bytes: usize) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    (text.len() <= max_bytes).then(|| text.to_owned())
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The largest published body, a request of a quote, has 173 KB when every attribute is there.
pub(crate) const MAX_BODY_BYTES: usize = 4 << 20;

/// A pushed request has a request object and a client assertion, some 4 KB together.
const MAX_FORM_BYTES: usize = 256 << 10;

/// Of a request object or an access token.
const MAX_CLAIMS_BYTES: usize = 64 << 10;

/// A pushed request that has all its parameters outside of a request object has some fifteen.
pub(crate) const MAX_FIELDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_that_are_given_once() {
        let fields = Fields::parse("a=1&b=x%20y+z&c&d=1&d=2&=e&f=%ff");
        assert_eq!(fields.one("a"), Some("1"));
        assert_eq!(fields.one("b"), Some("x y z"));
        for name in ["c", "d", "f", "g"] {
            assert_eq!(fields.one(name), None, "{name}");
        }
    }

    #[test]
    fn a_body_that_is_not_whole_is_unknown() {
        let mut bodies = Bodies::default();
        let headers = Headers::default();
        let whole = Body::whole(b"{\"a\":1}".to_vec(), false);
        assert_eq!(bodies.json(&headers, &whole, |value| value.len()), Some(1));
        assert!(!bodies.is_unread);
        let cut = Body { length: 9, ..whole };
        assert_eq!(bodies.json(&headers, &cut, |value| value.len()), None);
        assert!(bodies.is_unread);
    }

    #[test]
    fn only_a_signed_token_has_claims() {
        let mut bodies = Bodies::default();
        let claims = URL_SAFE_NO_PAD.encode(b"{\"scope\":\"x\"}");
        let mut scope = |token: &str| bodies.claims(token, |claims| text(claims, "/scope", 9));
        assert_eq!(scope(&format!("e30.{claims}.sig")), Some(Some("x".to_owned())));
        assert_eq!(scope(&format!("e30.{claims}")), None);
        assert_eq!(scope(&format!("e30.{claims}.a.b.c")), None);
        assert_eq!(scope("opaque"), None);
    }
}
