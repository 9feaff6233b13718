//! Which response answers which request (RFC 9112 section 9.3).
//!
//! While both streams are continuous since a common message boundary, the order decides: responses
//! come in the order of their requests. A hole that swallowed a whole message would shift that by
//! one and pair the wrong messages, which is worse than to pair none. So after a hole:
//!
//! 1. Requests that lie before a hole of the *request* stream keep their order (they are `certain`)
//!    as long as the response stream is continuous.
//! 2. Otherwise a response is attributed to a request only if the connection was quiet: some
//!    response ended after everything that a hole may hide, the request began after that, it is
//!    the only one since, and it had ended when the response began.
//! 3. Such a pair is *tentative*: it is held until the next request begins, right behind this one
//!    and after the end of its response, and the next response after that. A hole in between, or
//!    another order, shows that the count was off, and the pair is reported as lost.
//!    What rule 2 asks for is known as soon as the request stream was read beyond the time in
//!    question, which the next request does, or when the watermark has passed that time.
//! 4. A client that was ever seen to pipeline is not attributed by rule 2 at all.
//!
//! Times are those when calls returned. A server's read returns before it can write the response;
//! but a client may read the response in one thread before the write of the request has returned
//! in another. So for clients rule 2 asks for times that are apart by
//! [`STAMP_SLACK_NS`](crate::limits::STAMP_SLACK_NS), unless the caller that read the end of the response
//! before is the one that began the request: then the one happened after the other. And where order
//! decides, times do not matter once the streams are anchored.
//!
//! What rule 2 assumes is that a client which never visibly overlapped its calls did not do so
//! inside a hole in a pattern that looks like alternation from then on.
//!
//! Invariants: a settled request in the queue is not over, and is its last; `certain` never exceeds
//! the number of unsettled requests; while a pair is held, no answer is being read.

mod proof;
mod requests;
mod responses;

use std::collections::VecDeque;

use self::proof::Held;
use crate::{
    context::{Context, End},
    exchange::{Ending, Exchange, Role},
    http1::outstanding::{Answer, Outstanding},
    stamp::Stamp,
};

#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) role: Role,
    queue: VecDeque<Outstanding>,
    /// The response that is being read. It answers the first unsettled request, or is an orphan.
    answer: Option<Box<Answer>>,
    trust: Trust,
    /// The streams are known to be at the same call: from their start, or by a pair that fits.
    anchored: bool,
    /// A request was seen to begin before the response to the one before it had ended.
    pipelines: bool,
    held: Option<Box<Held>>,
    /// The request stream was read up to bytes of this time: it shows nothing more from before.
    requests_until_ns: u64,
    reported: u64,
}

/// What the order of messages is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The next response answers the first unsettled request.
    Order,
    Lost {
        /// As many unsettled requests, from the front, are still answered in order.
        certain: usize,
        /// Up to this time, messages may have passed unseen.
        unsure_ns: u64,
        /// The last response activity that was seen; `None` when there was none since.
        quiet: Option<Stamp>,
    },
}

/// What is known of the request stream after the requests in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextRequest {
    /// The stream is continuous, and the next request began at this time.
    Began { start_ns: u64 },
    /// The stream is continuous so far.
    NotYet,
    /// There is a hole.
    Unknown,
}

impl Pairing {
    pub(crate) fn new(from_start: bool) -> Self {
        Self {
            role: Role::Server,
            queue: VecDeque::new(),
            answer: None,
            trust: Trust::Order,
            anchored: from_start,
            pipelines: false,
            held: None,
            requests_until_ns: 0,
            reported: 0,
        }
    }

    /// Takes note that at this time messages may have passed unseen.
    pub(crate) fn unsure(&mut self, ktime_ns: u64) {
        if let Trust::Lost { unsure_ns, .. } = &mut self.trust {
            *unsure_ns = (*unsure_ns).max(ktime_ns);
        }
    }

    /// Takes note of bytes of the response stream that belong to no message: they speak against a
    /// pair that is held.
    pub(crate) fn stray_response_bytes(&mut self, cx: &mut Context<'_>) {
        self.break_held(cx);
    }

    /// Reports what is left. Neither stream is being read any more.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        self.answer_failed(Ending::ResponseCut, cx);
        if let Some(held) = self.held.take() {
            match how {
                End::Closed => self.report(held.exchange, cx),
                End::Abandoned => self.report_lost(held.exchange, cx),
                End::Stopped => self.report_as(held.exchange, Ending::ObserverStopped, cx),
            }
        }
        let mut certain = match self.trust {
            Trust::Order => usize::MAX,
            Trust::Lost { certain, .. } => certain,
        };
        while let Some(request) = self.take_first() {
            let ending = match how {
                End::Stopped => Ending::ObserverStopped,
                End::Closed | End::Abandoned if !request.over => Ending::RequestCut,
                // Its response may have passed in a hole: nobody knows that there was none.
                End::Closed | End::Abandoned if certain == 0 => Ending::LostInHole,
                End::Closed | End::Abandoned => Ending::ResponseCut,
            };
            certain = certain.saturating_sub(1);
            let exchange = request.into_exchange(cx.connection, self.role, ending);
            self.report(exchange, cx);
        }
    }

    /// Gives up kept content, to make room.
    pub(crate) fn forget_content(&mut self) {
        for request in &mut self.queue {
            request.message.forget_content();
            if let Some(answer) = &mut request.response {
                answer.message.forget_content();
            }
        }
        if let Some(answer) = &mut self.answer {
            answer.message.forget_content();
        }
    }

    /// True when a request has no response yet.
    pub(crate) fn has_unsettled(&self) -> bool {
        self.queue.iter().any(|request| !request.settled)
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let queue: usize = self.queue.iter().map(Outstanding::buffered).sum();
        let answer = self.answer.as_ref().map_or(0, |answer| answer.buffered());
        let held = self.held.as_ref().map_or(0, |held| {
            let Exchange { request, response, .. } = &held.exchange;
            let request = request.as_ref().map_or(0, |r| r.body.bytes.capacity());
            let response = response.as_ref().map_or(0, |r| r.body.bytes.capacity());
            size_of::<Held>() + request + response
        });
        queue + answer + held
    }

    fn unsettled(&self) -> usize {
        self.queue.iter().filter(|request| !request.settled).count()
    }

    /// Settles the first unsettled requests without a whole response.
    fn give_up(&mut self, requests: usize, ending: Ending, cx: &mut Context<'_>) {
        for _ in 0..requests {
            let Some(request) = self.queue.iter_mut().find(|request| !request.settled) else {
                return;
            };
            request.settled = true;
            request.fail(ending);
            if request.over
                && let Some(request) = self.take_first()
            {
                let exchange = request.into_exchange(cx.connection, self.role, ending);
                self.report(exchange, cx);
            }
        }
    }

    fn take_first(&mut self) -> Option<Outstanding> {
        let request = self.queue.pop_front();
        self.give_room_back();
        request
    }

    /// Most of the connections of a node are open and idle.
    fn give_room_back(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn report_last(&mut self, ending: Ending, cx: &mut Context<'_>) {
        let Some(request) = self.queue.pop_back() else { return };
        self.give_room_back();
        let upgraded = request.response.as_ref().is_some_and(|answer| answer.upgraded);
        let ending = if upgraded { Ending::Upgraded } else { ending };
        let exchange = request.into_exchange(cx.connection, self.role, ending);
        self.report(exchange, cx);
    }

    fn report_lost(&mut self, exchange: Exchange, cx: &mut Context<'_>) {
        self.report_as(exchange, Ending::LostInHole, cx);
    }

    fn report_as(&mut self, mut exchange: Exchange, ending: Ending, cx: &mut Context<'_>) {
        exchange.completeness.ending = ending;
        self.report(exchange, cx);
    }

    fn report(&mut self, exchange: Exchange, cx: &mut Context<'_>) {
        cx.report(exchange, &mut self.reported);
    }
}
