//! Header injection: a line end, and behind it another field, another message or its body.

use super::{
    super::normalise::{part::Place, step::Step},
    Clues, Subject,
    reading::{contains, head, is_one_of, lines, strip, unspaced, word},
};

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, place, name: _, steps, clues } = subject;
    // A field has `:`, a message `HTTP/`, a body `<`; controls or what may be made one come before.
    if !clues.any(LINE_END) || !clues.any(FIELD) {
        return None;
    }
    // No one encodes the line ends of a text that may have them.
    let is_encoded = ENCODINGS.iter().any(|step| steps.contains(*step));
    // A mail that is attached has fields as well, and is longer than what a form asks for.
    let is_attached = *place == Place::MultipartValue && bytes.len() > MAX_ENTRY_BYTES;
    let is_free = (is_free_text(*place) || is_attached) && !is_encoded;
    lines(bytes).filter_map(|(before, line)| of_line(before, line, *place, is_free)).min()
}

fn of_line(before: &[u8], line: &[u8], place: Place, is_free: bool) -> Option<u8> {
    let line = unspaced(line);
    let is_body = matches!(line, [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'!', ..])
        && matches!(before.last(), Some(b'\r' | b'\n'));
    let is_page =
        is_body && [&b"<html"[..], b"<!doctype"].iter().any(|it| strip(line, it).is_some());
    if is_body && (is_of_target(place) || is_page && !is_free) {
        return Some(1);
    }
    if let Some([b'0'..=b'9', ..]) = strip(line, b"http/") {
        return Some(if is_free { 2 } else { 1 });
    }
    let (method, rest) = word(line, b"");
    if METHODS.contains(&method) && rest.first() == Some(&b' ') {
        let line =
            head(rest).split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let is_request = line.windows(6).any(|window| window == b" HTTP/");
        return is_request.then_some(if is_free { 2 } else { 1 });
    }
    let (name, rest) = word(line, b"-_");
    let value = unspaced(rest).strip_prefix(b":")?;
    let value = unspaced(value);
    let is_extension = strip(name, b"x-").is_some_and(|rest| !rest.is_empty());
    let is_cors = strip(name, b"access-control-").is_some();
    if is_one_of(name, FIELDS) || is_extension || is_cors {
        return Some(if is_free { 2 } else { 1 });
    }
    // A line of its own, behind what is no line of a text either.
    let is_word = !before.iter().take(MAX_NAME).any(|byte| b" :,;".contains(byte));
    if is_of_target(place) && is_word && !name.is_empty() && name.len() <= MAX_NAME {
        return Some(1);
    }
    if is_one_of(name, WORDS) {
        // They may begin a line of a text as well.
        let is_address = strip(value, b"http").is_some()
            || value.first() == Some(&b'/')
            || contains(head(value), b"url=")
            || is_behind_target(before);
        return match (is_address || place == Place::HeaderValue, is_free) {
            (true, false) => Some(1),
            (true, true) => Some(3),
            (false, _) => Some(2),
        };
    }
    let is_name = !name.is_empty() && name.len() <= MAX_NAME;
    (is_name && place == Place::HeaderValue).then_some(1)
}

/// Whether what is before is the line of a request up to its end, or an address alone.
fn is_behind_target(before: &[u8]) -> bool {
    let text = before.strip_suffix(b"\r").unwrap_or(before);
    let is_of_request = text.ends_with(b" HTTP/1.1") || text.ends_with(b" HTTP/1.0");
    let is_address = strip(text, b"http://").or(strip(text, b"https://")).is_some();
    let is_short = text.len() <= MAX_HEAD_BYTES;
    is_of_request || is_address && is_short && !text.iter().any(u8::is_ascii_whitespace)
}

/// Whether texts of several lines are rare there.
fn is_of_target(place: Place) -> bool {
    matches!(
        place,
        Place::CookieName
            | Place::CookieValue
            | Place::HeaderName
            | Place::HeaderValue
            | Place::Path
            | Place::PathSegment
            | Place::Query
            | Place::QueryName
            | Place::QueryValue
    )
}

/// Whether whole messages are sent there.
fn is_free_text(place: Place) -> bool {
    matches!(place, Place::Body | Place::Text | Place::XmlMarkup)
}

/// Ways of encoding that hide a line end from who looks for one.
const ENCODINGS: [Step; 3] = [Step::Escape, Step::Html, Step::Percent];

const LINE_END: Clues = Clues::these(b"\r\n\\%\x80");
const FIELD: Clues = Clues::these(b":/");

/// An address that a line end follows; so that looking at it takes linear time.
const MAX_HEAD_BYTES: usize = 256;

/// What is typed into a form.
const MAX_ENTRY_BYTES: usize = 512;

/// No field has a longer name.
const MAX_NAME: usize = 64;

const METHODS: [&[u8]; 7] = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"];

/// Fields that are no words of a text.
const FIELDS: &[&[u8]] = &[
    b"cache-control",
    b"clear-site-data",
    b"content-disposition",
    b"content-encoding",
    b"content-length",
    b"content-location",
    b"content-security-policy",
    b"content-type",
    b"etag",
    b"last-modified",
    b"proxy-authenticate",
    b"proxy-connection",
    b"set-cookie",
    b"set-cookie2",
    b"strict-transport-security",
    b"transfer-encoding",
    b"user-agent",
    b"www-authenticate",
];

/// Fields that are words, too.
const WORDS: &[&[u8]] = &[
    b"authorization",
    b"connection",
    b"cookie",
    b"host",
    b"link",
    b"location",
    b"origin",
    b"pragma",
    b"referer",
    b"refresh",
    b"server",
    b"status",
    b"upgrade",
    b"via",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::security::{
        detectors::{Detector, trial},
        normalise::step::Steps,
    };

    fn level(value: &[u8]) -> Option<u8> {
        trial::level_as_it_is(Detector::HeaderInjection, Place::QueryValue, value)
    }

    #[test]
    fn attacks_are_sure() {
        for value in [
            "x\r\nSet-Cookie: a=b",
            "x\nSet-Cookie:a=b",
            "x\rset-cookie: a=b",
            "\r\nLocation: http://a.example/",
            "x\r\nLocation: /login",
            "x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK",
            "x\r\n\r\nHTTP/1.1 200 OK",
            "HTTP\r\nHTTP/1.0 302 Found",
            "x\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script>",
            "x\r\nTransfer-Encoding: chunked",
            "x\r\nX-Injected: yes",
            "x\r\nX-XSS-Protection: 0",
            "x\r\nAccess-Control-Allow-Origin: *",
            "x\r\nRefresh: /x",
            "x\r\n Set-Cookie: folded=1",
            "x\r\nSet-Cookie : a=b",
            "x%0d%0aSet-Cookie: a=b",
            "x%0ASet-Cookie: a=b",
            "x\\r\\nSet-Cookie: a=b",
            "x\\nSet-Cookie: a=b",
            "x\u{560d}\u{560a}Set-Cookie: a=b",
            "x\u{2028}Set-Cookie: a=b",
            "x\u{10a}Set-Cookie: a=b",
            "x\u{85}Content-Length: 5",
            "x HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1",
            "x\r\n\r\nGET /admin HTTP/1.1\r\nHost: a",
            "x\r\nPOST /admin HTTP/1.1",
            "x\r\nWWW-Authenticate: Basic",
            "x\r\nContent-Security-Policy: default-src *",
            "x\r\nContent-Disposition: attachment",
            "pt\r\nLast-Modified: Mon, 27 Oct 2003 14:50:18 GMT",
            "x\r\nUser-Agent: other",
            "https://example.com/\r\nStatus: 302",
            "x\nRefresh: 0;url=//a.example/",
        ] {
            assert_eq!(level(value.as_bytes()), Some(1), "{value:?}");
        }
    }

    #[test]
    fn any_field_is_one_behind_a_line_end_in_a_field() {
        let bytes = b"a\nrole: admin";
        let (place, steps) = (Place::HeaderValue, Steps::default());
        let clues = Clues::of(bytes);
        assert_eq!(suspicion(&Subject { bytes, place, name: None, steps, clues }), Some(1));
    }

    #[test]
    fn line_ends_of_texts_are_encoded_by_no_one() {
        let level = |place, bytes: &str| {
            trial::level(Detector::HeaderInjection, place, None, bytes.as_bytes())
        };
        assert_eq!(level(Place::Text, "x%0d%0aSet-Cookie: a=b"), Some(1));
        assert_eq!(level(Place::Text, "x&#13;&#10;Set-Cookie: a=b"), Some(1));
        assert_eq!(level(Place::Text, "x\r\nSet-Cookie: a=b"), Some(2));
        assert_eq!(level(Place::MultipartValue, "x\r\nSet-Cookie: a=b"), Some(1));
        assert_eq!(level(Place::JsonString, "x\r\n\r\n<html>a</html>"), Some(1));
        assert_eq!(level(Place::JsonString, "x\r\n\r\n<p>a</p>"), None);
        assert_eq!(level(Place::JsonString, "x HTTP/1.1\r\nHost: a.example"), Some(1));
        assert_eq!(level(Place::JsonString, "Servidor:\r\nHost: a.example"), Some(2));
    }

    #[test]
    fn ordinary_texts_are_nothing() {
        for value in [
            "Maria",
            "one\ntwo",
            "one: 1\ntwo: 2",
            "Nome: Maria\r\nIdade: 30",
            "Set-Cookie: a=b",
            "Content-Type: text/html",
            "Location: here",
            "see https://a.example/\nand http://b.example/",
            "C:\\new\\readme.txt: text",
            "C:\\reports\\next: 3",
            "10%0 of: all",
            "Olá,\n\nsegue: anexo",
            "Endereço: Rua A\nCidade: São Paulo",
            "a\nhttp is a protocol: yes",
            "HTTP/1.1 200 OK",
            "GET / HTTP/1.1",
            "one\nGet the car: now",
            "one\nPOST it: to me",
            "list:\n- a\n- b",
            "2024-01-01T10:00:00Z\n2024-01-02T10:00:00Z",
            "key: value\r\n",
            "\n\n: :",
            "a\r\n",
            "Obs.:\nsem franquia",
            "x-ray: ok",
            "a line\nx: y",
            "Ċ: č",
        ] {
            assert_eq!(level(value.as_bytes()), None, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _level = level(&bytes);
        }
    }
}
