//! What is kept of a call that was judged until it is known whether it is one, or a further sighting
//! of another: findings and counts in the contract's words, and no value of a message.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;
use mop_contract::{
    Judgement, Reading,
    rules::RuleViolation,
    violation::{Direction, Severity, Violation},
    window::CountedBody,
};
use mop_outbox::Lane;
use mop_wire::Role;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{inspector::Outcome, records::ViolationRecord};
use crate::{
    drafts::Envelope, official::message::OfficialMessage, output::Record, pretty::Style,
    rulebook::RuleBook, workloads::Whereabouts,
};

/// A call, judged.
pub(crate) struct JudgedCall {
    /// The exchange.
    pub(super) id: String,
    /// First byte of the call.
    pub(super) ts: Timestamp,
    pub(super) role: Role,
    /// Where it was seen: `tls` or `socket`.
    pub(super) layer: Option<&'static str>,
    /// The pod of the process; `None` when it is in none, or nobody knows.
    pub(super) workload: Option<Whereabouts>,
    pub(super) counterpart: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) judgement: Judgement,
    /// What rules beyond the document found.
    pub(super) rules: Vec<FoundRule>,
    pub(super) bodies: Vec<CountedBody>,
    pub(super) outcome: Outcome,
    /// By what it was judged.
    pub(super) book: Arc<RuleBook>,
    /// For the official server.
    pub(super) message: Option<HeldMessage>,
}

/// A rule beyond the document that a call breaks.
#[derive(Clone, Debug)]
pub(super) struct FoundRule {
    pub(super) direction: Direction,
    pub(super) is_error: bool,
    pub(super) record: ViolationRecord,
}

/// A message for the official server, as it will be stored.
pub(super) struct HeldMessage {
    lane: Lane,
    kind: String,
    id: String,
    json: Box<RawValue>,
}

/// One thing that is wrong with a call.
#[derive(Clone, Copy)]
pub(super) enum Found<'a> {
    Contract(&'a Violation),
    Rule(&'a FoundRule),
}

/// What is told apart when two sightings of a call are compared: message, code and attribute.
pub(super) type Kind<'a> = (Direction, String, &'a str);

impl JudgedCall {
    /// Everything that is wrong, by the corrected reading and by rules.
    pub(super) fn found(&self) -> impl Iterator<Item = Found<'_>> {
        let of_contract = self.judgement.corrected.violations.iter().map(Found::Contract);
        of_contract.chain(self.rules.iter().map(Found::Rule))
    }

    /// What is wrong with it and not with the other one.
    pub(super) fn without(&self, other: &Self) -> Vec<Found<'_>> {
        let known: BTreeSet<Kind<'_>> = other.found().map(Found::kind).collect();
        self.found().filter(|found| !known.contains(&found.kind())).collect()
    }

    /// Lets go of what is of no use in a further sighting of a call.
    pub(super) fn as_hop(self: Box<Self>) -> Box<Self> {
        Box::new(Self { bodies: Vec::new(), message: None, ..*self })
    }

    /// Memory that it takes, in bytes: an estimate from above.
    pub(super) fn bytes(&self) -> usize {
        let reading = |reading: &Reading| -> usize {
            let violation = |it: &Violation| {
                let text = it.attribute.len() + it.schema_path.len() + it.expected.len();
                // Locations are as long as the way to the attribute.
                size_of::<Violation>() + 2 * text
            };
            reading.violations.iter().map(violation).sum()
        };
        let message = self.message.as_ref().map_or(0, |message| message.json.get().len());
        let bodies: usize = self.bodies.iter().map(CountedBody::bytes).sum();
        size_of::<Self>()
            + reading(&self.judgement.published)
            + reading(&self.judgement.corrected)
            + self.rules.len() * RULE_BYTES
            + bodies
            + message
    }
}

impl<'a> Found<'a> {
    pub(super) fn kind(self) -> Kind<'a> {
        match self {
            Self::Contract(violation) => {
                (violation.direction, violation.code(), &violation.attribute)
            }
            Self::Rule(FoundRule { direction, record, .. }) => {
                (*direction, record.code.clone(), &record.attribute)
            }
        }
    }

    pub(super) fn is_error(self) -> bool {
        match self {
            Self::Contract(violation) => violation.severity == Severity::Error,
            Self::Rule(rule) => rule.is_error,
        }
    }

    pub(super) fn record(self) -> ViolationRecord {
        match self {
            Self::Contract(violation) => ViolationRecord::from(violation),
            Self::Rule(rule) => rule.record.clone(),
        }
    }
}

impl From<&RuleViolation<'_>> for FoundRule {
    fn from(found: &RuleViolation<'_>) -> Self {
        Self {
            direction: found.rule.direction,
            is_error: found.rule.severity == Severity::Error,
            record: ViolationRecord::from(found),
        }
    }
}

impl HeldMessage {
    /// `None` when it cannot be written, which no message is.
    pub(super) fn of(message: &OfficialMessage<'_>) -> Option<Self> {
        let Envelope { lane, kind, id } = message.envelope();
        let json = to_raw_value(message).ok()?;
        Some(Self { lane, kind: kind.to_owned(), id: id.to_owned(), json })
    }
}

impl Serialize for HeldMessage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl Record for HeldMessage {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: self.lane, kind: &self.kind, id: &self.id }
    }

    /// For the server only.
    fn write_pretty(&self, _out: &mut String, _style: Style) {}
}

/// What a broken rule says: title, names and place.
const RULE_BYTES: usize = 512;
