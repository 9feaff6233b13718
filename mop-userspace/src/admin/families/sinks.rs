//! Metrics of the sinks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::vitals::{Family, OutboxVitals, SinkVitals};

pub(super) fn families(sinks: &[Arc<SinkVitals>], outbox: Option<&OutboxVitals>) -> Vec<Family> {
    let each = |of: fn(&SinkVitals) -> &AtomicU64| {
        sinks.iter().map(move |sink| (sink.name, of(sink).load(Ordering::Relaxed)))
    };
    let in_outbox = |numbers: fn(&OutboxVitals) -> &Vec<u64>| {
        let counts = outbox.map(numbers).into_iter().flatten().copied();
        sinks.iter().map(|sink| sink.name).zip(counts).collect::<Vec<_>>()
    };
    let mut troubles = Family::counter("mop_sink_troubles", "Times that a sink could not send");
    for sink in sinks {
        for (reason, count) in sink.reasons.all() {
            let labels = vec![("sink", sink.name.into()), ("reason", String::from(reason).into())];
            troubles = troubles.with(labels, count);
        }
    }
    let connected = sinks.iter().map(|sink| (sink.name, sink.is_connected.load(Ordering::Relaxed)));
    vec![
        Family::counter("mop_sink_delivered_records", "Records that the other side has confirmed")
            .by("sink", each(|sink| &sink.delivered)),
        Family::counter("mop_sink_parked_records", "Records set aside as refused for good")
            .by("sink", each(|sink| &sink.parked)),
        Family::counter(
            "mop_sink_unparked_records",
            "Records set aside that the other side took after all",
        )
        .by("sink", each(|sink| &sink.unparked)),
        Family::counter("mop_sink_passed_records", "Records that the sink does not take")
            .by("sink", each(|sink| &sink.passed)),
        Family::counter("mop_sink_resent_records", "Records sent again after a trouble")
            .by("sink", each(|sink| &sink.resent)),
        Family::counter(
            "mop_sink_dropped_records",
            "Records shed or expired before they were sent",
        )
        .by("sink", in_outbox(|outbox| &outbox.stats.undelivered_drops)),
        troubles,
        Family::gauge("mop_sink_connected", "1 while the sink can send").by("sink", connected),
        Family::gauge("mop_sink_in_flight_records", "Records sent and not confirmed yet")
            .by("sink", each(|sink| &sink.in_flight)),
        Family::gauge("mop_sink_spooled_records", "Records that wait in the outbox for the sink")
            .by("sink", in_outbox(|outbox| &outbox.stats.spooled)),
    ]
}
