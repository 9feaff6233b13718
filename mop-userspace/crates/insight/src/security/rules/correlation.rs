//! Correlation documents: rules that match several calls together.

use super::{
    error::{Fault, Problem},
    field::FieldName,
    node::Node,
};

/// What several calls must have in common, and how many there must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// What is counted.
    pub kind: CorrelationKind,
    /// Ids or names of the rules whose matches are counted; for [`CorrelationKind::TemporalOrdered`]
    /// in their order.
    pub rules: Vec<String>,
    /// Fields in whose values the calls agree.
    pub group_by: Vec<FieldName>,
    /// Time in which they happen.
    pub timespan_ns: u64,
    /// How many there must be.
    pub threshold: Threshold,
}

/// What a correlation counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrelationKind {
    /// Calls.
    EventCount,
    /// Different rules that matched.
    Temporal,
    /// Rules that matched one after the other, in their order.
    TemporalOrdered,
    /// Different values of a field.
    ValueCount(FieldName),
    /// The sum of a field's values.
    ValueSum(FieldName),
}

/// From which number on a correlation is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// From this number on.
    AtLeast(u64),
    /// At this number only.
    Exactly(u64),
}

impl Correlation {
    pub(super) fn parse(node: &Node<'_>) -> Result<Self, Fault> {
        node.only(&["type", "rules", "group-by", "timespan", "condition", "generate"])?;
        let rules_node = node.required("rules")?;
        let rules = rules_node.texts(MAX_CORRELATED_RULES, MAX_TEXT_BYTES)?;
        let mut different = rules.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() != rules.len() {
            return Err(rules_node.fault(Problem::CorrelationRules));
        }
        let group_by = match node.get("group-by") {
            Some(below) => below.texts(MAX_GROUP_FIELDS, MAX_TEXT_BYTES)?,
            None => Vec::new(),
        };
        let condition = node.get("condition");
        let all = u64::try_from(rules.len()).unwrap_or(u64::MAX);
        let (kind, threshold) = match node.required("type")?.word(KINDS, KIND_WORDS)? {
            Kind::EventCount => {
                let condition = node.required("condition")?;
                condition.only(OPERATORS)?;
                (CorrelationKind::EventCount, threshold(&condition)?)
            }
            kind @ (Kind::ValueCount | Kind::ValueSum) => {
                let condition = node.required("condition")?;
                condition.only(&["field", "gte", "gt", "eq", "lt", "lte"])?;
                let field = condition.required("field")?.text(MAX_TEXT_BYTES)?;
                let field = FieldName::new(&field);
                let kind = match kind {
                    Kind::ValueSum => CorrelationKind::ValueSum(field),
                    _ => CorrelationKind::ValueCount(field),
                };
                (kind, threshold(&condition)?)
            }
            Kind::Temporal => {
                let threshold = match &condition {
                    Some(condition) => threshold(condition)?,
                    None => Threshold::AtLeast(all),
                };
                (CorrelationKind::Temporal, threshold)
            }
            Kind::TemporalOrdered => {
                if let Some(condition) = condition {
                    return Err(condition.fault(Problem::UnknownKey("condition".to_owned())));
                }
                (CorrelationKind::TemporalOrdered, Threshold::AtLeast(all))
            }
        };
        Ok(Self {
            kind,
            rules,
            group_by: group_by.iter().map(|name| FieldName::new(name)).collect(),
            timespan_ns: timespan_ns(&node.required("timespan")?)?,
            threshold,
        })
    }
}

impl Threshold {
    /// Whether a number reaches it.
    #[must_use]
    pub fn is_reached(self, number: u64) -> bool {
        match self {
            Self::AtLeast(least) => number >= least,
            Self::Exactly(exact) => number == exact,
        }
    }
}

/// Reads a number with a unit: `s`, `m`, `h` or `d`. From one second to 30 days.
pub(super) fn timespan_ns(node: &Node<'_>) -> Result<u64, Fault> {
    let text = node.text(MAX_TEXT_BYTES)?;
    let split = text.len().saturating_sub(1);
    let seconds = text.get(split..).and_then(|unit| {
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        text.get(..split)?.parse::<u64>().ok()?.checked_mul(unit)
    });
    let seconds = seconds.filter(|seconds| (1..=MAX_TIMESPAN_SECONDS).contains(seconds));
    seconds
        .map(|seconds| seconds * 1_000_000_000)
        .ok_or_else(|| node.fault(Problem::WrongType("a time such as 30s, 5m, 1h or 1d")))
}

/// The one operator of a condition.
fn threshold(node: &Node<'_>) -> Result<Threshold, Fault> {
    let refused = || node.fault(Problem::CorrelationCondition);
    if node.get("lt").or_else(|| node.get("lte")).is_some() {
        return Err(refused());
    }
    let number = |key| node.get(key).map(|below| below.whole_number()).transpose();
    let threshold = match (number("gte")?, number("gt")?, number("eq")?) {
        (Some(least), None, None) => Threshold::AtLeast(least),
        (None, Some(below), None) => Threshold::AtLeast(below.saturating_add(1)),
        (None, None, Some(exact)) => Threshold::Exactly(exact),
        _ => return Err(refused()),
    };
    if threshold.is_reached(0) { Err(refused()) } else { Ok(threshold) }
}

#[derive(Clone, Copy)]
enum Kind {
    EventCount,
    Temporal,
    TemporalOrdered,
    ValueCount,
    ValueSum,
}

const KINDS: &[(&str, Kind)] = &[
    ("event_count", Kind::EventCount),
    ("value_count", Kind::ValueCount),
    ("value_sum", Kind::ValueSum),
    ("temporal", Kind::Temporal),
    ("temporal_ordered", Kind::TemporalOrdered),
];
const KIND_WORDS: &str = "event_count, value_count, value_sum, temporal, temporal_ordered";

const OPERATORS: &[&str] = &["gte", "gt", "eq", "lt", "lte"];

/// Each has a place in the state of each key.
pub const MAX_CORRELATED_RULES: usize = 16;

/// Fields of a group; rules have one or two.
pub(super) const MAX_GROUP_FIELDS: usize = 8;

/// Names and times.
const MAX_TEXT_BYTES: usize = 256;

/// A month of memory is more than any key stays.
const MAX_TIMESPAN_SECONDS: u64 = 30 * 24 * 60 * 60;
