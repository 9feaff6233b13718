//! The rule engine: documents of Sigma 2.1, compiled to one pass over a call.
//!
//! ```text
//! YAML -> document  (detection | correlation | filter, typed)
//!      -> compile   (one automaton for all literals, sets of regular expressions by field)
//! call -> event    -> RuleSet::evaluate    rules that match
//!                  -> Correlator::observe  correlations that are reached
//! ```
//!
//! A rule is data that others write, a call is bytes that enemies write. So documents are bounded
//! and refused with place and remedy, and matching takes linear time whatever a rule says: literals
//! are found by one automaton, everything else by regular expressions without look-around and
//! back-references.
//!
//! Invariants:
//! - A [`RuleSet`] is immutable; a reload makes another one.
//! - A rule that needs what cannot be had here never matches and says why ([`RuleSet::unusable`]).
//! - `bytes scanned for a call <= MAX_EVENT_BYTES`; what was not is counted.
//! - No value of a call is in a result: it names rules and fields only.
//!
//! The format is described for its writers in `rules/security/README.md`.

mod atom;
mod builtin;
mod check;
mod compile;
mod condition;
mod correlation;
mod correlator;
mod detection;
mod distinct;
mod document;
mod encoding;
mod error;
mod event;
mod example;
mod extension;
mod field;
mod field_set;
mod filter;
mod head;
mod item;
mod node;
mod numbers;
mod pattern;
mod quiet;
mod reading;
mod reference;
mod rule_set;
mod scan;
mod window;

pub use atom::{Atom, Comparison, Expression, Possible, Predicate};
pub use builtin::Builtin;
pub use check::{Lint, LintProblem, check};
pub use compile::{CompileError, MAX_LITERAL_BYTES, MAX_RULES};
pub use condition::{
    Condition, MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH, Quantity, parse as parse_condition,
};
pub use correlation::{Correlation, CorrelationKind, MAX_CORRELATED_RULES, Threshold};
pub use correlator::{Correlated, Correlator, CorrelatorCounts, Occurrence};
pub use detection::{Detection, MAX_SELECTIONS};
pub use distinct::{Distinct, EXACT_VALUES};
pub use document::{
    CorrelationRule, DetectionRule, Document, MAX_DEPTH, MAX_DOCUMENTS, MAX_FILE_BYTES, MAX_NODES,
    parse as parse_documents,
};
pub use error::{Fault, Problem, RuleFileError};
pub use event::{Event, EventMap, MAX_EVENT_BYTES, Value};
pub use example::{Example, Examples, Run};
pub use extension::{Decode, Extension, Maturity, Misp};
pub use field::{Body, Field, FieldName, Side};
pub use field_set::FieldSet;
pub use filter::{Filter, Filtered};
pub use head::{Head, Level, LogSource, Status};
pub use pattern::{Part, Pattern};
pub use reading::{MAX_RESPONSE_BYTES, MAX_VALUE_BYTES, Reading};
pub use reference::Anchor;
pub use rule_set::{Match, Rule, RuleSet, Unusable};
pub use scan::Scratch;
