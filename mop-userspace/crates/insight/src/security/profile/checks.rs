//! The file of checks: its form, and why it is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::check::Check;
use crate::{
    data::funnel::Side,
    security::finding::{Owasp, Severity},
};

/// Every check with what the file says of it.
#[derive(Clone, Debug)]
pub struct Checks(BTreeMap<Check, CheckRule>);

/// What the file says of a check.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRule {
    /// Which.
    pub id: Check,
    /// Whether it is made.
    pub enabled: bool,
    /// How bad a breach is.
    pub severity: Severity,
    /// Its class of the OWASP API Security Top 10 2023.
    pub owasp: Owasp,
    /// The demand of the profile that is not met.
    pub fapi: String,
    /// For which part of the observed process it holds.
    pub side: HeldFor,
    /// From 1, for all, to 4, for few.
    pub paranoia: u8,
    /// What people call it.
    pub title: String,
    /// What was seen and what to do, in English.
    pub en: String,
    /// The same in Brazilian Portuguese.
    pub pt: String,
    /// Numbers by name; those that end in `_s` are seconds.
    #[serde(default)]
    pub limits: BTreeMap<String, u64>,
}

/// For which part of the observed process a check holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldFor {
    /// Whatever it plays.
    Both,
    /// When it calls.
    Client,
    /// When it is called.
    Server,
}

/// Why a file of checks is refused, where, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChecksError {
    /// Longer than [`MAX_FILE_BYTES`].
    #[error("the file of checks is longer than {MAX_FILE_BYTES} bytes; shorten its texts")]
    TooLong,
    /// Not the YAML that is wanted.
    #[error(
        "the file of checks cannot be read at {place}: {reason}; write it as the one that comes \
         with the program"
    )]
    Syntax {
        /// Line and column.
        place: String,
        /// What is wrong; quotes the file.
        reason: String,
    },
    /// A check that is not there.
    #[error("check {0}: it is missing; add it, with `enabled: false` if it is not wanted")]
    Missing(&'static str),
    /// A check that is there twice.
    #[error("check {0}: it is there twice; remove one")]
    Twice(&'static str),
    /// A limit that is not there.
    #[error("check {check}: the limit `{limit}` is missing; add it below `limits`")]
    LimitMissing {
        /// The check.
        check: &'static str,
        /// The limit.
        limit: &'static str,
    },
    /// Limits that the check does not have.
    #[error("check {0}: it has limits that the check does not know; remove them")]
    LimitUnknown(&'static str),
    /// A limit of zero, or one beyond [`MAX_LIMIT`].
    #[error("check {0}: a limit is not from 1 to {MAX_LIMIT}")]
    LimitRange(&'static str),
    /// A lower limit above the upper one.
    #[error("check {0}: `min_s` is above `max_s`; exchange them")]
    LimitOrder(&'static str),
    /// Not from 1 to 4.
    #[error("check {0}: paranoia is not from 1 to 4")]
    Paranoia(&'static str),
    /// A text that is empty or too long.
    #[error(
        "check {check}: `{key}` is empty, longer than {MAX_TEXT_BYTES} bytes, or not plain text"
    )]
    Text {
        /// The check.
        check: &'static str,
        /// The key.
        key: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    checks: Vec<CheckRule>,
}

impl Checks {
    /// The checks that come with the program.
    ///
    /// # Errors
    ///
    /// None but by a mistake in the file, which a test would find.
    pub fn published() -> Result<Self, ChecksError> {
        Self::parse(PUBLISHED)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Every [`ChecksError`].
    pub fn parse(text: &str) -> Result<Self, ChecksError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(ChecksError::TooLong);
        }
        let File { checks } =
            read_yaml(text).map_err(|(place, reason)| ChecksError::Syntax { place, reason })?;
        let mut found = BTreeMap::new();
        for rule in checks {
            rule.check()?;
            let id = rule.id;
            if found.insert(id, rule).is_some() {
                return Err(ChecksError::Twice(id.id()));
            }
        }
        if let Some(missing) = Check::ALL.into_iter().find(|check| !found.contains_key(check)) {
            return Err(ChecksError::Missing(missing.id()));
        }
        Ok(Self(found))
    }

    /// What is said of a check, when it is made for this part of the observed process.
    #[must_use]
    pub fn rule(&self, check: Check, side: Side) -> Option<&CheckRule> {
        let is_held = |rule: &&CheckRule| match rule.side {
            HeldFor::Both => true,
            HeldFor::Client => side == Side::Client,
            HeldFor::Server => side == Side::Server,
        };
        self.0.get(&check).filter(|rule| rule.enabled).filter(is_held)
    }

    /// A number of a check; one that no number exceeds when there is none of this name.
    #[must_use]
    pub fn limit(&self, check: Check, name: &str) -> u64 {
        let limit = self.0.get(&check).and_then(|rule| rule.limits.get(name));
        limit.copied().unwrap_or(MAX_LIMIT)
    }

    /// The same for seconds and other numbers with a sign.
    pub(super) fn seconds(&self, check: Check, name: &str) -> i64 {
        i64::try_from(self.limit(check, name)).unwrap_or(i64::MAX)
    }

    /// All of them, in the order of [`Check::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &CheckRule> {
        Check::ALL.into_iter().filter_map(|check| self.0.get(&check))
    }
}

impl CheckRule {
    fn check(&self) -> Result<(), ChecksError> {
        let check = self.id.id();
        if !(1..=4).contains(&self.paranoia) {
            return Err(ChecksError::Paranoia(check));
        }
        for (key, text) in
            [("title", &self.title), ("en", &self.en), ("pt", &self.pt), ("fapi", &self.fapi)]
        {
            let is_plain = !text.is_empty()
                && text.len() <= MAX_TEXT_BYTES
                && !text.chars().any(char::is_control);
            if !is_plain {
                return Err(ChecksError::Text { check, key });
            }
        }
        for limit in self.id.limits() {
            if !self.limits.contains_key(*limit) {
                return Err(ChecksError::LimitMissing { check, limit });
            }
        }
        if self.limits.len() != self.id.limits().len() {
            return Err(ChecksError::LimitUnknown(check));
        }
        if self.limits.values().any(|limit| !(1..=MAX_LIMIT).contains(limit)) {
            return Err(ChecksError::LimitRange(check));
        }
        if let (Some(least), Some(most)) = (self.limits.get("min_s"), self.limits.get("max_s"))
            && least > most
        {
            return Err(ChecksError::LimitOrder(check));
        }
        Ok(())
    }
}

/// A file of one document; else where it cannot be read and why, each in one line.
pub(super) fn read_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, (String, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_aliases: 0,
            max_anchors: 0,
            max_total_scalar_bytes: MAX_FILE_BYTES,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(
            || "its beginning".to_owned(),
            |at| format!("line {}, column {}", at.line(), at.column()),
        );
        let reason = error.to_string();
        let reason: String =
            reason.lines().next().unwrap_or_default().chars().take(MAX_REASON_CHARACTERS).collect();
        (place, reason)
    })
}

/// The file has 40 kB.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// Texts of findings have at most 1024 bytes.
const MAX_TEXT_BYTES: usize = 1000;
/// A thousand years in seconds; no number is above it.
const MAX_LIMIT: u64 = 31_557_600_000;
/// A list of mappings with a mapping each.
const MAX_DEPTH: usize = 8;
/// Some 50 checks of 25 nodes, and some 160 operations of 10.
const MAX_NODES: usize = 20_000;
/// One line.
const MAX_REASON_CHARACTERS: usize = 240;
const PUBLISHED: &str = include_str!("../../../../../../rules/security/profile/checks.yml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_every_check_once_and_no_other() {
        let checks = Checks::published().unwrap();
        let ids: Vec<Check> = checks.iter().map(|rule| rule.id).collect();
        assert_eq!(ids, Check::ALL);
        let written: Vec<&str> =
            PUBLISHED.lines().filter_map(|line| line.strip_prefix("  - id: ")).collect();
        let known: Vec<&str> = Check::ALL.into_iter().map(Check::id).collect();
        assert_eq!(written, known);
        for check in Check::ALL {
            let name = serde_json::to_string(&check).unwrap();
            assert_eq!(name, format!("\"{}\"", check.id()));
        }
    }
}
