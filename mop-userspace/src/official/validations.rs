//! What was found in a message, in the form of the official client.
//!
//! The client says `SUCCESS` when its list is empty. Where something could not be judged, an empty
//! list would say too much: each reason is an entry of severity `WARNING` then.

use mop_contract::{
    Judgement,
    rules::RuleViolation,
    violation::{Direction, Severity},
};
use serde::Serialize;

/// The part `validations` of a message.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Validations {
    status: &'static str,
    total: usize,
    pending: Vec<Pending>,
}

/// One entry. None holds a value of the message.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
struct Pending {
    violation: String,
    code: String,
    severity: &'static str,
    attribute: String,
}

impl Validations {
    /// Of one message of a call.
    pub(crate) fn of(
        judgement: &Judgement,
        findings: &[RuleViolation<'_>],
        direction: Direction,
    ) -> Self {
        let mut pending = Vec::new();
        if let Err(unrouted) = judgement.operation {
            pending.push(Pending {
                violation: "no contract has the path and method of the call".to_owned(),
                code: format!("route.{}", unrouted.name()),
                severity: ERROR,
                attribute: String::new(),
            });
        }
        let found = judgement.corrected.violations.iter();
        pending.extend(found.filter(|found| found.direction == direction).map(|violation| {
            Pending {
                violation: violation.sentence(),
                code: violation.code(),
                severity: severity(violation.severity),
                attribute: violation.attribute.clone(),
            }
        }));
        let broken = findings.iter().map(|found| found.rule);
        pending.extend(broken.filter(|rule| rule.direction == direction).map(|rule| Pending {
            violation: rule.title.clone(),
            code: rule.id.clone(),
            severity: severity(rule.severity),
            attribute: rule.attribute.clone(),
        }));
        let unjudged = judgement.unjudged.iter();
        pending.extend(unjudged.filter(|unjudged| unjudged.direction == direction).map(
            |unjudged| Pending {
                violation: format!(
                    "the message was not judged as a whole: {}",
                    unjudged.reason.name()
                ),
                code: format!("unjudged.{}", unjudged.reason.name()),
                severity: WARNING,
                attribute: String::new(),
            },
        ));
        pending.truncate(MAX_PENDING);
        let has = |severity| pending.iter().any(|entry| entry.severity == severity);
        let status = if has(ERROR) {
            ERROR
        } else if has(WARNING) {
            WARNING
        } else {
            "SUCCESS"
        };
        Self { status, total: pending.len(), pending }
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFO",
        Severity::Warning => WARNING,
        Severity::Error => ERROR,
    }
}

const ERROR: &str = "ERROR";
const WARNING: &str = "WARNING";

/// The official client lists no more.
const MAX_PENDING: usize = 100;
