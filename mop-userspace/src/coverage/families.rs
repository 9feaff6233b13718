//! Coverage as metrics.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::account::{Reason, Window};
use crate::vitals::{Family, Vitals};

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct CoverageVitals {
    numbers: Mutex<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    decoded_bytes: u64,
    undecoded_bytes: BTreeMap<Reason, u64>,
    /// In the last window; `None` when it is not known what moved in it.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    processes: BTreeMap<Reason, u64>,
    unseen: [(&'static str, u64); 6],
}

impl CoverageVitals {
    /// Numbers that are told among those of the process.
    pub(crate) fn told_by(vitals: &Vitals) -> Arc<Self> {
        let own = Arc::<Self>::default();
        let told = Arc::clone(&own);
        vitals.add_families(move || told.families());
        own
    }

    /// Takes in a window; `None`: nothing is known of it.
    pub(super) fn store(&self, window: Option<&Window>) {
        let mut numbers = self.lock();
        let Some(window) = window else {
            numbers.last = None;
            return;
        };
        numbers.decoded_bytes = numbers.decoded_bytes.saturating_add(window.decoded_bytes);
        let by_reason = window.by_reason();
        for (reason, (_, bytes)) in &by_reason {
            let sum = numbers.undecoded_bytes.entry(*reason).or_default();
            *sum = sum.saturating_add(*bytes);
        }
        let processes =
            by_reason.into_iter().map(|(reason, (processes, _))| (reason, processes)).collect();
        let unseen = window.unseen;
        numbers.last = Some(Last {
            processes,
            unseen: [
                ("namespaces", unseen.namespaces.into()),
                ("processes", unseen.processes.into()),
                ("sockets", unseen.sockets.into()),
                ("overruns", unseen.overruns.into()),
                ("deaf_namespaces", unseen.deaf_namespaces.into()),
                ("connections", window.beyond_connections),
            ],
        });
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let numbers = self.lock();
        let label = |reason: &'static str, state: &'static str| {
            vec![("state", state.into()), ("reason", reason.into())]
        };
        let mut bytes = Family::counter(
            "mop_coverage",
            "Bytes that the node's sockets moved, by whether they are decoded and why not",
        )
        .in_bytes();
        let mut processes = Family::gauge(
            "mop_coverage_processes",
            "Processes with bytes that are not decoded, in the last window",
        );
        let mut unseen =
            Family::gauge("mop_coverage_unseen", "What could not be looked at in the last window");
        // While nothing is known there is no number: zero would say that all is well.
        let Numbers { decoded_bytes, undecoded_bytes, last } = &*numbers;
        let has_known = last.is_some() || *decoded_bytes > 0 || !undecoded_bytes.is_empty();
        if has_known {
            bytes = bytes.with(label("none", "decoded"), *decoded_bytes);
            for reason in Reason::ALL {
                let sum = undecoded_bytes.get(&reason).copied().unwrap_or_default();
                bytes = bytes.with(label(reason.name(), "undecoded"), sum);
            }
        }
        if let Some(Last { processes: counts, unseen: numbers }) = last {
            let count = |reason| counts.get(&reason).copied().unwrap_or_default();
            let counts = Reason::ALL.map(|reason| (reason.name(), count(reason)));
            processes = processes.by("reason", counts);
            unseen = unseen.by("what", *numbers);
        }
        let known =
            Family::gauge("mop_coverage_known", "1 when it is known what moved in the last window")
                .is(last.is_some());
        vec![bytes, processes, unseen, known]
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        // Numbers are whole after every statement that others may see.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_nothing_is_known_there_is_no_zero() {
        let vitals = CoverageVitals::default();
        let samples = |name: &str| {
            let families = vitals.families();
            let family = families.into_iter().find(|family| family.name == name);
            family.expect("a family").samples.len()
        };
        for name in ["mop_coverage", "mop_coverage_processes", "mop_coverage_unseen"] {
            assert_eq!(samples(name), 0, "{name}");
        }
        vitals.store(Some(&Window { decoded_bytes: 5, ..Window::default() }));
        assert_eq!(samples("mop_coverage"), 1 + Reason::ALL.len());
        assert_eq!(samples("mop_coverage_processes"), Reason::ALL.len());
        vitals.store(None);
        assert_eq!(samples("mop_coverage_processes"), 0);
        assert_eq!(samples("mop_coverage"), 1 + Reason::ALL.len(), "a counter stays");
    }
}
