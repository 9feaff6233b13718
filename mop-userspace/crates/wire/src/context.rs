//! What reading a connection needs from outside, and how a connection ends.

use crate::{exchange::Exchange, flow_table::Options, stats::FlowStats};

/// What a session needs from outside while it works.
pub(crate) struct Context<'a> {
    pub(crate) connection: u64,
    pub(crate) options: &'a Options,
    pub(crate) stats: &'a mut FlowStats,
    /// Every segment stamped before this time was delivered.
    pub(crate) watermark_ns: u64,
    /// Nothing is waited for any more: too much stands behind it.
    pub(crate) force: bool,
    pub(crate) out: &'a mut dyn FnMut(Exchange),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was closed, and where its streams end is known.
    Closed,
    /// It is gone, and where its streams ended is not known.
    Abandoned,
    /// The observer looks away.
    Stopped,
}
