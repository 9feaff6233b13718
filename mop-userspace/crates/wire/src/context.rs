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
    /// Nothing else of the connection can be read: one request more may be taken than there is room for.
    pub(crate) is_stuck: bool,
    pub(crate) out: &'a mut dyn FnMut(Exchange),
}

impl Context<'_> {
    /// Gives an exchange out, as the next one of its connection; one without a message is none.
    pub(crate) fn report(&mut self, mut exchange: Exchange, reported: &mut u64) {
        if exchange.request.is_none() && exchange.response.is_none() {
            for seen in [&exchange.completeness.request, &exchange.completeness.response] {
                self.stats.skip(seen.framed_bytes.saturating_sub(seen.missing_bytes));
            }
            return;
        }
        exchange.sequence = *reported;
        *reported += 1;
        self.stats.exchanges += 1;
        if !exchange.completeness.is_complete() {
            self.stats.incomplete += 1;
        }
        (self.out)(exchange);
    }
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
