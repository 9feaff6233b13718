//! Rules, compiled.

use std::fmt;

use super::{
    atom::Expression,
    builtin::Builtin,
    compile::{CompileError, Compiler, MAX_RULES, unknown_field},
    correlation::{Correlation, CorrelationKind, MAX_GROUP_FIELDS},
    correlator::Occurrence,
    document::{CorrelationRule, DetectionRule, Document},
    event::Event,
    extension::Extension,
    field::{Field, FieldName},
    field_set::FieldSet,
    filter::Filter,
    head::{Head, Level, Status},
    scan::{AtomId, Matcher, Scratch},
};
use crate::data::digest::Digest;

/// Rules, compiled. Immutable: a reload makes another one.
pub struct RuleSet {
    rules: Box<[CompiledRule]>,
    correlations: Box<[CompiledCorrelation]>,
    matcher: Matcher,
    /// For each atom, the rules that it is part of.
    rules_of_atom: Box<[Vec<usize>]>,
    /// Rules that hold when no atom does.
    always: Box<[usize]>,
    unusable: Box<[Unusable]>,
}

/// A rule, as findings tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What names and describes it.
    pub head: Head,
    /// How this engine treats it.
    pub extension: Extension,
}

impl Rule {
    /// Correlations count it, and it is not told by itself.
    #[must_use]
    pub fn is_counted_only(&self) -> bool {
        self.head.level == Level::Informational
    }
}

/// A rule that a call matches.
#[derive(Clone, Copy, Debug)]
pub struct Match<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Its number in the set.
    pub number: usize,
}

/// A document that does nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its number among the documents.
    pub document: usize,
    /// What it is known by.
    pub known_as: String,
    /// Why.
    pub reason: String,
}

struct CompiledRule {
    rule: Rule,
    /// Number of the document.
    document: usize,
    expression: Expression<AtomId>,
    /// Decides as well, where there is one.
    builtin: Option<Builtin>,
    /// Correlations that count it, each with its place there.
    counted_by: Vec<(usize, usize)>,
}

struct CompiledCorrelation {
    rule: Rule,
    document: usize,
    correlation: Correlation,
    group_by: Vec<Field>,
    value: Option<Field>,
}

impl RuleSet {
    /// Compiles documents. Those that cannot be used here are left out and listed.
    pub fn compile(documents: &[Document]) -> Result<Self, CompileError> {
        if documents.len() > MAX_RULES {
            return Err(CompileError::TooManyRules);
        }
        let mut compiler = Compiler::default();
        let mut unusable = Vec::new();
        let mut leave_out = |document: usize, head: &Head, reason: String| {
            unusable.push(Unusable { document, known_as: head.known_as().to_owned(), reason });
        };
        let mut filters = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            let Document::Filter(filter) = document else { continue };
            match unknown_field(&filter.detection.expression) {
                Some(name) => leave_out(number, &filter.head, no_field(&name)),
                None => filters.push(filter.as_ref()),
            }
        }
        let mut rules = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            let Document::Detection(rule) = document else { continue };
            match compiled_rule(number, rule, &filters, &mut compiler) {
                Ok(rule) => rules.push(rule),
                Err(reason) => leave_out(number, &rule.head, reason),
            }
        }
        let mut correlations = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            let Document::Correlation(rule) = document else { continue };
            match compiled_correlation(number, rule, correlations.len(), &mut rules) {
                Ok(correlation) => correlations.push(correlation),
                Err(reason) => leave_out(number, &rule.head, reason),
            }
        }
        let matcher = compiler.finish()?;
        let mut rules_of_atom = vec![Vec::new(); matcher.atoms.len()];
        let mut always = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            rule.expression.for_each_atom(&mut |atom| {
                if let Some(rules) = rules_of_atom.get_mut(atom.0)
                    && rules.last() != Some(&number)
                {
                    rules.push(number);
                }
            });
            let known = |atom: &AtomId| (!matcher.is_late(*atom)).then_some(false);
            if rule.expression.may_hold(&mut { known }).yes {
                always.push(number);
            }
        }
        Ok(Self {
            rules: rules.into(),
            correlations: correlations.into(),
            matcher,
            rules_of_atom: rules_of_atom.into(),
            always: always.into(),
            unusable: unusable.into(),
        })
    }

    /// Gives each rule that a call matches, in their order.
    pub fn evaluate<'r>(
        &'r self,
        event: &Event,
        scratch: &mut Scratch,
        each_match: &mut dyn FnMut(Match<'r>),
    ) {
        scratch.prepare(self.matcher.atoms.len(), self.rules.len());
        self.matcher.scan(event, scratch);
        let mut candidates = std::mem::take(&mut scratch.candidates);
        let touched = scratch.held().iter().filter_map(|(atom, _)| self.rules_of_atom.get(atom.0));
        for rule in touched.flatten().chain(&self.always) {
            candidates.add(*rule);
        }
        for number in candidates.iter() {
            if let Some(compiled) = self.rules.get(number)
                && self.matches(compiled, event, scratch)
            {
                each_match(Match { rule: &compiled.rule, number });
            }
        }
        scratch.candidates = candidates;
    }

    /// Whether a rule matches, once its atoms were looked for.
    fn matches(&self, compiled: &CompiledRule, event: &Event, scratch: &mut Scratch) -> bool {
        let CompiledRule { rule, expression, builtin, .. } = compiled;
        let paranoia = rule.extension.paranoia();
        let decides = |builtin: Builtin, scratch: &mut Scratch| {
            let found = scratch.detections.find(builtin, event);
            found.is_some_and(|found| found.paranoia <= paranoia)
        };
        // All detectors look at a call at once, and find nothing in nearly all.
        let (first, last) = match builtin {
            Some(attack @ Builtin::Attack(_)) => (Some(*attack), None),
            builtin => (None, *builtin),
        };
        first.is_none_or(|builtin| decides(builtin, scratch))
            && expression.holds(&mut |atom| self.matcher.test(*atom, event, scratch))
            && last.is_none_or(|builtin| decides(builtin, scratch))
    }

    /// Whether a rule looks for an attack in values, by a matcher.
    #[must_use]
    pub fn looks_for_attacks(&self, rule: usize) -> bool {
        let builtin = self.rules.get(rule).and_then(|compiled| compiled.builtin);
        matches!(builtin, Some(Builtin::Attack(_)))
    }

    /// Gives the number of each value that made a test of a rule hold, for the event that was
    /// evaluated last, as often as tests did. What its builtin found comes first.
    pub fn matched_values(
        &self,
        rule: usize,
        event: &Event,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(usize),
    ) {
        let Some(CompiledRule { expression, builtin, .. }) = self.rules.get(rule) else { return };
        if let Some(builtin) = builtin {
            // Its condition only says where it looks.
            if let Some(found) = scratch.detections.find(*builtin, event) {
                each(found.value);
            }
            return;
        }
        expression.for_each_atom(&mut |atom| {
            if let Some(value) = scratch.value_of(*atom) {
                each(value);
            }
        });
    }

    /// Gives what a match counts for. `digest` must be keyed, since it meets addresses and ids; a
    /// call that lacks a field of the group, or the value that is counted, does not count.
    pub fn occurrences(
        &self,
        rule: usize,
        event: &Event,
        at_ns: u64,
        digest: &mut dyn FnMut(&[u8]) -> Digest,
        each: &mut dyn FnMut(&Correlation, Occurrence),
    ) {
        let counted_by = self.rules.get(rule).map_or(&[][..], |rule| &rule.counted_by);
        for (number, place) in counted_by {
            let Some(compiled) = self.correlations.get(*number) else { continue };
            let mut first = |field: &Field| event.values_of(field).next().map(&mut *digest);
            let mut parts = [[0; 16]; MAX_GROUP_FIELDS];
            let mut is_whole = true;
            for (field, part) in compiled.group_by.iter().zip(&mut parts) {
                match first(field) {
                    Some(digest) => *part = digest.bytes(),
                    None => is_whole = false,
                }
            }
            if !is_whole {
                continue;
            }
            let (value, amount) = match (&compiled.value, &compiled.correlation.kind) {
                (Some(field), CorrelationKind::ValueSum(_)) => {
                    let Some(amount) = event.values_of(field).find_map(whole_number) else {
                        continue;
                    };
                    (None, amount)
                }
                (Some(field), _) => match first(field) {
                    Some(value) => (Some(value), 1),
                    None => continue,
                },
                (None, _) => (None, 1),
            };
            let group = digest(parts.as_flattened());
            each(
                &compiled.correlation,
                Occurrence { correlation: *number, rule: *place, group, value, amount, at_ns },
            );
        }
    }

    /// The fields that rules look at, those that correlations group by among them; of header fields
    /// that are named, [`Field::Headers`].
    #[must_use]
    pub fn fields(&self) -> FieldSet {
        let of_plans = self.matcher.plans.iter().map(|plan| &plan.field);
        let of_correlations =
            self.correlations.iter().flat_map(|it| it.group_by.iter().chain(&it.value));
        of_plans.chain(of_correlations).fold(FieldSet::default(), |set, field| {
            set.or(FieldSet::of(&[match field {
                Field::Header(side, _) => Field::Headers(*side),
                field => field.clone(),
            }]))
        })
    }

    /// A rule about one call, by its number.
    #[must_use]
    pub fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number).map(|compiled| &compiled.rule)
    }

    /// What a correlation counts, by its number.
    #[must_use]
    pub fn counted(&self, number: usize) -> Option<&Correlation> {
        self.correlations.get(number).map(|compiled| &compiled.correlation)
    }

    /// All rules about one call, in the order of their numbers.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|compiled| &compiled.rule)
    }

    /// The rule of a correlation, by its number.
    #[must_use]
    pub fn correlation(&self, number: usize) -> Option<&Rule> {
        self.correlations.get(number).map(|compiled| &compiled.rule)
    }

    /// All rules about several calls, in the order of their numbers.
    pub fn correlations(&self) -> impl Iterator<Item = &Rule> {
        self.correlations.iter().map(|compiled| &compiled.rule)
    }

    /// Documents that do nothing here.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// The number of the rule that a document came to.
    pub(super) fn rule_of_document(&self, document: usize) -> Option<usize> {
        self.rules.iter().position(|compiled| compiled.document == document)
    }

    /// The number of the correlation that a document came to.
    pub(super) fn correlation_of_document(&self, document: usize) -> Option<usize> {
        self.correlations.iter().position(|compiled| compiled.document == document)
    }

    /// Whether a rule matches a call of which nothing is known.
    pub(super) fn is_always(&self, rule: usize) -> bool {
        let rule = self.rules.get(rule);
        rule.is_some_and(|rule| rule.builtin.is_none() && rule.expression.holds(&mut |_| false))
    }
}

/// What its rules are known by.
impl fmt::Debug for RuleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules().chain(self.correlations());
        formatter.debug_list().entries(rules.map(|rule| rule.head.known_as())).finish()
    }
}

fn compiled_rule(
    document: usize,
    rule: &DetectionRule,
    filters: &[&Filter],
    compiler: &mut Compiler,
) -> Result<CompiledRule, String> {
    let DetectionRule { head, log_source, detection, extension, examples: _ } = rule;
    let reason = log_source.unusable().or_else(|| unusable(head, extension));
    if let Some(reason) = reason {
        return Err(reason);
    }
    let applying = filters.iter().filter(|filter| filter.is_for(rule));
    let expression = applying
        .fold(detection.expression.clone(), |expression, filter| filter.narrowed(expression));
    let expression = compiler.expression(&expression).map_err(|name| no_field(&name))?;
    let rule = Rule { head: head.clone(), extension: extension.clone() };
    let builtin = rule.extension.builtin.as_deref().and_then(Builtin::of_name);
    Ok(CompiledRule { rule, document, expression, builtin, counted_by: Vec::new() })
}

/// Also notes in the rules that they are counted.
fn compiled_correlation(
    document: usize,
    rule: &CorrelationRule,
    number: usize,
    rules: &mut [CompiledRule],
) -> Result<CompiledCorrelation, String> {
    let CorrelationRule { head, correlation, extension, examples: _ } = rule;
    if let Some(reason) = unusable(head, extension) {
        return Err(reason);
    }
    let mut counted = Vec::with_capacity(correlation.rules.len());
    for reference in &correlation.rules {
        let found = rules.iter().position(|rule| rule.rule.head.is_meant_by(reference));
        counted.push(found.ok_or_else(|| {
            format!("it counts {reference}, which is no rule about one call that can be used here")
        })?);
    }
    let field = |name: &FieldName| name.resolve().map_err(no_field);
    let group_by = correlation.group_by.iter().map(field).collect::<Result<_, _>>()?;
    let value = match &correlation.kind {
        CorrelationKind::ValueCount(name) | CorrelationKind::ValueSum(name) => Some(field(name)?),
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered => None,
    };
    for (place, rule) in counted.into_iter().enumerate() {
        if let Some(rule) = rules.get_mut(rule) {
            rule.counted_by.push((number, place));
        }
    }
    let rule = Rule { head: head.clone(), extension: extension.clone() };
    Ok(CompiledCorrelation { rule, document, correlation: correlation.clone(), group_by, value })
}

fn unusable(head: &Head, extension: &Extension) -> Option<String> {
    match head.status {
        Some(Status::Deprecated) => Some("it is deprecated".to_owned()),
        Some(Status::Unsupported) => Some("its status is unsupported".to_owned()),
        Some(Status::Experimental | Status::Stable | Status::Test) | None => extension.unusable(),
    }
}

/// A whole number.
fn whole_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn no_field(name: &str) -> String {
    format!("a call has no field {name}")
}
