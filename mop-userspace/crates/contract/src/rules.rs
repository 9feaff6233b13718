//! Rules that no OpenAPI document holds: what documents put in the wrong place, or cannot express.
//!
//! A contract says of each message what it may look like, and nothing of how the two messages of
//! a call belong together, of header fields that its authors listed on the wrong side, or of sums
//! that must agree. Such obligations are written as data, one rule an obligation, each with its
//! source, so that a new one needs no new program and each can be switched off. The language is
//! small on purpose: a rule has a scope, conditions that must hold for it to apply (`when`), and
//! conditions that must hold then (`require`). It has no loops and no arithmetic beyond a count
//! and a number of pages, so that its cost is bounded by its length.
//!
//! Invariants:
//! - All files are taken, or none: a set with a rule that cannot be understood is refused.
//! - What cannot be known is not judged: a body that is absent or unreadable, a field given twice
//!   with different values, or a comparison of a text with a number makes a `when` false and a
//!   `require` silent.
//! - No value of a message is in a result: it names rules only.
//! - Evaluating allocates nothing, but for the list of results, while no `matches` meets a text
//!   with escapes.
//!
//! The language is described for its writers in `rules/opin/rules/README.md`.

mod condition;
mod error;
mod example;
mod fact;
mod file;
mod operand;
mod operands;
mod scope;

use std::{fmt, sync::Arc};

use mop_wire::Headers;

use crate::{
    json::Value,
    violation::{Direction, Location, Severity},
};

pub use condition::MAX_CONSTANTS;
pub use error::{RuleError, RuleProblem};
pub use example::check_examples;
pub use file::{
    MAX_CONDITIONS, MAX_FILE_BYTES, MAX_FILES, MAX_ID_BYTES, MAX_RULES, MAX_TEXT_BYTES,
};
pub use operand::{MAX_OPERAND_BYTES, MAX_OPERAND_DEPTH};
pub use scope::MAX_SCOPE_ENTRIES;

use condition::Condition;
use file::ParsedRule;
use operands::{Findings, Found, Operands};
use scope::{Paths, Scope};

/// Rules, compiled. Immutable: a reload makes another one.
pub struct RuleSet {
    operands: Arc<Operands>,
    /// Different ones; each is compared with a call at most once.
    paths: Box<[Paths]>,
    groups: Box<[Group]>,
    /// Groups that can apply to calls without a response, then to those of each class of status.
    groups_by_class: [Box<[usize]>; CLASSES],
    rules: usize,
}

/// A rule, as reports tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable code, such as `header.hsts_missing`.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whose fault it is: who sends requests, or who sends responses.
    pub direction: Direction,
    /// Where the fault is.
    pub location: Location,
    /// What reports name: of headers and parameters their name, of bodies the attribute, such as
    /// `meta.totalRecords`.
    pub attribute: String,
    /// What is wrong, in a few words of English.
    pub title: String,
    /// What is wrong, why it matters and what to do, in English.
    pub explanation: String,
    /// The same in Brazilian Portuguese.
    pub explanation_pt: String,
    /// Where the obligation is written down.
    pub source: String,
}

/// What is known of a call.
#[derive(Clone, Copy)]
pub struct CallFacts<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Target of the request.
    pub target: &'a str,
    /// Path template of the operation, with its base path.
    pub template: &'a str,
    /// Name of the document that the operation is from.
    pub document: &'a str,
    /// The request, when it was seen whole.
    pub request: Option<MessageFacts<'a>>,
    /// Status and response, when it was seen whole.
    pub response: Option<(u16, MessageFacts<'a>)>,
}

/// What is known of a message.
#[derive(Clone, Copy)]
pub struct MessageFacts<'a> {
    /// Its field lines.
    pub headers: &'a Headers,
    /// Its body, when it is JSON that could be read.
    pub body: Option<Value<'a>>,
}

/// A rule that a call breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleViolation<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// How often; once, since a rule looks at each of its places once.
    pub occurrences: u32,
}

/// Rules of one scope.
struct Group {
    scopes: Box<[Scope]>,
    /// Places among the paths of the set; a call must be on all of them.
    paths: Box<[usize]>,
    needs_response: bool,
    rules: Vec<CompiledRule>,
}

/// A rule and what decides it.
struct CompiledRule {
    rule: Rule,
    when: Box<[Condition]>,
    require: Box<[Condition]>,
}

impl RuleSet {
    /// Compiles files, each given by its name and its text in YAML. All of them, or none.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, RuleError> {
        let (rules, operands) = file::parse(files)?;
        Ok(Self::of(rules, Arc::new(operands)))
    }

    fn of(parsed: Vec<ParsedRule>, operands: Arc<Operands>) -> Self {
        let rules = parsed.len();
        let mut all_paths: Vec<Paths> = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        for ParsedRule { rule, scopes, when, require, examples: _ } in parsed {
            let needs_response = scopes.iter().any(Scope::needs_response)
                || when.iter().chain(&require).any(|condition| condition.needs_response(&operands));
            let compiled = CompiledRule { rule, when, require };
            let same = groups
                .iter_mut()
                .find(|group| group.scopes == scopes && group.needs_response == needs_response);
            if let Some(group) = same {
                group.rules.push(compiled);
                continue;
            }
            let narrowing = scopes.iter().map(Scope::paths).filter(|paths| !paths.are_all());
            let paths = narrowing.map(|paths| place_of(&mut all_paths, paths)).collect();
            groups.push(Group { scopes, paths, needs_response, rules: vec![compiled] });
        }
        let groups_by_class = std::array::from_fn(|class| {
            let applying = groups.iter().enumerate().filter(|(_, group)| match class {
                0 => !group.needs_response,
                class => group.scopes.iter().all(|scope| scope.allows_class(class as u16)),
            });
            applying.map(|(place, _)| place).collect()
        });
        Self { operands, paths: all_paths.into(), groups: groups.into(), groups_by_class, rules }
    }

    /// Leaves out rules that are not wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Rule) -> bool) {
        for group in &mut self.groups {
            group.rules.retain(|compiled| wanted(&compiled.rule));
        }
        self.rules = self.groups.iter().map(|group| group.rules.len()).sum();
    }

    /// Adds the rules that a call breaks to `out`.
    pub fn evaluate<'r>(&'r self, facts: &CallFacts<'_>, out: &mut Vec<RuleViolation<'r>>) {
        let mut found = Found::NONE;
        self.evaluate_in(facts, Findings::new(&self.operands, *facts, &mut found), out);
    }

    /// The same for messages that an application handed over as copies: rules about header fields,
    /// and about a query that the copied target does not have, are silent.
    pub fn evaluate_copy<'r>(&'r self, facts: &CallFacts<'_>, out: &mut Vec<RuleViolation<'r>>) {
        let mut found = Found::NONE;
        let findings = Findings::new(&self.operands, *facts, &mut found).of_copy();
        self.evaluate_in(facts, findings, out);
    }

    fn evaluate_in<'r>(
        &'r self,
        facts: &CallFacts<'_>,
        mut findings: Findings<'_, '_>,
        out: &mut Vec<RuleViolation<'r>>,
    ) {
        let class = facts.response.map_or(0, |(status, _)| usize::from(status / 100));
        let places = self.groups_by_class.get(class).into_iter().flatten();
        let mut on_paths = [None; MAX_PATHS];
        for group in places.filter_map(|place| self.groups.get(*place)) {
            let is_on = |place: &usize| match (on_paths.get_mut(*place), self.paths.get(*place)) {
                (Some(known), Some(paths)) => {
                    *known.get_or_insert_with(|| paths.allow(facts.template))
                }
                (_, paths) => paths.is_some_and(|paths| paths.allow(facts.template)),
            };
            if !group.scopes.iter().all(|scope| scope.allows(facts))
                || !group.paths.iter().all(is_on)
            {
                continue;
            }
            let broken = group.rules.iter().filter(|compiled| compiled.is_broken(&mut findings));
            out.extend(
                broken.map(|CompiledRule { rule, .. }| RuleViolation { rule, occurrences: 1 }),
            );
        }
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules).map(|compiled| &compiled.rule)
    }

    /// Number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Whether it has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }
}

impl CompiledRule {
    fn is_broken(&self, findings: &mut Findings<'_, '_>) -> bool {
        self.when.iter().all(|condition| condition.holds(findings) == Some(true))
            && self.require.iter().any(|condition| condition.holds(findings) == Some(false))
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.rules().map(|rule| &rule.id)).finish()
    }
}

/// The place of paths among those of a set, to which they are added when they are new.
fn place_of(all: &mut Vec<Paths>, paths: &Paths) -> usize {
    all.iter().position(|known| known == paths).unwrap_or_else(|| {
        all.push(paths.clone());
        all.len() - 1
    })
}

/// Different paths whose comparison with a call is remembered while it is judged; the rules of an
/// ecosystem have a dozen. Those beyond are compared again.
const MAX_PATHS: usize = 64;

/// Calls without a response, and classes 1 to 5 of statuses.
const CLASSES: usize = 6;

#[cfg(test)]
mod tests;
