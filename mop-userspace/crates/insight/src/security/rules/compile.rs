//! From documents to a set: every different atom once, by field and by how it is found.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

use super::{
    atom::{Atom, Expression, Predicate},
    field::{Field, FieldName, Side},
    field_set::{self, FIELDS, FieldSet},
    pattern::Simple,
    scan::{AtomId, AtomPlan, FieldPlan, Late, Matcher, Use, bit_of_length},
};

/// Why documents come to no set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CompileError {
    /// The literals cannot be compiled.
    #[error("the literals of all rules cannot be compiled: {0}")]
    Literals(String),
    /// A regular expression cannot be compiled.
    #[error("a regular expression of {field} cannot be compiled: {reason}")]
    Regex {
        /// The field.
        field: String,
        /// Why.
        reason: String,
    },
    /// More literals than [`MAX_LITERAL_BYTES`].
    #[error("all rules together have more than {MAX_LITERAL_BYTES} bytes of literals")]
    TooManyLiterals,
    /// More rules than [`MAX_RULES`].
    #[error("there are more than {MAX_RULES} rules")]
    TooManyRules,
}

/// Collects atoms.
#[derive(Default)]
pub(super) struct Compiler {
    /// Atoms that are known, by field and by what they test.
    known: HashMap<(Field, String), AtomId>,
    atoms: Vec<AtomPlan>,
    /// Fields by their places.
    places: BTreeMap<Field, usize>,
    plans: Vec<FieldPlan>,
    /// Literals in small letters, each with what it decides.
    literals: HashMap<Vec<u8>, Vec<Use>>,
    literal_bytes: usize,
    fault: Option<CompileError>,
}

impl Compiler {
    /// The expression over numbers of atoms; or the first name that is no field.
    pub(super) fn expression(
        &mut self,
        expression: &Expression<Atom>,
    ) -> Result<Expression<AtomId>, String> {
        // All names first, so that a rule that is not usable leaves no atoms behind.
        match unknown_field(expression) {
            Some(name) => Err(name),
            None => {
                let mut expression = expression.try_map(&mut |atom| self.atom(atom))?;
                expression.put_off(&|atom| {
                    self.atoms.get(atom.0).is_some_and(|plan| plan.late.is_some())
                });
                Ok(expression)
            }
        }
    }

    /// Everything together.
    pub(super) fn finish(self) -> Result<Matcher, CompileError> {
        let Self { known: _, atoms, places, plans, literals, literal_bytes, fault } = self;
        if let Some(fault) = fault {
            return Err(fault);
        }
        if literal_bytes > MAX_LITERAL_BYTES {
            return Err(CompileError::TooManyLiterals);
        }
        let mut literals: Vec<_> = literals.into_iter().collect();
        literals.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (texts, uses): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        let automaton = (!texts.is_empty()).then(|| {
            // One table a state is several times as fast as what is chosen for many literals.
            let kind = (literal_bytes <= MAX_TABLE_BYTES).then_some(AhoCorasickKind::DFA);
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(kind)
                .build(&texts)
                .map_err(|error| CompileError::Literals(error.to_string()))
        });
        let mut plan_of_field = [None; FIELDS];
        let mut plans_of_headers = [HashMap::new(), HashMap::new()];
        let mut lengths_of_headers = [0; 2];
        let (mut tested, mut read) = (FieldSet::default(), FieldSet::default());
        let [of_request, of_response] = &mut plans_of_headers;
        for (field, place) in places {
            let number = field_set::bit(&field).and_then(|bit| usize::try_from(bit).ok());
            match (&field, number.and_then(|number| plan_of_field.get_mut(number))) {
                (Field::Header(side, name), _) => {
                    let [of_requests, of_responses] = &mut lengths_of_headers;
                    let (plans, lengths) = match side {
                        Side::Request => (&mut *of_request, of_requests),
                        Side::Response => (&mut *of_response, of_responses),
                    };
                    *lengths |= bit_of_length(name.as_bytes());
                    plans.insert(name.as_bytes().into(), place);
                }
                (_, Some(plan)) => *plan = Some(place),
                (_, None) => {}
            }
            let Some(plan) = plans.get(place) else { continue };
            let field = FieldSet::of(&[field]);
            tested = if plan.has_tests() { tested.or(field) } else { tested };
            read = if plan.has_literals { read.or(field) } else { read };
        }
        Ok(Matcher {
            literals: automaton.transpose()?,
            uses: uses.into_iter().map(Vec::into_boxed_slice).collect(),
            plans: plans.into(),
            plan_of_field,
            plans_of_headers,
            lengths_of_headers,
            tested,
            read,
            atoms: atoms.into(),
        })
    }

    fn atom(&mut self, atom: &Atom) -> Result<AtomId, String> {
        let Atom { field, predicate } = atom;
        let field = resolved(field)?;
        let key = (field.clone(), format!("{predicate:?}"));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let id = AtomId(self.atoms.len());
        let late = self.late(&field, predicate)?;
        let place = self.place(field);
        let is_late = late.is_some();
        self.atoms.push(AtomPlan { plan: place, late });
        self.known.insert(key, id);
        let Some(plan) = self.plans.get_mut(place).filter(|_| !is_late) else { return Ok(id) };
        match predicate {
            Predicate::Compares(comparison, bound) => {
                plan.comparisons.push((*comparison, *bound, id));
            }
            Predicate::Exists => plan.exists.push(id),
            Predicate::Network(network) => plan.networks.push((*network, id)),
            Predicate::Text { pattern, is_cased } => match pattern.as_simple() {
                Some(Simple::Any) | None => plan.exists.push(id),
                Some(Simple::Empty) => plan.empty.push(id),
                Some(Simple::Literal { literal, is_at_start, is_at_end }) => {
                    plan.has_literals = true;
                    self.literal_bytes = self.literal_bytes.saturating_add(literal.len());
                    let exact = is_cased.then(|| literal.into());
                    let usage = Use { plan: place, atom: id, is_at_start, is_at_end, exact };
                    self.literals.entry(literal.to_ascii_lowercase()).or_default().push(usage);
                }
            },
            Predicate::Matches(_) | Predicate::Refers { .. } => {}
        }
        Ok(id)
    }

    /// What is put off: what costs more than a look.
    fn late(&mut self, field: &Field, predicate: &Predicate) -> Result<Option<Late>, String> {
        let regex = match predicate {
            Predicate::Refers { to, anchor, is_cased } => {
                let late = Late::Refers { to: resolved(to)?, anchor: *anchor, is_cased: *is_cased };
                return Ok(Some(late));
            }
            Predicate::Matches(regex) => regex.clone(),
            Predicate::Text { pattern, is_cased } if pattern.as_simple().is_none() => {
                pattern.to_regex(*is_cased)
            }
            Predicate::Compares(..)
            | Predicate::Exists
            | Predicate::Network(_)
            | Predicate::Text { .. } => return Ok(None),
        };
        Ok(self.regex(field, &regex).map(Late::Matches))
    }

    fn regex(&mut self, field: &Field, regex: &str) -> Option<Regex> {
        let built = RegexBuilder::new(regex)
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_CACHE_BYTES)
            .build();
        if let Err(error) = &built {
            let reason = error.to_string().lines().last().unwrap_or_default().to_owned();
            self.fault.get_or_insert(CompileError::Regex { field: field.name(), reason });
        }
        built.ok()
    }

    fn place(&mut self, field: Field) -> usize {
        let next = self.plans.len();
        let place = *self.places.entry(field.clone()).or_insert(next);
        if place == next {
            self.plans.push(FieldPlan {
                field,
                exists: Vec::new(),
                empty: Vec::new(),
                comparisons: Vec::new(),
                networks: Vec::new(),
                has_literals: false,
            });
        }
        place
    }
}

impl FieldPlan {
    fn has_tests(&self) -> bool {
        let Self { field: _, exists, empty, comparisons, networks, has_literals: _ } = self;
        !(exists.is_empty() && empty.is_empty() && comparisons.is_empty() && networks.is_empty())
    }
}

/// The first name of an expression that is no field of a call.
pub(super) fn unknown_field(expression: &Expression<Atom>) -> Option<String> {
    let mut unknown = None;
    expression.for_each_atom(&mut |atom| {
        let other = match &atom.predicate {
            Predicate::Refers { to, .. } => Some(to),
            Predicate::Compares(..)
            | Predicate::Exists
            | Predicate::Matches(_)
            | Predicate::Network(_)
            | Predicate::Text { .. } => None,
        };
        for name in [&atom.field].into_iter().chain(other) {
            if let (None, Err(name)) = (&unknown, name.resolve()) {
                unknown = Some(name.to_owned());
            }
        }
    });
    unknown
}

fn resolved(name: &FieldName) -> Result<Field, String> {
    name.resolve().map_err(str::to_owned)
}

/// All public web rules together are a few hundred.
pub const MAX_RULES: usize = 4096;

/// Bounds the automaton, which has some tens of bytes for each of these.
pub const MAX_LITERAL_BYTES: usize = 2 << 20;

/// Literals for which a table of all states is made: each of their bytes may take a state of a kilobyte.
const MAX_TABLE_BYTES: usize = 32 << 10;

/// The program of one regular expression.
const MAX_REGEX_BYTES: usize = 4 << 20;

/// States that matching keeps, per regular expression and thread.
const MAX_REGEX_CACHE_BYTES: usize = 1 << 20;
