//! Metrics of alarms.

use std::{borrow::Cow, sync::Arc};

use mop_insight::data::alarms::{AlarmCounts, AlarmSignal, BurnGauge};
use mop_wire::Role;

use crate::vitals::Family;

/// Their numbers, as of a moment ago.
#[derive(Clone, Debug)]
pub(in crate::data) struct AlarmVitals {
    pub(super) counts: AlarmCounts,
    pub(super) burn_rates: Arc<[BurnGauge]>,
}

impl AlarmVitals {
    pub(in crate::data) fn families(&self) -> Vec<Family> {
        let AlarmCounts { open, opened, closed, covered, evicted, beyond, late, keys } =
            &self.counts;
        let by_signal = |counts: &std::collections::BTreeMap<AlarmSignal, u64>| {
            let count = |signal| (signal, counts.get(&signal).copied().unwrap_or_default());
            AlarmSignal::ALL.map(count).map(|(signal, count)| (signal.name(), count))
        };
        let burn_rates = self.burn_rates.iter().fold(
            Family::gauge(
                "mop_data_slo_burn_rate",
                "How many times too fast an error budget was spent in the last hour",
            ),
            |family, gauge| {
                let organisation = match &gauge.organisation {
                    Some(organisation) => Cow::Owned(organisation.clone()),
                    None => Cow::Borrowed("unknown"),
                };
                let side = match gauge.role {
                    Role::Client => "client",
                    Role::Server => "server",
                };
                let labels = vec![
                    ("organisation", organisation),
                    ("side", side.into()),
                    ("objective", gauge.objective.into()),
                ];
                family.with(labels, gauge.rate)
            },
        );
        vec![
            Family::gauge("mop_data_alarms_open", "Alarms that are open")
                .by("signal", by_signal(open)),
            Family::counter("mop_data_alarms_opened", "Alarms that opened")
                .by("signal", by_signal(opened)),
            Family::counter("mop_data_alarms_closed", "Alarms that closed")
                .by("signal", by_signal(closed)),
            Family::counter(
                "mop_data_alarms_covered",
                "Alarms of routes that were part of one of their organisation",
            )
            .is(*covered),
            Family::gauge("mop_data_alarm_keys", "Routes and organisations that are watched")
                .is(*keys),
            Family::counter("mop_data_alarm_evicted_keys", "Those that went for lack of room")
                .is(*evicted),
            Family::counter("mop_data_alarm_uncounted_calls", "Calls that no window counts")
                .by("reason", [("late", *late), ("no_room", *beyond)]),
            burn_rates,
        ]
    }
}
