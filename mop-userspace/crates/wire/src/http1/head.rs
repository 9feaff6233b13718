//! Message heads: start line and field lines (RFC 9112 sections 3, 4 and 5).

use std::mem::MaybeUninit;

use crate::{
    anomaly::{Anomalies, Anomaly},
    exchange::{Request, Response, Version},
    headers::Headers,
    http1::framing::FramingFields,
    limits,
};

/// What became of the bytes of a head.
#[derive(Debug)]
pub(crate) enum Parsed<T> {
    /// The head ends after this many bytes.
    Whole { bytes: usize, head: T, fields: FramingFields },
    /// More bytes are needed.
    Partial,
    /// It has more field lines than [`limits::MAX_HEADER_LINES`].
    TooManyLines,
    /// It breaks the grammar.
    Malformed,
}

/// What the first bytes of a message say about the side that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Request,
    Response,
    /// The bytes are too few to tell.
    Undecided,
}

/// Which side sends messages that begin like this. No method begins with `HT`.
pub(crate) fn opening(bytes: &[u8]) -> Opening {
    match bytes {
        [] | [b'H'] => Opening::Undecided,
        [b'H', b'T', ..] => Opening::Response,
        _ => Opening::Request,
    }
}

/// True when the bytes begin with a whole request line (RFC 9112 section 3).
pub(crate) fn begins_request(bytes: &[u8]) -> bool {
    // Most calls that are asked about hold a body, and where its first line ends takes long to find.
    if !begins_with_method(bytes) {
        return false;
    }
    let Some(line) = first_line(bytes) else { return false };
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    is_method(method) && !target.is_empty() && is_version(version)
}

/// True when the bytes begin with a whole status line (RFC 9112 section 4).
pub(crate) fn begins_response(bytes: &[u8]) -> bool {
    if !bytes.get(..VERSION_BYTES).is_some_and(is_version) {
        return false;
    }
    let Some(line) = first_line(bytes) else { return false };
    let Some((version, rest)) = line.split_at_checked(VERSION_BYTES) else { return false };
    match rest {
        [b' ', a, b, c] | [b' ', a, b, c, b' ', ..] => {
            is_version(version) && [a, b, c].iter().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// True when the bytes begin with the first line of a message.
pub(crate) fn begins_message(bytes: &[u8]) -> bool {
    begins_request(bytes) || begins_response(bytes)
}

/// True when an empty line, which ends a head, begins at or after `from`.
pub(crate) fn has_end(bytes: &[u8], from: usize) -> bool {
    let mut rest = bytes.get(from..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return true;
        }
    }
    false
}

/// Reads a request head from the first bytes.
pub(crate) fn parse_request(bytes: &[u8]) -> Parsed<Request> {
    let mut lines = [const { MaybeUninit::uninit() }; limits::MAX_HEADER_LINES];
    let mut request = httparse::Request::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_request_with_uninit_headers(
        &mut request,
        bytes,
        &mut lines,
    );
    let used = match parsed {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::TooManyLines,
        Err(_) => return Parsed::Malformed,
    };
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Parsed::Malformed;
    };
    let version = version(request.version);
    let (headers, fields) = collect(request.headers);
    let head = Request {
        method: Request::method_of(method),
        target: target.to_owned(),
        version,
        headers,
        body: crate::Body::default(),
        anomalies: line_anomalies(bytes.get(..used).unwrap_or_default()),
    };
    Parsed::Whole { bytes: used, head, fields }
}

/// Reads a response head from the first bytes.
pub(crate) fn parse_response(bytes: &[u8]) -> Parsed<Response> {
    let mut lines = [const { MaybeUninit::uninit() }; limits::MAX_HEADER_LINES];
    let mut response = httparse::Response::new(&mut []);
    // A recipient of a folded response must read it (RFC 9112 section 5.2); a folded request may be
    // refused, and is.
    let parsed = httparse::ParserConfig::default()
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, &mut lines);
    let used = match parsed {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::TooManyLines,
        Err(_) => return Parsed::Malformed,
    };
    let Some(status) = response.code.filter(|status| *status >= 100) else {
        return Parsed::Malformed;
    };
    let version = version(response.version);
    let (headers, fields) = collect(response.headers);
    let mut anomalies = line_anomalies(bytes.get(..used).unwrap_or_default());
    if fields.folded {
        anomalies.insert(Anomaly::ObsFold);
    }
    let head = Response { status, version, headers, body: crate::Body::default(), anomalies };
    Parsed::Whole { bytes: used, head, fields }
}

/// Reads a trailer section (RFC 9112 section 7.1.2), which ends with an empty line.
pub(crate) fn parse_trailers(bytes: &[u8]) -> Option<Headers> {
    let mut lines = [httparse::EMPTY_HEADER; limits::MAX_HEADER_LINES];
    match httparse::parse_headers(bytes, &mut lines) {
        Ok(httparse::Status::Complete((_, lines))) => Some(collect(lines).0),
        Ok(httparse::Status::Partial) | Err(_) => None,
    }
}

fn collect(lines: &[httparse::Header<'_>]) -> (Headers, FramingFields) {
    let name_bytes = lines.iter().map(|line| line.name.len()).sum();
    let value_bytes = lines.iter().map(|line| line.value.len()).sum();
    let mut headers = Headers::with_capacity(lines.len(), name_bytes, value_bytes);
    let mut fields = FramingFields::default();
    for line in lines {
        if line.value.contains(&b'\n') {
            fields.folded = true;
            headers.push(line.name, &unfold(line.value));
        } else {
            headers.push(line.name, line.value);
        }
        fields.note(line.name, line.value);
    }
    (headers, fields)
}

/// Replaces each line break of a folded value by spaces (RFC 9112 section 5.2).
fn unfold(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

fn line_anomalies(head: &[u8]) -> Anomalies {
    let mut anomalies = Anomalies::default();
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    // Without an early exit, so that the compiler can look at many bytes at once.
    let is_bare = pairs.fold(0_u8, |bare, (before, byte)| {
        bare | (u8::from(*byte == b'\n') & u8::from(*before != b'\r'))
    });
    if is_bare != 0 {
        anomalies.insert(Anomaly::BareLineFeed);
    }
    anomalies
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let window = bytes.get(..bytes.len().min(LONGEST_FIRST_LINE))?;
    let end = window.iter().position(|byte| *byte == b'\n')?;
    let line = window.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn begins_with_method(bytes: &[u8]) -> bool {
    let window = bytes.get(..=LONGEST_METHOD).unwrap_or(bytes);
    window.split(|byte| *byte == b' ').next().is_some_and(is_method)
}

fn is_method(word: &[u8]) -> bool {
    !word.is_empty()
        && word.len() <= LONGEST_METHOD
        && word.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
}

fn is_version(word: &[u8]) -> bool {
    matches!(word, b"HTTP/1.0" | b"HTTP/1.1")
}

const VERSION_BYTES: usize = b"HTTP/1.1".len();

/// Longest method that is looked for after a hole; the longest registered one,
/// `UPDATEREDIRECTREF`, has 17 letters.
const LONGEST_METHOD: usize = 20;

/// Longest first line that is looked for after a hole: what nginx reads into one buffer.
const LONGEST_FIRST_LINE: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_recognised_only_whole() {
        assert!(begins_request(b"GET / HTTP/1.1\r\nHost"));
        assert!(begins_request(b"M-SEARCH * HTTP/1.0\n"));
        for not in [
            "GET / HTTP/1.1",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/2.0\r\n",
            " / HTTP/1.1\r\n",
            "METHODWITHTWENTYONEXX / HTTP/1.1\r\n",
            "{\"a\": 1}\n",
        ] {
            assert!(!begins_request(not.as_bytes()), "{not}");
        }
        assert!(begins_response(b"HTTP/1.1 200 OK\r\n"));
        assert!(begins_response(b"HTTP/1.0 404\r\n"));
        for not in ["HTTP/1.1 200 OK", "HTTP/1.1 20 OK\r\n", "HTTP/2 200\r\n", "HTTP/1.1 2000\r\n"]
        {
            assert!(!begins_response(not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_across_line_endings() {
        assert!(has_end(b"a\r\n\r\n", 0));
        assert!(has_end(b"a\n\n", 0));
        assert!(has_end(b"a\n\r\n", 0));
        assert!(!has_end(b"a\r\nb\r\n", 0));
    }

    #[test]
    fn folded_response_lines_are_unfolded_and_flagged() {
        let Parsed::Whole { head, .. } = parse_response(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")
        else {
            panic!("not whole");
        };
        assert_eq!(head.headers.first("a"), Some(&b"b   c"[..]));
        assert!(head.anomalies.contains(Anomaly::ObsFold));
        assert!(matches!(
            parse_request(b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
            Parsed::Malformed
        ));
    }
}
