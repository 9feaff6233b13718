//! One condition: an operand and its test.

use std::cmp::Ordering;

use serde_json::Value as Tree;

use super::{
    RuleProblem,
    fact::Fact,
    operand::{Constant, Operand},
    operands::{Findings, OperandId, Operands},
};
use crate::pattern::Pattern;

/// A test of an operand.
pub(super) struct Condition {
    operand: OperandId,
    test: Test,
}

enum Test {
    /// Not there.
    Absent,
    /// Compared with another operand.
    Compare(Comparison, OperandId),
    /// Has a member, given as its words.
    ContainsToken(Box<[Box<str>]>),
    /// Written as an integer.
    IsInteger,
    /// Matches a pattern somewhere.
    Matches(Pattern),
    /// One of some constants.
    OneOf(Box<[Constant]>),
    /// There, whatever it is.
    Present,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    EndsWith,
    Equals,
    EqualsIgnoringCase,
    GreaterThan,
    LessThan,
    NotEquals,
}

impl Condition {
    /// From a map of one entry: the operand, and its test.
    pub(super) fn parse(tree: &Tree, operands: &mut Operands) -> Result<Self, RuleProblem> {
        let (operand, test) =
            only_entry(tree).ok_or_else(|| RuleProblem::Condition(tree.to_string()))?;
        let operand = operands.intern(Operand::parse(operand)?);
        Ok(Self { operand, test: Test::parse(test, operands)? })
    }

    /// Whether it is about the response.
    pub(super) fn needs_response(&self, operands: &Operands) -> bool {
        let other = match &self.test {
            Test::Compare(_, other) => operands.needs_response(*other),
            Test::Absent
            | Test::ContainsToken(_)
            | Test::IsInteger
            | Test::Matches(_)
            | Test::OneOf(_)
            | Test::Present => false,
        };
        other || operands.needs_response(self.operand)
    }

    /// Whether it holds; `None` when that is not to be known.
    pub(super) fn holds(&self, findings: &mut Findings<'_, '_>) -> Option<bool> {
        let fact = findings.of(self.operand);
        match &self.test {
            Test::Absent => fact.is_present().map(|present| !present),
            Test::Compare(comparison, other) => comparison.holds(fact, findings.of(*other)),
            Test::ContainsToken(token) => fact.contains_token(token),
            Test::IsInteger => fact.is_integer(),
            Test::Matches(pattern) => {
                let Fact::Text(text) = fact else { return None };
                text.with_str(|text| pattern.is_match(text).ok())
            }
            Test::OneOf(constants) => {
                let same = |constant: &Constant| fact.equals(constant.fact(), false);
                // Constants of other kinds say nothing, unless all are.
                constants.iter().filter_map(same).reduce(|one, two| one || two)
            }
            Test::Present => fact.is_present(),
        }
    }
}

impl Test {
    fn parse(tree: &Tree, operands: &mut Operands) -> Result<Self, RuleProblem> {
        let refused = || RuleProblem::Test(tree.to_string());
        if let Tree::String(word) = tree {
            return match word.as_str() {
                "absent" => Ok(Self::Absent),
                "is_integer" => Ok(Self::IsInteger),
                "present" => Ok(Self::Present),
                _ => Err(refused()),
            };
        }
        let (name, argument) = only_entry(tree).ok_or_else(refused)?;
        if let Some(comparison) = Comparison::parse(name) {
            let other = other_operand(argument)?.ok_or_else(refused)?;
            return Ok(Self::Compare(comparison, operands.intern(other)));
        }
        match (name, argument) {
            ("contains_token", Tree::String(token)) => {
                let words: Box<[Box<str>]> = token.split_whitespace().map(Into::into).collect();
                let is_member = !words.is_empty() && !token.contains([',', ';']);
                is_member.then_some(Self::ContainsToken(words)).ok_or_else(refused)
            }
            ("matches", Tree::String(pattern)) => {
                Pattern::compile(pattern).map(Self::Matches).map_err(|error| RuleProblem::Pattern {
                    pattern: pattern.clone(),
                    reason: error.to_string(),
                })
            }
            ("one_of", Tree::Array(constants)) if constants.len() > MAX_CONSTANTS => {
                Err(RuleProblem::TooManyConstants)
            }
            ("one_of", Tree::Array(constants)) if !constants.is_empty() => constants
                .iter()
                .map(Constant::parse)
                .collect::<Option<_>>()
                .map(Self::OneOf)
                .ok_or_else(refused),
            _ => Err(refused()),
        }
    }
}

impl Comparison {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "at_least" => Self::AtLeast,
            "at_most" => Self::AtMost,
            "ends_with" => Self::EndsWith,
            "equals" => Self::Equals,
            "equals_ignoring_case" => Self::EqualsIgnoringCase,
            "greater_than" => Self::GreaterThan,
            "less_than" => Self::LessThan,
            "not_equals" => Self::NotEquals,
            _ => return None,
        })
    }

    fn holds(self, one: Fact<'_>, two: Fact<'_>) -> Option<bool> {
        match self {
            Self::AtLeast => one.order(two).map(Ordering::is_ge),
            Self::AtMost => one.order(two).map(Ordering::is_le),
            Self::EndsWith => one.ends_with(two),
            Self::Equals => one.equals(two, false),
            Self::EqualsIgnoringCase => one.equals(two, true),
            Self::GreaterThan => one.order(two).map(Ordering::is_gt),
            Self::LessThan => one.order(two).map(Ordering::is_lt),
            Self::NotEquals => one.equals(two, false).map(|same| !same),
        }
    }
}

/// A constant, or `{value_of: operand}`.
fn other_operand(tree: &Tree) -> Result<Option<Operand>, RuleProblem> {
    match only_entry(tree) {
        Some(("value_of", Tree::String(operand))) => Operand::parse(operand).map(Some),
        _ => Ok(Constant::parse(tree).map(Operand::Constant)),
    }
}

fn only_entry(tree: &Tree) -> Option<(&str, &Tree)> {
    let mut entries = tree.as_object()?.iter();
    let (name, value) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), value))
}

/// Constants of one `one_of`: enumerations that are longer belong into documents.
pub const MAX_CONSTANTS: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(test: &Tree) -> Option<RuleProblem> {
        Condition::parse(&json!({"request.method": test}), &mut Operands::default()).err()
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for tree in [
            json!("request.method"),
            json!({}),
            json!({"request.method": "present", "request.path": "present"}),
            json!(["request.method", "present"]),
        ] {
            let refused = Condition::parse(&tree, &mut Operands::default()).err();
            assert!(matches!(refused, Some(RuleProblem::Condition(_))), "{tree}");
        }
    }

    #[test]
    fn what_is_no_test_is_refused() {
        for test in [
            json!("missing"),
            json!(1),
            json!({}),
            json!({"present": true}),
            json!({"equals": null}),
            json!({"equals": 1.5}),
            json!({"equals": {"value": "request.method"}}),
            json!({"equals": [1]}),
            json!({"contains_token": ""}),
            json!({"contains_token": "a, b"}),
            json!({"contains_token": 1}),
            json!({"matches": 1}),
            json!({"one_of": []}),
            json!({"one_of": [null]}),
            json!({"at_least": 1, "at_most": 2}),
        ] {
            let refused = parse(&test);
            assert!(matches!(refused, Some(RuleProblem::Test(_))), "{test}");
        }
    }

    #[test]
    fn what_tests_refer_to_is_checked() {
        let refused = parse(&json!({"equals": {"value_of": "x"}}));
        assert_eq!(refused, Some(RuleProblem::Operand("x".to_owned())));
        assert!(matches!(parse(&json!({"matches": "("})), Some(RuleProblem::Pattern { .. })));
        let many = vec![1; MAX_CONSTANTS + 1];
        assert_eq!(parse(&json!({"one_of": many})), Some(RuleProblem::TooManyConstants));
    }
}
