//! One thing that is known to be bad, who says so, and how sure.

use std::{net::IpAddr, sync::Arc};

use crate::security::uuid::Uuid;

/// An indicator, typed and in the form in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// What is looked for.
    pub value: Value,
    /// Name of the feed.
    pub source: Arc<str>,
    /// The event that it is part of.
    pub event: Option<Uuid>,
    /// How sure, from 0 to 100.
    pub confidence: u8,
    /// Seconds since 1970 of its last sight; where none is told, of the reading of its list.
    pub last_seen: i64,
    /// Seconds since 1970 from which on it is no more.
    pub expires: Option<i64>,
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// A name and all names below it: lower case, without a dot at the end.
    Domain(Box<str>),
    /// One name: lower case, without a dot at the end.
    Hostname(Box<str>),
    /// MD5 of a TLS client's offer.
    Ja3([u8; 16]),
    /// `a_b_c` of a TLS client's offer.
    Ja4([u8; JA4_BYTES]),
    /// An address, or all with the same first bits; a mapped IPv4 address is an IPv4 address.
    Network(Network),
    /// Path and query of a request.
    Path(Box<str>),
    /// Authority, path and query, without scheme: it is not seen on every wire.
    Url(Box<str>),
    /// The field `User-Agent`.
    UserAgent(Box<str>),
    /// SHA-1 of a certificate.
    X509Sha1([u8; 20]),
    /// SHA-256 of a certificate.
    X509Sha256([u8; 32]),
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// What sort of thing an indicator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One address.
    Address,
    /// A name and those below it.
    Domain,
    /// One name.
    Hostname,
    /// JA3.
    Ja3,
    /// JA4.
    Ja4,
    /// A range of addresses.
    Network,
    /// Path and query.
    Path,
    /// URL.
    Url,
    /// User agent.
    UserAgent,
    /// Fingerprint of a certificate.
    X509Sha1,
    /// Fingerprint of a certificate.
    X509Sha256,
}

impl Value {
    /// What sort it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Domain(_) => Kind::Domain,
            Self::Hostname(_) => Kind::Hostname,
            Self::Ja3(_) => Kind::Ja3,
            Self::Ja4(_) => Kind::Ja4,
            Self::Network(network) if network.is_address() => Kind::Address,
            Self::Network(_) => Kind::Network,
            Self::Path(_) => Kind::Path,
            Self::Url(_) => Kind::Url,
            Self::UserAgent(_) => Kind::UserAgent,
            Self::X509Sha1(_) => Kind::X509Sha1,
            Self::X509Sha256(_) => Kind::X509Sha256,
        }
    }
}

impl Network {
    /// The network of a prefix that an address is in; none where the prefix is longer than the
    /// address.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (address, prefix) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), mapped @ IpAddr::V4(_)) => (mapped, prefix.checked_sub(96)?),
            (_, address) => (address, prefix),
        };
        let first = match address {
            IpAddr::V4(it) => {
                let host_bits = 32_u32.checked_sub(prefix.into())?;
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V4((it.to_bits() & mask).into())
            }
            IpAddr::V6(it) => {
                let host_bits = 128_u32.checked_sub(prefix.into())?;
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6((it.to_bits() & mask).into())
            }
        };
        Some(Self { first, prefix })
    }

    /// The smallest address.
    #[must_use]
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// How many bits are the same.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one address only.
    #[must_use]
    pub fn is_address(self) -> bool {
        self.prefix == if self.first.is_ipv4() { 32 } else { 128 }
    }
}

impl Kind {
    /// Its name in metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Domain => "domain",
            Self::Hostname => "hostname",
            Self::Ja3 => "ja3",
            Self::Ja4 => "ja4",
            Self::Network => "network",
            Self::Path => "path",
            Self::Url => "url",
            Self::UserAgent => "user_agent",
            Self::X509Sha1 => "x509_sha1",
            Self::X509Sha256 => "x509_sha256",
        }
    }
}

/// Length of a JA4: ten characters and twice `_` with twelve.
pub const JA4_BYTES: usize = 36;
