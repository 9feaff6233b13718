//! What the response stream says, and which request a response answers.

use super::{NextRequest, Pairing, Trust};
use crate::{
    context::Context,
    excerpt::Excerpt,
    exchange::{Ending, Exchange, Role},
    http1::{
        framing::Asked,
        outstanding::{Answer, Outstanding},
    },
    limits,
    stamp::Stamp,
};

impl Pairing {
    /// Decides which request the response that begins with this call answers. False when that
    /// cannot be known yet.
    pub(crate) fn begin_answer(&mut self, start: Stamp, cx: &mut Context<'_>) -> bool {
        let start_ns = start.ktime_ns;
        let passed = cx.force || cx.watermark_ns > start_ns.saturating_add(self.slack_ns());
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
                // Of a stream that was joined midway, the first response may answer a request from
                // before; it then began before the first request that was seen.
                Some(request) if self.anchored || request.message.start.ktime_ns <= start_ns => {
                    self.anchored = true;
                    self.answer = Some(Box::new(Answer::new(start, false)));
                }
                None | Some(_) => self.begin_orphan(start, cx),
            }
            return true;
        }
        let slack_ns = self.slack_by_time();
        let settled_ns = start_ns.saturating_add(slack_ns.unwrap_or(0));
        let passed = cx.force || cx.watermark_ns > settled_ns;
        if !passed && self.requests_until_ns <= settled_ns {
            return false;
        }
        self.note_overlap(start_ns);
        if slack_ns.is_some()
            && self.is_attributable(start_ns, settled_ns)
            && let Some(request) = self.queue.iter_mut().find(|request| !request.settled)
        {
            request.tentative = true;
            self.answer = Some(Box::new(Answer::new(start, false)));
        } else {
            let before = self.began_before(settled_ns);
            self.give_up(before, Ending::LostInHole, cx);
            self.begin_orphan(start, cx);
        }
        true
    }

    /// The response that is being read.
    pub(crate) fn answer(&mut self) -> Option<&mut Answer> {
        self.answer.as_deref_mut()
    }

    /// What the request of the response being read decides about it.
    pub(crate) fn asked(&self) -> Asked {
        let orphan = self.answer.as_ref().is_none_or(|answer| answer.orphan);
        let first = self.queue.iter().find(|request| !request.settled);
        first.filter(|_| !orphan).map_or(Asked::Other, |request| request.asked)
    }

    /// Keeps the beginning only of the response whose head was read, if that is enough of it. Where it is
    /// not known what was asked for, all is kept.
    pub(crate) fn keep_beginning(&mut self, excerpt: Excerpt) {
        let first = self.queue.iter().find(|request| !request.settled);
        let asked = first.filter(|request| !request.tentative).and_then(|it| it.head.as_ref());
        let answer = self.answer.as_deref_mut().filter(|answer| !answer.orphan);
        if let (Some(asked), Some(Answer { head: Some(head), message, .. })) = (asked, answer)
            && excerpt.is_of(&asked.target, &head.headers)
        {
            message.keep_beginning(excerpt.bytes);
        }
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

    /// True when one request waits, all of it was seen, and the response being read is its own.
    pub(crate) fn may_upgrade(&self) -> bool {
        let is_own = self.answer.as_ref().is_some_and(|answer| !answer.orphan);
        let mut unsettled = self.queue.iter().filter(|request| !request.settled);
        let is_whole = unsettled
            .next()
            .is_some_and(|request| request.over && !request.tentative && request.failure.is_none());
        is_own && is_whole && unsettled.next().is_none()
    }

    /// The request that waits, without a response, and how many exchanges were reported.
    pub(crate) fn take_upgraded(&mut self, cx: &Context<'_>) -> Option<(Exchange, u64)> {
        let place = self.queue.iter().position(|request| !request.settled)?;
        let request = self.queue.remove(place)?;
        self.give_room_back();
        let exchange = request.into_exchange(cx.connection, self.role, Ending::ResponseCut);
        Some((exchange, self.reported))
    }

    /// Takes note that the response being read ended.
    pub(crate) fn answer_over(&mut self, next: NextRequest, cx: &mut Context<'_>) {
        let Some(answer) = self.answer.take() else { return };
        let end = answer.message.last;
        self.response_activity(end);
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
        if unsettled.next().is_some_and(|next| next.message.start.ktime_ns < end.ktime_ns) {
            self.pipelines = true;
        }
        if !tentative && let Trust::Lost { certain, .. } = &mut self.trust {
            *certain = certain.saturating_sub(1);
        }
        if !is_over {
            return;
        }
        let Some(request) = self.take_first() else { return };
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
        self.response_activity(answer.message.last);
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
            Trust::Order => Trust::Lost { certain: 0, unsure_ns: 0, quiet: None },
            Trust::Lost { certain: _, unsure_ns, quiet } => {
                Trust::Lost { certain: 0, unsure_ns, quiet }
            }
        };
    }

    /// Takes note that a byte of a response was seen in this call.
    pub(crate) fn response_activity(&mut self, at: Stamp) {
        if let Trust::Lost { quiet, .. } = &mut self.trust {
            *quiet = (*quiet).max(Some(at));
        }
    }

    /// What is left of rule 2 of the module documentation, once [`Self::slack_by_time`] does not rule it out
    /// and the request stream was read up to `settled_ns`.
    fn is_attributable(&self, start_ns: u64, settled_ns: u64) -> bool {
        let Some(request) = self.queue.iter().find(|request| !request.settled) else {
            return false;
        };
        !self.pipelines
            && self.began_before(settled_ns) == 1
            && request.message.whole
            && request.failure.is_none()
            && request.message.last.ktime_ns <= start_ns
    }

    /// How much later than a response its request may be stamped; `None` when rule 2 attributes the
    /// response to no request, whatever is still to come: then there is nothing to wait for.
    fn slack_by_time(&self) -> Option<u64> {
        let Trust::Lost { certain: _, unsure_ns, quiet: Some(quiet) } = self.trust else {
            return None;
        };
        if self.pipelines || quiet.ktime_ns < unsure_ns {
            return None;
        }
        let Some(request) = self.queue.iter().find(|request| !request.settled) else {
            return Some(self.slack_ns());
        };
        let first = request.message.start;
        // Who read the end of the response before and then began this request did so in that order,
        // whoever reads what comes now.
        let slack_ns = if first.is_of_caller_of(quiet) { 0 } else { self.slack_ns() };
        (first.ktime_ns > quiet.ktime_ns.saturating_add(slack_ns)).then_some(slack_ns)
    }

    /// Two requests since the last response, none of whose bytes is missing since: the second did
    /// not wait for the response to the first.
    fn note_overlap(&mut self, start_ns: u64) {
        let Trust::Lost { certain: _, unsure_ns, quiet: Some(quiet) } = self.trust else {
            return;
        };
        let quiet_ns = quiet.ktime_ns;
        let since = self.began_before(start_ns).saturating_sub(self.began_before(quiet_ns));
        self.pipelines |= quiet_ns >= unsure_ns && since > 1;
    }

    /// How much later than a response its request may be stamped.
    fn slack_ns(&self) -> u64 {
        match self.role {
            Role::Client => limits::STAMP_SLACK_NS,
            Role::Server => 0,
        }
    }

    fn began_before(&self, ktime_ns: u64) -> usize {
        let began = |request: &&Outstanding| request.message.start.ktime_ns <= ktime_ns;
        self.queue.iter().filter(|request| !request.settled).take_while(began).count()
    }

    fn begin_orphan(&mut self, start: Stamp, cx: &mut Context<'_>) {
        self.response_lost(cx);
        self.unsure(start.ktime_ns);
        self.answer = Some(Box::new(Answer::new(start, true)));
    }
}
