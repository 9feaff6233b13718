//! Addresses of mail: `Mailbox` of RFC 5321, 4.1.2.
//!
//! ```text
//! Mailbox        = Local-part "@" ( Domain / address-literal )
//! Local-part     = Dot-string / Quoted-string
//! Dot-string     = Atom *("." Atom)
//! Quoted-string  = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE
//! address-literal = "[" ( IPv4 / "IPv6:" IPv6 / General ) "]"
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use super::address::is_hostname;

/// `Mailbox`, with the lengths of 4.5.3.1 and without a general address literal.
pub(super) fn is_mailbox(text: &str) -> bool {
    // A quoted local part may hold an `@`, a domain may not.
    text.rsplit_once('@').is_some_and(|(local_part, domain)| {
        text.len() <= MAX_MAILBOX_BYTES && is_local_part(local_part) && is_domain(domain)
    })
}

fn is_local_part(text: &str) -> bool {
    text.len() <= MAX_LOCAL_PART_BYTES
        && match text.strip_prefix('"') {
            Some(quoted) => is_quoted(quoted.as_bytes()),
            None => text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_text)),
        }
}

/// What comes after the first quotation mark.
fn is_quoted(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [b'"'] => return true,
            [b'\\', b' '..=b'~', rest @ ..] => rest,
            [b'"' | b'\\', ..] => return false,
            [b' '..=b'~', rest @ ..] => rest,
            _ => return false,
        }
    }
}

fn is_domain(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        None => is_hostname(text),
        Some(literal) => match literal.split_at_checked(IPV6_TAG.len()) {
            Some((tag, address)) if tag.eq_ignore_ascii_case(IPV6_TAG) => {
                address.parse::<Ipv6Addr>().is_ok()
            }
            _ => literal.parse::<Ipv4Addr>().is_ok(),
        },
    }
}

/// `atext` (RFC 5322, 3.2.3)
fn is_atom_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

const IPV6_TAG: &str = "IPv6:";

/// RFC 5321, 4.5.3.1.1.
const MAX_LOCAL_PART_BYTES: usize = 64;

/// A path of 256 octets (RFC 5321, 4.5.3.1.3), less the angle brackets around it.
const MAX_MAILBOX_BYTES: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let longest = format!("{}@{}", "a".repeat(64), ["b"; 95].join("."));
        for text in [
            "a@b",
            "first.last+tag@mail.example.com",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            r#""a b"@example.com"#,
            r#""a@\"\\b"@example.com"#,
            r#"""@example.com"#,
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            &longest,
        ] {
            assert!(is_mailbox(text), "{text}");
        }
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a b@c",
            "a@b_c",
            "a@-b",
            "joão@example.com",
            r#""a@example.com"#,
            r#""a"b@example.com"#,
            r#""a\"@example.com"#,
            "\"a\nb\"@example.com",
            "a@[192.0.2.256]",
            "a@[2001:db8::1]",
            "a@[]",
            &format!("{longest}c"),
            &format!("{}@b", "a".repeat(65)),
        ] {
            assert!(!is_mailbox(text), "{text}");
        }
    }
}
