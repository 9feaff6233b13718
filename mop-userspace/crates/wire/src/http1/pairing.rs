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
//! 4. A client that was ever seen to pipeline is not attributed by rule 2 at all.
//!
//! What rule 2 assumes is that a client which never visibly overlapped its calls did not do so
//! inside a hole in a pattern that looks like alternation from then on.
//!
//! Invariants: a settled request in the queue is not over, and is its last; `certain` never exceeds
//! the number of unsettled requests; while a pair is held, no answer is being read.

use std::collections::VecDeque;

use crate::{
    exchange::{Ending, Exchange, Request, Role},
    http1::{
        framing::Asked,
        message::Message,
        outstanding::{Answer, Outstanding},
        session::{Context, End},
    },
    limits,
};

#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) role: Role,
    queue: VecDeque<Outstanding>,
    /// The response that is being read. It answers the first unsettled request, or is an orphan.
    answer: Option<Answer>,
    trust: Trust,
    /// A request was seen to begin before the response to the one before it had ended.
    pipelines: bool,
    held: Option<Box<Held>>,
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
        /// When the last response activity was seen; `None` when there was none since.
        quiet_ns: Option<u64>,
    },
}

/// A tentative pair that waits for its proof.
#[derive(Debug)]
struct Held {
    exchange: Exchange,
    /// When the next request began; `None` as long as none did.
    next_ns: Option<u64>,
    /// As many requests followed without a hole, if there was one since.
    certain: Option<usize>,
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
    pub(crate) fn new() -> Self {
        Self {
            role: Role::Server,
            queue: VecDeque::new(),
            answer: None,
            trust: Trust::Order,
            pipelines: false,
            held: None,
            reported: 0,
        }
    }

    // ===== requests =====

    /// Takes note that the next request begins right where the one before it ended.
    pub(crate) fn request_began(&mut self, start_ns: u64, cx: &mut Context<'_>) {
        let Some(held) = self.held.as_mut().filter(|held| held.next_ns.is_none()) else { return };
        held.next_ns = Some(start_ns);
        if start_ns <= held.exchange.timing.response_end_ns {
            self.pipelines = true;
            self.break_held(cx);
        }
    }

    /// Adds the request whose head was just read, or whose head failed.
    pub(crate) fn add_request(
        &mut self,
        head: Option<Request>,
        message: Message,
        after_search: bool,
        cx: &mut Context<'_>,
    ) {
        if self.queue.len() >= limits::MAX_OUTSTANDING_REQUESTS {
            if let Some(answer) = &mut self.answer {
                answer.orphan = true;
            }
            self.give_up(1, Ending::LimitReached, cx);
            self.response_lost(cx);
            cx.stats.limit_reached += 1;
        }
        if self.queue.capacity() == 0 {
            // Nearly every connection has one call at a time.
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(Outstanding::new(head, message, after_search));
    }

    /// The request that is being read.
    pub(crate) fn request_message(&mut self) -> Option<&mut Message> {
        self.queue.back_mut().filter(|request| !request.over).map(|request| &mut request.message)
    }

    /// Takes note that the request being read ended.
    pub(crate) fn request_over(&mut self, cx: &mut Context<'_>) {
        let Some(request) = self.queue.back_mut() else { return };
        request.over = true;
        if request.settled {
            self.report_last(Ending::Complete, cx);
        }
    }

    /// Takes note that the request being read will not be read to its end.
    pub(crate) fn request_failed(&mut self, ending: Ending, cx: &mut Context<'_>) {
        let Some(request) = self.queue.back_mut() else { return };
        request.over = true;
        request.fail(ending);
        if request.settled {
            self.report_last(ending, cx);
        }
    }

    /// Takes note that a message boundary of the request stream is unknown from here on.
    pub(crate) fn request_lost(&mut self, cx: &mut Context<'_>) {
        let unsettled = self.unsettled();
        if let Some(held) = &mut self.held {
            held.certain.get_or_insert(unsettled);
            if held.next_ns.is_none() {
                self.break_held(cx);
            }
        }
        if self.trust == Trust::Order {
            self.trust = Trust::Lost { certain: unsettled, unsure_ns: 0, quiet_ns: None };
        }
    }

    /// Takes note that at this time messages may have passed unseen in the request stream.
    pub(crate) fn request_unsure(&mut self, ktime_ns: u64) {
        if let Trust::Lost { unsure_ns, .. } = &mut self.trust {
            *unsure_ns = (*unsure_ns).max(ktime_ns);
        }
    }

    // ===== responses =====

    /// Decides which request the response that begins at this time answers. False when that
    /// cannot be known yet.
    pub(crate) fn begin_answer(&mut self, start_ns: u64, cx: &mut Context<'_>) -> bool {
        let passed = cx.force || cx.watermark_ns > start_ns;
        match self.held.as_ref().map(|held| held.next_ns) {
            None => {}
            Some(None) if !passed => return false,
            Some(Some(next_ns)) if next_ns <= start_ns => self.accept_held(cx),
            Some(_) => self.break_held(cx),
        }
        let first = self.queue.iter().find(|request| !request.settled);
        let in_order = match self.trust {
            Trust::Order => true,
            Trust::Lost { certain, .. } => certain > 0,
        };
        if in_order {
            match first {
                None if !passed => return false,
                // A response cannot begin before its request does.
                Some(request) if request.message.start_ns <= start_ns => {
                    self.answer = Some(Answer::new(start_ns, false));
                }
                None | Some(_) => self.begin_orphan(start_ns, cx),
            }
            return true;
        }
        if !passed {
            return false;
        }
        if self.is_attributable(start_ns)
            && let Some(request) = self.queue.iter_mut().find(|request| !request.settled)
        {
            request.tentative = true;
            self.answer = Some(Answer::new(start_ns, false));
        } else {
            let before = self.began_before(start_ns);
            self.give_up(before, Ending::LostInHole, cx);
            self.begin_orphan(start_ns, cx);
        }
        true
    }

    /// The response that is being read.
    pub(crate) fn answer(&mut self) -> Option<&mut Answer> {
        self.answer.as_mut()
    }

    /// What the request of the response being read decides about it.
    pub(crate) fn asked(&self) -> Asked {
        let orphan = self.answer.as_ref().is_none_or(|answer| answer.orphan);
        let first = self.queue.iter().find(|request| !request.settled);
        first.filter(|_| !orphan).map_or(Asked::Other, |request| request.asked)
    }

    /// Takes note that the response being read was an interim one.
    pub(crate) fn interim_over(&mut self, status: u16, cx: &mut Context<'_>) {
        let Some(answer) = self.answer.take() else { return };
        let bytes = answer.message.seen_bytes();
        let first = self.queue.iter_mut().find(|request| !request.settled);
        match first.filter(|_| !answer.orphan) {
            Some(request) => {
                request.interim_bytes = request.interim_bytes.saturating_add(bytes);
                if request.interim.len() < limits::MAX_INTERIM_RESPONSES {
                    request.interim.push(status);
                }
            }
            None => cx.stats.skip(bytes),
        }
    }

    /// Takes note that the response being read ended.
    pub(crate) fn answer_over(&mut self, next: NextRequest, cx: &mut Context<'_>) {
        let Some(answer) = self.answer.take() else { return };
        let end_ns = answer.message.last_ns;
        self.response_activity(end_ns);
        if answer.orphan {
            let exchange = answer.into_exchange(cx.connection, self.role, Ending::RequestUnseen);
            return self.report(exchange, cx);
        }
        let ending = if answer.upgraded { Ending::Upgraded } else { Ending::Complete };
        let mut unsettled = self.queue.iter_mut().filter(|request| !request.settled);
        let Some(request) = unsettled.next() else { return };
        request.settled = true;
        request.response = Some(answer);
        let is_over = request.over;
        let tentative = request.tentative;
        if unsettled.next().is_some_and(|next| next.message.start_ns < end_ns) {
            self.pipelines = true;
        }
        if !tentative && let Trust::Lost { certain, .. } = &mut self.trust {
            *certain = certain.saturating_sub(1);
        }
        if !is_over {
            return;
        }
        let Some(request) = self.queue.pop_front() else { return };
        let exchange = request.into_exchange(cx.connection, self.role, ending);
        if tentative {
            self.prove(exchange, next, cx);
        } else {
            self.report(exchange, cx);
        }
    }

    /// Takes note that the response being read will not be read to its end.
    pub(crate) fn answer_failed(&mut self, ending: Ending, cx: &mut Context<'_>) {
        let Some(answer) = self.answer.take() else { return };
        self.response_activity(answer.message.last_ns);
        if answer.orphan {
            let exchange = answer.into_exchange(cx.connection, self.role, ending);
            return self.report(exchange, cx);
        }
        if let Some(request) = self.queue.iter_mut().find(|request| !request.settled) {
            request.response = Some(answer);
            self.give_up(1, ending, cx);
        }
    }

    /// Takes note that a message boundary of the response stream is unknown from here on.
    pub(crate) fn response_lost(&mut self, cx: &mut Context<'_>) {
        self.break_held(cx);
        self.trust = match self.trust {
            Trust::Order => Trust::Lost { certain: 0, unsure_ns: 0, quiet_ns: None },
            Trust::Lost { certain: _, unsure_ns, quiet_ns } => {
                Trust::Lost { certain: 0, unsure_ns, quiet_ns }
            }
        };
    }

    /// Takes note that at this time messages may have passed unseen in the response stream.
    pub(crate) fn response_unsure(&mut self, ktime_ns: u64) {
        self.request_unsure(ktime_ns);
    }

    /// Takes note that a byte of a response was seen at this time.
    pub(crate) fn response_activity(&mut self, ktime_ns: u64) {
        if let Trust::Lost { quiet_ns, .. } = &mut self.trust {
            *quiet_ns = (*quiet_ns).max(Some(ktime_ns));
        }
    }

    // ===== both =====

    /// Reports what is left. Neither stream is being read any more.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            match how {
                End::Closed => self.report(held.exchange, cx),
                End::Abandoned => self.report_lost(held.exchange, cx),
                End::Stopped => self.report_as(held.exchange, Ending::ObserverStopped, cx),
            }
        }
        while let Some(request) = self.queue.pop_front() {
            let ending = match how {
                End::Stopped => Ending::ObserverStopped,
                End::Closed | End::Abandoned if request.over => Ending::ResponseCut,
                End::Closed | End::Abandoned => Ending::RequestCut,
            };
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
        let answer = self.answer.as_ref().map_or(0, Answer::buffered);
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

    fn began_before(&self, ktime_ns: u64) -> usize {
        let began = |request: &&Outstanding| request.message.start_ns <= ktime_ns;
        self.queue.iter().filter(|request| !request.settled).take_while(began).count()
    }

    /// Rule 2 of the module documentation.
    fn is_attributable(&self, start_ns: u64) -> bool {
        let Trust::Lost { certain: _, unsure_ns, quiet_ns: Some(quiet_ns) } = self.trust else {
            return false;
        };
        let Some(request) = self.queue.iter().find(|request| !request.settled) else {
            return false;
        };
        !self.pipelines
            && self.began_before(start_ns) == 1
            && quiet_ns >= unsure_ns
            && request.message.start_ns > quiet_ns
            && request.message.whole
            && request.failure.is_none()
            && request.message.last_ns <= start_ns
    }

    fn begin_orphan(&mut self, start_ns: u64, cx: &mut Context<'_>) {
        self.response_lost(cx);
        self.response_unsure(start_ns);
        self.answer = Some(Answer::new(start_ns, true));
    }

    /// Rule 3 of the module documentation: holds the pair, unless the proof failed already.
    fn prove(&mut self, exchange: Exchange, next: NextRequest, cx: &mut Context<'_>) {
        let end_ns = exchange.timing.response_end_ns;
        let found = self.queue.iter().position(|request| request.after_search);
        let certain = found.or((next == NextRequest::Unknown).then_some(self.queue.len()));
        let next_ns = match (self.queue.front(), next) {
            (Some(request), _) => Some(request.message.start_ns),
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
    fn accept_held(&mut self, cx: &mut Context<'_>) {
        let Some(held) = self.held.take() else { return };
        let Held { exchange, next_ns: _, certain: before_hole } = *held;
        match (before_hole, &mut self.trust) {
            (None, trust) => *trust = Trust::Order,
            (Some(before_hole), Trust::Lost { certain, .. }) => *certain = before_hole,
            (Some(_), Trust::Order) => {}
        }
        self.report(exchange, cx);
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
                && let Some(request) = self.queue.pop_front()
            {
                let exchange = request.into_exchange(cx.connection, self.role, ending);
                self.report(exchange, cx);
            }
        }
    }

    fn report_last(&mut self, ending: Ending, cx: &mut Context<'_>) {
        let Some(request) = self.queue.pop_back() else { return };
        let upgraded = request.response.as_ref().is_some_and(|answer| answer.upgraded);
        let ending = if upgraded { Ending::Upgraded } else { ending };
        let exchange = request.into_exchange(cx.connection, self.role, ending);
        self.report(exchange, cx);
    }

    fn break_held(&mut self, cx: &mut Context<'_>) {
        if let Some(held) = self.held.take() {
            self.report_lost(held.exchange, cx);
        }
    }

    fn report_lost(&mut self, exchange: Exchange, cx: &mut Context<'_>) {
        self.report_as(exchange, Ending::LostInHole, cx);
    }

    fn report_as(&mut self, mut exchange: Exchange, ending: Ending, cx: &mut Context<'_>) {
        exchange.completeness.ending = ending;
        self.report(exchange, cx);
    }

    fn report(&mut self, mut exchange: Exchange, cx: &mut Context<'_>) {
        if exchange.request.is_none() && exchange.response.is_none() {
            for seen in [&exchange.completeness.request, &exchange.completeness.response] {
                cx.stats.skip(seen.framed_bytes.saturating_sub(seen.missing_bytes));
            }
            return;
        }
        exchange.sequence = self.reported;
        self.reported += 1;
        cx.stats.exchanges += 1;
        if !exchange.completeness.is_complete() {
            cx.stats.incomplete += 1;
        }
        (cx.out)(exchange);
    }
}
