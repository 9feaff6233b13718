//! The quality module: every call judged against its contract, and reported once, at the edge.

mod counts;
mod hops;
mod inspector;
mod judged;
mod module;
mod records;
mod reports;
mod thread;
mod window;

pub(crate) use counts::InspectorCounts;
pub(crate) use inspector::{
    DEFAULT_WINDOW, Inspector, Outcome, QualityArguments, apply_rules, check_window,
    operation_record,
};
pub(crate) use mop_contract::rules::RuleViolation;
pub(crate) use records::{
    OperationRecord, ReadingRecord, UnjudgedRecord, ViolationRecord, write_findings,
};
pub(crate) use thread::{Linking, Parts, Running};
