//! The quality module: every call judged against its contract.

mod inspector;
mod records;
mod window;

pub(crate) use inspector::{
    DEFAULT_WINDOW, Inspector, InspectorCounts, Outcome, QualityArguments, apply_rules,
    check_window, operation_record,
};
pub(crate) use mop_contract::rules::RuleViolation;
pub(crate) use records::{
    OperationRecord, ReadingRecord, UnjudgedRecord, ViolationRecord, write_findings,
};
