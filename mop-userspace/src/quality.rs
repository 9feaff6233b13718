//! The quality module: every call judged against its contract.

mod inspector;
mod records;
mod window;

pub(crate) use inspector::{
    Inspector, InspectorCounts, Outcome, QualityArguments, apply_rules, operation_record,
};
pub(crate) use records::{QualityReport, ReadingRecord, UnjudgedRecord, ViolationRecord};
