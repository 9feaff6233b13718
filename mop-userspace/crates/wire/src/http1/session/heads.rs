//! Where messages begin: finding them, reading their heads, and what follows from those.

use mop_common::Direction;

use super::{Session, Side, Step, skip};
use crate::{
    context::Context,
    exchange::{Ending, Response, Role, Version},
    http1::{
        body_reader::BodyReader,
        framing::{Asked, Framing, FramingFields, Unframeable},
        head::{self, Opening},
        reader::{HeadStep, State, Then},
    },
    message::Message,
    stamp::Stamp,
    stream::Chunk,
};

impl Session {
    /// Looks for the beginning of a message where a call started.
    pub(super) fn search(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> Step {
        let (at, side) = (chunk.at, self.side(direction));
        let begins_request = chunk.call_start && head::begins_request(chunk.bytes);
        let begins_response = chunk.call_start && head::begins_response(chunk.bytes);
        let found = match side {
            Some(Side::Request) => begins_request,
            Some(Side::Response) => begins_response,
            None => begins_request || begins_response,
        };
        let reader = self.readers.of_mut(direction);
        // Messages may have passed in the bytes that are skipped, and in the hole before these; but
        // when this is the next byte after those, none passed since.
        if !found || reader.after_hole {
            self.pairing.unsure(at.ktime_ns);
        }
        reader.after_hole = false;
        if !found {
            if side == Some(Side::Response) {
                self.pairing.response_activity(at);
            }
            return skip(chunk, cx);
        }
        cx.stats.resynchronisations += 1;
        reader.state = State::Head { start: at, after_search: true };
        Step::Took(0)
    }

    /// Finds out from the first bytes which side sends them.
    pub(super) fn choose_sides(&mut self, direction: Direction, chunk: Chunk<'_>) -> Step {
        let reader = self.readers.of_mut(direction);
        let mut first = [0; 2];
        let bytes = reader.partial.iter().chain(chunk.bytes).copied();
        let mut length = 0;
        for (to, from) in first.iter_mut().zip(bytes) {
            *to = from;
            length += 1;
        }
        let requests = match head::opening(first.get(..length).unwrap_or_default()) {
            Opening::Undecided => {
                reader.partial.extend_from_slice(chunk.bytes);
                return Step::Took(chunk.bytes.len());
            }
            Opening::Request => direction,
            Opening::Response => direction.opposite(),
        };
        self.requests = Some(requests);
        self.pairing.role = match requests {
            Direction::Read => Role::Server,
            Direction::Write => Role::Client,
        };
        Step::Took(0)
    }

    pub(super) fn request_head(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        start: Stamp,
        after_search: bool,
        cx: &mut Context<'_>,
    ) -> Step {
        let reader = self.readers.of_mut(direction);
        let mut message = Message::new(start);
        match reader.read_head(chunk.bytes, head::parse_request) {
            HeadStep::More(bytes) => Step::Took(bytes),
            HeadStep::Whole { used, bytes, mut head, fields } => {
                message.frame(bytes, chunk.at);
                let may_change = fields.upgrade || Asked::by_method(&head.method) == Asked::Connect;
                reader.then = then(&fields, head.version, may_change);
                let framing = fields.of_request(&mut head);
                self.pairing.add_request(Some(head), message, after_search, cx);
                self.begin_body(direction, Side::Request, framing, cx);
                Step::Took(used)
            }
            HeadStep::Http2 => self.become_opaque(chunk, cx),
            HeadStep::Failed(ending) => {
                message.frame(reader.search(), chunk.at);
                let side = Some(Side::Request);
                self.head_failed(side, message, after_search, ending, cx);
                self.lost(side, cx);
                self.pairing.unsure(chunk.at.ktime_ns);
                skip(chunk, cx)
            }
        }
    }

    pub(super) fn response_head(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> Step {
        let (asked, may_upgrade) = (self.pairing.asked(), self.pairing.may_upgrade());
        let reader = self.readers.of_mut(direction);
        let Some(answer) = self.pairing.answer() else { return skip(chunk, cx) };
        match reader.read_head(chunk.bytes, head::parse_response) {
            HeadStep::More(bytes) => Step::Took(bytes),
            HeadStep::Whole { used, bytes, mut head, fields } => {
                answer.message.frame(bytes, chunk.at);
                answer.head_bytes = bytes as u64;
                reader.then = then(&fields, head.version, false);
                let status = head.status;
                let framing = fields.of_response(&mut head, asked);
                let is_http2 = status == 101 && names_http2(&head);
                self.upgrades = is_http2 && may_upgrade;
                if self.upgrades || matches!(status, 100 | 102..=199) {
                    self.pairing.interim_over(status, cx);
                    reader.message_over();
                    return Step::Took(used);
                }
                answer.upgraded =
                    status == 101 || asked == Asked::Connect && matches!(status, 200..=299);
                answer.head = Some(head);
                if answer.upgraded {
                    self.change_protocol(cx);
                }
                if let (Some(excerpt), Ok(framing)) = (cx.options.excerpt, framing)
                    && framing.may_exceed(excerpt.bytes)
                {
                    self.pairing.keep_beginning(excerpt);
                }
                self.begin_body(direction, Side::Response, framing, cx);
                Step::Took(used)
            }
            step @ (HeadStep::Http2 | HeadStep::Failed(_)) => {
                let ending =
                    if let HeadStep::Failed(ending) = step { ending } else { Ending::Malformed };
                let message = Message::new(chunk.at);
                answer.message.frame(reader.search(), chunk.at);
                let side = Some(Side::Response);
                self.head_failed(side, message, false, ending, cx);
                self.lost(side, cx);
                self.pairing.unsure(chunk.at.ktime_ns);
                self.pairing.response_activity(chunk.at);
                skip(chunk, cx)
            }
        }
    }

    pub(super) fn begin_body(
        &mut self,
        direction: Direction,
        side: Side,
        framing: Result<Framing, Unframeable>,
        cx: &mut Context<'_>,
    ) {
        let framing = match framing {
            Ok(framing) => framing,
            Err(Unframeable) => {
                return self.body_failed(direction, Some(side), Ending::Malformed, cx);
            }
        };
        if let Some(body) = BodyReader::new(framing) {
            self.readers.of_mut(direction).state = State::Body(body);
            return;
        }
        self.end_message(direction, side, cx);
    }

    /// The response that was just read hands the connection to another protocol.
    pub(super) fn change_protocol(&mut self, cx: &mut Context<'_>) {
        for direction in Direction::ALL {
            let is_request = self.side(direction) == Some(Side::Request);
            let reader = self.readers.of_mut(direction);
            let is_in_body = matches!(reader.state, State::Body(_));
            if is_request && !is_in_body {
                cx.stats.skip(reader.stop() as u64);
            } else {
                reader.then = Then::Nothing;
            }
        }
    }

    pub(super) fn become_opaque(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
        for direction in Direction::ALL {
            cx.stats.skip(self.readers.of_mut(direction).stop() as u64);
        }
        self.pairing.answer_failed(Ending::Malformed, cx);
        skip(chunk, cx)
    }
}

/// True when a response of 101 says that HTTP/2 without TLS follows.
fn names_http2(head: &Response) -> bool {
    let mut protocols = head.headers.values("upgrade");
    protocols.next().is_some_and(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c"))
        && protocols.next().is_none()
}

/// What follows a message with this head.
fn then(fields: &FramingFields, version: Version, may_change: bool) -> Then {
    if fields.ends_connection(version) {
        Then::Nothing
    } else if may_change {
        Then::Gate
    } else {
        Then::Message
    }
}
