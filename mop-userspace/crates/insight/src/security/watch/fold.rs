//! Findings that are told together: whoever tries ten thousand times is told of twenty times, and
//! then once a window with a number.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{Noticed, SeenCall};
use crate::{
    data::digest::Digest,
    security::finding::{Finding, FindingFacts},
};

/// Findings of the windows that are open.
#[derive(Debug)]
pub(super) struct Folds {
    open: HashMap<FoldKey, Fold>,
    singly: u64,
    window: SignedDuration,
    /// When the first window is over, as far as is known.
    next: Timestamp,
    counts: FoldCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldCounts {
    /// Findings that were told.
    pub told: u64,
    /// Findings that were told in the number of another one.
    pub folded: u64,
    /// Windows that were closed before their time, since there was no room.
    pub evicted: u64,
}

/// What findings have in common that are told together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FoldKey {
    rule: String,
    client: Option<Digest>,
    endpoint: Option<String>,
    method: Option<String>,
    is_client_side: bool,
}

#[derive(Debug)]
struct Fold {
    until: Timestamp,
    told: u64,
    /// What was not told one by one.
    rest: Option<Box<Noticed>>,
}

impl Folds {
    pub(super) fn new(singly: u64, window: SignedDuration) -> Self {
        let counts = FoldCounts::default();
        Self { open: HashMap::new(), singly, window, next: Timestamp::MAX, counts }
    }

    /// Takes a finding, and gives it out unless it is one of many.
    pub(super) fn take(
        &mut self,
        noticed: Noticed,
        call: &SeenCall,
        now: Timestamp,
        findings: &mut Vec<Noticed>,
    ) {
        if self.singly == u64::MAX {
            self.counts.told += 1;
            findings.push(noticed);
            return;
        }
        let finding = &noticed.finding;
        let key = FoldKey {
            rule: finding.facts.rule.clone(),
            client: call.client,
            endpoint: finding.facts.endpoint.clone(),
            method: finding.facts.method.clone(),
            is_client_side: call.role == mop_wire::Role::Client,
        };
        if self.open.len() >= MAX_FOLDS && !self.open.contains_key(&key) {
            self.counts.evicted += self.open.len() as u64;
            self.finish(findings);
        }
        let until = now.checked_add(self.window).unwrap_or(Timestamp::MAX);
        let fold = self.open.entry(key).or_insert(Fold { until, told: 0, rest: None });
        self.next = self.next.min(fold.until);
        if fold.told < self.singly {
            fold.told += 1;
            self.counts.told += 1;
            findings.push(noticed);
            return;
        }
        self.counts.folded += 1;
        match &mut fold.rest {
            Some(rest) => {
                rest.about = rest.about.common(noticed.about);
                let rest = &mut rest.finding.facts;
                rest.count = rest.count.saturating_add(finding.facts.count);
                rest.first_seen = rest.first_seen.min(finding.facts.first_seen);
                rest.last_seen = rest.last_seen.max(finding.facts.last_seen);
            }
            None => fold.rest = Some(Box::new(noticed)),
        }
    }

    /// Closes windows that are over.
    pub(super) fn advance(&mut self, now: Timestamp, findings: &mut Vec<Noticed>) {
        if now < self.next {
            return;
        }
        let mut next = Timestamp::MAX;
        let mut over = Vec::new();
        self.open.retain(|_, fold| {
            let is_open = now < fold.until;
            if is_open {
                next = next.min(fold.until);
            } else {
                over.extend(fold.rest.take().map(|rest| *rest));
            }
            is_open
        });
        self.next = next;
        self.tell(over, findings);
    }

    /// Closes all.
    pub(super) fn finish(&mut self, findings: &mut Vec<Noticed>) {
        let over = self.open.drain().filter_map(|(_, fold)| fold.rest.map(|rest| *rest)).collect();
        self.next = Timestamp::MAX;
        self.tell(over, findings);
    }

    pub(super) fn counts(&self) -> FoldCounts {
        self.counts
    }

    fn tell(&mut self, mut over: Vec<Noticed>, findings: &mut Vec<Noticed>) {
        over.sort_by(|one, other| order_of(one).cmp(&order_of(other)));
        for noticed in over {
            let Noticed { finding, marking, caller, about } = noticed;
            // It was a finding before its number grew, and the number alone makes none of it worse.
            let facts = FindingFacts { exchange: None, ..finding.facts };
            if let Ok(finding) = Finding::new(facts) {
                self.counts.told += 1;
                findings.push(Noticed { finding, marking, caller, about });
            }
        }
    }
}

fn order_of(noticed: &Noticed) -> (Timestamp, &str) {
    (noticed.finding.facts.first_seen, &noticed.finding.facts.rule)
}

/// Rules times clients times endpoints at work in a minute; each has a kilobyte.
const MAX_FOLDS: usize = 1 << 14;
