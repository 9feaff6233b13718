//! Personal data and secrets in text: found by shape, check digits and the words beside them.
//!
//! Digits are everywhere, so each class has a guard against what only looks like it:
//!
//! | class | shape | check | guard |
//! |---|---|---|---|
//! | [`Class::Cpf`] | `529.982.247-25`, or 11 digits | two digits mod 11, not all equal | bare digits count only beside `cpf` or `documento` |
//! | [`Class::Cnpj`] | `12.ABC.345/01DE-35`, or 14 characters | two digits mod 11, not all equal | bare characters count only beside `cnpj` or `documento` |
//! | [`Class::Card`] | 13 to 19 digits, in groups or not | Luhn, prefix and length of a brand | bare, 15 or 16 digits that no word calls something else; others only beside `card` |
//! | [`Class::Pis`] | `120.56412.54-5`, or 11 digits | one digit mod 11, not all equal | bare digits count only beside `pis`, `pasep`, `nis` or `nit` |
//! | [`Class::Cnh`] | 11 digits | two digits mod 11, not all equal | only beside `cnh` or `habilitacao` |
//! | [`Class::Email`] | `local@domain.tld` | | the last label is of letters and no file name's ending; no user of a URL |
//! | [`Class::Phone`] | `+55 11 98765-4321`, `(11) 3456-7890` | the area code exists | without `+55` and parentheses only beside `phone`, `telefone`, `celular`, ... |
//! | [`Class::BearerToken`] | `Bearer` and 16 characters or more | letters and digits | |
//! | [`Class::JsonWebToken`] | three or five base64url parts | the first is a JSON object with `alg` | |
//! | [`Class::PrivateKey`] | `-----BEGIN ... PRIVATE KEY-----` | | |
//!
//! "Beside" is in the name that the caller passes, or in the [`KEY_BYTES`] before the value as far
//! as no other value begins there. What is found is a whole word: digits within longer numbers are
//! not looked at. Work is linear: at each place a bounded number of bytes is looked at, and what was
//! found is jumped over.
//!
//! Class and range are all that is said; no value is kept.

pub mod attribute;
mod bearer;
pub(super) mod canonical;
mod card;
mod check_digits;
mod email;
mod key;
mod phone;
mod registry;
pub mod secrets;
mod word;

use std::ops::Range;

/// What a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A token that gives access to its bearer (RFC 6750).
    BearerToken,
    /// Number of a payment card.
    Card,
    /// Number of a driving licence.
    Cnh,
    /// Number of a company in the national register, numeric or alphanumeric.
    Cnpj,
    /// Number of a natural person in the national register.
    Cpf,
    /// An e-mail address.
    Email,
    /// A signed or encrypted token (RFC 7515, RFC 7516).
    JsonWebToken,
    /// A Brazilian telephone number.
    Phone,
    /// Number of a person in social insurance: PIS, PASEP, NIS, NIT.
    Pis,
    /// A private key in PEM.
    PrivateKey,
}

/// What was found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its class.
    pub class: Class,
    /// Its bytes in the text.
    pub range: Range<usize>,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 10] = [
        Self::BearerToken,
        Self::Card,
        Self::Cnh,
        Self::Cnpj,
        Self::Cpf,
        Self::Email,
        Self::JsonWebToken,
        Self::Phone,
        Self::Pis,
        Self::PrivateKey,
    ];

    /// The name that rules and records use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BearerToken => "bearer_token",
            Self::Card => "card",
            Self::Cnh => "cnh",
            Self::Cnpj => "cnpj",
            Self::Cpf => "cpf",
            Self::Email => "email",
            Self::JsonWebToken => "json_web_token",
            Self::Phone => "phone",
            Self::Pis => "pis",
            Self::PrivateKey => "private_key",
        }
    }
}

/// Finds personal data and secrets, from left to right, without overlap. `name` is what the text goes
/// by where it stands, such as the name of its field.
pub fn scan(text: &[u8], name: Option<&str>, find: &mut dyn FnMut(Found)) {
    let mut at = 0;
    // Where the last find ended: an address is looked for backwards, and not into it.
    let mut free = 0;
    while let Some(byte) = text.get(at) {
        let place = Place { text, at, free, name };
        let found = match byte {
            b'0'..=b'9' if word::begins(place) => {
                registry::find(place).or_else(|| card::find(place)).or_else(|| phone::find(place))
            }
            b'(' | b'+' if word::begins(place) => phone::find(place),
            b'-' => bearer::private_key(place),
            b'@' => email::find(place),
            b'e' => bearer::json_web_token(place),
            b'b' | b'A'..=b'Z' if word::begins(place) => {
                bearer::token(place).or_else(|| registry::find(place))
            }
            _ => None,
        };
        let Some(found) = found else {
            at += 1;
            continue;
        };
        // Each find has bytes at `at` or after it; so the reading always goes on.
        at = found.range.end.max(at + 1);
        free = at;
        find(found);
    }
}

/// A place in a text at which something may begin.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a [u8],
    at: usize,
    free: usize,
    name: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// What begins here.
    fn rest(self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What ends here.
    fn before(self) -> &'a [u8] {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// A find of so many bytes from here.
    fn found(self, class: Class, length: usize) -> Found {
        Found { class, range: self.at..self.at + length }
    }
}

pub use key::KEY_BYTES;

#[cfg(test)]
mod tests;
