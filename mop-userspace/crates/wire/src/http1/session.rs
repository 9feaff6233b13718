//! One connection's two ordered streams, read as HTTP/1.
//!
//! The session takes each stream in order, as runs of bytes and holes. It may refuse to take bytes
//! ([`Session::feed`] returns less than it was given): a response is not read before it is known
//! which request it answers, since that decides about its body. What is refused waits outside.

use mop_common::Direction;

use crate::{
    exchange::{Ending, Exchange, Hole, Role},
    flow_table::Options,
    http1::{
        body_reader::{BodyReader, Progress},
        framing::{Asked, FramingFields, Unframeable},
        head::{self, Opening},
        message::Message,
        pairing::{NextRequest, Pairing},
        reader::{HeadStep, Reader, State, Then},
    },
    per_direction::PerDirection,
    stats::FlowStats,
    stream::Chunk,
};

/// What a session needs from outside while it works.
pub(crate) struct Context<'a> {
    pub(crate) connection: u64,
    pub(crate) options: &'a Options,
    pub(crate) stats: &'a mut FlowStats,
    /// Every segment stamped before this time was delivered.
    pub(crate) watermark_ns: u64,
    /// Nothing is waited for any more: too much stands behind it.
    pub(crate) force: bool,
    pub(crate) out: &'a mut dyn FnMut(Exchange),
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

#[derive(Debug)]
pub(crate) struct Session {
    /// The direction that carries requests, once known.
    requests: Option<Direction>,
    readers: PerDirection<Reader>,
    pairing: Pairing,
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
            pairing: Pairing::new(),
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
        while !rest.bytes.is_empty() {
            match self.step(direction, rest, cx) {
                Step::Took(bytes) => rest = rest.from(bytes),
                Step::Stalled => break,
            }
        }
        chunk.bytes.len() - rest.bytes.len()
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
            State::Head { start_ns, after_search } => {
                let (start_ns, after_search) = (*start_ns, *after_search);
                let partial = reader.search();
                let mut message = Message::new(start_ns);
                message.frame(partial, start_ns);
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
                let Some(message) = message else { return };
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
            State::Head { start_ns, after_search } => {
                let (start_ns, after_search) = (*start_ns, *after_search);
                let partial = reader.stop();
                let mut message = Message::new(start_ns);
                message.frame(partial, start_ns);
                self.head_failed(side, message, after_search, cut, cx);
            }
            State::Body(body) => {
                if how == End::Closed && side == Some(Side::Response) && body.ends_with_stream() {
                    if let Some(answer) = self.pairing.answer() {
                        answer.message.end(crate::Headers::default(), cx.options);
                    }
                    self.message_over(direction, side, cx);
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
                if self.pairing.has_unsettled() && !cx.force {
                    return Step::Stalled;
                }
                reader.state = State::Boundary;
                Step::Took(0)
            }
            State::Boundary => {
                // Empty lines before a message are read over (RFC 9112 section 2.2).
                let empty = chunk.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
                let empty = empty.count();
                if empty > 0 {
                    cx.stats.skip(empty as u64);
                    return Step::Took(empty);
                }
                reader.state = State::Head { start_ns: chunk.ktime_ns, after_search: false };
                if side == Some(Side::Request) {
                    self.pairing.request_began(chunk.ktime_ns, cx);
                }
                Step::Took(0)
            }
            State::Head { start_ns, after_search } => {
                let (start_ns, after_search) = (*start_ns, *after_search);
                match side {
                    None => self.choose_sides(direction, chunk),
                    Some(Side::Request) => {
                        self.request_head(direction, chunk, start_ns, after_search, cx)
                    }
                    Some(Side::Response) => {
                        if self.pairing.answer().is_none()
                            && !self.pairing.begin_answer(start_ns, cx)
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
                    Some(Side::Response) => self.pairing.answer().map(|answer| &mut answer.message),
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
                        self.pairing.request_unsure(chunk.ktime_ns);
                        skip_after(bytes, chunk, cx)
                    }
                }
            }
        }
    }

    /// Looks for the beginning of a message where a call started.
    fn search(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
        let (ktime_ns, side) = (chunk.ktime_ns, self.side(direction));
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
            match side {
                Some(Side::Request) | None => self.pairing.request_unsure(ktime_ns),
                Some(Side::Response) => self.pairing.response_unsure(ktime_ns),
            }
        }
        reader.after_hole = false;
        if !found {
            if side == Some(Side::Response) {
                self.pairing.response_activity(ktime_ns);
            }
            return skip(chunk, cx);
        }
        cx.stats.resynchronisations += 1;
        reader.state = State::Head { start_ns: ktime_ns, after_search: true };
        Step::Took(0)
    }

    /// Finds out from the first bytes which side sends them.
    fn choose_sides(&mut self, direction: Direction, chunk: Chunk<'_>) -> Step {
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

    fn request_head(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        start_ns: u64,
        after_search: bool,
        cx: &mut Context<'_>,
    ) -> Step {
        let reader = self.readers.of_mut(direction);
        let mut message = Message::new(start_ns);
        match reader.read_head(chunk.bytes, head::parse_request) {
            HeadStep::More(bytes) => Step::Took(bytes),
            HeadStep::Whole { used, bytes, mut head, fields } => {
                message.frame(bytes, chunk.ktime_ns);
                let may_change = fields.upgrade || Asked::by_method(&head.method) == Asked::Connect;
                reader.then = then(&fields, head.version, may_change);
                let framing = fields.of_request(&mut head);
                self.pairing.add_request(Some(head), message, after_search, cx);
                self.begin_body(direction, Side::Request, framing, cx);
                Step::Took(used)
            }
            HeadStep::Http2 => self.become_opaque(chunk, cx),
            HeadStep::Failed(ending) => {
                message.frame(reader.search(), chunk.ktime_ns);
                let side = Some(Side::Request);
                self.head_failed(side, message, after_search, ending, cx);
                self.lost(side, cx);
                self.pairing.request_unsure(chunk.ktime_ns);
                skip(chunk, cx)
            }
        }
    }

    fn response_head(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> Step {
        let asked = self.pairing.asked();
        let reader = self.readers.of_mut(direction);
        let Some(answer) = self.pairing.answer() else { return skip(chunk, cx) };
        match reader.read_head(chunk.bytes, head::parse_response) {
            HeadStep::More(bytes) => Step::Took(bytes),
            HeadStep::Whole { used, bytes, mut head, fields } => {
                answer.message.frame(bytes, chunk.ktime_ns);
                reader.then = then(&fields, head.version, false);
                let status = head.status;
                let framing = fields.of_response(&mut head, asked);
                if matches!(status, 100 | 102..=199) {
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
                self.begin_body(direction, Side::Response, framing, cx);
                Step::Took(used)
            }
            step @ (HeadStep::Http2 | HeadStep::Failed(_)) => {
                let ending =
                    if let HeadStep::Failed(ending) = step { ending } else { Ending::Malformed };
                let message = Message::new(chunk.ktime_ns);
                answer.message.frame(reader.search(), chunk.ktime_ns);
                let side = Some(Side::Response);
                self.head_failed(side, message, false, ending, cx);
                self.lost(side, cx);
                self.pairing.response_unsure(chunk.ktime_ns);
                self.pairing.response_activity(chunk.ktime_ns);
                skip(chunk, cx)
            }
        }
    }

    fn begin_body(
        &mut self,
        direction: Direction,
        side: Side,
        framing: Result<crate::http1::framing::Framing, Unframeable>,
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
        let message = match side {
            Side::Request => self.pairing.request_message(),
            Side::Response => self.pairing.answer().map(|answer| &mut answer.message),
        };
        if let Some(message) = message {
            message.end(crate::Headers::default(), cx.options);
        }
        self.message_over(direction, Some(side), cx);
    }

    fn message_over(&mut self, direction: Direction, side: Option<Side>, cx: &mut Context<'_>) {
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

    fn next_request(&self, requests: Direction) -> NextRequest {
        match &self.readers.of(requests).state {
            State::Head { start_ns, after_search: false } => {
                NextRequest::Began { start_ns: *start_ns }
            }
            State::Head { start_ns: _, after_search: true } | State::Search => NextRequest::Unknown,
            State::Boundary | State::Gate | State::Body(_) | State::Joining | State::Opaque => {
                NextRequest::NotYet
            }
        }
    }

    /// Gives up the message whose head was being read. For a response, the parts of `message` are
    /// added to what is already known of it.
    fn head_failed(
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

    fn body_failed(
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
    fn lost(&mut self, side: Option<Side>, cx: &mut Context<'_>) {
        match side {
            Some(Side::Request) => self.pairing.request_lost(cx),
            Some(Side::Response) => self.pairing.response_lost(cx),
            None => {
                self.pairing.request_lost(cx);
                self.pairing.response_lost(cx);
            }
        }
    }

    /// The response that was just read hands the connection to another protocol.
    fn change_protocol(&mut self, cx: &mut Context<'_>) {
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

    fn become_opaque(&mut self, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Step {
        for direction in Direction::ALL {
            cx.stats.skip(self.readers.of_mut(direction).stop() as u64);
        }
        self.pairing.answer_failed(Ending::Malformed, cx);
        skip(chunk, cx)
    }
}

/// What follows a message with this head.
fn then(fields: &FramingFields, version: crate::Version, may_change: bool) -> Then {
    if fields.ends_connection(version) {
        Then::Nothing
    } else if may_change {
        Then::Gate
    } else {
        Then::Message
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
        | Ending::ObserverStopped => {}
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
