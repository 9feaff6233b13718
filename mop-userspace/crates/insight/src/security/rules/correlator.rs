//! The memory of correlations: a bounded state for each group of calls.
//!
//! Two halves take turns, so that to forget costs no search. A key that is met stays in the young
//! half, or comes back to it; when that is full, the old half is forgotten and the young one becomes
//! the old one. Whoever changes keys all the time makes others be forgotten, which is counted, and
//! never makes the memory grow:
//!
//! - `keys <= limit`;
//! - a key has at most 128 bytes of counts, 16 times, or [`super::EXACT_VALUES`] values.

use std::collections::HashMap;

use super::{
    correlation::{Correlation, CorrelationKind, MAX_CORRELATED_RULES},
    distinct::Distinct,
    window::Window,
};
use crate::data::digest::Digest;

/// States of all correlations of a set.
#[derive(Debug)]
pub struct Correlator {
    young: HashMap<Key, State>,
    old: HashMap<Key, State>,
    /// Keys of one half.
    half: usize,
    counts: CorrelatorCounts,
}

/// What happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrelatorCounts {
    /// Occurrences that were taken in.
    pub occurrences: u64,
    /// Correlations that were reached.
    pub reached: u64,
    /// Keys that were forgotten before their time was over, since there was no room.
    pub evicted: u64,
}

/// A match that counts for a correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Number of the correlation in its set.
    pub correlation: usize,
    /// Place of the rule among those of the correlation.
    pub rule: usize,
    /// What the calls of a group have in common.
    pub group: Digest,
    /// The value that is counted, where values are.
    pub value: Option<Digest>,
    /// How much it counts: one, or the value that is summed.
    pub amount: u64,
    /// When it happened.
    pub at_ns: u64,
}

/// A correlation that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correlated {
    /// Number of the correlation in its set.
    pub correlation: usize,
    /// The group.
    pub group: Digest,
    /// What was counted: calls, values or rules; or the sum.
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    correlation: usize,
    group: Digest,
}

#[derive(Debug)]
struct State {
    counted: Counted,
    /// When nothing of it counts any longer.
    over_ns: u64,
    /// Until when it is not told again.
    quiet_until_ns: u64,
}

#[derive(Debug)]
enum Counted {
    Events(Window),
    Rules(Box<Times>),
    Sequence(Box<Times>),
    Values(Distinct),
}

/// A time for each rule.
#[derive(Debug, Default)]
struct Times([Option<u64>; MAX_CORRELATED_RULES]);

impl Correlator {
    /// For at most this many keys; two at least.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (limit / 2).max(1),
            counts: CorrelatorCounts::default(),
        }
    }

    /// Takes a match in, of the correlation that it names. Gives the correlation when it is reached,
    /// and then not again for its timespan.
    pub fn observe(
        &mut self,
        correlation: &Correlation,
        occurrence: &Occurrence,
    ) -> Option<Correlated> {
        let Occurrence { correlation: number, rule, group, value, amount, at_ns } = *occurrence;
        self.counts.occurrences += 1;
        let timespan_ns = correlation.timespan_ns;
        let state = self.state(Key { correlation: number, group }, &correlation.kind, at_ns);
        state.over_ns = state.over_ns.max(at_ns.saturating_add(timespan_ns));
        let last = correlation.rules.len().saturating_sub(1);
        let count = match &mut state.counted {
            Counted::Events(window) => window.add(amount, at_ns, timespan_ns),
            Counted::Rules(times) => times.met(rule, at_ns, timespan_ns),
            Counted::Sequence(times) => times.followed(rule, last, at_ns, timespan_ns),
            Counted::Values(distinct) => {
                let [a, b, c, d, e, f, g, h, ..] = value?.bytes();
                distinct.add(u64::from_le_bytes([a, b, c, d, e, f, g, h]), at_ns, timespan_ns)
            }
        };
        if !correlation.threshold.is_reached(count) || at_ns < state.quiet_until_ns {
            return None;
        }
        state.quiet_until_ns = at_ns.saturating_add(timespan_ns);
        self.counts.reached += 1;
        Some(Correlated { correlation: number, group, count })
    }

    /// What happened.
    #[must_use]
    pub fn counts(&self) -> CorrelatorCounts {
        self.counts
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }

    fn state(&mut self, key: Key, kind: &CorrelationKind, at_ns: u64) -> &mut State {
        let kept = self.old.remove(&key);
        if !self.young.contains_key(&key) && self.young.len() >= self.half {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let alive = forgotten.values().filter(|state| at_ns < state.over_ns).count();
            self.counts.evicted += u64::try_from(alive).unwrap_or(u64::MAX);
        }
        self.young.entry(key).or_insert_with(|| kept.unwrap_or_else(|| State::new(kind)))
    }
}

impl State {
    fn new(kind: &CorrelationKind) -> Self {
        let counted = match kind {
            CorrelationKind::EventCount | CorrelationKind::ValueSum(_) => {
                Counted::Events(Window::default())
            }
            CorrelationKind::Temporal => Counted::Rules(Box::default()),
            CorrelationKind::TemporalOrdered => Counted::Sequence(Box::default()),
            CorrelationKind::ValueCount(_) => Counted::Values(Distinct::new()),
        };
        Self { counted, over_ns: 0, quiet_until_ns: 0 }
    }
}

impl Times {
    /// Notes that a rule matched; gives how many rules did within the time.
    fn met(&mut self, rule: usize, at_ns: u64, timespan_ns: u64) -> u64 {
        if let Some(time) = self.0.get_mut(rule) {
            *time = (*time).max(Some(at_ns));
        }
        let met = self.0.iter().flatten();
        met.filter(|time| at_ns < time.saturating_add(timespan_ns)).map(|_| 1).sum()
    }

    /// The time of a rule is when the latest chain began that reached it. Gives the number of rules
    /// of a chain that is whole, or else zero.
    fn followed(&mut self, rule: usize, last: usize, at_ns: u64, timespan_ns: u64) -> u64 {
        let began = match rule.checked_sub(1) {
            None => Some(at_ns),
            Some(before) => self.0.get(before).copied().flatten(),
        };
        let began =
            began.filter(|began| *began <= at_ns && at_ns < began.saturating_add(timespan_ns));
        if let (Some(began), Some(time)) = (began, self.0.get_mut(rule)) {
            *time = (*time).max(Some(began));
        }
        match began {
            Some(_) if rule == last => u64::try_from(last + 1).unwrap_or(u64::MAX),
            _ => 0,
        }
    }
}
