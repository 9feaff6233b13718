//! What is told of further sightings of a call: in the report of the call, and as a link of their own
//! exchange records.

use std::fmt::Write as _;

use mop_outbox::Lane;
use serde::Serialize;

use super::{
    judged::{Found, JudgedCall},
    records::ViolationRecord,
};
use crate::{
    drafts::Envelope,
    output::Record,
    pretty::{Style, paint_severity},
    record::role_name,
};

/// A further sighting of a call, in the report of that call.
#[derive(Debug, Serialize)]
pub(crate) struct HopRecord<'a> {
    exchange: &'a str,
    /// It was reported by itself before it was known to be a hop; then nothing else is told of it.
    apart: bool,
    role: Option<&'static str>,
    /// `tls` or `socket`.
    layer: Option<&'static str>,
    status: Option<u16>,
    verdict: Option<&'static str>,
    /// What is wrong here and was not at the edge: by message, code and attribute.
    own: Vec<ViolationRecord>,
    /// How many there are, those that are not listed included.
    own_total: usize,
    /// How much was wrong at the edge and is not here; `null` when not all of it was judged here.
    only_at_edge: Option<usize>,
}

/// What a further sighting of a call has of its own.
pub(super) struct Difference<'a> {
    pub(super) hop: &'a JudgedCall,
    /// What is wrong with it and not with the call at the edge.
    pub(super) own: Vec<Found<'a>>,
    only_at_edge: Option<usize>,
}

/// Links the record of an exchange to that of the call that it is a further sighting of.
#[derive(Debug, Serialize)]
pub(crate) struct ExchangeHop<'a> {
    pub(super) kind: &'static str,
    #[serde(skip)]
    pub(super) id: String,
    pub(super) exchange: &'a str,
    pub(super) of: &'a str,
}

impl<'a> Difference<'a> {
    pub(super) fn between(hop: &'a JudgedCall, edge: &JudgedCall) -> Self {
        let is_judged = hop.judgement.unjudged.is_empty();
        let only_at_edge = is_judged.then(|| edge.without(hop).len());
        Self { hop, own: hop.without(edge), only_at_edge }
    }

    /// Whether something is wrong here that makes a call violating.
    pub(super) fn is_error(&self) -> bool {
        self.own.iter().any(|found| found.is_error())
    }
}

impl<'a> From<&Difference<'a>> for HopRecord<'a> {
    fn from(difference: &Difference<'a>) -> Self {
        let Difference { hop, own, only_at_edge } = difference;
        Self {
            exchange: &hop.id,
            apart: false,
            role: Some(role_name(hop.role)),
            layer: hop.layer,
            status: hop.status,
            verdict: Some(hop.outcome.name()),
            own: own.iter().take(MAX_OWN).map(|found| found.record()).collect(),
            own_total: own.len(),
            only_at_edge: *only_at_edge,
        }
    }
}

impl<'a> HopRecord<'a> {
    /// One that was reported by itself.
    pub(super) fn apart(exchange: &'a str) -> Self {
        Self {
            exchange,
            apart: true,
            role: None,
            layer: None,
            status: None,
            verdict: None,
            own: Vec::new(),
            own_total: 0,
            only_at_edge: None,
        }
    }

    pub(super) fn write_pretty(&self, out: &mut String, style: Style) {
        if self.own.is_empty() {
            return;
        }
        let (role, layer) = (self.role.unwrap_or_default(), self.layer.unwrap_or_default());
        let _ = writeln!(out, "    only behind the edge, at the {role} ({layer}):");
        for violation in &self.own {
            let severity = paint_severity(style, violation.severity);
            let ViolationRecord { direction, violation, code, location, .. } = violation;
            let _ =
                writeln!(out, "      {severity} {direction}: {violation} [{code} at {location}]");
        }
        let more = self.own_total.saturating_sub(self.own.len());
        if more > 0 {
            let _ = writeln!(out, "      and {more} more");
        }
    }
}

impl Record for ExchangeHop<'_> {
    fn envelope(&self) -> Envelope<'_> {
        Envelope { lane: Lane::Local, kind: self.kind, id: &self.id }
    }

    /// For machines only: people see the exchange itself.
    fn write_pretty(&self, _out: &mut String, _style: Style) {}
}

/// A header field or an attribute is changed here and there; a body that is another one altogether is
/// told by its first differences.
const MAX_OWN: usize = 20;
