//! Metrics of the process itself.

use std::time::UNIX_EPOCH;

use crate::vitals::{Family, Vitals};

pub(super) fn families(vitals: &Vitals) -> Vec<Family> {
    let started = vitals.started.duration_since(UNIX_EPOCH).ok();
    let is_ready = vitals.readiness().iter().all(|check| check.trouble.is_none());
    let is_alive = vitals.health().iter().all(|check| check.trouble.is_none());
    let sinks = vitals.sinks();
    vec![
        Family::info("mop_build", "Version of the program").with(
            vec![
                ("version", env!("CARGO_PKG_VERSION").into()),
                ("architecture", std::env::consts::ARCH.into()),
            ],
            1,
        ),
        Family::gauge("mop_ready", "1 when probes are attached and the outbox can be written")
            .is(is_ready),
        Family::gauge("mop_alive", "1 when every thread goes about its work").is(is_alive),
        Family::gauge("mop_self_start_time", "When the process began, since 1970")
            .in_seconds()
            .maybe(started.map(|since| since.as_secs_f64())),
        Family::counter("mop_self_cpu", "CPU time used by the process, in user and kernel mode")
            .in_seconds()
            .maybe(vitals.process.cpu_seconds()),
        Family::gauge("mop_self_resident_memory", "Memory held by the process")
            .in_bytes()
            .maybe(vitals.process.resident_bytes()),
        Family::gauge("mop_self_open_files", "File descriptors that the process has open")
            .maybe(vitals.process.open_files()),
        Family::counter(
            "mop_series_dropped",
            "Counts that went to the label value other because there were too many values",
        )
        .is(sinks.iter().map(|sink| sink.reasons.dropped()).sum::<u64>()),
    ]
}
