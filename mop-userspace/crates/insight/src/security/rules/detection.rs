//! The `detection` of a rule: named selections and a condition over them.

use serde_json::Value;

use super::{
    atom::{Atom, Expression},
    condition::{self, Condition, MAX_CONDITION_BYTES},
    error::{Fault, Problem},
    item,
    node::Node,
};

/// What a rule or a filter looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Selections by their names, in the order of these.
    pub selections: Vec<(String, Expression<Atom>)>,
    /// The condition, as it is written.
    pub condition: Condition,
    /// Both together.
    pub expression: Expression<Atom>,
}

impl Detection {
    /// Reads a mapping of selections and `condition`; keys of `besides` are no selections.
    pub(super) fn parse(node: &Node<'_>, besides: &[&str]) -> Result<Self, Fault> {
        let mut selections = Vec::new();
        for (name, below) in node.entries()? {
            // `timeframe` belongs to aggregations of the older format, and says nothing without.
            if name == "condition" || name == "timeframe" || besides.contains(&name) {
                continue;
            }
            if selections.len() >= MAX_SELECTIONS {
                return Err(node.fault(Problem::TooManySelections));
            }
            selections.push((name.to_owned(), selection(&below)?));
        }
        let written = node.required("condition")?;
        let alternatives = written.one_or_more(MAX_SELECTIONS)?;
        let mut conditions = Vec::with_capacity(alternatives.len());
        for alternative in &alternatives {
            let text = alternative.text(MAX_CONDITION_BYTES)?;
            conditions.push(condition::parse(&text).map_err(|problem| written.fault(problem))?);
        }
        let condition = match (conditions.len(), conditions.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                conditions.extend(last);
                Condition::Any(conditions)
            }
        };
        let expression = condition.expand(&selections).map_err(|problem| written.fault(problem))?;
        Ok(Self { selections, condition, expression })
    }
}

/// A mapping (all of its items), or a list (any of its mappings and keywords).
fn selection(node: &Node<'_>) -> Result<Expression<Atom>, Fault> {
    match node.value {
        Value::Object(_) => {
            let mut items = Vec::new();
            for (key, below) in node.entries()? {
                items.push(item::parse(key, &below)?);
            }
            Ok(Expression::All(items))
        }
        Value::Array(_) => {
            let mut alternatives = Vec::new();
            for below in node.one_or_more(MAX_ALTERNATIVES)? {
                alternatives.push(match below.value {
                    Value::Object(_) => selection(&below)?,
                    _ => item::keyword(&below)?,
                });
            }
            Ok(Expression::Any(alternatives))
        }
        Value::Null => Err(node.fault(Problem::Empty)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => item::keyword(node),
    }
}

/// Published rules have up to twenty.
pub const MAX_SELECTIONS: usize = 128;

/// Mappings and keywords of a list.
const MAX_ALTERNATIVES: usize = 4096;
