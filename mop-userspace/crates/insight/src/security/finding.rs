//! The record of a finding: what was noticed, of whom, where, how often and why. It has no value of
//! any message, only names of places that hold none.

mod place;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub use self::place::{MAX_PLACE_BYTES, Part, Place};
use crate::{data::funnel::Side, hexadecimal::hexadecimal};

/// A finding. Its schema is `rules/schemas/security.finding.schema.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Always [`RECORD_KIND`].
    pub kind: String,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// 32 hexadecimal digits: follow from rule, organisations, side, endpoint, exchange and first
    /// time, so that a finding that is told twice is one.
    pub id: String,
    /// What was noticed.
    #[serde(flatten)]
    pub facts: FindingFacts,
}

/// What was noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingFacts {
    /// Identifier of the rule.
    pub rule: String,
    /// Title of the rule.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// From which level of suspicion on the rule holds: 1 is for all, 4 for few.
    pub paranoia: u8,
    /// Classes of the OWASP API Security Top 10 2023.
    pub owasp: Vec<Owasp>,
    /// Demands of the security profile that are not met, by their name in the rule.
    pub fapi: Vec<String>,
    /// Identifier in the directory of the organisation that is called.
    pub organisation: Option<String>,
    /// That of the organisation that calls.
    pub client_organisation: Option<String>,
    /// Part of the observed process.
    pub side: Option<Side>,
    /// Method of the call, one of RFC 9110 and RFC 5789.
    pub method: Option<String>,
    /// Template of the endpoint.
    pub endpoint: Option<String>,
    /// Identifier of the exchange; none where it follows from many.
    pub exchange: Option<String>,
    /// Where in the messages.
    pub places: Vec<Place>,
    /// How many calls.
    pub count: u64,
    /// Of the first call.
    pub first_seen: Timestamp,
    /// Of the last call.
    pub last_seen: Timestamp,
    /// Why, for people.
    pub reason: Reason,
}

/// How bad a finding is; the words of Sigma.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known.
    Informational,
    /// To be looked at some time.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at now.
    High,
    /// Something is being lost.
    Critical,
}

impl Severity {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A class of the OWASP API Security Top 10 2023.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owasp {
    /// Broken object level authorization.
    #[serde(rename = "API1:2023")]
    Api1,
    /// Broken authentication.
    #[serde(rename = "API2:2023")]
    Api2,
    /// Broken object property level authorization.
    #[serde(rename = "API3:2023")]
    Api3,
    /// Unrestricted resource consumption.
    #[serde(rename = "API4:2023")]
    Api4,
    /// Broken function level authorization.
    #[serde(rename = "API5:2023")]
    Api5,
    /// Unrestricted access to sensitive business flows.
    #[serde(rename = "API6:2023")]
    Api6,
    /// Server-side request forgery.
    #[serde(rename = "API7:2023")]
    Api7,
    /// Security misconfiguration.
    #[serde(rename = "API8:2023")]
    Api8,
    /// Improper inventory management.
    #[serde(rename = "API9:2023")]
    Api9,
    /// Unsafe consumption of APIs.
    #[serde(rename = "API10:2023")]
    Api10,
}

/// A reason in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// In English.
    pub en: String,
    /// In Brazilian Portuguese.
    pub pt: String,
}

/// Why facts make no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FindingError {
    /// No call, or the last before the first.
    #[error("it is of no call")]
    Empty,
    /// A method that is not registered: it could be any text.
    #[error("the method is none of the registered ones")]
    Method,
    /// Not from 1 to 4.
    #[error("paranoia is not from 1 to 4")]
    Paranoia,
    /// A text that is empty, too long or holds control characters.
    #[error("{0} is empty, too long, or not plain text")]
    Text(&'static str),
    /// More than [`MAX_ITEMS`].
    #[error("{0} has more than {MAX_ITEMS} items")]
    TooMany(&'static str),
}

impl Finding {
    /// Makes the record.
    ///
    /// # Errors
    ///
    /// Every [`FindingError`].
    pub fn new(facts: FindingFacts) -> Result<Self, FindingError> {
        facts.check()?;
        let id = facts.id();
        Ok(Self { kind: RECORD_KIND.to_owned(), schema_version: RECORD_SCHEMA_VERSION, id, facts })
    }
}

impl FindingFacts {
    fn check(&self) -> Result<(), FindingError> {
        let optional = |text: &Option<String>, name| {
            text.as_deref().map_or(Ok(()), |it| check_text(name, it, MAX_NAME_BYTES))
        };
        check_text("rule", &self.rule, MAX_NAME_BYTES)?;
        check_text("title", &self.title, MAX_NAME_BYTES)?;
        check_text("reason in English", &self.reason.en, MAX_REASON_BYTES)?;
        check_text("reason in Portuguese", &self.reason.pt, MAX_REASON_BYTES)?;
        optional(&self.organisation, "organisation")?;
        optional(&self.client_organisation, "client organisation")?;
        optional(&self.endpoint, "endpoint")?;
        optional(&self.exchange, "exchange")?;
        for demand in &self.fapi {
            check_text("fapi", demand, MAX_NAME_BYTES)?;
        }
        for (name, length) in
            [("owasp", self.owasp.len()), ("fapi", self.fapi.len()), ("places", self.places.len())]
        {
            if length > MAX_ITEMS {
                return Err(FindingError::TooMany(name));
            }
        }
        if !(1..=4).contains(&self.paranoia) {
            return Err(FindingError::Paranoia);
        }
        if self.method.as_deref().is_some_and(|it| !METHODS.contains(&it)) {
            return Err(FindingError::Method);
        }
        if self.count == 0 || self.last_seen < self.first_seen {
            return Err(FindingError::Empty);
        }
        Ok(())
    }

    fn id(&self) -> String {
        let side = self.side.map(|side| match side {
            Side::Client => "client",
            Side::Server => "server",
        });
        let first_seen = self.first_seen.as_nanosecond().to_string();
        let parts = [
            Some(self.rule.as_str()),
            self.organisation.as_deref(),
            self.client_organisation.as_deref(),
            side,
            self.method.as_deref(),
            self.endpoint.as_deref(),
            self.exchange.as_deref(),
            Some(&first_seen),
        ];
        let mut digest = Sha256::new();
        for part in parts {
            // With its length, so that no two lists of parts are the same bytes.
            let (is_there, part) = (part.is_some(), part.unwrap_or_default());
            digest.update([u8::from(is_there)]);
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        hexadecimal(digest.finalize().get(..ID_BYTES).unwrap_or_default())
    }
}

impl Owasp {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Api1,
        Self::Api2,
        Self::Api3,
        Self::Api4,
        Self::Api5,
        Self::Api6,
        Self::Api7,
        Self::Api8,
        Self::Api9,
        Self::Api10,
    ];

    /// The class of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api1 => "API1:2023",
            Self::Api2 => "API2:2023",
            Self::Api3 => "API3:2023",
            Self::Api4 => "API4:2023",
            Self::Api5 => "API5:2023",
            Self::Api6 => "API6:2023",
            Self::Api7 => "API7:2023",
            Self::Api8 => "API8:2023",
            Self::Api9 => "API9:2023",
            Self::Api10 => "API10:2023",
        }
    }
}

fn check_text(name: &'static str, text: &str, most: usize) -> Result<(), FindingError> {
    let is_plain = !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
    is_plain.then_some(()).ok_or(FindingError::Text(name))
}

/// `kind` of the record.
pub const RECORD_KIND: &str = "security.finding";
/// Version of the record's schema.
pub const RECORD_SCHEMA_VERSION: u32 = 1;
/// Places, classes and demands of one finding: more are for nobody to read.
pub const MAX_ITEMS: usize = 16;
/// Identifiers of the directory have 36, templates up to some 150.
const MAX_NAME_BYTES: usize = 512;
/// Two sentences.
const MAX_REASON_BYTES: usize = 1024;
/// Enough for every finding there will ever be.
const ID_BYTES: usize = 16;
/// RFC 9110, section 9, and RFC 5789.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
