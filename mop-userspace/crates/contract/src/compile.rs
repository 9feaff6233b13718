//! From documents to a [`Contract`](crate::contract::Contract).

mod operations;
mod schemas;

pub(crate) use operations::operations;
pub(crate) use schemas::SchemaCompiler;

/// Something in a document that was left out, so that the rest could be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: a JSON Pointer into the document.
    pub pointer: String,
    /// What is wrong and what is done about it.
    pub detail: String,
}
