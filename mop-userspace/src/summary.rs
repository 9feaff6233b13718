//! What a run amounted to.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use mop_common::{COUNTER_NAMES, Counters, HoleCause};
use mop_wire::{Ending, Exchange, FlowStats, Role};
use serde::Serialize;

use crate::{quality::InspectorCounts, record::role_name, scope::Withheld, session::Known};

/// Counts of exchanges, whether they were reported or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExchangeCounts {
    pub(crate) exchanges: u64,
    pub(crate) complete: u64,
    /// Passed the selection and were handed to the outputs.
    pub(crate) reported: u64,
    /// Not reported because of the scope, in the order of [`Withheld::ALL`].
    pub(crate) withheld: [u64; Withheld::ALL.len()],
    /// Panics in the processing of a connection: it was given up.
    pub(crate) panics: u64,
    /// In the order of [`Role::ALL`] and [`Ending::ALL`].
    pub(crate) by_role_and_ending: [[u64; Ending::ALL.len()]; Role::ALL.len()],
}

impl ExchangeCounts {
    pub(crate) fn count(&mut self, exchange: &Exchange) {
        self.exchanges += 1;
        self.complete += u64::from(exchange.completeness.is_complete());
        let of_role = self.by_role_and_ending.get_mut(exchange.role as usize);
        let ending = exchange.completeness.ending as usize;
        if let Some(count) = of_role.and_then(|of_role| of_role.get_mut(ending)) {
            *count += 1;
        }
    }

    pub(crate) fn withhold(&mut self, withheld: Withheld) {
        if let Some(count) = self.withheld.get_mut(withheld as usize) {
            *count += 1;
        }
    }

    fn by_role(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.by_role_and_ending.iter().map(|endings| endings.iter().sum());
        named(Role::ALL.into_iter().map(role_name).zip(counts))
    }

    fn by_ending(&self) -> BTreeMap<&'static str, u64> {
        named(Ending::ALL.into_iter().enumerate().map(|(number, ending)| {
            let of_roles = self.by_role_and_ending.iter().filter_map(|endings| endings.get(number));
            (ending.name(), of_roles.sum())
        }))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        let Self { exchanges, complete, reported, withheld, panics, by_role_and_ending } = other;
        for (sum, count) in self.withheld.iter_mut().zip(withheld) {
            *sum += count;
        }
        self.exchanges += exchanges;
        self.complete += complete;
        self.reported += reported;
        self.panics += panics;
        let sums = self.by_role_and_ending.iter_mut().flatten();
        for (sum, count) in sums.zip(by_role_and_ending.iter().flatten()) {
            *sum += count;
        }
    }
}

/// Counts that are not zero, by name.
fn named(counts: impl Iterator<Item = (&'static str, u64)>) -> BTreeMap<&'static str, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The last record of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    kind: &'static str,
    pub(crate) exchanges: u64,
    pub(crate) complete: u64,
    pub(crate) incomplete: u64,
    pub(crate) reported: u64,
    /// Not reported because of the scope, by reason.
    pub(crate) withheld: BTreeMap<&'static str, u64>,
    by_role: BTreeMap<&'static str, u64>,
    by_ending: BTreeMap<&'static str, u64>,
    /// Bytes missing in observed streams, by cause.
    pub(crate) missing_bytes: BTreeMap<&'static str, u64>,
    /// Counters of the kernel side; empty in a replay.
    pub(crate) kernel: BTreeMap<&'static str, u64>,
    flows: FlowSummary,
    /// Connections that spoke HTTP/2.
    pub(crate) http2_connections: u64,
    /// Segments read from the lanes.
    received_segments: u64,
    /// Bytes of them.
    received_bytes: u64,
    /// Segments whose bytes were dropped because a worker was behind.
    pub(crate) queue_dropped_segments: u64,
    /// Processes and files that were not looked into for TLS libraries.
    dropped_finds: u64,
    /// Bytes of records that were dropped because an output was behind.
    pub(crate) output_dropped_bytes: u64,
    panics: u64,
    libraries: usize,
    /// What was judged; `null` when nothing was to be.
    pub(crate) quality: Option<InspectorCounts>,
}

#[derive(Debug, Serialize)]
struct FlowSummary {
    opened: u64,
    closed: u64,
    open: usize,
    evicted: u64,
    shed: u64,
    resynchronisations: u64,
    malformed: u64,
    limit_reached: u64,
    skipped_bytes: u64,
    duplicate_bytes: u64,
    invalid_segments: u64,
}

/// What a summary is made of.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) counts: ExchangeCounts,
    pub(crate) flows: FlowStats,
    pub(crate) kernel: Option<Counters>,
    pub(crate) received_segments: u64,
    pub(crate) received_bytes: u64,
    pub(crate) queue_dropped_segments: u64,
    pub(crate) dropped_finds: u64,
    pub(crate) output_dropped_bytes: u64,
    pub(crate) libraries: usize,
    pub(crate) inspected: Option<InspectorCounts>,
}

impl Totals {
    /// What the kernel side and the capture thread came to, now that both are over.
    pub(crate) fn add_capture(&mut self, known: &Known) {
        let Known { libraries, counters } = known;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.kernel = Some(counters.kernel().unwrap_or_default());
        self.received_segments = count(&counters.received_segments);
        self.received_bytes = count(&counters.received_bytes);
        self.queue_dropped_segments = count(&counters.queue_dropped_segments);
        self.dropped_finds = count(&counters.dropped_finds);
        self.libraries = libraries.len();
    }
}

impl Summary {
    pub(crate) fn new(totals: Totals) -> Self {
        let Totals {
            counts,
            flows,
            kernel,
            received_segments,
            received_bytes,
            queue_dropped_segments,
            dropped_finds,
            output_dropped_bytes,
            libraries,
            inspected,
        } = totals;
        let missing_bytes = HoleCause::ALL
            .into_iter()
            .map(|cause| (cause.name(), flows.hole_bytes_by(cause)))
            .filter(|(_, bytes)| *bytes > 0)
            .collect();
        Self {
            kind: "observe.summary",
            exchanges: counts.exchanges,
            complete: counts.complete,
            incomplete: counts.exchanges - counts.complete,
            reported: counts.reported,
            withheld: named(Withheld::ALL.into_iter().map(Withheld::name).zip(counts.withheld)),
            by_role: counts.by_role(),
            by_ending: counts.by_ending(),
            missing_bytes,
            kernel: kernel
                .map(|counters| COUNTER_NAMES.into_iter().zip(counters.values).collect())
                .unwrap_or_default(),
            flows: FlowSummary {
                opened: flows.opened,
                closed: flows.closed,
                open: flows.connections,
                evicted: flows.evicted,
                shed: flows.shed,
                resynchronisations: flows.resynchronisations,
                malformed: flows.malformed,
                limit_reached: flows.limit_reached,
                skipped_bytes: flows.skipped_bytes,
                duplicate_bytes: flows.duplicate_bytes,
                invalid_segments: flows.invalid_segments,
            },
            http2_connections: flows.http2_connections,
            received_segments,
            received_bytes,
            queue_dropped_segments,
            dropped_finds,
            output_dropped_bytes,
            panics: counts.panics,
            libraries,
            quality: inspected,
        }
    }

    /// A few lines for people.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!(
            "{} exchanges: {} complete, {} incomplete; {} reported.",
            self.exchanges, self.complete, self.incomplete, self.reported
        );
        let mut note = |line: String| {
            text.push('\n');
            text.push_str(&line);
        };
        if let Some(quality) = &self.quality {
            let InspectorCounts { conforming, violating, unjudged, unrouted, .. } = quality;
            note(format!(
                "Quality: {conforming} conforming, {violating} violating, {unjudged} not judged \
                 wholly, {unrouted} without a contract."
            ));
            if quality.hops > 0 {
                note(format!(
                    "  {} further sightings of these calls, {} of which differ",
                    quality.hops, quality.differing_hops
                ));
            }
        }
        for (reason, count) in &self.withheld {
            note(format!(
                "  {count} not reported: {}",
                match *reason {
                    "denied" => "denied by the rules of [scope]",
                    "not_allowed" => "not among those that the rules of [scope] allow",
                    "undecided" => "what the rules of [scope] ask for was not known",
                    "of_another" => "of the observer before or after this one",
                    "over_budget_other" =>
                        "of no regulated interface, and the CPU budget was used up",
                    _ => "of open data, and the CPU budget was used up",
                }
            ));
        }
        for (cause, bytes) in &self.missing_bytes {
            note(format!("  {bytes} bytes missing: {cause}"));
        }
        for (name, meaning) in NOTED_COUNTERS {
            if let Some(count) = self.kernel.get(name).filter(|count| **count > 0) {
                note(format!("  {count} {meaning}"));
            }
        }
        if self.http2_connections > 0 {
            note(format!("  {} connections spoke HTTP/2", self.http2_connections));
        }
        if self.dropped_finds > 0 {
            note(format!(
                "  {} processes or files not looked into for TLS libraries: too many at once",
                self.dropped_finds
            ));
        }
        if self.output_dropped_bytes > 0 {
            note(format!(
                "  {} bytes of records dropped: the output was too slow",
                self.output_dropped_bytes
            ));
        }
        if self.panics > 0 {
            note(format!(
                "  {} connections or calls given up after an internal error",
                self.panics
            ));
        }
        text
    }
}

/// Kernel counters that mean that something was not seen.
const NOTED_COUNTERS: [(&str, &str); 6] = [
    ("control_lost", "connection events lost: the control ring was full"),
    ("threads_full", "TLS calls not seen: too many threads"),
    ("connections_full", "connections not seen: too many of them"),
    ("undecoded_calls", "connections given up at a call that is not decoded (sendmmsg, recvmmsg)"),
    (
        "skipped_runs",
        "runs of kernel programs left out by the kernel: calls may be missing without a trace",
    ),
    ("ambiguous_sockets", "TLS calls that used more than one socket"),
];

/// Adds the statistics of two flow tables.
pub(crate) fn add_flows(sum: &mut FlowStats, other: &FlowStats) {
    sum.connections += other.connections;
    sum.buffered_bytes += other.buffered_bytes;
    sum.opened += other.opened;
    sum.closed += other.closed;
    sum.http2_connections += other.http2_connections;
    sum.evicted += other.evicted;
    sum.shed += other.shed;
    sum.exchanges += other.exchanges;
    sum.incomplete += other.incomplete;
    sum.resynchronisations += other.resynchronisations;
    sum.malformed += other.malformed;
    sum.limit_reached += other.limit_reached;
    sum.skipped_bytes += other.skipped_bytes;
    sum.duplicate_bytes += other.duplicate_bytes;
    sum.invalid_segments += other.invalid_segments;
    for (sum, bytes) in sum.hole_bytes.iter_mut().zip(other.hole_bytes) {
        *sum += bytes;
    }
}
