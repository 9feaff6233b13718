//! Certificates in use, and how near their ends are.

use std::collections::BTreeMap;

use super::{
    AlarmSignal, Scope, Severity, Subject,
    incidents::{Finding, Topic},
    objectives::words,
    record::timestamp,
};
use crate::anomaly::forecast::Expiry;

/// Ends of certificates, by whose they are; at most [`MAX_CERTIFICATES`]. What is near its end but no
/// longer seen was replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Certificates {
    /// When each was seen last.
    seen: BTreeMap<(Holder, i64), i64>,
    pub(super) evicted: u64,
}

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    /// A client organisation.
    Client(String),
    /// A key of this node's configuration.
    Key(String),
}

impl Certificates {
    /// A certificate is in use; times are in seconds since 1970.
    pub(super) fn see(&mut self, holder: Holder, not_after: i64, now: i64) {
        let certificate = (holder, not_after);
        if !self.seen.contains_key(&certificate) && self.seen.len() >= MAX_CERTIFICATES {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| **seen).map(|(it, _)| it.clone());
            if oldest.is_some_and(|oldest| self.seen.remove(&oldest).is_some()) {
                self.evicted += 1;
            }
        }
        let seen = self.seen.entry(certificate).or_insert(now);
        *seen = (*seen).max(now);
    }

    /// What is to be said of each that is in use.
    pub(super) fn findings(&mut self, now: i64) -> Vec<(Topic, Option<Finding>)> {
        self.seen.retain(|_, seen| now.saturating_sub(*seen) <= IN_USE);
        let near = |((holder, not_after), _): (&(Holder, i64), &i64)| {
            let finding = finding(holder, *not_after, now)?;
            Some((topic(holder, *not_after), Some(finding)))
        };
        self.seen.iter().filter_map(near).collect()
    }

    pub(super) fn state(&self) -> Vec<(bool, String, i64, i64)> {
        let of = |((holder, not_after), seen): (&(Holder, i64), &i64)| match holder {
            Holder::Client(name) => (true, name.clone(), *not_after, *seen),
            Holder::Key(name) => (false, name.clone(), *not_after, *seen),
        };
        self.seen.iter().map(of).collect()
    }

    pub(super) fn restore(&mut self, state: Vec<(bool, String, i64, i64)>) {
        for (is_client, name, not_after, seen) in state {
            let holder = if is_client { Holder::Client(name) } else { Holder::Key(name) };
            self.see(holder, not_after, seen);
        }
    }
}

fn topic(holder: &Holder, not_after: i64) -> Topic {
    let end = timestamp(not_after).to_string();
    let subject = match holder {
        Holder::Client(organisation) => Subject {
            client_organisation: Some(organisation.clone()),
            name: Some(end),
            ..Subject::plain(Scope::Client)
        },
        Holder::Key(key) => Subject::node(&format!("{key} {end}")),
    };
    Topic { signal: AlarmSignal::CertificateExpiry, subject }
}

fn finding(holder: &Holder, not_after: i64, now: i64) -> Option<Finding> {
    let (severity, degree, score) = match Expiry::of(not_after, now) {
        Expiry::Far => return None,
        Expiry::Month => (Severity::Ticket, 1, 0.5),
        Expiry::Week => (Severity::Ticket, 2, 0.7),
        Expiry::Day => (Severity::Page, 3, 0.9),
        Expiry::Expired => (Severity::Page, 4, 1.0),
    };
    let left = not_after.saturating_sub(now);
    let whose = match holder {
        Holder::Client(_) => "the certificate that this client shows",
        Holder::Key(_) => "the certificate of this key",
    };
    let reason = if left < 0 {
        format!("{whose} is over since {}", timestamp(not_after))
    } else {
        format!(
            "{whose} is over in {}, at {}: a new one is wanted",
            words(left),
            timestamp(not_after)
        )
    };
    Some(Finding { severity, degree, score, expected: MONTH as f64, seen: left as f64, reason })
}

/// Each of the 56 participants has a few.
pub(super) const MAX_CERTIFICATES: usize = 512;
/// One that was not seen for a day is no longer in use.
const IN_USE: i64 = 86_400;
const MONTH: i64 = 30 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_400_000_000;

    #[test]
    fn a_certificate_in_use_is_told_by_degrees_and_one_that_was_replaced_is_not() {
        let mut certificates = Certificates::default();
        let client = || Holder::Client("c".to_owned());
        certificates.see(client(), NOW + 90 * DAY, NOW);
        assert_eq!(certificates.findings(NOW), []);
        let mut degrees = Vec::new();
        for day in [59, 61, 85, 89, 91] {
            let now = NOW + day * DAY + 60;
            certificates.see(client(), NOW + 90 * DAY, now);
            let found = certificates.findings(now);
            degrees.push(found.first().and_then(|(_, it)| it.as_ref()).map(|it| it.degree));
        }
        assert_eq!(degrees, [None, Some(1), Some(2), Some(3), Some(4)]);
        certificates.see(client(), NOW + 400 * DAY, NOW + 93 * DAY);
        assert_eq!(certificates.findings(NOW + 93 * DAY), []);
    }

    #[test]
    fn the_table_has_a_bound() {
        let mut certificates = Certificates::default();
        for number in 0..MAX_CERTIFICATES as i64 + 10 {
            certificates.see(Holder::Key(number.to_string()), NOW, NOW + number);
        }
        assert_eq!((certificates.seen.len(), certificates.evicted), (MAX_CERTIFICATES, 10));
        let mut again = Certificates::default();
        again.restore(certificates.state());
        assert_eq!(again.seen, certificates.seen);
    }
}
