//! What is told of calls once it is known what they are: one report a call, and counts of windows.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use mop_contract::{
    operation::OperationId,
    window::{AttributeTrees, Counterpart},
};

use super::{
    counts::InspectorCounts,
    hops::{Difference, ExchangeHop, HopRecord},
    inspector::{Outcome, operation_record},
    judged::{Found, JudgedCall},
    records::{QualityReport, ReadingRecord, SCHEMA_VERSION, UnjudgedRecord},
    window::OpenWindow,
};
use crate::{
    official::message::OfficialSource,
    output::Outlet,
    record::role_name,
    rulebook::{RuleBook, RuleBooks},
};

/// Reports judged calls and counts them.
pub(crate) struct Reports {
    books: Arc<RuleBooks>,
    /// The one that was looked at last.
    generation: u64,
    /// By what the calls of the open window were judged.
    book: Arc<RuleBook>,
    trees: AttributeTrees,
    window: OpenWindow,
    report_clean: u32,
    clean: HashMap<Option<OperationId>, u32>,
    /// Whose messages are not sent for further sightings.
    pub(super) official: Option<Arc<OfficialSource>>,
    pub(super) counts: InspectorCounts,
}

impl Reports {
    pub(super) fn new(books: Arc<RuleBooks>, window: OpenWindow, report_clean: u32) -> Self {
        Self {
            generation: books.generation(),
            book: books.current(),
            books,
            trees: AttributeTrees::default(),
            window,
            report_clean,
            clean: HashMap::new(),
            official: None,
            counts: InspectorCounts::default(),
        }
    }

    /// Reports a call with what was seen of it further inside: `hops` that are told with it, and
    /// exchanges that were told `apart`.
    pub(super) fn call(
        &mut self,
        call: &JudgedCall,
        hops: &[Box<JudgedCall>],
        apart: &[Arc<str>],
        mut outlet: Option<&mut Outlet>,
    ) {
        self.turn_to(call, outlet.as_deref_mut());
        let counterpart = self.counterpart(call);
        let differences: Vec<Difference<'_>> =
            hops.iter().map(|hop| Difference::between(hop, call)).collect();
        let counts = self.window.counts();
        let rules = call.rules.iter().map(|rule| {
            (rule.direction, &*rule.record.code, &*rule.record.attribute, rule.is_error)
        });
        counts.call(&counterpart, &call.judgement, rules);
        for body in &call.bodies {
            counts.body(&counterpart, &call.book.contract, &mut self.trees, body);
        }
        self.counts.call(&call.judgement, call.outcome);
        for difference in &differences {
            self.count_hop(call, &counterpart, &difference.own);
        }
        let Some(outlet) = outlet else { return };
        if let Some(message) = &call.message {
            outlet.push(message);
        }
        let operation = call.judgement.operation.ok();
        let is_clean = call.outcome == Outcome::Conforming || operation.is_none();
        let is_told =
            !is_clean || differences.iter().any(Difference::is_error) || self.is_sampled(operation);
        if is_told {
            let told = differences.iter().map(HopRecord::from);
            let apart = apart.iter().take(MAX_HOPS).map(|id| HopRecord::apart(id));
            report(call, None, told.chain(apart).collect(), outlet);
        }
    }

    /// Links a further sighting of a call to it.
    pub(super) fn link(&mut self, hop: &JudgedCall, of: &str, outlet: Option<&mut Outlet>) {
        self.counts.hops += 1;
        if let Some(official) = self.official.as_ref().filter(|_| hop.message.is_some()) {
            official.pass_over();
        }
        let Some(outlet) = outlet else { return };
        let (exchange, id) = (hop.id.as_str(), format!("{}/hop", hop.id));
        outlet.push(&ExchangeHop { kind: "exchange.hop", id, exchange, of });
    }

    /// A further sighting that cannot be told with its call, which was reported before or has many:
    /// what is wrong with it is told by itself.
    pub(super) fn lone_hop(&mut self, hop: &JudgedCall, of: &str, mut outlet: Option<&mut Outlet>) {
        self.turn_to(hop, outlet.as_deref_mut());
        let counterpart = self.counterpart(hop);
        let own: Vec<Found<'_>> = hop.found().collect();
        self.count_hop(hop, &counterpart, &own);
        self.counts.lone_hops += 1;
        if let Some(outlet) = outlet.filter(|_| hop.outcome == Outcome::Violating) {
            report(hop, Some(of), Vec::new(), outlet);
        }
    }

    /// The time has come this far: a window that is over is reported. `is_idle`: no call that was
    /// judged by older rules may still come from here.
    pub(super) fn advance(
        &mut self,
        now: Timestamp,
        is_idle: bool,
        mut outlet: Option<&mut Outlet>,
    ) {
        let generation = self.books.generation();
        if is_idle && generation != self.generation {
            self.generation = generation;
            self.use_book(&self.books.current(), outlet.as_deref_mut());
        }
        // What is counted first begins a window, by its own time.
        if !self.window.counts().is_empty() {
            self.window.advance(now, &self.book.contract, &mut self.trees, outlet);
        }
    }

    /// Reports the window that is open.
    pub(super) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        self.window.close(&self.book.contract, &mut self.trees, outlet);
    }

    /// The window that a call is counted in is open.
    fn turn_to(&mut self, call: &JudgedCall, mut outlet: Option<&mut Outlet>) {
        self.use_book(&call.book, outlet.as_deref_mut());
        self.window.advance(call.ts, &self.book.contract, &mut self.trees, outlet);
    }

    /// Operations have other numbers in another generation: the counts end here.
    fn use_book(&mut self, book: &Arc<RuleBook>, outlet: Option<&mut Outlet>) {
        if Arc::ptr_eq(book, &self.book) {
            return;
        }
        self.window.close(&self.book.contract, &mut self.trees, outlet);
        self.book = Arc::clone(book);
        self.trees = AttributeTrees::default();
        self.clean.clear();
    }

    fn counterpart(&mut self, call: &JudgedCall) -> Counterpart {
        self.window.counts().counterpart(call.counterpart.as_deref())
    }

    /// Counts a further sighting with the operation of a call.
    fn count_hop(&mut self, call: &JudgedCall, counterpart: &Counterpart, own: &[Found<'_>]) {
        self.counts.differing_hops += u64::from(own.iter().any(|found| found.is_error()));
        let Ok(operation) = call.judgement.operation else { return };
        let kinds: Vec<_> = own.iter().map(|found| (found.kind(), found.is_error())).collect();
        let own = kinds.iter().map(|((direction, code, attribute), is_error)| {
            (*direction, code.as_str(), *attribute, *is_error)
        });
        self.window.counts().hop(counterpart, operation, own);
    }

    /// Whether a call with nothing wrong is one of those that are reported: the first of each
    /// operation, and then every so many.
    fn is_sampled(&mut self, operation: Option<OperationId>) -> bool {
        if self.report_clean == 0 {
            return false;
        }
        let seen = self.clean.entry(operation).or_default();
        let is_sampled = seen.is_multiple_of(self.report_clean);
        *seen = seen.wrapping_add(1);
        is_sampled
    }
}

fn report(call: &JudgedCall, of: Option<&str>, hops: Vec<HopRecord<'_>>, outlet: &mut Outlet) {
    let JudgedCall { id, judgement, .. } = call;
    outlet.push(&QualityReport {
        kind: "quality.report",
        schema_version: SCHEMA_VERSION,
        id: format!("{id}/quality"),
        exchange: id,
        ts: call.ts,
        role: role_name(call.role),
        workload: call.workload.as_ref(),
        counterpart: call.counterpart.as_deref(),
        operation: operation_record(&call.book.contract, judgement),
        unrouted: judgement.operation.err().map(|unrouted| unrouted.name()),
        status: call.status,
        verdict: call.outcome.name(),
        published: ReadingRecord::new(&judgement.published),
        corrected: ReadingRecord::new(&judgement.corrected),
        rules: call.rules.iter().map(|rule| rule.record.clone()).collect(),
        unjudged: UnjudgedRecord::all(&judgement.unjudged),
        hop_of: of,
        hops,
    });
}

/// Further sightings that the report of a call lists of each kind: a proxy before an application
/// shows two, a sidecar before both four.
pub(super) const MAX_HOPS: usize = 8;
