//! The records of the quality module. None holds a value of a message: what they say is made of
//! the contract's words, of positions and of counts.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use mop_contract::{
    Reading, Unjudged,
    attributes::AttributeTree,
    fill::Fill,
    operation::Operation,
    rules::RuleViolation,
    violation::{Direction, Severity, Violation},
    window::Counterpart,
};
use mop_outbox::Lane;
use serde::Serialize;

use super::{hops::HopRecord, inspector::Outcome};
use crate::{
    drafts::Envelope,
    output::Record,
    pretty::{Style, paint_severity},
    record::timestamp,
    workloads::Whereabouts,
};

/// What was found in one call.
#[derive(Debug, Serialize)]
pub(crate) struct QualityReport<'a> {
    pub(super) kind: &'static str,
    pub(super) schema_version: u32,
    /// Deterministic: the exchange and the kind.
    pub(super) id: String,
    pub(super) exchange: &'a str,
    #[serde(serialize_with = "timestamp")]
    pub(super) ts: Timestamp,
    pub(super) role: &'static str,
    /// The pod of the process; absent when it is in none, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workload: Option<&'a Whereabouts>,
    pub(super) counterpart: Option<&'a str>,
    #[serde(flatten)]
    pub(super) operation: Option<OperationRecord<'a>>,
    /// Why no operation was found.
    pub(super) unrouted: Option<&'static str>,
    pub(super) status: Option<u16>,
    /// `conforming`, `violating` or `unjudged`.
    pub(super) verdict: &'static str,
    pub(super) published: ReadingRecord<'a>,
    pub(super) corrected: ReadingRecord<'a>,
    /// Violations of rules beyond the document.
    pub(super) rules: Vec<ViolationRecord>,
    pub(super) unjudged: Vec<UnjudgedRecord>,
    /// The call that it is a further sighting of, when it could not be told with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hop_of: Option<&'a str>,
    /// Further sightings of the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hops: Vec<HopRecord<'a>>,
}

/// The operation that a record is about.
#[derive(Debug, Serialize)]
pub(crate) struct OperationRecord<'a> {
    pub(super) api: &'a str,
    pub(super) api_version: &'a str,
    pub(super) method: &'a str,
    /// Path template: a concrete path may hold identifiers of persons.
    pub(super) template: &'a str,
    pub(super) operation_id: Option<&'a str>,
}

/// The result of one reading of the contract.
#[derive(Debug, Serialize)]
pub(crate) struct ReadingRecord<'a> {
    pub(super) conforming: bool,
    /// Defects in all; more than are listed when there are many.
    pub(super) total: u32,
    #[serde(skip)]
    reading: &'a Reading,
    violations: Vec<ViolationRecord>,
}

/// One violation. `violation`, `code`, `severity` and `attribute` are what the official validation
/// list has.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ViolationRecord {
    pub(crate) violation: String,
    pub(crate) code: String,
    pub(crate) severity: &'static str,
    pub(crate) attribute: String,
    pub(crate) direction: &'static str,
    pub(crate) location: String,
    pub(crate) keyword: Option<&'static str>,
    pub(crate) schema_path: Option<String>,
    pub(crate) expected: Option<String>,
    pub(crate) occurrences: u32,
}

/// What could not be judged.
#[derive(Debug, Serialize)]
pub(crate) struct UnjudgedRecord {
    pub(super) direction: &'static str,
    pub(super) reason: &'static str,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct WindowRecord {
    #[serde(serialize_with = "timestamp")]
    pub(super) start: Timestamp,
    #[serde(serialize_with = "timestamp")]
    pub(super) end: Timestamp,
}

/// Counts of one window for one counterpart and operation.
#[derive(Debug, Serialize)]
pub(crate) struct QualitySummary<'a> {
    pub(super) kind: &'static str,
    pub(super) schema_version: u32,
    pub(super) id: String,
    pub(super) window: WindowRecord,
    pub(super) counterpart: Option<&'a str>,
    #[serde(flatten)]
    pub(super) operation: Option<OperationRecord<'a>>,
    pub(super) calls: u64,
    pub(super) conforming: u64,
    pub(super) violating: u64,
    pub(super) unjudged: u64,
    pub(super) violating_as_published: u64,
    pub(super) unjudged_reasons: Vec<ReasonRecord>,
    pub(super) codes: Vec<CodeRecord<'a>>,
    pub(super) other_codes: u64,
    /// Further sightings of these calls; none is one of `calls`.
    pub(super) hops: u64,
    pub(super) differing_hops: u64,
    pub(super) hop_codes: Vec<CodeRecord<'a>>,
    pub(super) other_hop_codes: u64,
}

/// How often something could not be judged.
#[derive(Debug, Serialize)]
pub(crate) struct ReasonRecord {
    pub(super) reason: &'static str,
    pub(super) calls: u64,
}

/// In how many calls something was wrong.
#[derive(Debug, Serialize)]
pub(crate) struct CodeRecord<'a> {
    direction: &'static str,
    code: &'a str,
    attribute: &'a str,
    calls: u64,
}

/// How the attributes of one body were filled in one window.
#[derive(Debug, Serialize)]
pub(crate) struct QualityFill<'a> {
    pub(super) kind: &'static str,
    pub(super) schema_version: u32,
    pub(super) id: String,
    pub(super) window: WindowRecord,
    pub(super) counterpart: Option<&'a str>,
    #[serde(flatten)]
    pub(super) operation: OperationRecord<'a>,
    pub(super) direction: &'static str,
    /// Key of the response in the contract, such as `200` or `default`.
    pub(super) status: Option<String>,
    pub(super) bodies: u64,
    pub(super) attributes: Vec<AttributeRecord<'a>>,
}

/// Counts of one attribute.
#[derive(Debug, Serialize)]
pub(crate) struct AttributeRecord<'a> {
    path: &'a str,
    presence: &'static str,
    seen: u64,
    present: u64,
    null: u64,
    empty: u64,
    not_available: u64,
    valid: u64,
    invalid: u64,
}

impl UnjudgedRecord {
    pub(crate) fn all(unjudged: &[Unjudged]) -> Vec<Self> {
        let record = |unjudged: &Unjudged| Self {
            direction: unjudged.direction.name(),
            reason: unjudged.reason.name(),
        };
        unjudged.iter().map(record).collect()
    }
}

impl<'a> ReadingRecord<'a> {
    pub(crate) fn new(reading: &'a Reading) -> Self {
        Self {
            conforming: reading.is_conforming(),
            total: reading.total,
            reading,
            violations: reading.violations.iter().map(ViolationRecord::from).collect(),
        }
    }
}

impl From<&Violation> for ViolationRecord {
    fn from(violation: &Violation) -> Self {
        Self {
            violation: violation.sentence(),
            code: violation.code(),
            severity: violation.severity.name(),
            attribute: violation.attribute.clone(),
            direction: violation.direction.name(),
            location: violation.location.to_string(),
            keyword: Some(violation.keyword.name()),
            schema_path: Some(violation.schema_path.clone()),
            expected: Some(violation.expected.clone()),
            occurrences: violation.occurrences,
        }
    }
}

impl<'a> OperationRecord<'a> {
    pub(super) fn new(name: &'a str, version: &'a str, operation: &'a Operation) -> Self {
        Self {
            api: name,
            api_version: version,
            method: &operation.method,
            template: &operation.template,
            operation_id: operation.operation_id.as_deref(),
        }
    }
}

/// Codes of a tally, most frequent first.
pub(super) fn codes(counts: &BTreeMap<(Direction, String, String), u64>) -> Vec<CodeRecord<'_>> {
    let mut codes: Vec<CodeRecord<'_>> = counts
        .iter()
        .map(|((direction, code, attribute), calls)| CodeRecord {
            direction: direction.name(),
            code,
            attribute,
            calls: *calls,
        })
        .collect();
    codes.sort_by_key(|code| std::cmp::Reverse(code.calls));
    codes
}

/// Every attribute that could have been there.
pub(super) fn attributes<'a>(tree: &'a AttributeTree, fill: &Fill) -> Vec<AttributeRecord<'a>> {
    tree.nodes()
        .iter()
        .zip(fill.attributes())
        .filter(|(_, fill)| fill.seen > 0)
        .map(|(node, fill)| AttributeRecord {
            path: &node.path,
            presence: node.presence.name(),
            seen: fill.seen,
            present: fill.present,
            null: fill.null,
            empty: fill.empty,
            not_available: fill.not_available,
            valid: fill.present - fill.invalid,
            invalid: fill.invalid,
        })
        .collect()
}

/// Name of a counterpart in records.
pub(super) fn counterpart(counterpart: &Counterpart) -> Option<&str> {
    match counterpart {
        Counterpart::Named(name) => Some(name),
        Counterpart::Other => Some("(other)"),
        Counterpart::Unknown => None,
    }
}

impl Record for QualityReport<'_> {
    fn envelope(&self) -> Envelope<'_> {
        let lane = if self.verdict == Outcome::Violating.name() {
            Lane::Violations
        } else {
            Lane::Samples
        };
        Envelope { lane, kind: self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, style: Style) {
        // Its exchange was printed some lines before.
        let _ = write!(out, "{} {:<6} quality of", self.ts.strftime("%H:%M:%S%.3f"), self.role);
        if let Some(operation) = &self.operation {
            let _ = write!(out, " {} {}", operation.method, operation.template);
        }
        let _ = match self.status {
            Some(status) => writeln!(out, " {status}"),
            None => writeln!(out, " (no response seen)"),
        };
        write_findings(
            out,
            style,
            self.verdict,
            self.operation.as_ref(),
            self.unrouted,
            (&self.published, &self.corrected),
            &self.rules,
            &self.unjudged,
            SHOWN_VIOLATIONS,
        );
        if let Some(of) = self.hop_of {
            let _ = writeln!(out, "    a further sighting of {of}");
        }
        for hop in &self.hops {
            hop.write_pretty(out, style);
        }
    }
}

/// Lines that say how a call was judged, with at most so many violations.
#[expect(clippy::too_many_arguments, reason = "the parts of two records that are printed alike")]
pub(crate) fn write_findings(
    out: &mut String,
    style: Style,
    verdict: &str,
    operation: Option<&OperationRecord<'_>>,
    unrouted: Option<&str>,
    (published, corrected): (&ReadingRecord<'_>, &ReadingRecord<'_>),
    rules: &[ViolationRecord],
    unjudged: &[UnjudgedRecord],
    shown: usize,
) {
    if let Some(reason) = unrouted {
        let _ = writeln!(out, "  ? no contract: {reason}");
        return;
    }
    let mark = match verdict {
        "conforming" => "✓",
        "violating" => "✗",
        _ => "?",
    };
    let (api, version) =
        operation.map_or(("", ""), |operation| (operation.api, operation.api_version));
    let _ = writeln!(out, "  {} {verdict} {api} {version}", paint_severity(style, mark));
    for UnjudgedRecord { direction, reason } in unjudged {
        let _ = writeln!(out, "    {direction} not judged: {reason}");
    }
    let found: Vec<&ViolationRecord> = corrected.violations.iter().chain(rules).collect();
    for violation in found.iter().take(shown) {
        let severity = paint_severity(style, violation.severity);
        let times = match violation.occurrences {
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        let _ = writeln!(
            out,
            "    {severity} {}: {} [{} at {}]{times}",
            violation.direction, violation.violation, violation.code, violation.location
        );
    }
    if found.len() > shown {
        let _ = writeln!(out, "    and {} more", found.len() - shown);
    }
    let only_published = published
        .reading
        .violations
        .iter()
        .filter(|violation| {
            // Corrections move rules, so that the place in the schema tells nothing.
            violation.severity == Severity::Error
                && !corrected.reading.violations.iter().any(|other| {
                    other.direction == violation.direction
                        && other.location == violation.location
                        && other.keyword == violation.keyword
                        && other.attribute == violation.attribute
                })
        })
        .count();
    if only_published > 0 {
        let _ = writeln!(
            out,
            "    {only_published} more by the contract as published, where it is known to be wrong"
        );
    }
}

impl Record for QualitySummary<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: self.kind, id: &self.id }
    }

    fn write_pretty(&self, out: &mut String, _style: Style) {
        let what = match &self.operation {
            Some(operation) => format!("{} {}", operation.method, operation.template),
            None => "calls without a contract".to_owned(),
        };
        let counterpart = self.counterpart.map(|name| format!(" with {name}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "quality: {what}{counterpart}: {} calls, {} conforming, {} violating, {} unjudged",
            self.calls, self.conforming, self.violating, self.unjudged
        );
        if self.differing_hops > 0 {
            let _ = writeln!(
                out,
                "    {} of {} further sightings differ from the edge",
                self.differing_hops, self.hops
            );
        }
        for code in self.codes.iter().take(SHOWN_VIOLATIONS) {
            let _ = writeln!(
                out,
                "    {} {} {} in {} calls",
                code.direction, code.code, code.attribute, code.calls
            );
        }
    }
}

impl Record for QualityFill<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Data, kind: self.kind, id: &self.id }
    }

    /// Hundreds of numbers: for machines only.
    fn write_pretty(&self, _out: &mut String, _style: Style) {}
}

impl From<&RuleViolation<'_>> for ViolationRecord {
    fn from(found: &RuleViolation<'_>) -> Self {
        let RuleViolation { rule, occurrences } = found;
        Self {
            violation: rule.title.clone(),
            code: rule.id.clone(),
            severity: rule.severity.name(),
            attribute: rule.attribute.clone(),
            direction: rule.direction.name(),
            location: rule.location.to_string(),
            keyword: None,
            schema_path: None,
            expected: None,
            occurrences: *occurrences,
        }
    }
}

/// Lines of one call on a terminal.
const SHOWN_VIOLATIONS: usize = 8;

/// Version of the form of these records.
pub(super) const SCHEMA_VERSION: u32 = 1;
