//! Metrics of the way from the kernel to a judged call.

use std::sync::atomic::{AtomicU64, Ordering};

use mop_common::{COUNTER_NAMES, Counter, HoleCause};
use mop_wire::{Ending, Role};

use crate::{
    quality::InspectorCounts,
    record::role_name,
    scope::Withheld,
    vitals::{Family, FlowNumber, Vitals, Worked},
};

pub(super) fn families(vitals: &Vitals) -> Vec<Family> {
    let worked = vitals.worked();
    let mut families = kernel_side(vitals);
    families.extend(flows(&worked));
    families.extend(calls(vitals, &worked));
    families
}

fn kernel_side(vitals: &Vitals) -> Vec<Family> {
    let counters = vitals.capture();
    let load = |of: fn(&crate::capture::CaptureCounters) -> &AtomicU64| {
        counters.map_or(0, |counters| of(counters).load(Ordering::Relaxed))
    };
    let kernel = counters.and_then(crate::capture::CaptureCounters::kernel);
    let ring_full = kernel.map_or(0, |kernel| kernel.value(Counter::RingFullSegments));
    let queue_full = load(|counters| &counters.queue_dropped_segments);
    let events = KERNEL_EVENTS.into_iter().filter_map(|counter| {
        let name = COUNTER_NAMES.get(counter as usize).copied()?;
        Some((name, kernel.map_or(0, |kernel| kernel.value(counter))))
    });
    vec![
        Family::counter("mop_capture_segments", "Segments of traffic read from the kernel")
            .is(load(|counters| &counters.received_segments)),
        Family::counter("mop_capture", "Bytes of traffic read from the kernel")
            .in_bytes()
            .is(load(|counters| &counters.received_bytes)),
        Family::counter("mop_capture_lost_segments", "Segments whose bytes were lost, by cause")
            .by(
                "cause",
                [
                    (HoleCause::RingFull.name(), ring_full),
                    (HoleCause::QueueFull.name(), queue_full),
                ],
            ),
        Family::counter(
            "mop_capture_kernel_events",
            "What the kernel side met that it could not follow, and connections",
        )
        .by("event", events),
        Family::counter(
            "mop_capture_missed_finds",
            "Processes and files not looked into for TLS libraries because there were too many",
        )
        .is(load(|counters| &counters.dropped_finds)),
        Family::gauge("mop_capture_libraries", "TLS libraries that are observed")
            .is(vitals.libraries() as u64),
    ]
}

fn flows(worked: &Worked) -> Vec<Family> {
    let lost = HoleCause::ALL.into_iter().zip(worked.hole_bytes);
    let lost = lost.filter(|(cause, _)| *cause != HoleCause::None);
    vec![
        Family::counter("mop_capture_lost", "Bytes missing in observed streams, by cause")
            .in_bytes()
            .by("cause", lost.map(|(cause, bytes)| (cause.name(), bytes))),
        Family::gauge("mop_flow_connections", "Connections that are followed")
            .is(worked.flows(FlowNumber::Connections)),
        Family::gauge("mop_flow_buffered", "Bytes held of messages that are under way")
            .in_bytes()
            .is(worked.flows(FlowNumber::BufferedBytes)),
        Family::counter("mop_flow_skipped", "Bytes seen that belong to no reported message")
            .in_bytes()
            .is(worked.flows(FlowNumber::SkippedBytes)),
        Family::counter(
            "mop_flow_given_up",
            "Connections that made room (evicted) or whose buffers did (shed)",
        )
        .by(
            "way",
            [
                ("evicted", worked.flows(FlowNumber::Evicted)),
                ("shed", worked.flows(FlowNumber::Shed)),
            ],
        ),
        Family::counter("mop_flow_malformed", "Messages that broke the rules of HTTP")
            .is(worked.flows(FlowNumber::Malformed)),
        Family::counter(
            "mop_flow_resynchronisations",
            "Message boundaries found again after they had been lost",
        )
        .is(worked.flows(FlowNumber::Resynchronisations)),
        Family::counter("mop_http2_connections", "Connections that spoke HTTP/2")
            .is(worked.flows(FlowNumber::Http2Connections)),
    ]
}

fn calls(vitals: &Vitals, worked: &Worked) -> Vec<Family> {
    let mut exchanges =
        Family::counter("mop_exchanges", "Calls seen, by the role of this node and how they ended");
    for (role, of_role) in Role::ALL.into_iter().zip(worked.exchanges) {
        for (ending, count) in Ending::ALL.into_iter().zip(of_role) {
            let labels = vec![("role", role_name(role).into()), ("ending", ending.name().into())];
            exchanges = exchanges.with(labels, count);
        }
    }
    let rules = vitals.rules();
    vec![
        exchanges,
        Family::counter("mop_exchanges_incomplete", "Calls of which bytes are missing")
            .is(worked.incomplete),
        Family::counter("mop_exchanges_reported", "Calls that were selected and reported")
            .is(worked.reported),
        Family::counter(
            "mop_exchanges_withheld",
            "Calls not reported because of the scope or the CPU budget",
        )
        .by("reason", Withheld::ALL.into_iter().map(Withheld::name).zip(worked.withheld)),
        Family::counter("mop_internal_errors", "Connections or calls given up after a panic")
            .is(worked.panics),
        Family::counter("mop_quality_calls", "Calls judged against their contract, by verdict")
            .by("verdict", InspectorCounts::VERDICTS.into_iter().zip(worked.judged.verdicts())),
        Family::counter("mop_quality_sightings", "Sightings of calls that were judged")
            .is(worked.judged.judged),
        Family::counter("mop_quality_hops", "Sightings of these that are further ones of a call")
            .is(worked.judged.hops),
        Family::counter(
            "mop_quality_differing_hops",
            "Further sightings with something wrong that was not wrong at the edge",
        )
        .is(worked.judged.differing_hops),
        Family::counter(
            "mop_quality_lone_hops",
            "Further sightings that could not be told in the report of their call",
        )
        .is(worked.judged.lone_hops),
        Family::counter(
            "mop_quality_hurried_calls",
            "Calls that were reported without waiting for further sightings, for lack of room",
        )
        .is(worked.judged.hurried),
        Family::counter(
            "mop_quality_split_calls",
            "Calls whose sighting further inside had been reported as a call of its own",
        )
        .is(worked.judged.apart),
        Family::counter("mop_quality_lost", "Judged sightings that an internal error cost")
            .is(worked.judged.lost),
        Family::gauge("mop_rules_generation", "Times that contracts and rules were replaced")
            .maybe(rules.map(|rules| rules.generation())),
        Family::gauge("mop_rules_operations", "Operations that have a contract")
            .maybe(rules.map(|rules| rules.current().contract.operations().len() as u64)),
        Family::counter("mop_rules_refused", "Contracts and rules that were refused as bad")
            .maybe(rules.map(|rules| rules.refused())),
    ]
}

/// What the kernel side counts beside bytes.
const KERNEL_EVENTS: [Counter; 8] = [
    Counter::Connections,
    Counter::Ignored,
    Counter::ControlLost,
    Counter::ThreadsFull,
    Counter::ConnectionsFull,
    Counter::UndecodedCalls,
    Counter::AmbiguousSockets,
    Counter::SkippedRuns,
];
