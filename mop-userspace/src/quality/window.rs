//! The window that is open: when it ends, what was counted is reported.

use std::time::Duration;

use jiff::Timestamp;
use mop_contract::{
    Contract,
    window::{AttributeTrees, Window},
};

use super::records::{
    OperationRecord, QualityFill, QualitySummary, ReasonRecord, SCHEMA_VERSION, WindowRecord,
    attributes, codes, counterpart,
};
use crate::output::Outlet;

/// Counts since the start of a window. Windows begin at multiples of their length since 1970, so
/// that those of all nodes can be added up.
pub(crate) struct OpenWindow {
    seconds: i64,
    /// Begins the ids of its records.
    worker: String,
    /// Start, in seconds since 1970; `None` until something is counted.
    start: Option<i64>,
    counts: Window,
    /// Number of the next record of this window, which may be reported in several parts when
    /// rules are replaced while it is open.
    next_number: usize,
}

impl OpenWindow {
    pub(crate) fn new(length: Duration, worker: String) -> Self {
        let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1);
        Self { seconds, worker, start: None, counts: Window::default(), next_number: 0 }
    }

    /// What is being counted.
    pub(crate) fn counts(&mut self) -> &mut Window {
        &mut self.counts
    }

    /// The time has come this far. What comes late is counted in the window that is open.
    pub(crate) fn advance(
        &mut self,
        now: Timestamp,
        contract: &Contract,
        trees: &mut AttributeTrees,
        outlet: Option<&mut Outlet>,
    ) {
        let start = now.as_second().div_euclid(self.seconds) * self.seconds;
        match self.start {
            Some(open) if start <= open => {}
            _ => {
                self.close(contract, trees, outlet);
                self.start = Some(start);
                self.next_number = 0;
            }
        }
    }

    /// Reports what was counted and begins anew.
    pub(crate) fn close(
        &mut self,
        contract: &Contract,
        trees: &mut AttributeTrees,
        outlet: Option<&mut Outlet>,
    ) {
        let counts = std::mem::take(&mut self.counts);
        if let (Some(start), Some(outlet), false) = (self.start, outlet, counts.is_empty()) {
            let window = WindowRecord {
                start: Timestamp::from_second(start).unwrap_or_default(),
                end: Timestamp::from_second(start.saturating_add(self.seconds)).unwrap_or_default(),
            };
            self.report(window, &counts, contract, trees, outlet);
        }
    }

    fn report(
        &mut self,
        window: WindowRecord,
        counts: &Window,
        contract: &Contract,
        trees: &mut AttributeTrees,
        outlet: &mut Outlet,
    ) {
        let Self { worker, next_number, .. } = self;
        let mut id = |kind: &str| {
            let number = *next_number;
            *next_number += 1;
            format!("{worker}/{}/{kind}/{number}", window.start.as_second())
        };
        let operation = |id: mop_contract::operation::OperationId| {
            let operation = contract.operations().get(id.index())?;
            let document = contract.document(operation.document)?;
            Some(OperationRecord::new(&document.name, &document.version, operation))
        };
        for (name, operation_id, tally) in counts.tallies() {
            outlet.push(&QualitySummary {
                kind: "quality.summary",
                schema_version: SCHEMA_VERSION,
                id: id("summary"),
                window,
                counterpart: counterpart(name),
                operation: operation(operation_id),
                calls: tally.calls,
                conforming: tally.conforming,
                violating: tally.violating,
                unjudged: tally.unjudged,
                violating_as_published: tally.violating_as_published,
                unjudged_reasons: tally
                    .reasons
                    .iter()
                    .map(|(reason, calls)| ReasonRecord { reason: reason.name(), calls: *calls })
                    .collect(),
                codes: codes(&tally.codes),
                other_codes: tally.other_codes,
                hops: tally.hops,
                differing_hops: tally.differing_hops,
                hop_codes: codes(&tally.hop_codes),
                other_hop_codes: tally.other_hop_codes,
            });
        }
        let unrouted = counts.unrouted();
        if !unrouted.is_empty() {
            let calls = unrouted.values().sum();
            outlet.push(&QualitySummary {
                kind: "quality.summary",
                schema_version: SCHEMA_VERSION,
                id: id("summary"),
                window,
                counterpart: None,
                operation: None,
                calls,
                conforming: 0,
                violating: 0,
                unjudged: calls,
                violating_as_published: 0,
                unjudged_reasons: unrouted
                    .iter()
                    .map(|(reason, calls)| ReasonRecord { reason: reason.name(), calls: *calls })
                    .collect(),
                codes: Vec::new(),
                other_codes: 0,
                hops: 0,
                differing_hops: 0,
                hop_codes: Vec::new(),
                other_hop_codes: 0,
            });
        }
        for (key, fill) in counts.fills() {
            let Some(operation) = operation(key.operation) else { continue };
            let tree = trees.of(contract, key.schema);
            outlet.push(&QualityFill {
                kind: "quality.fill",
                schema_version: SCHEMA_VERSION,
                id: id("fill"),
                window,
                counterpart: counterpart(&key.counterpart),
                operation,
                direction: key.direction.name(),
                status: key.status.map(|status| status.to_string()),
                bodies: fill.bodies,
                attributes: attributes(&tree, fill),
            });
        }
    }
}
