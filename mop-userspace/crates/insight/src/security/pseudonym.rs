//! Keyed pseudonyms: what stands for a consent, a token or a person where one and the same must be
//! known again, and the identifier itself may not be told.
//!
//! A pseudonym is a function of the identifier under the root, of its class and of the month (UTC).
//! Whoever has the root makes the same one on every node; whoever has not learns nothing by trying
//! numbers, of which there are only 10⁹ of persons.
//!
//! ```text
//! canonical form ── HMAC ──▶ Identifier ── HMAC ──▶ Pseudonym: 128 bits
//!                    │                      │
//! root ── HKDF: "mop pseudonym/identifier"  └── HKDF: "mop pseudonym/<class>/2026-11"
//!      └─ HKDF: "mop pseudonym/key id/2026-11" ── HMAC ──▶ KeyId: 64 bits
//! ```
//!
//! Every HMAC is [`Key::digest`]: HMAC-SHA-256 (RFC 2104) of a byte for the class and of the value,
//! cut. HKDF is that of RFC 5869. An [`Identifier`] is what is carried from where the value was
//! seen to where the month is known: no value has to be.
//!
//! A pseudonym is personal data to whoever has the root. It changes every month, so that nobody is
//! followed for longer by those who have it not.

use jiff::{Timestamp, tz::TimeZone};

use super::personal::canonical;
use crate::data::digest::{Digest, Key, Subject};

/// Makes pseudonyms under one root. It has nothing of it to show.
#[derive(Clone)]
pub struct Pseudonymiser {
    root: Key,
    identifiers: Key,
}

/// What is stood for. Pseudonyms of two classes never agree, also of equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Identifier of a consent.
    Consent,
    /// CNPJ.
    LegalPerson,
    /// CPF.
    NaturalPerson,
    /// A bearer token.
    Token,
}

/// A month of UTC, in which pseudonyms are comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch {
    year: i16,
    month: i8,
}

/// An identifier as it may be carried: its class, and a digest under a key of the root. Never told:
/// it is the same in all months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    class: Class,
    digest: Digest,
}

/// What stands for an identifier in one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pseudonym {
    class: Class,
    key: KeyId,
    digest: Digest,
}

/// Names the key of a month under a root: pseudonyms are comparable only where it is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(u64);

impl Pseudonymiser {
    /// Under this root.
    #[must_use]
    pub fn new(root: Key) -> Self {
        Self { identifiers: root.derive(&format!("{PURPOSE}/identifier")), root }
    }

    /// What is carried of a value. `None` when it is empty or, of a person, when it is no number
    /// with check digits that hold: what is no identifier has no pseudonym.
    #[must_use]
    pub fn identifier(&self, class: Class, value: &str) -> Option<Identifier> {
        let digest = |value: &[u8]| self.identifiers.digest(class.subject(), value);
        let digest = match class {
            Class::Consent | Class::Token if value.is_empty() => return None,
            Class::Consent | Class::Token => digest(value.as_bytes()),
            Class::LegalPerson => digest(&canonical::cnpj(value)?),
            Class::NaturalPerson => digest(&canonical::cpf(value)?),
        };
        Some(Identifier { class, digest })
    }

    /// The pseudonym of an identifier.
    #[must_use]
    pub fn of(&self, identifier: Identifier, epoch: Epoch) -> Pseudonym {
        let Identifier { class, digest } = identifier;
        let key = self.root.derive(&format!("{PURPOSE}/{}/{epoch}", class.name()));
        let digest = key.digest(class.subject(), &digest.bytes());
        Pseudonym { class, key: self.key_id(epoch), digest }
    }

    /// The pseudonym of a value; `None` as of [`Pseudonymiser::identifier`].
    #[must_use]
    pub fn pseudonym(&self, class: Class, value: &str, epoch: Epoch) -> Option<Pseudonym> {
        self.identifier(class, value).map(|identifier| self.of(identifier, epoch))
    }

    fn key_id(&self, epoch: Epoch) -> KeyId {
        let key = self.root.derive(&format!("{PURPOSE}/key id/{epoch}"));
        let [a, b, c, d, e, f, g, h, ..] = key.digest(Subject::Key, b"").bytes();
        // For people to compare. Of a thousand participants in a thousand months, two are the same
        // once in some thirty million times.
        KeyId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Consent, Self::LegalPerson, Self::NaturalPerson, Self::Token];

    /// Its word: part of what pseudonyms are made of, so that it never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::LegalPerson => "legal person",
            Self::NaturalPerson => "natural person",
            Self::Token => "token",
        }
    }

    const fn subject(self) -> Subject {
        match self {
            Self::Consent => Subject::Consent,
            Self::LegalPerson => Subject::LegalPerson,
            Self::NaturalPerson => Subject::NaturalPerson,
            Self::Token => Subject::Token,
        }
    }
}

impl Epoch {
    /// The one of a time.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let date = time.to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }
}

impl Pseudonym {
    /// Of what it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The key that it was made with.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// As it is told: 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.digest.to_hex()
    }

    /// What is told beside it: `consent, key 0123456789abcdef`.
    #[must_use]
    pub fn described(&self) -> String {
        format!("{}, key {}", self.class.name(), self.key)
    }
}

/// Nothing of the root.
impl std::fmt::Debug for Pseudonymiser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pseudonymiser")
    }
}

/// `2026-11`.
impl std::fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04}-{:02}", self.year, self.month)
    }
}

/// 16 hexadecimal digits.
impl std::fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// Stands before every other word that keys are derived with.
const PURPOSE: &str = "mop pseudonym";

#[cfg(test)]
mod tests;
