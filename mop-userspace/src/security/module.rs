//! The engines of the module, joined: inspected calls in, findings out.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use mop_insight::{
    data::{analyst::Addresses, digest::Key},
    security::{
        finding::{Finding, Severity},
        watch::{Seen, Watch, WatchCounts},
    },
};

use super::SecurityConfiguration;
use crate::output::Outlet;

/// Makes findings of inspected calls.
pub(crate) struct Module {
    watch: Watch,
    key: Key,
    addresses: Arc<Addresses>,
    findings: Vec<Finding>,
    told: Told,
}

/// What was told since the start.
#[derive(Clone, Debug, Default)]
struct Told {
    by_rule: BTreeMap<String, u64>,
    by_severity: BTreeMap<Severity, u64>,
}

/// What happened since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct ModuleCounts {
    pub(super) watch: WatchCounts,
    pub(super) by_rule: BTreeMap<String, u64>,
    pub(super) by_severity: BTreeMap<Severity, u64>,
}

impl Module {
    /// One that knows nothing yet. `addresses` says who is who.
    pub(crate) fn new(
        configuration: &SecurityConfiguration,
        key: Key,
        addresses: Arc<Addresses>,
    ) -> Self {
        Self {
            watch: Watch::new(configuration.watch(key.clone())),
            key,
            addresses,
            findings: Vec::new(),
            told: Told::default(),
        }
    }

    /// One that tells every finding by itself, as whoever looks at a file wants it.
    pub(crate) fn of_file(
        configuration: &SecurityConfiguration,
        key: Key,
        addresses: Arc<Addresses>,
    ) -> Self {
        let configuration =
            SecurityConfiguration { told_singly: u64::MAX, ..configuration.clone() };
        Self::new(&configuration, key, addresses)
    }

    pub(super) fn key(&self) -> Key {
        self.key.clone()
    }

    pub(super) fn addresses(&self) -> Arc<Addresses> {
        Arc::clone(&self.addresses)
    }

    /// Takes a call in.
    pub(super) fn observe(&mut self, seen: Seen, outlet: Option<&mut Outlet>) {
        self.watch.observe(seen, &mut self.findings);
        self.give(outlet);
    }

    /// The time has come this far.
    pub(super) fn advance(&mut self, now: Timestamp, outlet: Option<&mut Outlet>) {
        self.watch.advance(now, &mut self.findings);
        self.give(outlet);
    }

    /// Nothing comes any more.
    pub(super) fn finish(&mut self, outlet: Option<&mut Outlet>) {
        self.watch.finish(&mut self.findings);
        self.give(outlet);
    }

    pub(super) fn counts(&self) -> ModuleCounts {
        let Told { by_rule, by_severity } = self.told.clone();
        ModuleCounts { watch: self.watch.counts(), by_rule, by_severity }
    }

    fn give(&mut self, mut outlet: Option<&mut Outlet>) {
        for finding in self.findings.drain(..) {
            let facts = &finding.facts;
            *self.told.by_rule.entry(facts.rule.clone()).or_default() += 1;
            *self.told.by_severity.entry(facts.severity).or_default() += 1;
            if let Some(outlet) = outlet.as_deref_mut() {
                outlet.push(&finding);
            }
        }
    }
}
