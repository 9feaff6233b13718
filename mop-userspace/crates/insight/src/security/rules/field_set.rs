//! Sets of fields, as bits: a value may be of several.

use super::field::{Body, Field, Side};

/// A set of fields. Fields that are a header field by name are not in it: all values of header
/// fields are of [`Field::Headers`], and know their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSet(u64);

impl FieldSet {
    /// The set of these.
    #[must_use]
    pub const fn of(mut fields: &[Field]) -> Self {
        let mut set = 0;
        while let [first, rest @ ..] = fields {
            if let Some(bit) = bit(first) {
                set |= 1 << bit;
            }
            fields = rest;
        }
        Self(set)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a field is in it.
    #[must_use]
    pub const fn has(self, field: &Field) -> bool {
        match bit(field) {
            Some(bit) => self.0 & 1 << bit != 0,
            None => false,
        }
    }

    /// The numbers of its fields, each below [`FIELDS`].
    pub(super) fn numbers(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (bit < u64::BITS).then_some(bit as usize)
        })
    }
}

/// The number of a field; none for header fields by name.
pub(super) const fn bit(field: &Field) -> Option<u32> {
    Some(match field {
        Field::Anywhere => 0,
        Field::Body(Side::Request, Body::Content) => 1,
        Field::Body(Side::Request, Body::Names) => 2,
        Field::Body(Side::Request, Body::Values) => 3,
        Field::Body(Side::Response, Body::Content) => 4,
        Field::Body(Side::Response, Body::Names) => 5,
        Field::Body(Side::Response, Body::Values) => 6,
        Field::ClientAddress => 7,
        Field::ClientCertificate => 8,
        Field::ClientSubject => 9,
        Field::ClientOrganisation => 10,
        Field::Consent => 11,
        Field::Cookie => 12,
        Field::DurationMs => 13,
        Field::Header(..) => return None,
        Field::Headers(Side::Request) => 14,
        Field::Headers(Side::Response) => 15,
        Field::Host => 16,
        Field::Input => 17,
        Field::Ja3 => 18,
        Field::Ja4 => 19,
        Field::Method => 20,
        Field::Operation => 21,
        Field::Path => 22,
        Field::PathParameters => 23,
        Field::Query => 24,
        Field::QueryNames => 25,
        Field::QueryValues => 26,
        Field::Referer => 27,
        Field::Route => 28,
        Field::ServerOrganisation => 29,
        Field::ServerPort => 30,
        Field::Size(Side::Request) => 31,
        Field::Size(Side::Response) => 32,
        Field::Status => 33,
        Field::TlsCipher => 34,
        Field::TlsServerName => 35,
        Field::TlsVersion => 36,
        Field::Url => 37,
        Field::UserAgent => 38,
        Field::ContractMatch => 39,
        Field::Client => 40,
    })
}

/// Numbers of fields are below.
pub(super) const FIELDS: usize = 41;
