//! One connection's two ordered streams, read as HTTP/1.
//!
//! The session takes each stream in order, as runs of bytes and holes. It may refuse to take bytes
//! ([`Session::feed`] returns less than it was given): a response is not read before it is known
//! which request it answers, since that decides about its body, and a request not before it has room
//! among those that wait for their responses. What is refused waits outside.

mod endings;
mod heads;

use mop_common::Direction;

use crate::{
    context::{Context, End},
    exchange::{Ending, Exchange, Hole},
    http1::{
        body_reader::Progress,
        head,
        pairing::Pairing,
        reader::{Reader, State},
    },
    message::Message,
    per_direction::PerDirection,
    stream::Chunk,
};

#[derive(Debug)]
pub(crate) struct Session {
    /// The direction that carries requests, once known.
    requests: Option<Direction>,
    readers: PerDirection<Reader>,
    pairing: Pairing,
    /// What follows is HTTP/2.
    upgrades: bool,
}

/// What a session of HTTP/2 takes over: the request that asked for it is its first stream (RFC 7540,
/// section 3.2; RFC 9113 leaves that way out).
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// The direction that carries requests.
    pub(crate) requests: Direction,
    /// The request, without its response.
    pub(crate) exchange: Exchange,
    /// Exchanges of the connection that were reported.
    pub(crate) reported: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

enum Step {
    /// This many bytes were taken; with 0, the state changed.
    Took(usize),
    /// The bytes cannot be read before something else happens.
    Stalled,
}

impl Session {
    /// `from_start`: the first bytes of both streams begin messages.
    pub(crate) fn new(from_start: bool) -> Self {
        let state = || if from_start { State::Boundary } else { State::Joining };
        Self {
            requests: None,
            readers: PerDirection::new(Reader::new(state()), Reader::new(state())),
            pairing: Pairing::new(from_start),
            upgrades: false,
        }
    }

    /// Reads the next bytes of one stream; returns how many were taken.
    pub(crate) fn feed(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> usize {
        let mut rest = chunk;
        while !rest.bytes.is_empty() && !self.upgrades {
            match self.step(direction, rest, cx) {
                Step::Took(bytes) => rest = rest.from(bytes),
                Step::Stalled => break,
            }
        }
        let taken = chunk.bytes.len() - rest.bytes.len();
        if taken > 0 && self.side(direction) == Some(Side::Request) {
            self.pairing.requests_read_until(chunk.at.ktime_ns);
        }
        taken
    }

    /// What HTTP/2 takes over, when it follows.
    pub(crate) fn take_upgrade(&mut self, cx: &mut Context<'_>) -> Option<Upgrade> {
        if !std::mem::take(&mut self.upgrades) {
            return None;
        }
        // A head that had begun is neither a request nor a frame.
        for direction in Direction::ALL {
            cx.stats.skip(self.readers.of_mut(direction).stop() as u64);
        }
        let (exchange, reported) = self.pairing.take_upgraded(cx)?;
        Some(Upgrade { requests: self.requests?, exchange, reported })
    }

    /// Goes over bytes of one stream that will never come.
    pub(crate) fn hole(&mut self, direction: Direction, hole: Hole, cx: &mut Context<'_>) {
        let side = self.side(direction);
        let reader = self.readers.of_mut(direction);
        reader.after_hole = !matches!(reader.state, State::Body(_));
        match &mut reader.state {
            State::Search | State::Opaque => {}
            State::Boundary | State::Gate | State::Joining => {
                reader.search();
                self.lost(side, cx);
            }
            State::Head { start, after_search } => {
                let (start, after_search) = (*start, *after_search);
                let partial = reader.search();
                let mut message = Message::new(start);
                message.frame(partial, start);
                message.hole(hole);
                self.head_failed(side, message, after_search, Ending::LostInHole, cx);
                self.lost(side, cx);
            }
            State::Body(body) => {
                let message = match side {
                    Some(Side::Request) => self.pairing.request_message(),
                    Some(Side::Response) => self.pairing.answer().map(|answer| &mut answer.message),
                    None => None,
                };
                let Some(message) = message else {
                    reader.search();
                    return;
                };
                match body.pass_hole(hole, message, cx.options) {
                    Progress::More(_) => {}
                    Progress::End(_) => self.message_over(direction, side, cx),
                    Progress::Failed(_, ending) => {
                        self.body_failed(direction, side, ending, cx);
                        self.readers.of_mut(direction).after_hole = true;
                    }
                }
            }
        }
    }

    /// Takes note that one stream carries no further byte.
    pub(crate) fn end(&mut self, direction: Direction, how: End, cx: &mut Context<'_>) {
        let side = self.side(direction);
        let reader = self.readers.of_mut(direction);
        let cut = match (how, side) {
            (End::Stopped, _) => Ending::ObserverStopped,
            (End::Closed | End::Abandoned, Some(Side::Response)) => Ending::ResponseCut,
            (End::Closed | End::Abandoned, Some(Side::Request) | None) => Ending::RequestCut,
        };
        match &reader.state {
            State::Boundary | State::Gate | State::Joining | State::Search | State::Opaque => {
                reader.stop();
            }
            State::Head { start, after_search } => {
                let (start, after_search) = (*start, *after_search);
                let partial = reader.stop();
                let mut message = Message::new(start);
                message.frame(partial, start);
                self.head_failed(side, message, after_search, cut, cx);
            }
            State::Body(body) => {
                if how == End::Closed && side == Some(Side::Response) && body.ends_with_stream() {
                    self.end_message(direction, Side::Response, cx);
                } else {
                    match side {
                        Some(Side::Request) => self.pairing.request_failed(cut, cx),
                        Some(Side::Response) => self.pairing.answer_failed(cut, cx),
                        None => {}
                    }
                }
                self.readers.of_mut(direction).stop();
            }
        }
    }

    /// Ends both streams and reports what is left.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        for direction in self.order() {
            self.end(direction, how, cx);
        }
        self.pairing.finish(how, cx);
    }

    /// Gives up kept content, to make room.
    pub(crate) fn forget_content(&mut self) {
        self.pairing.forget_content();
    }

    /// Both directions, that of the requests first.
    pub(crate) fn order(&self) -> [Direction; 2] {
        let first = self.requests.unwrap_or(Direction::Read);
        [first, first.opposite()]
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let readers: usize = self.readers.all().into_iter().map(Reader::buffered).sum();
        size_of::<Self>() + readers + self.pairing.buffered()
    }

    fn side(&self, direction: Direction) -> Option<Side> {
        let requests = self.requests?;
        Some(if requests == direction { Side::Request } else { Side::Response })
    }

    fn step(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
        let side = self.side(direction);
        let reader = self.readers.of_mut(direction);
        match &mut reader.state {
            State::Opaque => skip(chunk, cx),
            State::Search => self.search(direction, chunk, cx),
            State::Joining => {
                if head::begins_request(chunk.bytes) || head::begins_response(chunk.bytes) {
                    reader.state = State::Boundary;
                } else {
                    reader.search();
                    self.lost(side, cx);
                }
                Step::Took(0)
            }
            State::Gate => {
                if !self.pairing.has_unsettled() {
                    reader.state = State::Boundary;
                    return Step::Took(0);
                }
                // No answer will say what these bytes are.
                let answers = &self.readers.of(direction.opposite()).state;
                if cx.force || matches!(answers, State::Opaque) {
                    self.readers.of_mut(direction).stop();
                    return Step::Took(0);
                }
                Step::Stalled
            }
            State::Boundary => {
                // Empty lines before a message are read over (RFC 9112 section 2.2).
                let empty = chunk.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                let empty = empty.count();
                if empty > 0 {
                    cx.stats.skip(empty as u64);
                    if side == Some(Side::Response) {
                        self.pairing.stray_response_bytes(cx);
                    }
                    return Step::Took(empty);
                }
                reader.state = State::Head { start: chunk.at, after_search: false };
                if side == Some(Side::Request) {
                    self.pairing.request_began(chunk.at.ktime_ns, cx);
                }
                Step::Took(0)
            }
            State::Head { start, after_search } => {
                let (start, after_search) = (*start, *after_search);
                match side {
                    None => self.choose_sides(direction, chunk),
                    Some(Side::Request) => {
                        if !self.pairing.has_room_for_request(start.ktime_ns, cx) {
                            return Step::Stalled;
                        }
                        self.request_head(direction, chunk, start, after_search, cx)
                    }
                    Some(Side::Response) => {
                        if self.pairing.answer().is_none() && !self.pairing.begin_answer(start, cx)
                        {
                            return Step::Stalled;
                        }
                        self.response_head(direction, chunk, cx)
                    }
                }
            }
            State::Body(body) => {
                let message = match side {
                    Some(Side::Request) => self.pairing.request_message(),
                    Some(Side::Response) => {
                        let may_be_over = chunk.call_start
                            && self.pairing.answer().is_some_and(|a| a.may_be_bodiless());
                        if may_be_over && head::begins_response(chunk.bytes) {
                            self.end_message(direction, Side::Response, cx);
                            return Step::Took(0);
                        }
                        self.pairing.answer().map(|answer| &mut answer.message)
                    }
                    None => None,
                };
                let Some(message) = message else {
                    reader.search();
                    return Step::Took(0);
                };
                match body.read(chunk, message, cx.options) {
                    Progress::More(bytes) => Step::Took(bytes),
                    Progress::End(bytes) => {
                        self.message_over(direction, side, cx);
                        Step::Took(bytes)
                    }
                    Progress::Failed(bytes, ending) => {
                        self.body_failed(direction, side, ending, cx);
                        self.pairing.unsure(chunk.at.ktime_ns);
                        skip_after(bytes, chunk, cx)
                    }
                }
            }
        }
    }
}

fn skip(chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
    skip_after(0, chunk, cx)
}

/// Gives up the bytes of the chunk after the first `bytes`.
fn skip_after(bytes: usize, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
    cx.stats.skip(chunk.bytes.len().saturating_sub(bytes) as u64);
    Step::Took(chunk.bytes.len())
}
