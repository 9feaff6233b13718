//! One connection: two streams put in order, and the session that reads them.

use mop_common::Direction;

use crate::{
    context::{Context, End},
    exchange::Hole,
    limits,
    per_direction::PerDirection,
    session::Session,
    stream::{Chunk, Ready, Stream},
};

#[derive(Debug)]
pub(crate) struct Connection {
    streams: PerDirection<Stream>,
    /// The end of the stream was passed on to the session.
    ended: PerDirection<bool>,
    from_start: bool,
    /// Made when the first byte comes: most of the connections of a large table are idle.
    session: Option<Session>,
    /// Place in the order of activity of all connections.
    pub(crate) last_active: u64,
    /// It is in the list of those that the watermark may move on.
    pub(crate) is_listed: bool,
}

impl Connection {
    pub(crate) fn new(origins: Option<[u64; 2]>, from_start: bool) -> Self {
        let streams = match origins {
            Some([read, write]) => {
                PerDirection::new(Stream::starting_at(read), Stream::starting_at(write))
            }
            None => PerDirection::default(),
        };
        Self {
            streams,
            ended: PerDirection::default(),
            from_start,
            session: None,
            last_active: 0,
            is_listed: false,
        }
    }

    /// Takes a segment: bytes, and missing ones right behind them.
    pub(crate) fn segment(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        tail: Option<Hole>,
        cx: &mut Context<'_>,
    ) {
        if *self.ended.of(direction) {
            cx.stats.skip(chunk.bytes.len() as u64);
            return;
        }
        let stream = self.streams.of_mut(direction);
        stream.start_at(chunk.position);
        let mut rest = chunk;
        let is_next = stream.is_next(chunk.position);
        if is_next && !self.waits_for_gap(direction, chunk.at.ktime_ns) {
            let taken = session(&mut self.session, self.from_start).feed(direction, chunk, cx);
            self.streams.of_mut(direction).advance(taken as u64);
            rest = chunk.from(taken);
        }
        let stream = self.streams.of_mut(direction);
        cx.stats.duplicate_bytes += stream.insert(rest);
        if let Some(hole) = tail {
            stream.insert_missing(hole, chunk.at.ktime_ns);
        }
        self.proceed(cx);
    }

    /// Takes note that one stream ends here.
    pub(crate) fn end_at(&mut self, direction: Direction, position: u64, at_ns: u64) {
        self.streams.of_mut(direction).end_at(position, at_ns);
    }

    /// Passes on everything that does not wait, in the order of time where both directions have something.
    pub(crate) fn proceed(&mut self, cx: &mut Context<'_>) {
        if let Some(session) = &mut self.session {
            session.proceed(cx);
        }
        loop {
            let moved =
                self.turns().into_iter().any(|direction| self.proceed_by_one(direction, cx));
            let gives_up = cx.is_stuck || !self.streams.all().into_iter().any(Stream::waits);
            cx.is_stuck = !moved && !gives_up;
            if !moved && gives_up {
                return;
            }
        }
    }

    /// Ends the connection as it stands, without waiting; returns the bytes that still waited.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        if let Some(session) = &mut self.session {
            session.finish(how, cx);
        }
        for stream in self.streams.all() {
            cx.stats.skip(stream.waiting_bytes());
        }
    }

    /// Empties the buffers as far as that is possible without losing the connection.
    pub(crate) fn shed(&mut self, cx: &mut Context<'_>) {
        cx.force = true;
        self.proceed(cx);
        cx.force = false;
        if let Some(session) = &mut self.session {
            session.forget_content();
        }
    }

    /// True when nothing more will come and nothing waits.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.all().into_iter().all(|ended| *ended)
    }

    /// True when the watermark may move something on.
    pub(crate) fn waits(&self) -> bool {
        self.streams.all().into_iter().any(Stream::waits)
            || self.session.as_ref().is_some_and(Session::waits)
    }

    /// Memory held beyond an idle connection.
    pub(crate) fn buffered(&self) -> usize {
        let streams: usize = self.streams.all().into_iter().map(Stream::buffered).sum();
        streams + self.session.as_ref().map_or(0, Session::buffered)
    }

    /// Which direction is read next, and which one where that waits.
    fn turns(&self) -> [Direction; 2] {
        let [requests, responses] =
            self.session.as_ref().map_or(Direction::ALL, |session| session.order());
        let first_ns = |direction| self.streams.of(direction).first_ns();
        let is_later = |request_ns: u64, response_ns: u64| {
            // A client's request may be stamped later than its response.
            request_ns > response_ns.saturating_add(limits::STAMP_SLACK_NS)
        };
        match (first_ns(requests), first_ns(responses)) {
            (Some(request_ns), Some(response_ns)) if is_later(request_ns, response_ns) => {
                [responses, requests]
            }
            _ => [requests, responses],
        }
    }

    /// True when what was moved at this time waits for the other direction, where something is missing in
    /// front of what was moved before: what is under way when that is given up is lost with it, so nothing
    /// is that came later.
    fn waits_for_gap(&self, direction: Direction, ktime_ns: u64) -> bool {
        let other = self.streams.of(direction.opposite());
        other.is_gapped() && other.first_ns().is_some_and(|other_ns| other_ns < ktime_ns)
    }

    /// Passes on one piece, hole or end of a direction; false when there is none, or it waits.
    fn proceed_by_one(&mut self, direction: Direction, cx: &mut Context<'_>) -> bool {
        let stream = self.streams.of(direction);
        let force = cx.force || stream.is_over_limit();
        if !force
            && stream.first_ns().is_some_and(|first_ns| self.waits_for_gap(direction, first_ns))
        {
            return false;
        }
        let stream = self.streams.of_mut(direction);
        let position = stream.next().unwrap_or_default();
        match stream.take_ready(cx.watermark_ns, force) {
            Ready::Nothing => false,
            Ready::End => {
                let has_ended = std::mem::replace(self.ended.of_mut(direction), true);
                if !has_ended && let Some(session) = &mut self.session {
                    session.end(direction, End::Closed, cx);
                }
                !has_ended
            }
            Ready::Hole(hole) => {
                cx.stats.count_hole(hole.cause, hole.bytes);
                session(&mut self.session, self.from_start).hole(direction, hole, cx);
                true
            }
            Ready::Bytes(waiting) => {
                let chunk = waiting.chunk(position);
                let was_forced = std::mem::replace(&mut cx.force, force);
                let session = session(&mut self.session, self.from_start);
                let taken = session.feed(direction, chunk, cx);
                cx.force = was_forced;
                let stream = self.streams.of_mut(direction);
                stream.advance(taken as u64);
                stream.put_back(waiting, taken);
                taken > 0
            }
        }
    }
}

fn session(session: &mut Option<Session>, from_start: bool) -> &mut Session {
    session.get_or_insert_with(|| Session::new(from_start))
}
