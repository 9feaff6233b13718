//! The bearer token of a request (RFC 6750, section 2.1).

use mop_wire::Headers;

/// The token of a request that has one field `Authorization`: two of them could be read differently
/// by the process and here.
pub(crate) fn bearer(headers: &Headers) -> Option<&str> {
    let mut values = headers.values("authorization");
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = std::str::from_utf8(value).ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
