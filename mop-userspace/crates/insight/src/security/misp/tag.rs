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

/// Traffic light protocol 2.0: to whom it may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Permissible actions protocol: what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A known weakness is tried.
    Exploit,
    /// A scanner looks around.
    Scanner,
    /// Data are read without being allowed to.
    UnauthorisedAccess,
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

impl From<Tlp> for Tag {
    fn from(tlp: Tlp) -> Self {
        // Colours as FIRST publishes them.
        let (name, colour) = match tlp {
            Tlp::Red => ("tlp:red", "#FF2B2B"),
            Tlp::AmberStrict => ("tlp:amber+strict", "#FFC000"),
            Tlp::Amber => ("tlp:amber", "#FFC000"),
            Tlp::Green => ("tlp:green", "#33FF00"),
            Tlp::Clear => ("tlp:clear", "#FFFFFF"),
        };
        Self { name: name.to_owned(), colour: Some(colour.into()) }
    }
}

impl From<Pap> for Tag {
    fn from(pap: Pap) -> Self {
        let name = match pap {
            Pap::Red => "PAP:RED",
            Pap::Amber => "PAP:AMBER",
            Pap::Green => "PAP:GREEN",
            Pap::Clear => "PAP:CLEAR",
        };
        Self { name: name.to_owned(), colour: None }
    }
}

impl From<Rsit> for Tag {
    fn from(rsit: Rsit) -> Self {
        let name = match rsit {
            Rsit::BruteForce => "rsit:intrusion-attempts=\"brute-force\"",
            Rsit::DataLeak => "rsit:information-content-security=\"data-leak\"",
            Rsit::Ddos => "rsit:availability=\"ddos\"",
            Rsit::Exploit => "rsit:intrusion-attempts=\"exploit\"",
            Rsit::Scanner => "rsit:information-gathering=\"scanner\"",
            Rsit::UnauthorisedAccess => {
                "rsit:information-content-security=\"unauthorised-information-access\""
            }
            Rsit::WeakCrypto => "rsit:vulnerable=\"weak-crypto\"",
        };
        Self { name: name.to_owned(), colour: None }
    }
}

/// No taxonomy of MISP has these classes: a machine tag of our own.
impl From<Owasp> for Tag {
    fn from(owasp: Owasp) -> Self {
        Self { name: format!("owasp:api=\"{}\"", owasp.name()), colour: None }
    }
}
