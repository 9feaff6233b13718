//! Where messages end: as their framing says, or given up.

use mop_common::Direction;

use super::{Session, Side};
use crate::{
    context::Context,
    exchange::Ending,
    headers::Headers,
    http1::{pairing::NextRequest, reader::State},
    message::Message,
};

impl Session {
    /// Ends a message where the stream stands.
    pub(super) fn end_message(&mut self, direction: Direction, side: Side, cx: &mut Context<'_>) {
        let message = match side {
            Side::Request => self.pairing.request_message(),
            Side::Response => self.pairing.answer().map(|answer| &mut answer.message),
        };
        if let Some(message) = message {
            message.end(Headers::default(), cx.options);
        }
        self.message_over(direction, Some(side), cx);
    }

    pub(super) fn message_over(
        &mut self,
        direction: Direction,
        side: Option<Side>,
        cx: &mut Context<'_>,
    ) {
        self.readers.of_mut(direction).message_over();
        match side {
            Some(Side::Request) => self.pairing.request_over(cx),
            Some(Side::Response) => {
                let next = self.next_request(direction.opposite());
                self.pairing.answer_over(next, cx);
            }
            None => {}
        }
    }

    pub(super) fn next_request(&self, requests: Direction) -> NextRequest {
        match &self.readers.of(requests).state {
            State::Head { start, after_search: false } => {
                NextRequest::Began { start_ns: start.ktime_ns }
            }
            State::Head { start: _, after_search: true } | State::Search => NextRequest::Unknown,
            State::Boundary | State::Gate | State::Body(_) | State::Joining | State::Opaque => {
                NextRequest::NotYet
            }
        }
    }

    /// Gives up the message whose head was being read. For a response, the parts of `message` are
    /// added to what is already known of it.
    pub(super) fn head_failed(
        &mut self,
        side: Option<Side>,
        message: Message,
        after_search: bool,
        ending: Ending,
        cx: &mut Context<'_>,
    ) {
        count_failure(ending, cx);
        match side {
            Some(Side::Request) if !after_search => {
                self.pairing.add_request(None, message, after_search, cx);
                self.pairing.request_failed(ending, cx);
            }
            Some(Side::Response) if let Some(answer) = self.pairing.answer() => {
                let known = &mut answer.message.seen;
                known.framed_bytes = known.framed_bytes.saturating_add(message.seen.framed_bytes);
                known.missing_bytes =
                    known.missing_bytes.saturating_add(message.seen.missing_bytes);
                known.holes.extend(message.seen.holes);
                self.pairing.answer_failed(ending, cx);
            }
            Some(Side::Request | Side::Response) | None => cx.stats.skip(message.seen_bytes()),
        }
    }

    pub(super) fn body_failed(
        &mut self,
        direction: Direction,
        side: Option<Side>,
        ending: Ending,
        cx: &mut Context<'_>,
    ) {
        count_failure(ending, cx);
        self.readers.of_mut(direction).search();
        match side {
            Some(Side::Request) => self.pairing.request_failed(ending, cx),
            Some(Side::Response) => self.pairing.answer_failed(ending, cx),
            None => {}
        }
        self.lost(side, cx);
    }

    /// Takes note that a message boundary is unknown from here on.
    pub(super) fn lost(&mut self, side: Option<Side>, cx: &mut Context<'_>) {
        match side {
            Some(Side::Request) => self.pairing.request_lost(cx),
            Some(Side::Response) => self.pairing.response_lost(cx),
            None => {
                self.pairing.request_lost(cx);
                self.pairing.response_lost(cx);
            }
        }
    }
}

fn count_failure(ending: Ending, cx: &mut Context<'_>) {
    match ending {
        Ending::Malformed => cx.stats.malformed += 1,
        Ending::LimitReached => cx.stats.limit_reached += 1,
        Ending::Complete
        | Ending::Upgraded
        | Ending::RequestCut
        | Ending::ResponseCut
        | Ending::RequestUnseen
        | Ending::LostInHole
        | Ending::Reset
        | Ending::FieldsUnknown
        | Ending::ObserverStopped => {}
    }
}
