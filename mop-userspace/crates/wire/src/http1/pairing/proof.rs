//! The proof of a pair that was attributed by time: rule 3 of [`super`].

use super::{NextRequest, Pairing, Trust};
use crate::{context::Context, exchange::Exchange};

/// A tentative pair that waits for its proof.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) exchange: Exchange,
    /// When the next request began; `None` as long as none did.
    pub(super) next_ns: Option<u64>,
    /// As many requests followed without a hole, if there was one since.
    pub(super) certain: Option<usize>,
}

impl Pairing {
    /// Rule 3 of the module documentation: holds the pair, unless the proof failed already.
    pub(super) fn prove(&mut self, exchange: Exchange, next: NextRequest, cx: &mut Context<'_>) {
        let end_ns = exchange.timing.response_end_ns;
        let found = self.queue.iter().position(|request| request.after_search);
        let certain = found.or((next == NextRequest::Unknown).then_some(self.queue.len()));
        let next_ns = match (self.queue.front(), next) {
            (Some(request), _) => Some(request.message.start.ktime_ns),
            (None, NextRequest::Began { start_ns }) => Some(start_ns),
            (None, NextRequest::NotYet | NextRequest::Unknown) => None,
        };
        self.pipelines |= next_ns.is_some_and(|next_ns| next_ns <= end_ns);
        if self.pipelines || certain == Some(0) {
            return self.report_lost(exchange, cx);
        }
        self.held = Some(Box::new(Held { exchange, next_ns, certain }));
    }

    /// The proof is there: the order is trusted again, up to the next hole of the request stream.
    pub(super) fn accept_held(&mut self, cx: &mut Context<'_>) {
        let Some(held) = self.held.take() else { return };
        let Held { exchange, next_ns: _, certain: before_hole } = *held;
        self.anchored = true;
        match (before_hole, &mut self.trust) {
            (None, trust) => *trust = Trust::Order,
            (Some(before_hole), Trust::Lost { certain, .. }) => *certain = before_hole,
            (Some(_), Trust::Order) => {}
        }
        self.report(exchange, cx);
    }

    pub(super) fn break_held(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            self.report_lost(held.exchange, cx);
        }
    }
}
