//! What a flow table counts, so that nothing is lost silently.

use mop_common::HoleCause;

/// Counters and gauges of one [`crate::FlowTable`]. Counters never decrease.
///
/// Identity: of the stream bytes that were delivered once and in order, each is either part of a
/// reported exchange (`framed_bytes - missing_bytes` of its messages), or in `skipped_bytes`, or in
/// a message still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Connections known now.
    pub connections: usize,
    /// Bytes held now: waiting pieces, partial heads, and content of unfinished exchanges.
    pub buffered_bytes: usize,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that were dropped, for whatever reason.
    pub closed: u64,
    /// Connections that speak HTTP/2.
    pub http2_connections: u64,
    /// Of those that were dropped, the ones that had to make room.
    pub evicted: u64,
    /// Connections whose buffers were emptied because the table held too many bytes.
    pub shed: u64,
    /// Exchanges reported.
    pub exchanges: u64,
    /// Of these, the incomplete ones.
    pub incomplete: u64,
    /// Message boundaries that were found again after they had been lost.
    pub resynchronisations: u64,
    /// Messages that broke the rules of RFC 9112.
    pub malformed: u64,
    /// Messages given up at a limit of [`crate::limits`].
    pub limit_reached: u64,
    /// Bytes seen that belong to no reported message: between messages, while a message boundary
    /// was searched for, after a change of protocol, or past the end of a connection.
    pub skipped_bytes: u64,
    /// Bytes that arrived although their place in the stream was filled or given up.
    pub duplicate_bytes: u64,
    /// Segments whose head contradicts itself.
    pub invalid_segments: u64,
    /// Bytes missing, by the number of their [`HoleCause`].
    pub hole_bytes: [u64; HoleCause::ALL.len()],
}

impl FlowStats {
    /// Bytes missing for this cause.
    #[must_use]
    pub fn hole_bytes_by(&self, cause: HoleCause) -> u64 {
        self.hole_bytes.get(cause as usize).copied().unwrap_or_default()
    }

    pub(crate) fn count_hole(&mut self, cause: HoleCause, bytes: u64) {
        if let Some(sum) = self.hole_bytes.get_mut(cause as usize) {
            *sum = sum.saturating_add(bytes);
        }
    }

    pub(crate) fn skip(&mut self, bytes: u64) {
        self.skipped_bytes = self.skipped_bytes.saturating_add(bytes);
    }
}
