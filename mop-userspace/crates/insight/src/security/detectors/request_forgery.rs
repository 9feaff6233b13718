//! Server-side request forgery: values that are an address as a whole, of the host itself, of its
//! network or of the metadata of its cloud, or of a scheme that no caller has a use for.

mod host;

use self::host::Network;
use super::{
    Clues, Subject,
    letters::{after, begins, ends, is_one_of, is_word, skip_space, skip_space_before},
};
use crate::security::normalise::part::Place;

pub(super) fn suspicion(subject: &Subject<'_>) -> Option<u8> {
    let Subject { bytes, clues, place, name, .. } = *subject;
    if !clues.any(const { Clues::these(b":./") }) || bytes.len() > MAX_ADDRESS_BYTES {
        return None;
    }
    let is_value = match place {
        Place::CookieValue
        | Place::FormValue
        | Place::JsonString
        | Place::MultipartValue
        | Place::QueryValue
        | Place::Text
        | Place::XmlAttribute
        | Place::XmlText => true,
        // Addresses of callers and proxies are internal ones in ordinary use.
        Place::HeaderValue => !name.is_some_and(|name| is_one_of(name.as_bytes(), OWN_FIELDS)),
        // A segment that holds a whole address had its slashes encoded.
        Place::PathSegment => true,
        _ => false,
    };
    if !is_value {
        return None;
    }
    let text = skip_space_before(skip_space(bytes));
    let text = after(text, "url:").unwrap_or(text);
    match text.iter().position(|byte| *byte == b':') {
        Some(end) => {
            let (scheme, rest) = text.split_at_checked(end)?;
            with_scheme(scheme, rest.get(1..)?, name).or_else(|| without_scheme(text))
        }
        None => without_scheme(text),
    }
}

fn with_scheme(scheme: &[u8], rest: &[u8], name: Option<&str>) -> Option<u8> {
    if scheme.len() < 2
        || !scheme.iter().all(|byte| is_word(*byte) || matches!(byte, b'+' | b'-' | b'.'))
    {
        return None;
    }
    let is_double = begins(rest, &["//", "\\\\", "/\\"]);
    let is_file_transfer = is_one_of(scheme, &["ftp", "ftps", "sftp"]);
    let is_web = is_one_of(scheme, &["http", "https", "ws", "wss"]);
    // An address has no blanks, a text about one has; commands of other schemes may have some.
    if (is_file_transfer || is_web) && goes_on_in_words(rest) {
        return is_double.then_some(3);
    }
    if is_double && is_one_of(scheme, SCHEMES) {
        return Some(1);
    }
    if is_one_of(scheme, &["jar", "netdoc", "gopher", "dict", "file"])
        && begins(rest, &["http:", "https:", "file:", "ftp:", "/"])
    {
        return Some(1);
    }
    if !is_double || !is_web && !is_file_transfer {
        return None;
    }
    let slashes =
        rest.iter().take(MAX_SLASHES).take_while(|byte| matches!(byte, b'/' | b'\\')).count();
    let rest = rest.get(slashes..)?;
    let authority = authority(rest);
    let Some(network) = Network::of(authority).or_else(|| hidden_network(rest)) else {
        // Files are still offered so in public, but not to those who sign in within the address.
        let is_signed_in = rest.contains(&b'@');
        return is_file_transfer.then_some(if is_signed_in { 1 } else { 2 });
    };
    match network {
        // Native applications answer on the host that they run on (RFC 8252, section 7.3).
        Network::Loopback if name.is_some_and(|name| name == "redirect_uri") => Some(2),
        // What is being developed answers there, though not where databases and caches do.
        Network::Loopback if begins(authority, &["localhost"]) => {
            let is_service = ends(authority, SERVICE_PORTS);
            Some(if is_service || is_file_transfer { 1 } else { 2 })
        }
        Network::Collaborator => Some(2),
        Network::Disguised
        | Network::Internal
        | Network::Loopback
        | Network::Metadata
        | Network::Private => Some(1),
    }
}

/// Whether a blank and another word follow.
fn goes_on_in_words(rest: &[u8]) -> bool {
    let end = rest.iter().position(|byte| *byte == b' ');
    let words = end.and_then(|end| rest.get(end..)).map(skip_space);
    words.is_some_and(|words| words.first().is_some_and(u8::is_ascii_alphabetic))
}

/// `//127.0.0.1/`, `169.254.169.254/latest`, `localhost:22`.
fn without_scheme(text: &[u8]) -> Option<u8> {
    let is_relative = text.strip_prefix(b"//").or(text.strip_prefix(b"\\\\"));
    let is_name = |byte: &u8| {
        matches!(byte, b'0'..=b'9' | b'[' | b'm' | b'M' | b'i' | b'I' | b'l' | b'L' | b'r' | b'a')
    };
    if is_relative.is_none() && !text.first().is_some_and(is_name) {
        return None;
    }
    let authority = authority(is_relative.unwrap_or(text));
    let network = Network::of(authority)?;
    let goes_on = authority.len() < text.len() || authority.contains(&b':');
    match network {
        Network::Metadata => Some(1),
        Network::Loopback | Network::Private | Network::Internal if is_relative.is_some() => {
            Some(1)
        }
        // A number with slashes may be a date or a part of something.
        Network::Loopback | Network::Private if goes_on => Some(2),
        Network::Loopback | Network::Private => Some(3),
        Network::Collaborator | Network::Disguised | Network::Internal => None,
    }
}

/// What stands before the path, without who is to sign in.
fn authority(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
    let authority = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let host = authority.iter().rposition(|byte| *byte == b'@');
    host.and_then(|at| authority.get(at + 1..)).unwrap_or(authority)
}

/// `example.com#@127.0.0.1/`: where the authority ends is a matter that libraries do not agree on, and
/// one that takes what is before the sign for who signs in goes to the other host.
fn hidden_network(rest: &[u8]) -> Option<Network> {
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'))?;
    let behind = match rest.get(end..)? {
        [b'?' | b'#' | b'\\', b'@', behind @ ..] => behind,
        _ => return None,
    };
    Network::of(authority(behind))
}

/// Addresses are short; what is longer is text.
const MAX_ADDRESS_BYTES: usize = 2048;
/// Browsers and libraries skip more slashes than two.
const MAX_SLASHES: usize = 8;

/// Ports of SSH, mail, databases, caches and containers.
const SERVICE_PORTS: &[&str] = &[
    ":22", ":25", ":1433", ":1521", ":2375", ":2379", ":3306", ":5432", ":6379", ":9200", ":10250",
    ":11211", ":27017",
];

const SCHEMES: &[&str] = &[
    "gopher",
    "dict",
    "file",
    "ldap",
    "ldaps",
    "tftp",
    "jar",
    "netdoc",
    "smb",
    "ssh",
    "telnet",
    "imap",
    "imaps",
    "pop3",
    "smtp",
    "rmi",
    "sftp",
    "php",
    "phar",
    "expect",
    "rtsp",
    "mailto",
    "view-source",
    "ogg",
    "unix",
    "tcp",
    "redis",
    "jdbc",
    "local_file",
    "afp",
    "nfs",
];

/// Fields that say where a call comes from or goes to.
const OWN_FIELDS: &[&str] = &[
    "host",
    "origin",
    "referer",
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-original-host",
    "x-client-ip",
    "true-client-ip",
    "x-fapi-customer-ip-address",
    "cf-connecting-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-envoy-original-path",
    "location",
    "content-location",
    "x-cluster-client-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-originating-ip",
    "x-forwarded",
    "x-host",
    "x-b3-traceid",
    "traceparent",
    "baggage",
];

#[cfg(test)]
mod tests;
