//! The subject of an X.509 certificate (RFC 5280): who a party of a connection says it is.
//!
//! ```text
//! Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
//!     version [0] OPTIONAL, serialNumber INTEGER, signature SEQUENCE, issuer SEQUENCE,
//!     validity SEQUENCE { notBefore, notAfter },
//!     subject SEQUENCE OF SET OF SEQUENCE { type OID, value }, … }, … }
//! ```
//!
//! The transport certificate of the ecosystem (BRCAC) holds the organisation as
//! `organizationIdentifier` (2.5.4.97), `OPIBR-` and its identifier, and the software statement as
//! `UID` (0.9.2342.19200300.100.1.1). Signatures and chains are not checked: the TLS library of the
//! observed process did, before it let the call through.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use mop_contract::route::decode;
use sha2::{Digest as _, Sha256};

use super::{
    der::{self, Elements, Malformed},
    directory_id,
};

/// What a certificate says of its holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFacts {
    /// What its subject says.
    pub subject: Subject,
    /// End of its validity.
    pub not_after: Option<Timestamp>,
    /// SHA-256 of the certificate; `None` when only its subject was forwarded.
    pub fingerprint: Option<[u8; 32]>,
}

/// Attributes of a subject.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Organisation of the directory, from `organizationIdentifier`.
    pub organisation: Option<String>,
    /// Software statement of the directory, from `UID`. A signature certificate (BRSEAL) has the
    /// organisation there, and no `organizationIdentifier`: without one this stays `None`.
    pub software_statement: Option<String>,
    /// `commonName`.
    pub common_name: Option<String>,
    /// `serialNumber`: the number of the company's register.
    pub serial_number: Option<String>,
}

impl CertificateFacts {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`Malformed`], also for more than [`MAX_CERTIFICATE_BYTES`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(Malformed);
        }
        let mut outer = Elements::new(bytes);
        let mut certificate = outer.inside(der::SEQUENCE)?;
        if !outer.is_empty() {
            return Err(Malformed);
        }
        let mut fields = certificate.inside(der::SEQUENCE)?;
        if fields.peek() == Some(VERSION) {
            fields.any()?;
        }
        fields.content(der::INTEGER)?;
        fields.content(der::SEQUENCE)?;
        fields.content(der::SEQUENCE)?;
        let mut validity = fields.inside(der::SEQUENCE)?;
        validity.any()?;
        let not_after = validity.any()?;
        let mut subject = Subject::default();
        let mut names = fields.inside(der::SEQUENCE)?;
        for _ in 0..MAX_ATTRIBUTES {
            if names.is_empty() {
                break;
            }
            let mut set = names.inside(der::SET)?;
            while !set.is_empty() {
                let mut attribute = set.inside(der::SEQUENCE)?;
                let oid = attribute.content(der::OBJECT_IDENTIFIER)?;
                let value = attribute.any()?;
                if let (Some(kind), Some(text)) = (Attribute::by_oid(oid), value.text()) {
                    subject.take(kind, text);
                }
            }
        }
        if !names.is_empty() {
            return Err(Malformed);
        }
        Ok(Self {
            subject: subject.finished(),
            not_after: time(not_after.tag, not_after.content),
            fingerprint: Some(Sha256::digest(bytes).into()),
        })
    }

    /// Reads a certificate in PEM (RFC 7468), percent-encoded or not, with or without the lines
    /// that begin and end it; of several, the first.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn from_pem(text: &str) -> Result<Self, Malformed> {
        if text.len() > MAX_PEM_BYTES {
            return Err(Malformed);
        }
        let text = decode(text).ok_or(Malformed)?;
        let inner = match text.split_once(BEGIN) {
            Some((_, rest)) => rest.split_once(END).map(|(inner, _)| inner).ok_or(Malformed)?,
            None => text.split(',').next().unwrap_or_default(),
        };
        let base64: Vec<u8> = inner.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        Self::from_der(&STANDARD.decode(base64).map_err(|_not_base64| Malformed)?)
    }
}

/// An attribute of a subject that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `commonName` (2.5.4.3).
    CommonName,
    /// `organizationIdentifier` (2.5.4.97).
    OrganisationIdentifier,
    /// `serialNumber` (2.5.4.5).
    SerialNumber,
    /// `userId` (0.9.2342.19200300.100.1.1).
    UserId,
}

impl Attribute {
    /// From the content of an object identifier.
    #[must_use]
    pub fn by_oid(oid: &[u8]) -> Option<Self> {
        match oid {
            [0x55, 4, 3] => Some(Self::CommonName),
            [0x55, 4, 5] => Some(Self::SerialNumber),
            [0x55, 4, 97] => Some(Self::OrganisationIdentifier),
            [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => Some(Self::UserId),
            _ => None,
        }
    }
}

impl Subject {
    /// Takes an attribute. The first of each kind stays: a second one contradicts it at most.
    pub fn take(&mut self, kind: Attribute, text: String) {
        let field = match kind {
            Attribute::CommonName => &mut self.common_name,
            Attribute::OrganisationIdentifier => {
                let id = text.strip_prefix(ORGANISATION_PREFIX).and_then(directory_id);
                if self.organisation.is_none() {
                    self.organisation = id;
                }
                return;
            }
            Attribute::SerialNumber => &mut self.serial_number,
            Attribute::UserId => {
                if self.software_statement.is_none() {
                    self.software_statement = directory_id(&text);
                }
                return;
            }
        };
        field.get_or_insert(text);
    }

    /// Gives up the user id of a subject that names no organisation.
    #[must_use]
    pub fn finished(mut self) -> Self {
        if self.organisation.is_none() {
            self.software_statement = None;
        }
        self
    }
}

/// Which attributes there are, and no value: a common name may be a person's.
impl std::fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { organisation, software_statement, common_name, serial_number } = self;
        formatter
            .debug_struct("Subject")
            .field("organisation", organisation)
            .field("software_statement", software_statement)
            .field("common_name", &common_name.is_some())
            .field("serial_number", &serial_number.is_some())
            .finish()
    }
}

/// `UTCTime` or `GeneralizedTime`, as RFC 5280, section 4.1.2.5, allows them.
fn time(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let digits = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        der::UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        der::GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let civil = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// Of the ecosystem; another one has `OFBBR-`.
const ORGANISATION_PREFIX: &str = "OPIBR-";

/// `[0]`, constructed.
const VERSION: u8 = 0xa0;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Those of the ecosystem have some 2 kB.
pub const MAX_CERTIFICATE_BYTES: usize = 16 << 10;

/// One certificate in PEM, percent-encoded, and a few of its chain.
pub const MAX_PEM_BYTES: usize = 128 << 10;

/// Those of the ecosystem have some twelve.
const MAX_ATTRIBUTES: usize = 64;
