//! Tags: machine tags of the taxonomies `tlp`, `PAP` and `rsit`, and the classes of OWASP.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::security::finding::Owasp;

/// A tag of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<Cow<'static, str>>,
}

/// Traffic light protocol 2.0: to whom it may be told; the fewest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tlp {
    /// Those who are addressed.
    Red,
    /// Their organisation.
    AmberStrict,
    /// Their organisation and its clients.
    Amber,
    /// The community.
    Green,
    /// All.
    Clear,
}

/// Permissible actions protocol: what may be done with it; the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pap {
    /// Nothing that can be noticed.
    Red,
    /// Passive checks.
    Amber,
    /// Active checks that do no harm.
    Green,
    /// All.
    Clear,
}

/// Reference security incident taxonomy: what sort of incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rsit {
    /// Many passwords or codes are tried.
    BruteForce,
    /// Data go where they should not.
    DataLeak,
    /// More calls than a service bears.
    Ddos,
    /// A call that a service does not bear.
    Dos,
    /// A known weakness is tried.
    Exploit,
    /// A service tells more of itself than it should.
    InformationDisclosure,
    /// A scanner looks around.
    Scanner,
    /// Data are read without being allowed to.
    UnauthorisedAccess,
    /// A service that should not be there, or not so.
    VulnerableSystem,
    /// Weak cryptography.
    WeakCrypto,
}

impl Tag {
    /// Name of the tag.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Tlp {
    /// All of them, the strictest first.
    pub const ALL: [Self; 5] =
        [Self::Red, Self::AmberStrict, Self::Amber, Self::Green, Self::Clear];

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Red => "tlp:red",
            Self::AmberStrict => "tlp:amber+strict",
            Self::Amber => "tlp:amber",
            Self::Green => "tlp:green",
            Self::Clear => "tlp:clear",
        }
    }
}

impl Pap {
    /// All of them, the strictest first.
    pub const ALL: [Self; 4] = [Self::Red, Self::Amber, Self::Green, Self::Clear];

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Red => "PAP:RED",
            Self::Amber => "PAP:AMBER",
            Self::Green => "PAP:GREEN",
            Self::Clear => "PAP:CLEAR",
        }
    }
}

impl Rsit {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BruteForce,
        Self::DataLeak,
        Self::Ddos,
        Self::Dos,
        Self::Exploit,
        Self::InformationDisclosure,
        Self::Scanner,
        Self::UnauthorisedAccess,
        Self::VulnerableSystem,
        Self::WeakCrypto,
    ];

    /// Its tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::BruteForce => "rsit:intrusion-attempts=\"brute-force\"",
            Self::DataLeak => "rsit:information-content-security=\"data-leak\"",
            Self::Ddos => "rsit:availability=\"ddos\"",
            Self::Dos => "rsit:availability=\"dos\"",
            Self::InformationDisclosure => "rsit:vulnerable=\"information-disclosure\"",
            Self::VulnerableSystem => "rsit:vulnerable=\"vulnerable-system\"",
            Self::Exploit => "rsit:intrusion-attempts=\"exploit\"",
            Self::Scanner => "rsit:information-gathering=\"scanner\"",
            Self::UnauthorisedAccess => {
                "rsit:information-content-security=\"unauthorised-information-access\""
            }
            Self::WeakCrypto => "rsit:vulnerable=\"weak-crypto\"",
        }
    }
}

impl From<Tlp> for Tag {
    fn from(tlp: Tlp) -> Self {
        // Colours as FIRST publishes them.
        let colour = match tlp {
            Tlp::Red => "#FF2B2B",
            Tlp::AmberStrict | Tlp::Amber => "#FFC000",
            Tlp::Green => "#33FF00",
            Tlp::Clear => "#FFFFFF",
        };
        Self { name: tlp.tag().to_owned(), colour: Some(colour.into()) }
    }
}

impl From<Pap> for Tag {
    fn from(pap: Pap) -> Self {
        Self { name: pap.tag().to_owned(), colour: None }
    }
}

impl From<Rsit> for Tag {
    fn from(rsit: Rsit) -> Self {
        Self { name: rsit.tag().to_owned(), colour: None }
    }
}

/// No taxonomy of MISP has these classes: a machine tag of our own.
impl From<Owasp> for Tag {
    fn from(owasp: Owasp) -> Self {
        Self { name: format!("owasp:api=\"{}\"", owasp.name()), colour: None }
    }
}
