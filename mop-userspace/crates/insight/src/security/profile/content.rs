//! Bodies: whether they are what their header says, and how deeply their JSON is nested.

use mop_wire::{Body, Headers};

use super::facts::Content;
use crate::data::{
    call::body::Bodies,
    digest::{Key, Subject},
};

/// Reads what is judged of a body.
pub(super) fn read(headers: &Headers, body: &Body, bodies: &mut Bodies, key: &Key) -> Content {
    let media = Media::of(headers);
    let is_plain = headers.first("content-encoding").is_none();
    let first = body.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_contradicted = is_plain && first.is_some_and(|first| media.contradicts(*first));
    let is_whole = body.is_whole() && !body.bytes.is_empty();
    let depth = if is_whole && media == Media::Json {
        bodies.bytes(headers, body, MAX_SCANNED_BYTES).map(|bytes| depth(&bytes))
    } else {
        None
    };
    let digest = is_whole.then(|| key.digest(Subject::Body, &body.bytes));
    Content { bytes: body.length, is_contradicted, depth, digest }
}

/// What a content type says of the first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Form,
    Json,
    Markup,
    Other,
}

impl Media {
    fn of(headers: &Headers) -> Self {
        let mut values = headers.values("content-type");
        let (Some(value), None) = (values.next(), values.next()) else { return Self::Other };
        let media = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let media = media.to_ascii_lowercase();
        match media.as_slice() {
            b"application/x-www-form-urlencoded" => Self::Form,
            b"application/json" => Self::Json,
            b"text/html" | b"application/xml" | b"text/xml" => Self::Markup,
            other if other.ends_with(b"+json") => Self::Json,
            other if other.ends_with(b"+xml") => Self::Markup,
            _ => Self::Other,
        }
    }

    fn contradicts(self, first: u8) -> bool {
        match self {
            // The mark of byte order is wrong before JSON, but it is not another type.
            Self::Json => !matches!(
                first,
                b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | BYTE_ORDER_MARK
            ),
            Self::Form => matches!(first, b'{' | b'[' | b'<'),
            Self::Markup => matches!(first, b'{' | b'['),
            Self::Other => false,
        }
    }
}

/// How deeply brackets outside of strings are nested.
fn depth(bytes: &[u8]) -> u32 {
    let (mut depth, mut deepest) = (0_u32, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The first byte of the mark of UTF-8.
const BYTE_ORDER_MARK: u8 = 0xef;

/// The largest published body has 173 KB; what is longer is judged by its length.
const MAX_SCANNED_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_no_depth() {
        for (text, expected) in
            [("", 0), ("{}", 1), (r#"[{"a":"[[[\"[["}]"#, 2), ("[[],[[]]]", 3), ("]]{", 1)]
        {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }
}
