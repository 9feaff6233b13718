//! One pass over the values of a call: which atoms hold.
//!
//! Literals of all rules are found by one automaton in one run over the values of fields that have
//! some; what is cheap is tested with each value. Regular expressions and references are tested only
//! once a rule needs them, which few do: see [`Matcher::test`].

use std::{collections::HashMap, fmt};

use aho_corasick::{AhoCorasick, Match as Found};
use ipnet::IpNet;
use regex::bytes::Regex;

use super::{
    atom::{Comparison, is_in_network},
    event::{Event, Value},
    field::{Field, Side},
    field_set::{FIELDS, FieldSet},
    numbers::Numbers,
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
    /// The plan of each field by its number.
    pub(super) plan_of_field: [Option<usize>; FIELDS],
    /// Those of header fields by their names.
    pub(super) plans_of_headers: [HashMap<Box<[u8]>, usize>; 2],
    /// By side and length, whether a name of that length is among those; most lengths are not.
    pub(super) lengths_of_headers: [u64; 2],
    /// Fields that have a plan with cheap tests.
    pub(super) tested: FieldSet,
    /// Fields that have literals.
    pub(super) read: FieldSet,
    /// For each atom, the place of its field among the plans, and what is put off.
    pub(super) atoms: Box<[AtomPlan]>,
}

/// An atom.
pub(super) struct AtomPlan {
    pub(super) plan: usize,
    pub(super) late: Option<Late>,
}

/// A test that is put off until a rule needs it.
pub(super) enum Late {
    Matches(Regex),
    Refers { to: Field, anchor: Anchor, is_cased: bool },
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
    /// Hold for any value.
    pub(super) exists: Vec<AtomId>,
    /// Hold for an empty value.
    pub(super) empty: Vec<AtomId>,
    pub(super) comparisons: Vec<(Comparison, f64, AtomId)>,
    pub(super) networks: Vec<(IpNet, AtomId)>,
    /// Literals are looked for in them.
    pub(super) has_literals: bool,
}

/// What is written down while a call is looked at; reused from call to call. Holds no value.
#[derive(Default)]
pub struct Scratch {
    /// For each atom, what is known of it.
    states: Vec<State>,
    /// Those of which something is known.
    touched: Vec<AtomId>,
    /// Those that hold, with the number of the first value that made them.
    held: Vec<(AtomId, u32)>,
    /// Rules that are to be decided.
    pub(super) candidates: Numbers,
    pub(super) detections: super::builtin::Detections,
}

/// What is known of an atom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It does not hold; or, when it is put off, nothing is known.
    #[default]
    Unknown,
    Held,
    /// It was put off, tested, and does not hold.
    Failed,
}

impl Matcher {
    /// Looks at all values.
    pub(super) fn scan(&self, event: &Event, scratch: &mut Scratch) {
        for (number, value) in event.values().enumerate() {
            let header_plan = value.header.and_then(|side| self.header_plan(side, value.name));
            let of_fields = value.fields.and(self.tested).numbers();
            let plans = of_fields
                .filter_map(|field| self.plan_of_field.get(field).copied().flatten())
                .chain(header_plan)
                .filter_map(|plan| self.plans.get(plan));
            for plan in plans {
                test_value(plan, value.bytes, number, scratch);
            }
            if self.is_read(&value, header_plan)
                && let Some(literals) = &self.literals
                && let Ok(found) = literals.try_find_overlapping_iter(value.bytes)
            {
                self.note_literals(found, (number, &value), header_plan, scratch);
            }
        }
    }

    /// Whether an atom holds; one that was put off is tested now.
    pub(super) fn test(&self, atom: AtomId, event: &Event, scratch: &mut Scratch) -> bool {
        match scratch.states.get(atom.0).copied().unwrap_or_default() {
            State::Held => return true,
            State::Failed => return false,
            State::Unknown => {}
        }
        let Some(AtomPlan { plan, late: Some(late) }) = self.atoms.get(atom.0) else {
            return false;
        };
        let Some(FieldPlan { field, .. }) = self.plans.get(*plan) else { return false };
        let mut of_field = event.values().enumerate().filter(|(_, value)| value.is_of(field));
        let found = match late {
            // Of a value that is cut, the end is not known, and what looks at it would be wrong.
            Late::Matches(regex) => {
                of_field.find(|(_, value)| value.is_whole && regex.is_match(value.bytes))
            }
            Late::Refers { to, anchor, is_cased } => {
                of_field.take(MAX_REFERENCE_VALUES).find(|(_, value)| {
                    let mut parts = event.values_of(to).take(MAX_REFERENCE_VALUES);
                    parts.any(|part| anchor.holds(value.bytes, part, *is_cased))
                })
            }
        };
        match found {
            Some((number, _)) => scratch.hit(atom, number),
            None => scratch.note(atom, State::Failed),
        }
        found.is_some()
    }

    /// Whether nothing is known of an atom before it is tested.
    pub(super) fn is_late(&self, atom: AtomId) -> bool {
        self.atoms.get(atom.0).is_some_and(|plan| plan.late.is_some())
    }

    fn header_plan(&self, side: Side, name: &[u8]) -> Option<usize> {
        let ([request, response], [of_request, of_response]) =
            (&self.plans_of_headers, self.lengths_of_headers);
        let (plans, lengths) = match side {
            Side::Request => (request, of_request),
            Side::Response => (response, of_response),
        };
        if lengths & bit_of_length(name) == 0 { None } else { plans.get(name).copied() }
    }

    /// Whether literals are looked for in a value.
    fn is_read(&self, value: &Value<'_>, header_plan: Option<usize>) -> bool {
        !value.fields.and(self.read).is_empty()
            || header_plan
                .and_then(|plan| self.plans.get(plan))
                .is_some_and(|plan| plan.has_literals)
    }

    /// Notes what literals that were found in a value decide.
    fn note_literals(
        &self,
        found: impl Iterator<Item = Found>,
        (number, value): (usize, &Value<'_>),
        header_plan: Option<usize>,
        scratch: &mut Scratch,
    ) {
        for found in found {
            let uses = self.uses.get(found.pattern().as_usize()).map_or(&[][..], |uses| uses);
            for usage in uses {
                let Some(plan) = self.plans.get(usage.plan) else { continue };
                let is_of_plan = value.fields.has(&plan.field) || header_plan == Some(usage.plan);
                let is_at_end = value.is_whole && found.end() == value.bytes.len();
                let holds = is_of_plan
                    && (!usage.is_at_start || found.start() == 0)
                    && (!usage.is_at_end || is_at_end)
                    && usage.exact.as_ref().is_none_or(|exact| {
                        value.bytes.get(found.start()..found.end()) == Some(exact)
                    });
                if holds {
                    scratch.hit(usage.atom, number);
                }
            }
        }
    }
}

/// The bit that stands for the length of a name.
pub(super) fn bit_of_length(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

fn test_value(plan: &FieldPlan, bytes: &[u8], number: usize, scratch: &mut Scratch) {
    for atom in &plan.exists {
        scratch.hit(*atom, number);
    }
    if bytes.is_empty() {
        for atom in &plan.empty {
            scratch.hit(*atom, number);
        }
    }
    for (comparison, bound, atom) in &plan.comparisons {
        if comparison.holds(bytes, *bound) {
            scratch.hit(*atom, number);
        }
    }
    for (network, atom) in &plan.networks {
        if is_in_network(bytes, network) {
            scratch.hit(*atom, number);
        }
    }
}

impl Scratch {
    /// By the numbers of values, whether a contract accounts for each: attacks are not looked for in
    /// those. Holds until it is said anew.
    pub fn trust(&mut self, is_trusted: impl Iterator<Item = bool>) {
        self.detections.trust(is_trusted);
    }

    /// Bytes of the last call that detectors did not read, since it had too many.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        self.detections.unread_bytes()
    }

    /// Forgets the last call, and takes the size of a set.
    pub(super) fn prepare(&mut self, atoms: usize, rules: usize) {
        if self.states.len() == atoms && self.candidates.holds(rules) {
            for atom in self.touched.drain(..) {
                if let Some(state) = self.states.get_mut(atom.0) {
                    *state = State::Unknown;
                }
            }
            self.held.clear();
            self.candidates.clear();
            self.detections.forget();
        } else {
            *self = Self {
                states: vec![State::Unknown; atoms],
                candidates: Numbers::below(rules),
                ..Self::default()
            };
        }
    }

    /// Whether an atom holds, as far as it was tested.
    pub(super) fn has(&self, atom: AtomId) -> bool {
        self.states.get(atom.0) == Some(&State::Held)
    }

    /// Atoms that hold, and the number of the first value that made each.
    pub(super) fn held(&self) -> &[(AtomId, u32)] {
        &self.held
    }

    /// The first value that made an atom hold.
    pub(super) fn value_of(&self, atom: AtomId) -> Option<usize> {
        let found = self.held.iter().find(|(held, _)| *held == atom);
        found.and_then(|(_, number)| usize::try_from(*number).ok())
    }

    fn hit(&mut self, atom: AtomId, number: usize) {
        if !self.has(atom) {
            self.note(atom, State::Held);
            self.held.push((atom, u32::try_from(number).unwrap_or(u32::MAX)));
        }
    }

    fn note(&mut self, atom: AtomId, known: State) {
        if let Some(state) = self.states.get_mut(atom.0) {
            *state = known;
            self.touched.push(atom);
        }
    }
}

/// Sizes only.
impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scratch").field("atoms", &self.states.len()).finish_non_exhaustive()
    }
}

/// Values of each of two fields that are compared with each other.
const MAX_REFERENCE_VALUES: usize = 32;
