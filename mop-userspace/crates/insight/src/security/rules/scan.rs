//! One pass over the values of a call: which atoms hold.

use std::fmt;

use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use regex::bytes::RegexSet;

use super::{
    atom::{Comparison, is_in_network},
    event::Event,
    field::Field,
    reference::Anchor,
};

/// Number of an atom in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct AtomId(pub(super) usize);

/// All atoms of a set, by how they are found.
pub(super) struct Matcher {
    /// All literals of all rules, in small letters.
    pub(super) literals: Option<AhoCorasick>,
    /// For each literal, what it decides.
    pub(super) uses: Box<[Box<[Use]>]>,
    pub(super) plans: Box<[FieldPlan]>,
    /// For each atom, the place of its field among the plans.
    pub(super) fields: Box<[usize]>,
}

/// A literal that decides an atom.
pub(super) struct Use {
    pub(super) plan: usize,
    pub(super) atom: AtomId,
    pub(super) is_at_start: bool,
    pub(super) is_at_end: bool,
    /// The literal as it is written, where capitals and small letters are told apart.
    pub(super) exact: Option<Box<[u8]>>,
}

/// What is done with the values of a field.
pub(super) struct FieldPlan {
    pub(super) field: Field,
    pub(super) has_literals: bool,
    /// Hold for any value.
    pub(super) exists: Vec<AtomId>,
    /// Hold for an empty value.
    pub(super) empty: Vec<AtomId>,
    pub(super) regexes: Option<(RegexSet, Vec<AtomId>)>,
    pub(super) comparisons: Vec<(Comparison, f64, AtomId)>,
    pub(super) networks: Vec<(IpNet, AtomId)>,
    pub(super) references: Vec<(Field, Anchor, bool, AtomId)>,
}

/// What is written down while a call is looked at; reused from call to call. Holds no value.
#[derive(Default)]
pub struct Scratch {
    /// For each atom, whether it holds.
    hits: Vec<bool>,
    /// Those that hold.
    held: Vec<AtomId>,
    /// For each rule, whether it is to be decided.
    pub(super) is_candidate: Vec<bool>,
    /// Rules that are to be decided.
    pub(super) candidates: Vec<usize>,
    /// Bytes that may still be looked at.
    budget: usize,
    unscanned_bytes: usize,
}

impl Matcher {
    /// Looks at all values of the fields that rules test.
    pub(super) fn scan<E: Event + ?Sized>(&self, event: &E, scratch: &mut Scratch) {
        for (place, plan) in self.plans.iter().enumerate() {
            event.values(&plan.field, &mut |value| {
                if let Some(value) = scratch.within_budget(value) {
                    self.scan_value(place, plan, value, scratch);
                }
            });
            for (to, anchor, is_cased, atom) in &plan.references {
                let mut values = 0;
                event.values(&plan.field, &mut |value| {
                    values += 1;
                    let mut parts = 0;
                    if values > MAX_REFERENCE_VALUES || scratch.has(*atom) {
                        return;
                    }
                    event.values(to, &mut |part| {
                        parts += 1;
                        if parts <= MAX_REFERENCE_VALUES && anchor.holds(value, part, *is_cased) {
                            scratch.hit(*atom);
                        }
                    });
                });
            }
        }
    }

    fn scan_value(
        &self,
        place: usize,
        plan: &FieldPlan,
        value: Scanned<'_>,
        scratch: &mut Scratch,
    ) {
        let Scanned { bytes, is_whole } = value;
        scratch.hit_all(&plan.exists);
        if bytes.is_empty() && is_whole {
            scratch.hit_all(&plan.empty);
        }
        if let Some(literals) = self.literals.as_ref().filter(|_| plan.has_literals)
            && let Ok(found) = literals.try_find_overlapping_iter(bytes)
        {
            for found in found {
                let uses = self.uses.get(found.pattern().as_usize()).map_or(&[][..], |uses| uses);
                for usage in uses.iter().filter(|usage| usage.plan == place) {
                    let holds = (!usage.is_at_start || found.start() == 0)
                        && (!usage.is_at_end || is_whole && found.end() == bytes.len())
                        && usage
                            .exact
                            .as_ref()
                            .is_none_or(|exact| bytes.get(found.range()) == Some(exact));
                    if holds {
                        scratch.hit(usage.atom);
                    }
                }
            }
        }
        // Of a value that is cut, the end is not known, and what looks at the end would be wrong.
        if !is_whole {
            return;
        }
        if let Some((set, atoms)) = &plan.regexes {
            for matching in &set.matches(bytes) {
                if let Some(atom) = atoms.get(matching) {
                    scratch.hit(*atom);
                }
            }
        }
        for (comparison, bound, atom) in &plan.comparisons {
            if comparison.holds(bytes, *bound) {
                scratch.hit(*atom);
            }
        }
        for (network, atom) in &plan.networks {
            if is_in_network(bytes, network) {
                scratch.hit(*atom);
            }
        }
    }
}

/// A value, or as much of it as the budget allows.
#[derive(Clone, Copy)]
struct Scanned<'e> {
    bytes: &'e [u8],
    is_whole: bool,
}

impl Scratch {
    /// Bytes of the last call that were not looked at, since it had more than [`MAX_EVENT_BYTES`].
    #[must_use]
    pub fn unscanned_bytes(&self) -> usize {
        self.unscanned_bytes
    }

    /// Forgets the last call, and takes the size of a set.
    pub(super) fn prepare(&mut self, atoms: usize, rules: usize) {
        if self.hits.len() == atoms && self.is_candidate.len() == rules {
            for atom in self.held.drain(..) {
                if let Some(hit) = self.hits.get_mut(atom.0) {
                    *hit = false;
                }
            }
            for rule in self.candidates.drain(..) {
                if let Some(is_candidate) = self.is_candidate.get_mut(rule) {
                    *is_candidate = false;
                }
            }
        } else {
            *self = Self {
                hits: vec![false; atoms],
                is_candidate: vec![false; rules],
                ..Self::default()
            };
        }
        self.budget = MAX_EVENT_BYTES;
        self.unscanned_bytes = 0;
    }

    /// Whether an atom holds.
    pub(super) fn has(&self, atom: AtomId) -> bool {
        self.hits.get(atom.0).copied().unwrap_or_default()
    }

    /// Atoms that hold.
    pub(super) fn held(&self) -> &[AtomId] {
        &self.held
    }

    fn hit(&mut self, atom: AtomId) {
        if let Some(hit) = self.hits.get_mut(atom.0)
            && !std::mem::replace(hit, true)
        {
            self.held.push(atom);
        }
    }

    fn hit_all(&mut self, atoms: &[AtomId]) {
        for atom in atoms {
            self.hit(*atom);
        }
    }

    fn within_budget<'e>(&mut self, value: &'e [u8]) -> Option<Scanned<'e>> {
        let left = self.budget.checked_sub(VALUE_COST);
        let Some(left) = left else {
            self.unscanned_bytes = self.unscanned_bytes.saturating_add(value.len());
            return None;
        };
        let taken = value.len().min(left);
        self.budget = left - taken;
        let unscanned = value.len() - taken;
        self.unscanned_bytes = self.unscanned_bytes.saturating_add(unscanned);
        Some(Scanned { bytes: value.get(..taken)?, is_whole: unscanned == 0 })
    }
}

/// Sizes only.
impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (atoms, rules) = (self.hits.len(), self.is_candidate.len());
        formatter.debug_struct("Scratch").field("atoms", &atoms).field("rules", &rules).finish()
    }
}

/// Bytes of all values of a call together, each form and field of a value counted: a body of 256 KiB in
/// four forms. At the measured speed of automata this is a few milliseconds.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// What a value costs beside its bytes, so that many empty ones are bounded as well.
const VALUE_COST: usize = 16;

/// Values of each of two fields that are compared with each other.
const MAX_REFERENCE_VALUES: usize = 32;
