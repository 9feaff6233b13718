//! Absolute or not, but with a scheme: `URI` of RFC 3986.
//!
//! ```text
//! URI        = scheme ":" hier-part [ "?" query ] [ "#" fragment ]
//! hier-part  = "//" authority path-abempty / path-absolute / path-rootless / path-empty
//! authority  = [ userinfo "@" ] host [ ":" port ]
//! host       = IP-literal / IPv4address / reg-name
//! ```

use std::net::Ipv6Addr;

/// `URI` (RFC 3986, 3).
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = split(text, b':') else { return false };
    let (rest, fragment) = split(rest, b'#').unwrap_or((rest, ""));
    let (hierarchy, query) = split(rest, b'?').unwrap_or((rest, ""));
    // Without an authority, a path cannot begin with two slashes; they would be read as one.
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(rest) => {
            rest.split_at(rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len()))
        }
        None => ("", hierarchy),
    };
    is_scheme(scheme.as_bytes())
        && is_authority(authority)
        && consists_of(path, NAME | PATH | SLASH)
        && consists_of(query, NAME | PATH | SLASH | QUESTION)
        && consists_of(fragment, NAME | PATH | SLASH | QUESTION)
}

/// The text before and after an ASCII character. For texts this short, looking at each byte is
/// quicker than a search that is made for long ones.
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// RFC 3986, 3.1.
fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// RFC 3986, 3.2. An IPv4 address is a registered name too, so it needs no rule.
fn is_authority(text: &str) -> bool {
    let (user, host_and_port) = text.rsplit_once('@').unwrap_or(("", text));
    let (is_host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((literal, port)) => (is_ip_literal(literal), port),
            None => return false,
        },
        None => {
            let host = host_and_port.find(':').unwrap_or(host_and_port.len());
            let (host, port) = host_and_port.split_at(host);
            (consists_of(host, NAME), port)
        }
    };
    is_host
        && consists_of(user, NAME | COLON)
        && (port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit())))
}

/// RFC 3986, 3.2.2: `IPv6address / "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`
fn is_ip_literal(text: &str) -> bool {
    let Some(future) = text.strip_prefix(['v', 'V']) else {
        return text.parse::<Ipv6Addr>().is_ok();
    };
    future.split_once('.').is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| is_of(byte, NAME | COLON))
    })
}

/// Only characters of these classes, and percent-encoded octets (RFC 3986, 2.1).
fn consists_of(text: &str, classes: u8) -> bool {
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if is_of(*byte, classes) {
            continue;
        }
        let mut digit = || rest.next().is_some_and(u8::is_ascii_hexdigit);
        if *byte != b'%' || !digit() || !digit() {
            return false;
        }
    }
    true
}

fn is_of(byte: u8, classes: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|class| class & classes != 0)
}

/// `unreserved` and `sub-delims` (RFC 3986, 2.2 and 2.3).
const NAME: u8 = 1;
const COLON: u8 = 2;
const SLASH: u8 = 4;
const QUESTION: u8 = 8;
const AT: u8 = 16;
/// What `pchar` has beside `pct-encoded` and names (RFC 3986, 3.3).
const PATH: u8 = COLON | AT;

/// The class of each octet.
#[expect(clippy::indexing_slicing, reason = "done by the compiler, which checks it")]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let names = b"-._~!$&'()*+,;=";
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            classes[byte] = NAME;
        }
        byte += 1;
    }
    let mut place = 0;
    while place < names.len() {
        classes[names[place] as usize] = NAME;
        place += 1;
    }
    classes[b':' as usize] = COLON;
    classes[b'/' as usize] = SLASH;
    classes[b'?' as usize] = QUESTION;
    classes[b'@' as usize] = AT;
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        for text in [
            "https://api.example.com/open-insurance/consents/v3/consents?page=1&page-size=25#top",
            "https://example.com",
            "http://user:secret@example.com:8080/",
            "http://[2001:db8::1]:80/a",
            "http://[v1.fe:80]/",
            "http://192.0.2.1",
            "http://example.com:",
            "file:///etc/hosts",
            "urn:example:C1DD33123",
            "mailto:a@example.com",
            "a:",
            "a:/",
            "a+b-c.1:x/y?q?/#f?/",
            "http://ex%C3%A3mple/%20?%25#%7e",
            "http:////",
        ] {
            assert!(is_uri(text), "{text}");
        }
        for text in [
            "",
            ":",
            "//example.com",
            "/a/b",
            "example.com",
            "1a:b",
            "a b:c",
            "ç:b",
            "http://example.com/a b",
            "http://example.com/ã",
            "http://example.com/%2",
            "http://example.com/%g0",
            "http://example.com/[a]",
            "http://example.com/?a[0]=1",
            "http://example.com/#a#b",
            "http://example.com:80a/",
            "http://example.com:80:80/",
            "http://a@b@c/",
            "http://[::1",
            "http://[::1]a",
            "http://[1.2.3.4]/",
            "http://[v.a]/",
            "http://[v1.]/",
            "http://[v1]/",
            "http://a\\b/",
            "http://a\n/",
            "http://{a}/",
        ] {
            assert!(!is_uri(text), "{text}");
        }
    }
}
