//! Metrics of records and the outbox.

use std::time::{SystemTime, UNIX_EPOCH};

use mop_outbox::Lane;

use crate::vitals::{Family, OutboxVitals};

pub(super) fn families(outbox: Option<&OutboxVitals>) -> Vec<Family> {
    let numbers = outbox.cloned().unwrap_or_default();
    let OutboxVitals { stats, refused, dropped_records, dropped_bytes } = &numbers;
    let by_lane = |counts: [u64; Lane::ALL.len()]| {
        Lane::ALL.into_iter().map(Lane::name).zip(counts).collect::<Vec<_>>()
    };
    vec![
        Family::counter("mop_records", "Records put into the outbox, by lane")
            .by("lane", by_lane(stats.appended)),
        Family::counter(
            "mop_output_dropped_records",
            "Records that never reached the outbox because the writer was behind, by lane",
        )
        .by("lane", by_lane(*dropped_records)),
        Family::counter(
            "mop_output_dropped",
            "Bytes of records, printed or for the outbox, dropped because the writer was behind",
        )
        .in_bytes()
        .is(*dropped_bytes),
        Family::gauge("mop_outbox_records", "Records that lie in the outbox, by lane")
            .by("lane", by_lane(stats.held)),
        Family::gauge("mop_outbox", "Bytes of the outbox on disk").in_bytes().is(stats.disk_bytes),
        Family::gauge("mop_outbox_memory", "Bytes of records held while the disk refuses them")
            .in_bytes()
            .is(stats.memory_bytes),
        Family::gauge(
            "mop_outbox_oldest_age",
            "Age of the oldest record that a sink still waits for",
        )
        .in_seconds()
        .is(age_seconds(stats.oldest_ms)),
        Family::counter("mop_outbox_shed_records", "Records dropped to make room, by lane")
            .by("lane", by_lane(stats.shed)),
        Family::counter("mop_outbox_expired_records", "Records dropped as too old, by lane")
            .by("lane", by_lane(stats.expired)),
        Family::counter("mop_outbox_refused_records", "Records that the outbox had no room for")
            .is(*refused),
        Family::counter("mop_outbox_damaged_records", "Records lost with damaged bytes")
            .is(stats.damaged),
        Family::gauge("mop_outbox_degraded", "1 while the disk of the outbox cannot be written")
            .is(stats.degraded.is_some()),
    ]
}

fn age_seconds(oldest_ms: Option<u64>) -> f64 {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let age_ms = oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(u128::from(oldest)));
    // A clock that was set may make it anything; to the millisecond is more than enough.
    u32::try_from(age_ms / 1000).map_or(f64::from(u32::MAX), f64::from)
}
