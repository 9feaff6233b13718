//! From documents to a set: every different atom once, by field and by how it is found.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::RegexSetBuilder;
use thiserror::Error;

use super::{
    atom::{Atom, Expression, Predicate},
    field::{Field, FieldName},
    pattern::Simple,
    scan::{AtomId, FieldPlan, Matcher, Use},
};

/// Why documents come to no set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CompileError {
    /// The literals cannot be compiled.
    #[error("the literals of all rules cannot be compiled: {0}")]
    Literals(String),
    /// The regular expressions of a field cannot be compiled.
    #[error("the regular expressions of {field} cannot be compiled together: {reason}")]
    Regexes {
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
    /// For each atom, the place of its field.
    fields: Vec<usize>,
    /// Fields by their places.
    places: BTreeMap<Field, usize>,
    drafts: Vec<Draft>,
    /// Literals in small letters, each with what it decides.
    literals: HashMap<Vec<u8>, Vec<Use>>,
    literal_bytes: usize,
}

/// A field, and the regular expressions that are not compiled yet.
struct Draft {
    plan: FieldPlan,
    regexes: Vec<(String, AtomId)>,
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
            None => expression.try_map(&mut |atom| self.atom(atom)),
        }
    }

    /// Everything together.
    pub(super) fn finish(self) -> Result<Matcher, CompileError> {
        let Self { known: _, fields, places: _, drafts, literals, literal_bytes } = self;
        if literal_bytes > MAX_LITERAL_BYTES {
            return Err(CompileError::TooManyLiterals);
        }
        let mut literals: Vec<_> = literals.into_iter().collect();
        literals.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (texts, uses): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        let automaton = (!texts.is_empty()).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .build(&texts)
                .map_err(|error| CompileError::Literals(error.to_string()))
        });
        let plans = drafts.into_iter().map(Draft::finish).collect::<Result<Vec<_>, _>>()?;
        Ok(Matcher {
            literals: automaton.transpose()?,
            uses: uses.into_iter().map(Vec::into_boxed_slice).collect(),
            plans: plans.into(),
            fields: fields.into(),
        })
    }

    fn atom(&mut self, atom: &Atom) -> Result<AtomId, String> {
        let Atom { field, predicate } = atom;
        let field = resolved(field)?;
        let key = (field.clone(), format!("{predicate:?}"));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let id = AtomId(self.fields.len());
        let place = self.place(field);
        self.fields.push(place);
        self.known.insert(key, id);
        let Some(draft) = self.drafts.get_mut(place) else { return Ok(id) };
        match predicate {
            Predicate::Compares(comparison, bound) => {
                draft.plan.comparisons.push((*comparison, *bound, id));
            }
            Predicate::Exists => draft.plan.exists.push(id),
            Predicate::Matches(regex) => draft.regexes.push((regex.clone(), id)),
            Predicate::Network(network) => draft.plan.networks.push((*network, id)),
            Predicate::Refers { to, anchor, is_cased } => {
                draft.plan.references.push((resolved(to)?, *anchor, *is_cased, id));
            }
            Predicate::Text { pattern, is_cased } => match pattern.as_simple() {
                Some(Simple::Any) => draft.plan.exists.push(id),
                Some(Simple::Empty) => draft.plan.empty.push(id),
                Some(Simple::Literal { literal, is_at_start, is_at_end }) => {
                    draft.plan.has_literals = true;
                    self.literal_bytes = self.literal_bytes.saturating_add(literal.len());
                    let exact = is_cased.then(|| literal.into());
                    let usage = Use { plan: place, atom: id, is_at_start, is_at_end, exact };
                    self.literals.entry(literal.to_ascii_lowercase()).or_default().push(usage);
                }
                None => draft.regexes.push((pattern.to_regex(*is_cased), id)),
            },
        }
        Ok(id)
    }

    fn place(&mut self, field: Field) -> usize {
        let next = self.drafts.len();
        let place = *self.places.entry(field.clone()).or_insert(next);
        if place == next {
            let plan = FieldPlan {
                field,
                has_literals: false,
                exists: Vec::new(),
                empty: Vec::new(),
                regexes: None,
                comparisons: Vec::new(),
                networks: Vec::new(),
                references: Vec::new(),
            };
            self.drafts.push(Draft { plan, regexes: Vec::new() });
        }
        place
    }
}

impl Draft {
    fn finish(self) -> Result<FieldPlan, CompileError> {
        let Self { mut plan, regexes } = self;
        if !regexes.is_empty() {
            let (texts, atoms): (Vec<_>, Vec<_>) = regexes.into_iter().unzip();
            let set = RegexSetBuilder::new(texts)
                .size_limit(MAX_REGEX_SET_BYTES)
                .dfa_size_limit(MAX_REGEX_CACHE_BYTES)
                .build()
                .map_err(|error| CompileError::Regexes {
                    field: plan.field.name(),
                    reason: error.to_string().lines().last().unwrap_or_default().to_owned(),
                })?;
            plan.regexes = Some((set, atoms));
        }
        Ok(plan)
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

/// Programs of one field's regular expressions.
const MAX_REGEX_SET_BYTES: usize = 32 << 20;

/// States that matching keeps, per field and thread.
const MAX_REGEX_CACHE_BYTES: usize = 4 << 20;
