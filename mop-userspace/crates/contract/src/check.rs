//! Judges a JSON value against a compiled schema.
//!
//! One walk serves both uses: a [`Verdict`] stops at the first defect and costs no more than the
//! answer; a [`Collector`] goes on and writes down every defect with its place. Semantics are
//! those of JSON Schema draft 4 as OpenAPI 3.0 narrows them.
//!
//! The walk is bounded: by the depth of the value, by [`MAX_CHECK_DEPTH`] where schemas contain
//! themselves, and by a number of steps that grows with the value. A walk that reaches a bound
//! says so and its result counts for nothing.

mod collector;
mod scalar;

pub use collector::{Collector, MAX_VIOLATIONS};

use crate::{
    json::{Kind, Value, name_hash},
    schema::{Additional, ArrayRules, Combination, ObjectRules, Schema, SchemaId, Schemas},
    violation::{Keyword, list},
};

/// Checks values against the schemas of a contract.
pub struct Checker<'c> {
    schemas: &'c Schemas,
    steps_left: u64,
    depth: u32,
    exhausted: bool,
}

/// A bound of the walk was reached: neither valid nor invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// Told of every defect, and of the way to it.
pub(crate) trait Sink {
    /// Whether nothing after the first defect is of interest.
    const STOPS: bool;
    /// Whether the walk goes on, when it has been valid or invalid so far.
    fn goes_on(valid: bool) -> bool {
        valid || !Self::STOPS
    }
    fn defect(&mut self, keyword: Keyword, expected: impl FnOnce() -> String);
    /// A defect of a member that is not there.
    fn missing(&mut self, name: &std::sync::Arc<str>);
    fn enter(&mut self, step: Step<'_>);
    fn leave(&mut self);
    /// Whether further defects are only counted.
    fn is_full(&self) -> bool;
    /// The same place, nothing found yet.
    fn branch(&self) -> Collector;
    fn adopt(&mut self, branch: Collector);
}

/// One step down, in the value, in the schema, or in both.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// To the value of a declared property.
    Property(&'a std::sync::Arc<str>),
    /// To the value of an undeclared property.
    Undeclared,
    /// To an element of an array.
    Element(usize),
    /// To an alternative: keyword and position.
    Alternative(Keyword, usize),
    /// To a part of `allOf`.
    Part(usize),
}

/// Only whether the value is valid.
struct Verdict;

impl<'c> Checker<'c> {
    /// A checker with the steps that a text of this many bytes may need.
    #[must_use]
    pub fn new(schemas: &'c Schemas, text_bytes: usize) -> Self {
        let steps_left = BASE_STEPS + STEPS_PER_BYTE * text_bytes as u64;
        Self { schemas, steps_left, depth: 0, exhausted: false }
    }

    /// Whether the value is valid.
    pub fn is_valid(&mut self, schema: SchemaId, value: Value<'_>) -> Result<bool, Exhausted> {
        let valid = self.check(schema, value, &mut Verdict);
        if self.exhausted { Err(Exhausted) } else { Ok(valid) }
    }

    /// Writes every defect down; whether the value is valid.
    pub fn collect(
        &mut self,
        schema: SchemaId,
        value: Value<'_>,
        collector: &mut Collector,
    ) -> Result<bool, Exhausted> {
        let valid = self.check(schema, value, collector);
        if self.exhausted { Err(Exhausted) } else { Ok(valid) }
    }

    fn check<S: Sink>(&mut self, id: SchemaId, value: Value<'_>, sink: &mut S) -> bool {
        if self.steps_left == 0 || self.depth >= MAX_CHECK_DEPTH {
            self.exhausted = true;
        }
        if self.exhausted {
            // Whatever is answered counts for nothing; this ends the walk soonest.
            return true;
        }
        self.steps_left -= 1;
        self.depth += 1;
        let schemas = self.schemas;
        let schema = schemas.schema(id);
        let valid = match schema.alias {
            Some(target) => self.check(target, value, sink),
            None => self.keywords(schema, value, sink),
        };
        self.depth -= 1;
        valid
    }

    fn keywords<S: Sink>(&mut self, schema: &Schema, value: Value<'_>, sink: &mut S) -> bool {
        let kind = value.kind();
        if !schema.types.contains(kind) {
            sink.defect(Keyword::Type, || {
                let names: Vec<_> = schema.types.names().collect();
                names.join(" or ")
            });
            return false;
        }
        if let Some(constants) = &schema.constants
            && !scalar::is_constant(constants, value)
        {
            sink.defect(Keyword::Enum, || {
                let others = constants.others.iter().map(|other| &**other);
                let all: Vec<&str> =
                    constants.strings.iter().map(|name| &**name).chain(others).collect();
                list(all.into_iter(), MAX_CONSTANTS_SHOWN)
            });
            // What is no member of the enumeration would break its pattern and length as well.
            return false;
        }
        let mut valid = match kind {
            Kind::String => {
                schema.string.as_deref().is_none_or(|rules| self.string(rules, value, sink))
            }
            Kind::Integer | Kind::Number => {
                schema.number.as_deref().is_none_or(|rules| scalar::number(rules, value, sink))
            }
            Kind::Array => {
                schema.array.as_deref().is_none_or(|rules| self.array(rules, value, sink))
            }
            Kind::Object => {
                schema.object.as_deref().is_none_or(|rules| self.object(rules, value, sink))
            }
            Kind::Boolean | Kind::Null => true,
        };
        if let Some(combination) = &schema.combination
            && S::goes_on(valid)
        {
            valid &= self.combination(combination, value, sink);
        }
        valid
    }

    fn combination<S: Sink>(
        &mut self,
        combination: &Combination,
        value: Value<'_>,
        sink: &mut S,
    ) -> bool {
        let Combination { all_of, any_of, one_of, not } = combination;
        let mut valid = true;
        for (place, part) in all_of.iter().enumerate() {
            sink.enter(Step::Part(place));
            valid &= self.check(*part, value, sink);
            sink.leave();
            if !S::goes_on(valid) {
                return false;
            }
        }
        for (keyword, alternatives) in [(Keyword::AnyOf, any_of), (Keyword::OneOf, one_of)] {
            if !alternatives.is_empty() && S::goes_on(valid) {
                valid &= self.alternatives(keyword, alternatives, value, sink);
            }
        }
        if let Some(not) = not
            && S::goes_on(valid)
            && self.check(*not, value, &mut Verdict)
        {
            sink.defect(Keyword::Not, String::new);
            valid = false;
        }
        valid
    }

    fn array<S: Sink>(&mut self, rules: &ArrayRules, value: Value<'_>, sink: &mut S) -> bool {
        let mut valid = true;
        let length = value.len();
        if length < rules.min_items as usize {
            sink.defect(Keyword::MinItems, || format!("at least {}", rules.min_items));
            valid = false;
        }
        if length > rules.max_items as usize {
            sink.defect(Keyword::MaxItems, || format!("at most {}", rules.max_items));
            valid = false;
        }
        if rules.unique && S::goes_on(valid) && self.has_equal_elements(value) {
            sink.defect(Keyword::UniqueItems, String::new);
            valid = false;
        }
        if let Some(items) = rules.items
            && S::goes_on(valid)
        {
            for (place, element) in value.elements().enumerate() {
                sink.enter(Step::Element(place));
                valid &= self.check(items, element, sink);
                sink.leave();
                if !S::goes_on(valid) || self.exhausted {
                    break;
                }
            }
        }
        valid
    }

    fn object<S: Sink>(&mut self, rules: &ObjectRules, value: Value<'_>, sink: &mut S) -> bool {
        let mut valid = true;
        let mut required = 0;
        let mut undeclared = false;
        for member in value.members() {
            let declared = rules
                .names
                .position(member.name, member.hash)
                .and_then(|place| Some((rules.properties.get(place)?, rules.names.name(place)?)));
            match (declared, rules.additional) {
                (Some((property, name)), _) => {
                    required += u32::from(property.required);
                    sink.enter(Step::Property(name));
                    valid &= self.check(property.schema, member.value, sink);
                    sink.leave();
                }
                (None, Additional::Any) => {}
                (None, Additional::Closed) => undeclared = true,
                (None, Additional::Schema(schema)) => {
                    sink.enter(Step::Undeclared);
                    valid &= self.check(schema, member.value, sink);
                    sink.leave();
                }
            }
            if !S::goes_on(valid && !undeclared) || self.exhausted {
                return false;
            }
        }
        if undeclared {
            sink.defect(Keyword::AdditionalProperties, || "only declared attributes".to_owned());
            valid = false;
        }
        if required < rules.required {
            valid = false;
            if !S::STOPS {
                self.missing(rules, value, sink);
            }
        }
        for name in &rules.undeclared_required {
            let hash = name_hash(name);
            if !value.members().any(|member| member.hash == hash && member.name == &**name) {
                sink.missing(name);
                valid = false;
            }
        }
        if value.len() < rules.min_properties as usize {
            sink.defect(Keyword::MinProperties, || format!("at least {}", rules.min_properties));
            valid = false;
        }
        if value.len() > rules.max_properties as usize {
            sink.defect(Keyword::MaxProperties, || format!("at most {}", rules.max_properties));
            valid = false;
        }
        valid
    }

    fn missing<S: Sink>(&mut self, rules: &ObjectRules, value: Value<'_>, sink: &mut S) {
        let mut present = vec![false; rules.properties.len()];
        for member in value.members() {
            let place = rules.names.position(member.name, member.hash);
            if let Some(present) = place.and_then(|place| present.get_mut(place)) {
                *present = true;
            }
        }
        for ((name, property), present) in rules.names.iter().zip(&rules.properties).zip(present) {
            if property.required && !present {
                sink.missing(name);
            }
        }
    }

    /// `anyOf` and `oneOf`. When no alternative fits, the defects of the one that was meant are
    /// told, if it can be told which; else that none fits.
    fn alternatives<S: Sink>(
        &mut self,
        keyword: Keyword,
        alternatives: &[SchemaId],
        value: Value<'_>,
        sink: &mut S,
    ) -> bool {
        let enough = if keyword == Keyword::AnyOf { 1 } else { 2 };
        let fitting = alternatives
            .iter()
            .filter(|alternative| self.check(**alternative, value, &mut Verdict))
            .take(enough)
            .count();
        if fitting == 1 || self.exhausted {
            return fitting == 1;
        }
        if S::STOPS {
            return false;
        }
        if sink.is_full() {
            // Finding out what was meant costs more than all else: not for what is only counted.
            sink.defect(keyword, String::new);
            return false;
        }
        if fitting > 1 {
            sink.defect(keyword, || "exactly one alternative, not several".to_owned());
            return false;
        }
        let mut closest: Option<(Closeness, Collector)> = None;
        let mut tied = false;
        for (place, alternative) in alternatives.iter().enumerate() {
            let mut branch = sink.branch();
            branch.enter(Step::Alternative(keyword, place));
            self.check(*alternative, value, &mut branch);
            branch.leave();
            let unknown = self.unknown_members(*alternative, value);
            let closeness = Closeness {
                is_other_type: !self.schemas.schema(*alternative).types.contains(value.kind()),
                structural: u64::from(branch.structural()) + unknown as u64,
                defects: branch.total(),
            };
            match closest.as_mut().map(|(best, kept)| (closeness.cmp(best), kept)) {
                None | Some((std::cmp::Ordering::Less, _)) => {
                    closest = Some((closeness, branch));
                    tied = false;
                }
                Some((std::cmp::Ordering::Equal, kept)) => {
                    // Which was meant cannot be told: only what all of them say is certain.
                    tied = true;
                    kept.keep_common(&branch);
                }
                Some((std::cmp::Ordering::Greater, _)) => {}
            }
        }
        match closest {
            Some((_, branch)) if !tied || branch.total() > 0 => sink.adopt(branch),
            _ => sink.defect(keyword, || format!("one of {} alternatives", alternatives.len())),
        }
        false
    }

    /// Members of the value that an alternative does not declare.
    fn unknown_members(&mut self, id: SchemaId, value: Value<'_>) -> usize {
        let schemas = self.schemas;
        let mut pending = vec![id];
        let mut tables = Vec::new();
        // A schema may be a part of itself.
        for _ in 0..MAX_PARTS {
            let Some(id) = pending.pop() else { break };
            let schema = schemas.schema(id);
            pending.extend(schema.alias.into_iter().chain(schema.all_of().iter().copied()));
            tables.extend(schema.object.as_deref().map(|rules| &rules.names));
        }
        value
            .members()
            .filter(|member| {
                !tables.iter().any(|names| names.position(member.name, member.hash).is_some())
            })
            .count()
    }

    fn has_equal_elements(&mut self, value: Value<'_>) -> bool {
        let elements: Vec<Value<'_>> = value.elements().collect();
        let pairs = (elements.len() as u64).saturating_mul(elements.len() as u64) / 2;
        if pairs > self.steps_left {
            self.exhausted = true;
            return false;
        }
        self.steps_left -= pairs;
        elements
            .iter()
            .enumerate()
            .any(|(place, one)| elements.iter().skip(place + 1).any(|other| one.equals(*other)))
    }
}

/// How far a value is from an alternative; the least is the closest. What attributes it has tells
/// more of what was meant than how many of their values are wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Closeness {
    /// It is for values of another type.
    is_other_type: bool,
    /// Attributes that are missing, unknown or of another type.
    structural: u64,
    defects: u32,
}

impl Sink for Verdict {
    const STOPS: bool = true;

    fn defect(&mut self, _: Keyword, _: impl FnOnce() -> String) {}
    fn missing(&mut self, _: &std::sync::Arc<str>) {}
    fn enter(&mut self, _: Step<'_>) {}
    fn leave(&mut self) {}
    fn is_full(&self) -> bool {
        true
    }
    fn branch(&self) -> Collector {
        Collector::default()
    }
    fn adopt(&mut self, _: Collector) {}
}

/// Schemas that contain themselves through alternatives or parts never get deeper in the value. A
/// value of the greatest depth may pass three schemas a level; each costs some frames of the stack.
const MAX_CHECK_DEPTH: u32 = 3 * crate::json::MAX_DEPTH as u32;

/// What the smallest text may cost: each published body is judged with less than a tenth of it.
const BASE_STEPS: u64 = 100_000;

/// A value of one byte is looked at by each alternative above it; published schemas nest four of
/// some ten alternatives each, most of which end at once.
const STEPS_PER_BYTE: u64 = 256;

/// Members of an enumeration that are named in a violation.
const MAX_CONSTANTS_SHOWN: usize = 8;

/// Parts of one alternative whose names are compared.
const MAX_PARTS: usize = 64;
