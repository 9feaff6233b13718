//! Multipart bodies (RFC 2046, section 5.1; RFC 7578).
//!
//! ```text
//! --boundary CRLF  fields CRLF  CRLF  content CRLF  --boundary ...  --boundary-- CRLF
//! ```
//!
//! Read line by line, once. Line ends without CR are taken as well.

/// One part.
#[derive(Clone, Copy, Default)]
pub(super) struct Field<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) file_name: Option<&'a [u8]>,
    pub(super) value: &'a [u8],
}

/// The boundary that a `Content-Type` names.
pub(super) fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    parameter(content_type, b"boundary")
        .filter(|boundary| (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()))
}

/// Gives each part, the last one even when nothing ends it.
pub(super) fn fields(body: &[u8], boundary: &[u8], give: &mut dyn FnMut(Field<'_>)) {
    let mut at = 0;
    // Where the part at hand begins, once there is one.
    let mut start = None;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = at;
        at += line.len();
        let Some(closing) = delimiter(line, boundary) else { continue };
        if let Some(start) = start {
            give(field(body.get(start..end).unwrap_or_default()));
        }
        start = (!closing).then_some(at);
        if closing {
            return;
        }
    }
    if let Some(start) = start {
        give(field(body.get(start..).unwrap_or_default()));
    }
}

/// Whether a line is a delimiter, and if so, whether it is the last.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    match line.strip_prefix(b"--")?.strip_prefix(boundary)?.trim_ascii_end() {
        b"" => Some(false),
        b"--" => Some(true),
        _ => None,
    }
}

fn field(part: &[u8]) -> Field<'_> {
    let mut field = Field::default();
    let mut at = 0;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let is_disposition =
            line.get(..DISPOSITION.len()).is_some_and(|it| it.eq_ignore_ascii_case(DISPOSITION));
        if is_disposition {
            field.name = parameter(line, b"name");
            field.file_name = parameter(line, b"filename").or(parameter(line, b"filename*"));
        }
    }
    let value = part.get(at..).unwrap_or_default();
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    field.value = value.strip_suffix(b"\r").unwrap_or(value);
    field
}

/// The value of a parameter of a field line, without its quotes; escapes in it stay.
fn parameter<'v>(line: &'v [u8], name: &[u8]) -> Option<&'v [u8]> {
    let mut rest = skip_past(line, b";")?;
    loop {
        let equals = rest.iter().position(|byte| matches!(byte, b'=' | b';'))?;
        let (known, after) = rest.split_at_checked(equals)?;
        let [sign, after @ ..] = after else { return None };
        rest = after;
        if *sign == b';' {
            continue;
        }
        let value = if let [b'"', quoted @ ..] = after.trim_ascii_start() {
            let end = quoted_end(quoted);
            rest = quoted.get(end..).unwrap_or_default();
            quoted.get(..end).unwrap_or_default()
        } else {
            let end = after.iter().position(|byte| *byte == b';').unwrap_or(after.len());
            rest = after.get(end..).unwrap_or_default();
            after.get(..end).unwrap_or_default().trim_ascii()
        };
        if known.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = skip_past(rest, b";")?;
    }
}

/// Where a quoted text ends: before a quote that no backslash precedes.
fn quoted_end(quoted: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = quoted.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(quoted.len())
}

/// What follows the first byte of these.
fn skip_past<'v>(text: &'v [u8], stops: &[u8]) -> Option<&'v [u8]> {
    let at = text.iter().position(|byte| stops.contains(byte))?;
    text.get(at + 1..)
}

const DISPOSITION: &[u8] = b"content-disposition:";

/// RFC 2046, section 5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;
