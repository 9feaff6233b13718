//! From records of the kernel side to reports: the same for live traffic and for captures.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jiff::Timestamp;
use mop_common::{ControlEvent, ControlKind, Direction, SegmentHead, flags};
use mop_insight::data::call::{Ends, Extractor};
use mop_wire::{Exchange, FlowStats, FlowTable, Options};

use crate::{
    clock::Clock,
    connections::{Connections, Facts, ProcessSource},
    data::{Circumstances, Port},
    handover::Tenure,
    handshakes::Handshakes,
    hellos::TlsFacts,
    identifiers::Identifiers,
    official::{door::Judged, message::Source},
    output::Outlet,
    protection::Guard,
    quality::{Inspector, InspectorCounts},
    record::{ExchangeRecord, Payload, started},
    scope::{Scope, Withheld},
    security,
    selection::Selection,
    summary::ExchangeCounts,
    vitals::WorkerVitals,
};

/// All that happens to the connections of one worker.
pub(crate) struct Pipeline<S> {
    options: Options,
    flows: FlowTable,
    /// Statistics of flow tables that were given up after a panic.
    past_flows: FlowStats,
    connections: Connections<S>,
    handshakes: Handshakes,
    /// Processes that ended, and when: their TLS connections end once everything before is read.
    exits: VecDeque<(u64, u32)>,
    reporter: Reporter,
}

/// What a pipeline counted.
#[derive(Debug, Default)]
pub(crate) struct PipelineTotals {
    pub(crate) counts: ExchangeCounts,
    pub(crate) flows: FlowStats,
    /// What was judged; `None` when nothing was to be.
    pub(crate) inspected: Option<InspectorCounts>,
}

/// How exchanges become reports.
pub(crate) struct Reporter {
    /// From when to when calls are this observer's.
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) scope: Scope,
    /// Leaves out calls that there is no time for; `None`: nobody does.
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) selection: Selection,
    pub(crate) payload: Payload,
    /// `None`: exchanges are only counted.
    pub(crate) outlet: Option<Outlet>,
    pub(crate) clock: Clock,
    pub(crate) identifiers: Identifiers,
    pub(crate) counts: ExchangeCounts,
    /// `None`: calls are not judged.
    pub(crate) inspector: Option<Inspector>,
    /// Makes calls for what follows; `None`: nobody wants any.
    pub(crate) extractor: Option<Extractor>,
    /// `None`: the metrics platform gets no reports.
    pub(crate) data: Option<Port>,
    /// `None`: nothing is looked for in calls.
    pub(crate) security: Option<security::Port>,
}

impl<S: ProcessSource> Pipeline<S> {
    pub(crate) fn new(options: Options, connections: Connections<S>, reporter: Reporter) -> Self {
        Self {
            options,
            flows: FlowTable::new(options),
            past_flows: FlowStats::default(),
            connections,
            handshakes: Handshakes::default(),
            exits: VecDeque::new(),
            reporter,
        }
    }

    /// Bytes of a stream.
    pub(crate) fn segment(&mut self, head: &SegmentHead, bytes: &[u8]) {
        if head.flags & flags::HELLO != 0 {
            self.connections.hello(head, bytes);
            return;
        }
        if head.flags & flags::CERTIFICATE != 0 {
            self.connections.certify(head, bytes);
            if self.connections.opened_ns(head.connection, true) != 0 {
                return;
            }
            for exchange in self.handshakes.take_of(head.connection) {
                report(&mut self.reporter, &mut self.connections, &exchange);
            }
            return;
        }
        self.guarded(head.connection, |flows, out| flows.segment(head, bytes, out));
    }

    /// Something happened to a connection or process.
    pub(crate) fn control(&mut self, event: &ControlEvent) {
        let connection = event.connection;
        match ControlKind::from_number(event.kind) {
            Some(ControlKind::Open) => {
                self.connections.learn(event);
                let from_start = event.from_start != 0;
                self.guarded(connection, |flows, out| {
                    flows.open(connection, event.positions, from_start, out);
                });
            }
            Some(ControlKind::End) => {
                if let Some(direction) = Direction::from_number(event.direction) {
                    let [read, write] = event.positions;
                    let position = match direction {
                        Direction::Read => read,
                        Direction::Write => write,
                    };
                    self.guarded(connection, |flows, out| {
                        flows.end(connection, direction, position, event.ktime_ns, out);
                    });
                }
            }
            Some(ControlKind::Close) => {
                self.connections.learn(event);
                self.guarded(connection, |flows, out| {
                    flows.close(connection, event.positions, event.ktime_ns, out);
                });
            }
            Some(ControlKind::Exit) => {
                if self.exits.len() >= MAX_EXITS {
                    self.exits.pop_front();
                }
                self.exits.push_back((event.ktime_ns, event.tgid));
            }
            Some(ControlKind::Bind) => self.connections.learn(event),
            Some(ControlKind::Exec | ControlKind::Map | ControlKind::Wake) | None => {}
        }
    }

    /// Every segment stamped before this time was delivered.
    pub(crate) fn watermark(&mut self, ktime_ns: u64) {
        self.release(ktime_ns);
        self.guarded(0, |flows, out| flows.watermark(ktime_ns, out));
        while let Some((at_ns, tgid)) = self.exits.front().copied().filter(|(at, _)| *at < ktime_ns)
        {
            self.exits.pop_front();
            for connection in self.connections.tls_of_process(tgid) {
                self.guarded(connection, |flows, out| flows.abandon(connection, out));
                self.connections.close(connection, at_ns);
            }
        }
        self.connections.forget_closed(ktime_ns.saturating_sub(FORGET_AFTER_NS));
        self.connections.forget_certificates(ktime_ns.saturating_sub(HANDSHAKE_NS));
    }

    /// The clock that turns kernel time into the time of day from here on.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.reporter.clock = clock;
    }

    /// The time of day has come this far, whether calls were seen or not.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.reporter.advance(now);
    }

    /// Hands on what gathered: formatted records to the writer, calls to the modules.
    pub(crate) fn flush(&mut self) {
        if let Some(security) = &mut self.reporter.security {
            security.flush();
        }
        if let Some(outlet) = &mut self.reporter.outlet {
            outlet.flush();
        }
    }

    /// Lets others know what was counted so far.
    pub(crate) fn publish(&self, vitals: &WorkerVitals) {
        let mut flows = self.flows.stats();
        crate::summary::add_flows(&mut flows, &self.past_flows);
        let Reporter { counts, inspector, .. } = &self.reporter;
        let judged = inspector.as_ref().map(Inspector::counts);
        vitals.store(counts, &flows, judged.as_ref());
    }

    /// The same as [`Self::finish`], and lets others know.
    pub(crate) fn finish_publishing(self, vitals: &WorkerVitals) -> PipelineTotals {
        let totals = self.finish();
        let PipelineTotals { counts, flows, inspected } = &totals;
        vitals.store(counts, flows, inspected.as_ref());
        totals
    }

    /// Reports what is left, and what was counted.
    pub(crate) fn finish(mut self) -> PipelineTotals {
        self.release(u64::MAX);
        self.guarded(0, |flows, out| flows.finish(out));
        self.reporter.finish_inspection();
        self.flush();
        let mut flows = self.past_flows;
        crate::summary::add_flows(&mut flows, &self.flows.stats());
        PipelineTotals {
            counts: self.reporter.counts,
            inspected: self.reporter.inspector.map(|inspector| inspector.counts()),
            flows,
        }
    }

    /// Reports what waited for everything before this time to be read.
    fn release(&mut self, ktime_ns: u64) {
        self.handshakes.advance(ktime_ns);
        while let Some(exchange) = self.handshakes.take_due() {
            report(&mut self.reporter, &mut self.connections, &exchange);
        }
    }

    /// Works on the flows. A panic in a decoder costs the connection, not the daemon: it is given
    /// up, and, where even that fails, the table is.
    fn guarded(
        &mut self,
        connection: u64,
        work: impl FnOnce(&mut FlowTable, &mut &mut dyn FnMut(Exchange)),
    ) {
        let Self { options, flows, past_flows, connections, handshakes, reporter, .. } = self;
        let mut out = |exchange: Exchange| {
            // Who called is of no use where no module looks at calls.
            let connection = exchange.connection;
            let opened_ns = connections.opened_ns(connection, reporter.extractor.is_some());
            if !handshakes.is_to_wait(opened_ns) {
                report(reporter, connections, &exchange);
                return;
            }
            handshakes.hold(opened_ns, exchange);
            if handshakes.is_enough_of(connection) {
                connections.expect_nothing(connection);
                for exchange in handshakes.take_of(connection) {
                    report(reporter, connections, &exchange);
                }
            }
            if let Some(exchange) = handshakes.take_excess() {
                report(reporter, connections, &exchange);
            }
        };
        if catch_unwind(AssertUnwindSafe(|| {
            work(flows, &mut (&mut out as &mut dyn FnMut(Exchange)))
        }))
        .is_ok()
        {
            return;
        }
        let abandoned = catch_unwind(AssertUnwindSafe(|| {
            flows.abandon(connection, &mut out);
        }));
        if connection == 0 || abandoned.is_err() {
            crate::summary::add_flows(past_flows, &flows.stats());
            past_flows.connections = 0;
            past_flows.buffered_bytes = 0;
            *flows = FlowTable::new(*options);
        }
        reporter.counts.panics += 1;
    }
}

/// Reports an exchange with what is known of its connection.
fn report<S: ProcessSource>(
    reporter: &mut Reporter,
    connections: &mut Connections<S>,
    exchange: &Exchange,
) {
    let (facts, ended_ns) = connections.as_of_now(exchange.connection).unzip();
    reporter.report(exchange, facts, ended_ns.flatten());
}

impl Reporter {
    /// Counts an exchange, and reports it when it is selected.
    pub(crate) fn report(
        &mut self,
        exchange: &Exchange,
        facts: Option<&Facts>,
        connection_end_ns: Option<u64>,
    ) {
        self.counts.count(exchange);
        if !self.tenure.covers(exchange) {
            self.counts.withhold(Withheld::OfAnother);
            return;
        }
        let admitted = match &self.guard {
            Some(guard) => guard.admits(exchange),
            None => Ok(()),
        };
        if let Err(withheld) = admitted.and_then(|()| self.scope.admits(exchange, facts)) {
            self.counts.withhold(withheld);
            return;
        }
        let is_wanted = self.selection.wants(exchange);
        if !is_wanted && self.extractor.is_none() {
            return;
        }
        let id = self.identifiers.of(exchange);
        let ends = facts.and_then(|facts| facts.ends);
        let seen = Circumstances {
            ends: Ends {
                local: ends.map(|(local, _)| local),
                remote: ends.map(|(_, remote)| remote),
            },
            process: facts.map(|facts| facts.process.tgid),
            peer_certificate: facts.and_then(|facts| facts.peer_certificate.as_deref()),
            connection_end_ns,
            tls: facts.and_then(|facts| facts.tls.as_deref()),
        };
        // Tokens are learnt from calls that nobody asked to see.
        self.account(&id, exchange, seen);
        if !is_wanted {
            return;
        }
        self.counts.reported += 1;
        let record = ExchangeRecord::new(id, exchange, facts, self.clock, self.payload);
        self.deliver(&record, exchange, Some(seen));
    }

    /// Has the modules that look at calls take an exchange in.
    pub(crate) fn account(&mut self, id: &Arc<str>, exchange: &Exchange, seen: Circumstances<'_>) {
        let Self { extractor: Some(extractor), data, security, outlet, .. } = self else { return };
        let observed = seen.of(id, started(exchange, self.clock));
        // A panic costs what would be said of the call, not the connection.
        let accounted = catch_unwind(AssertUnwindSafe(|| {
            // Attacks are aimed at any path; reports are made of the ecosystem's calls only.
            let call = match security {
                Some(_) => extractor.extract_any(exchange, &observed),
                None => extractor.extract(exchange, &observed),
            };
            let Ok(call) = call else { return };
            if let Some(security) = security {
                let handshake = seen.tls.map(TlsFacts::handshake).unwrap_or_default();
                security.observe(exchange, &call, &observed, handshake, outlet.as_mut());
            }
            if let Some(data) = data.as_mut().filter(|_| call.is_of_use) {
                data.take(call, outlet.as_mut());
            }
        }));
        if accounted.is_err() {
            if let Some(security) = &mut self.security {
                security.reset();
            }
            self.counts.panics += 1;
        }
    }

    /// Prints a record, and judges the exchange that it is of. Without `seen`, the exchange is taken
    /// for a call by itself, and never for a further sighting of another.
    pub(crate) fn deliver(
        &mut self,
        record: &ExchangeRecord<'_>,
        exchange: &Exchange,
        seen: Option<Circumstances<'_>>,
    ) {
        if let Some(outlet) = &mut self.outlet {
            outlet.push(record);
        }
        let Some(inspector) = &mut self.inspector else { return };
        let outlet = self.outlet.as_mut();
        let observed = seen.map(|seen| seen.of(&record.exchange, record.ts));
        // A panic while a call is judged costs the judgement, not the connection.
        if catch_unwind(AssertUnwindSafe(|| {
            inspector.inspect(record, exchange, observed.as_ref(), outlet);
        }))
        .is_err()
        {
            inspector.reset();
            self.counts.panics += 1;
        }
    }

    /// Judges a copy that an application handed over, and reports what is found. `None` when calls
    /// are not judged, and after a panic.
    pub(crate) fn deliver_copy(&mut self, source: Source<'_>) -> Option<Judged> {
        let inspector = self.inspector.as_mut()?;
        let outlet = self.outlet.as_mut();
        let judged = catch_unwind(AssertUnwindSafe(|| inspector.inspect_copy(source, outlet)));
        if judged.is_err() {
            inspector.reset();
            self.counts.panics += 1;
        }
        judged.ok().flatten()
    }

    /// The time has come this far, whether calls were seen or not.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if let Some(inspector) = &mut self.inspector {
            inspector.advance(now, self.outlet.as_mut());
        }
    }

    /// Reports what was counted since the last window, and what waited for later calls.
    pub(crate) fn finish_inspection(&mut self) {
        if let Some(data) = &mut self.data {
            data.finish(self.outlet.as_mut());
        }
        if let Some(security) = &mut self.security {
            security.finish(self.outlet.as_mut());
        }
        if let Some(inspector) = &mut self.inspector {
            inspector.finish(self.outlet.as_mut());
        }
    }
}

/// Processes whose end waits to be processed; more end at once only when a node goes down.
const MAX_EXITS: usize = 65_536;

/// Between a handshake and the first bytes of HTTP: after it, the connection carries something else.
const HANDSHAKE_NS: u64 = 60_000_000_000;

/// The last exchanges of a connection are reported well before this.
const FORGET_AFTER_NS: u64 = 5_000_000_000;
