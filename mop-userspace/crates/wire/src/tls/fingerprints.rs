//! Fingerprints of clients by their hello: JA4 and JA3.
//!
//! Both name the software, not a person: every client of one build with one configuration has the
//! same. JA4 follows the description that its authors published:
//!
//! ```text
//! t 13 d 15 16 h2 _ 8daaf6152771 _ e5627efa2ab1
//! | |  | |  |  |    |              first 12 digits of SHA-256 of the sorted extensions without name
//! | |  | |  |  |    |              and protocols, and the signature algorithms in their order
//! | |  | |  |  |    first 12 digits of SHA-256 of the sorted cipher suites
//! | |  | |  |  first and last character of the first application protocol, 00 for none
//! | |  | |  extensions, 99 at most
//! | |  | cipher suites, 99 at most
//! | |  d: names a server, i: does not
//! | highest version that is offered
//! t: over TCP
//! ```

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::client_hello::{ALPN, ClientHello, ProtocolName, SERVER_NAME};

impl ClientHello {
    /// The JA4 of the client, 36 characters of ASCII.
    #[must_use]
    pub fn ja4(&self) -> String {
        let mut ciphers = self.cipher_suites.clone();
        ciphers.sort_unstable();
        let mut kinds = self.extensions.clone();
        kinds.retain(|kind| *kind != SERVER_NAME && *kind != ALPN);
        kinds.sort_unstable();
        let mut offers = hexadecimal(&kinds);
        if !self.signature_algorithms.is_empty() {
            offers.push('_');
            offers.push_str(&hexadecimal(&self.signature_algorithms));
        }
        let version = match self.highest_version().map(|version| version.0) {
            Some(0x0304) => "13",
            Some(0x0303) => "12",
            Some(0x0302) => "11",
            Some(0x0301) => "10",
            Some(0x0300) => "s3",
            Some(_) | None => "00",
        };
        format!(
            "t{version}{}{:02}{:02}{}_{}_{}",
            if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' },
            self.cipher_suites.len().min(MOST_COUNTED),
            self.extensions.len().min(MOST_COUNTED),
            ends(self.first_alpn.as_ref()),
            if ciphers.is_empty() { NONE.to_owned() } else { digest(&hexadecimal(&ciphers)) },
            if kinds.is_empty() { NONE.to_owned() } else { digest(&offers) },
        )
    }

    /// The JA3 of the client: MD5 of its numbers in decimal, in the order of the message.
    #[must_use]
    pub fn ja3(&self) -> [u8; 16] {
        let formats: Vec<u16> = self.point_formats.iter().copied().map(u16::from).collect();
        let mut text = self.legacy_version.0.to_string();
        for list in [&self.cipher_suites, &self.extensions, &self.groups, &formats] {
            text.push(',');
            text.push_str(&joined(list, '-', |text, number| write!(text, "{number}")));
        }
        // Of another generation of the trait than that of SHA-256.
        <Md5 as md5::Digest>::digest(text).into()
    }
}

/// First and last character of a name; of its hexadecimal form when either is no letter or digit.
fn ends(name: Option<&ProtocolName>) -> String {
    let Some([first, .., last] | [first @ last]) = name.map(ProtocolName::as_bytes) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return format!("{}{}", char::from(*first), char::from(*last));
    }
    format!("{:x}{:x}", first >> 4, last & 0xf)
}

fn hexadecimal(numbers: &[u16]) -> String {
    joined(numbers, ',', |text, number| write!(text, "{number:04x}"))
}

fn joined(
    numbers: &[u16],
    separator: char,
    put: impl Fn(&mut String, u16) -> std::fmt::Result,
) -> String {
    let mut text = String::with_capacity(numbers.len() * 6);
    for number in numbers {
        if !text.is_empty() {
            text.push(separator);
        }
        // Writing to a string does not fail.
        let _written = put(&mut text, *number);
    }
    text
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(DIGEST_BYTES).fold(String::new(), |mut text, byte| {
        // As above.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Two digits.
const MOST_COUNTED: usize = 99;
/// Twelve digits.
const DIGEST_BYTES: usize = 6;
/// In place of the digest of nothing.
const NONE: &str = "000000000000";
