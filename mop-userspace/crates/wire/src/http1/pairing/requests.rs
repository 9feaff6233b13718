//! What the request stream says.

use super::{Pairing, Trust};
use crate::{
    context::Context,
    exchange::{Ending, Request},
    http1::outstanding::Outstanding,
    limits,
    message::Message,
};

impl Pairing {
    /// Takes note that the request stream was read up to bytes of this time.
    pub(crate) fn requests_read_until(&mut self, ktime_ns: u64) {
        self.requests_until_ns = self.requests_until_ns.max(ktime_ns);
    }

    /// False when so many requests wait that this one, of this time, had better wait too: responses to
    /// them may be there and not read yet, or still be on their way from another lane.
    pub(crate) fn has_room_for_request(&self, start_ns: u64, cx: &mut Context<'_>) -> bool {
        self.queue.len() < limits::MAX_OUTSTANDING_REQUESTS
            || cx.force
            || cx.watermark_ns > start_ns && std::mem::take(&mut cx.is_stuck)
    }

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
            self.trust = Trust::Lost { certain: unsettled, unsure_ns: 0, quiet: None };
        }
    }
}
