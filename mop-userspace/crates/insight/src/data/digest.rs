//! Keyed digests: what is kept of a token, a code or an identifier that must not be kept itself.
//!
//! HMAC-SHA-256 (RFC 2104) under a key of the participant, cut to 128 bits: equal inputs are
//! found again, and without the key nothing leads back. What kind of thing was digested is part of
//! the input, so that a `state` can never pass for a token.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::hkdf;

/// The key; wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    /// What has taken the key in; `None` never, since any length is a key.
    keyed: Option<Hmac<Sha256>>,
}

/// What was digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `code_challenge` of RFC 7636, as sent or as computed from the verifier.
    Challenge,
    /// Authorization code.
    Code,
    /// Identifier of an interaction, as a call carries it.
    Interaction,
    /// Marks the key itself, so that a snapshot made under another one is noticed.
    Key,
    /// Path of a call.
    Path,
    /// `request_uri` of RFC 9126.
    RequestUri,
    /// `state` of an authorization request.
    State,
    /// Access or refresh token.
    Token,
    // Their places are part of digests that are kept: new ones stand at the end.
    /// Identifier of a consent, as the name under which it is looked up.
    Consent,
    /// Any value by which detections group calls.
    Observed,
    /// Issuer and identifier (`jti`) of a token that is used once.
    Assertion,
    /// Body of a request.
    Body,
    /// Idempotency key of a client and an operation.
    Idempotency,
    /// Whom a limit is counted for.
    Party,
    /// Number of a natural person in the national register.
    NaturalPerson,
    /// Number of a legal person there.
    LegalPerson,
}

/// 128 bits that stand for a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 16]);

impl Key {
    /// Takes a key of 256 bits.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(&bytes).ok();
        Self { bytes: Zeroizing::new(bytes), keyed }
    }

    /// A key for this purpose alone, which leads neither to this one nor to that of another purpose:
    /// HKDF (RFC 5869), without a salt, since a key is random.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Self {
        Self::new(*hkdf::derive(&*self.bytes, &[], purpose.as_bytes()))
    }

    /// The digest of a value.
    #[must_use]
    pub fn digest(&self, subject: Subject, value: &[u8]) -> Digest {
        let mut digest = [0; 16];
        // Were there none, the digest would be the same for all values, which never joins anything that is
        // not also equal in all else.
        if let Some(mut mac) = self.keyed.clone() {
            mac.update(&[subject as u8]);
            mac.update(value);
            for (to, from) in digest.iter_mut().zip(mac.finalize().into_bytes()) {
                *to = from;
            }
        }
        Digest(digest)
    }
}

impl Digest {
    /// The smallest.
    pub(crate) const MIN: Self = Self([0; 16]);

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// From 32 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }
}

/// Nothing of the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key")
    }
}

/// Enough to tell two apart in a failed test, too little to be matched with a value.
impl std::fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second, ..] = self.0;
        write!(formatter, "Digest({first:02x}{second:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_digests_under_one_key_and_subject_only() {
        let key = Key::new([1; 32]);
        let token = key.digest(Subject::Token, b"abc");
        assert_eq!(token, key.digest(Subject::Token, b"abc"));
        assert_ne!(token, key.digest(Subject::Token, b"abd"));
        assert_ne!(token, key.digest(Subject::Code, b"abc"));
        assert_ne!(token, Key::new([2; 32]).digest(Subject::Token, b"abc"));
        assert_eq!(Digest::from_hex(&token.to_hex()), Some(token));
        assert_eq!(Digest::from_hex("+1234567890123456789012345678901"), None);
    }

    #[test]
    fn a_key_of_a_purpose_is_no_other_key() {
        let digest = |key: &Key| key.digest(Subject::Token, b"abc");
        let key = Key::new([1; 32]);
        let derived = key.derive("one");
        assert_eq!(digest(&derived), digest(&key.derive("one")));
        let others = [&key, &key.derive("two"), &Key::new([2; 32]).derive("one")];
        assert!(others.iter().all(|other| digest(other) != digest(&derived)));
        assert_eq!(format!("{derived:?}"), "Key");
    }

    #[test]
    fn it_is_the_published_function() {
        // RFC 4231, section 4.2, needs a key of 20 bytes; this one was computed with another
        // implementation: HMAC-SHA-256(32 zero bytes, 07 "token"), first 16 bytes.
        let digest = Key::new([0; 32]).digest(Subject::Token, b"token");
        assert_eq!(digest.to_hex(), EXPECTED);
    }

    const EXPECTED: &str = "df43d6ba39a9fee7f9eb67f2f4ac45b6";
}
