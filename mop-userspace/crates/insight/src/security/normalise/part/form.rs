//! Names and values that stand in one line: queries, forms and cookies.

/// Fields of a query or a form, not decoded.
pub(super) fn pairs(text: &[u8], give: &mut dyn FnMut(&[u8], &[u8])) {
    for pair in text.split(|byte| *byte == b'&') {
        let (name, value) = split(pair);
        give(name, value);
    }
}

/// Cookies of one field line (RFC 6265, section 4.2.1).
pub(super) fn cookies(line: &[u8], give: &mut dyn FnMut(&[u8], &[u8])) {
    for pair in line.split(|byte| *byte == b';') {
        let (name, value) = split(pair.trim_ascii());
        give(name, value);
    }
}

/// What has no `=` is a value: so it is looked at as one.
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    match (halves.next(), halves.next()) {
        (Some(name), Some(value)) => (name, value),
        (value, _) => (b"", value.unwrap_or_default()),
    }
}
