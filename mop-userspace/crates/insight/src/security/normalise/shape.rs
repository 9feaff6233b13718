//! Values that say by their shape what they are, and can be nothing else to anybody: no decoder
//! changes them and no attack looks so.

use crate::security::table::by_byte;

/// Whether a value is a UUID, a date with or without a time, a decimal number, or a constant in
/// capitals.
#[must_use]
pub fn is_fixed(value: &[u8]) -> bool {
    if value.len() > MAX_BYTES {
        return false;
    }
    match value.first() {
        Some(b'0'..=b'9') => is_uuid(value) || is_time(value) || is_number(value),
        Some(b'a'..=b'f') => is_uuid(value),
        Some(b'A'..=b'Z') => is_uuid(value) || all_of(value, OF_CONSTANT),
        _ => false,
    }
}

/// Letters, digits, `-`, `_` and short: no detector and no decoder finds anything in it, but for names
/// that have two underscores.
#[must_use]
pub fn is_plain_name(name: &[u8]) -> bool {
    let is_magic = || name.windows(2).any(|pair| pair == b"__");
    name.len() <= MAX_NAME_BYTES && all_of(name, OF_NAME) && !is_magic()
}

/// Whether a value is `Bearer` and a token of the characters of RFC 6750, section 2.1.
#[must_use]
pub fn is_bearer_of_token(value: &[u8]) -> bool {
    value.split_at_checked(7).is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case(b"bearer ") && is_of_token(token)
    })
}

/// Without a branch in a chunk, so that it is compiled to vector instructions: tokens have a kilobyte.
fn is_of_token(token: &[u8]) -> bool {
    let is_of = |byte: u8| {
        let is_mark = (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~');
        let is_of_base64 = (byte == b'+') | (byte == b'/') | (byte == b'=');
        byte.is_ascii_alphanumeric() | is_mark | is_of_base64
    };
    token.chunks(CHUNK_BYTES).all(|chunk| chunk.iter().fold(true, |all, byte| all & is_of(*byte)))
}

/// Whether all bytes are of a class.
fn all_of(value: &[u8], class: u8) -> bool {
    let is_of = |byte: &u8| CLASSES.get(usize::from(*byte)).is_some_and(|it| it & class != 0);
    value.iter().all(is_of)
}

const fn classes(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => OF_NAME | OF_NUMBER,
        b'A'..=b'Z' | b'_' => OF_CONSTANT | OF_NAME,
        b'a'..=b'z' | b'-' => OF_NAME,
        b'.' => OF_NUMBER,
        _ => 0,
    }
}

const OF_CONSTANT: u8 = 1;
const OF_NAME: u8 = 1 << 1;
const OF_NUMBER: u8 = 1 << 2;

/// Some registers of vectors.
const CHUNK_BYTES: usize = 64;

/// By byte.
static CLASSES: [u8; 256] = by_byte!(classes);

/// Whether the value of a header field is a list of tokens or types, each with parameters or not, as
/// RFC 9110 writes them; nothing in it climbs, calls or separates otherwise.
#[must_use]
pub fn is_list_of_tokens(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').all(|element| {
        let mut pieces = element.split(|byte| *byte == b';');
        let is_media_range = pieces.next().is_some_and(|range| {
            let mut tokens = range.trim_ascii().split(|byte| *byte == b'/');
            tokens.next().is_some_and(is_token)
                && tokens.next().is_none_or(is_token)
                && tokens.next().is_none()
        });
        is_media_range
            && pieces.all(|parameter| {
                let mut tokens = parameter.trim_ascii().split(|byte| *byte == b'=');
                tokens.next().is_some_and(is_token)
                    && tokens.next().is_some_and(is_token)
                    && tokens.next().is_none()
            })
    })
}

/// A token without the marks that only shells and scripts use; with a letter or a digit first.
fn is_token(token: &[u8]) -> bool {
    token == b"*"
        || token.first().is_some_and(u8::is_ascii_alphanumeric)
            && token.iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'+' | b'_')
            })
            && !token.windows(2).any(|pair| pair == b"..")
}

/// `1`, `90000.85`; not an address of four numbers.
fn is_number(value: &[u8]) -> bool {
    all_of(value, OF_NUMBER) && value.iter().filter(|byte| **byte == b'.').count() <= 1
}

/// `2026-11-24`, `2026-11-24T12:00:00.000Z`, `2026-11-24T12:00:00-03:00`.
fn is_time(value: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, time @ ..] = value else { return false };
    let is_date = [y1, y2, y3, y4, m1, m2, d1, d2].iter().all(|digit| digit.is_ascii_digit());
    let is_time = match time {
        [] => true,
        [b'T', clock @ ..] => clock
            .iter()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'Z' | b'+' | b'-')),
        _ => false,
    };
    is_date && is_time
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == UUID_BYTES
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 9562, section 4.
const UUID_BYTES: usize = 36;

/// Names of contracts are shorter, but for a few; serialised objects and scripts in base64 are longer.
const MAX_NAME_BYTES: usize = 40;

/// The longest constant of a contract has 60 characters; objects in base64 are longer.
const MAX_BYTES: usize = 64;

/// Whether it is no text: its start has a zero, or is not UTF-8.
#[must_use]
pub fn is_binary(value: &[u8]) -> bool {
    let head = value.get(..BINARY_HEAD_BYTES).unwrap_or(value);
    // The last character may be cut.
    let is_text =
        std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    !is_text || head.contains(&0)
}

/// Every binary format has a zero, or what is no character, by then.
const BINARY_HEAD_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_from_what_is_like_them() {
        for value in [
            "1",
            "90000.85",
            "2026-11-24",
            "2026-11-24T12:00:00Z",
            "2026-11-24T12:00:00.000-03:00",
            "0c8c7a2b-5f41-4a0c-9a5e-d7b1e0f3c2a4",
            "d78fc4e5-37ca-4da3-adf2-9b082bf92280",
            "CASCO_COMPREENSIVA",
        ] {
            assert!(is_fixed(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "127.0.0.1",
            "169.254.169.254:80",
            "2026-11-24T12:00:00Z;id",
            "2026-11-24 or 1=1",
            "whoami",
            "__PROTO__",
            "gASVabcd",
            "d78fc4e5-37ca-4da3-adf2-9b082bf9228'",
        ] {
            assert!(!is_fixed(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn tokens_are_told_from_what_hides_in_them() {
        let long = "aZ0-._~+/=".repeat(30);
        assert!(is_bearer_of_token(format!("Bearer {long}").as_bytes()));
        assert!(is_bearer_of_token(b"bearer abc"));
        for at in [0, 63, 64, 299] {
            let mut token = long.clone();
            token.insert(at, '\'');
            assert!(!is_bearer_of_token(format!("Bearer {token}").as_bytes()), "{at}");
        }
        assert!(!is_bearer_of_token(b"Basic abc"));
        assert!(is_plain_name(b"page-size_2") && !is_plain_name(b"__proto__"));
        assert!(!is_plain_name(b"a__b") && !is_plain_name(b"a.b") && !is_plain_name(&[b'a'; 41]));
    }

    #[test]
    fn lists_are_told_from_what_hides_in_them() {
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "gzip, deflate, br",
            "pt-BR,pt;q=0.9",
            "keep-alive",
        ] {
            assert!(is_list_of_tokens(value.as_bytes()), "{value}");
        }
        for value in [
            "../../etc/passwd",
            "/etc/passwd",
            "a/b/c",
            "gzip; id",
            "gzip;id=$(id)",
            "x|id",
            "a..b",
            "text/html;a=b=c",
            "text/html\r\nx: y",
            "",
        ] {
            assert!(!is_list_of_tokens(value.as_bytes()), "{value}");
        }
    }
}
