//! Filter documents: what one installation takes out of rules that it does not write.

use super::{
    atom::{Atom, Expression},
    detection::Detection,
    document::DetectionRule,
    error::Fault,
    head::{Head, LogSource},
    node::Node,
};

/// A filter. Rules that it is for match only where it holds too.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What names it.
    pub head: Head,
    /// What the rules look at that it is for.
    pub log_source: LogSource,
    /// Rules that it is for.
    pub filtered: Filtered,
    /// What must hold as well, mostly `not selection`.
    pub detection: Detection,
}

/// Rules that a filter is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// All of its log source.
    Any,
    /// Those with these ids or names.
    These(Vec<String>),
}

impl Filter {
    pub(super) fn parse(root: &Node<'_>, head: Head) -> Result<Self, Fault> {
        let node = root.required("filter")?;
        let rules = node.required("rules")?.texts(MAX_FILTERED_RULES, MAX_TEXT_BYTES)?;
        let is_any = rules.len() == 1 && rules.iter().any(|rule| rule == "any");
        Ok(Self {
            head,
            log_source: LogSource::parse(&root.required("logsource")?)?,
            filtered: if is_any { Filtered::Any } else { Filtered::These(rules) },
            detection: Detection::parse(&node, &["rules"])?,
        })
    }

    /// Whether it is for a rule.
    #[must_use]
    pub fn is_for(&self, rule: &DetectionRule) -> bool {
        let is_of_source = self.log_source.category.is_none()
            || self.log_source.category == rule.log_source.category;
        is_of_source
            && match &self.filtered {
                Filtered::Any => true,
                Filtered::These(rules) => rules.iter().any(|meant| rule.head.is_meant_by(meant)),
            }
    }

    /// What a rule comes to.
    #[must_use]
    pub fn narrowed(&self, expression: Expression<Atom>) -> Expression<Atom> {
        Expression::All(vec![expression, self.detection.expression.clone()])
    }
}

/// The tuning of an installation names a few.
const MAX_FILTERED_RULES: usize = 1024;

/// Ids and names.
const MAX_TEXT_BYTES: usize = 256;
