//! A breach: which check, where, in which call; and the finding that it is told as.

use jiff::Timestamp;

use super::{
    check::{Check, RULE_PREFIX},
    checks::CheckRule,
    facts::Facts,
};
use crate::{
    data::signal::Parties,
    security::finding::{FindingFacts, Place, Reason},
};

/// What a call broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which check.
    pub check: Check,
    /// Where in the messages.
    pub places: Vec<Place>,
    /// How many calls: more than one where it follows from many.
    pub count: u64,
    /// Of the first of them.
    pub first_seen: Timestamp,
    /// Of the last, which is the call that was looked at.
    pub last_seen: Timestamp,
}

/// The call that was looked at, for [`Breach::finding`].
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its facts.
    pub facts: &'a Facts,
    /// Who called whom.
    pub parties: &'a Parties,
}

impl Breach {
    /// The facts of its finding, in the words of the file of checks.
    #[must_use]
    pub fn finding(&self, rule: &CheckRule, seen: Seen<'_>) -> FindingFacts {
        let Self { check, places, count, first_seen, last_seen } = self;
        let Seen { facts, parties } = seen;
        let by_certificate = || facts.shown().and_then(|shown| shown.organisation.clone());
        FindingFacts {
            rule: format!("{RULE_PREFIX}{}", check.id()),
            title: rule.title.clone(),
            severity: rule.severity,
            paranoia: rule.paranoia,
            owasp: vec![rule.owasp],
            fapi: vec![rule.fapi.clone()],
            organisation: parties.server_organisation.clone(),
            client_organisation: parties.client_organisation.clone().or_else(by_certificate),
            side: Some(facts.side),
            method: facts.verb.name().map(str::to_owned),
            endpoint: facts.endpoint.as_ref().map(|endpoint| endpoint.template.clone()),
            exchange: (*count == 1).then(|| facts.exchange.as_ref().to_owned()),
            places: places.clone(),
            count: *count,
            first_seen: *first_seen,
            last_seen: *last_seen,
            reason: Reason { en: rule.en.clone(), pt: rule.pt.clone() },
        }
    }
}
