//! What gives access to its bearer: tokens and private keys.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Class, Found, Place};

/// `Bearer` and a token that is no JSON web token, which is found by itself.
pub(super) fn token(place: Place<'_>) -> Option<Found> {
    let rest = place.rest();
    let scheme = rest.get(..SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let token = rest.get(SCHEME.len()..)?;
    let length = token.iter().take_while(|byte| is_token(**byte)).count();
    let token = token.get(..length)?;
    let is_token = length >= MIN_TOKEN_BYTES
        && token.iter().any(u8::is_ascii_digit)
        && token.iter().any(u8::is_ascii_alphabetic)
        && length_of_json_web_token(token).is_none();
    is_token.then(|| place.found(Class::BearerToken, SCHEME.len() + length))
}

/// The token that begins here. None begins within a run of its own characters, so each run is read
/// once.
pub(super) fn json_web_token(place: Place<'_>) -> Option<Found> {
    let is_within = place.before().last().is_some_and(|byte| is_of_parts(*byte));
    if is_within {
        return None;
    }
    let length = length_of_json_web_token(place.rest())?;
    Some(place.found(Class::JsonWebToken, length))
}

/// The head of a private key in PEM (RFC 7468, section 10), of any kind.
pub(super) fn private_key(place: Place<'_>) -> Option<Found> {
    let label = place.rest().strip_prefix(PEM_HEAD)?;
    let window = label.get(..MAX_LABEL_BYTES).unwrap_or(label);
    let end = window.windows(5).position(|dashes| dashes == b"-----")?;
    let label = window.get(..end)?;
    (label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK"))
        .then(|| place.found(Class::PrivateKey, PEM_HEAD.len() + end + 5))
}

fn length_of_json_web_token(text: &[u8]) -> Option<usize> {
    if !text.starts_with(JSON_IN_BASE64) {
        return None;
    }
    let run = text.iter().take_while(|byte| is_of_parts(**byte)).count();
    let run = text.get(..run)?;
    let mut parts = run.split(|byte| *byte == b'.');
    let (header, second) = (parts.next()?, parts.next()?);
    let length = match parts.clone().count() {
        1 | 3 => run.len(),
        // A full stop follows.
        2 | 4 if run.ends_with(b".") => run.len() - 1,
        _ => return None,
    };
    // An encrypted one may have no key, which is its second part (RFC 7516, section 4.1.1).
    let is_whole = !second.is_empty() || parts.count() >= 3;
    (is_whole && is_header(header)).then_some(length)
}

fn is_header(part: &[u8]) -> bool {
    if part.len() > MAX_HEADER_BYTES {
        return false;
    }
    let Ok(header) = URL_SAFE_NO_PAD.decode(part) else { return false };
    let names_algorithm = header.windows(ALGORITHM.len()).any(|window| window == ALGORITHM);
    header.starts_with(b"{") && header.trim_ascii_end().ends_with(b"}") && names_algorithm
}

/// `token68` of RFC 9110, section 11.2, without its padding.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

fn is_of_parts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

const SCHEME: &[u8] = b"bearer ";

/// `{"`
const JSON_IN_BASE64: &[u8] = b"eyJ";

/// RFC 7515, section 4.1.1.
const ALGORITHM: &[u8] = b"\"alg\"";

const PEM_HEAD: &[u8] = b"-----BEGIN ";

/// `Bearer token` in a text is none; 16 characters are 80 random bits or more.
const MIN_TOKEN_BYTES: usize = 16;

/// A header with a certificate chain in it has some 6 KB.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// `ENCRYPTED PRIVATE KEY` and the like, and the dashes.
const MAX_LABEL_BYTES: usize = 40;
