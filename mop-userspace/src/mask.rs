//! What may be shown of a message: nothing that could be about a person.
//!
//! Header values are shown only for fields that describe the protocol; everything else, known or
//! not, is masked. Of a request target the path is shown, without segments that look like a
//! document number or an address, and the names of query parameters, where they are names, without
//! their values.

use std::borrow::Cow;

/// Stands for a value that is not shown.
pub(crate) const MASK: &str = "***";

/// The value of a header field as it may be shown.
pub(crate) fn header<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if SHOWN_FIELDS.iter().any(|shown| shown.eq_ignore_ascii_case(name)) {
        String::from_utf8_lossy(value)
    } else {
        Cow::Borrowed(MASK)
    }
}

/// A request target as it may be shown.
pub(crate) fn target(target: &str) -> Cow<'_, str> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if query.is_none() && !path.split('/').any(may_be_personal) {
        return Cow::Borrowed(target);
    }
    let mut shown = String::with_capacity(target.len());
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        shown.push_str(if may_be_personal(segment) { MASK } else { segment });
    }
    for (number, parameter) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if number == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) => {
                shown.push_str(if is_name(name) { name } else { MASK });
                shown.push('=');
                shown.push_str(MASK);
            }
            None => shown.push_str(MASK),
        }
    }
    Cow::Owned(shown)
}

/// True for what names a parameter; anything else could be a value that stands in its place.
fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte);
    name.len() <= MAX_NAME_BYTES
        && name.bytes().all(is_of_name)
        && name.bytes().filter(u8::is_ascii_digit).count() <= MAX_NAME_DIGITS
}

/// True for a path segment with an address, or with as many digits as the shortest personal
/// numbers have: a CPF has 11, a telephone number 8 or more. Identifiers in hexadecimal (UUIDs) have
/// letters between their digits and are shown.
fn may_be_personal(segment: &str) -> bool {
    if segment.contains('@') || segment.contains("%40") {
        return true;
    }
    if segment.starts_with("urn:") || is_uuid(segment) {
        return false;
    }
    segment.bytes().filter(u8::is_ascii_digit).count() >= PERSONAL_DIGITS
}

/// True for the usual form of a UUID.
pub(crate) fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

const PERSONAL_DIGITS: usize = 8;

/// The longest name of a parameter in a contract has 40.
const MAX_NAME_BYTES: usize = 64;

/// No name of a contract has more than 3; parts of numbers of persons have.
const MAX_NAME_DIGITS: usize = 5;

/// Fields of RFC 9110, RFC 9112 and the FAPI profile that say how a message is sent, not about whom.
const SHOWN_FIELDS: [&str; 32] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "last-modified",
    "pragma",
    "retry-after",
    "server",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "x-content-type-options",
    "x-fapi-interaction-id",
    "x-frame-options",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_of_the_protocol_are_shown() {
        assert_eq!(header("Content-Type", b"application/json"), "application/json");
        for secret in [
            "Authorization",
            "authorization",
            "Cookie",
            "Set-Cookie",
            "Proxy-Authorization",
            "x-customer-ip-address",
            "X-Anything-New",
        ] {
            assert_eq!(header(secret, b"secret"), MASK, "{secret}");
        }
    }

    #[test]
    fn targets_keep_their_shape() {
        assert_eq!(
            target("/open-insurance/consents/v3/consents"),
            "/open-insurance/consents/v3/consents"
        );
        assert_eq!(target("/a?page=1&cpf=12345678909&x"), "/a?page=***&cpf=***&***");
        assert_eq!(target("/customers/12345678909/x"), "/customers/***/x");
        assert_eq!(target("/customers/123.456.789-09"), "/customers/***");
        assert_eq!(target("/mail/someone@example.com"), "/mail/***");
        let uuid = "/consents/urn:seguradora:C1DD33123/0d7b1d70-2c5c-4f0a-9d1e-0a1b2c3d4e5f";
        assert_eq!(target(uuid), uuid);
    }
}
