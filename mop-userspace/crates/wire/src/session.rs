//! Which protocol a connection speaks, and the session that reads it.
//!
//! A connection that is seen from its first byte says it at once: the client of HTTP/2 begins with a
//! preface that is no request (RFC 9113, section 3.4), its server with `SETTINGS`; everything else is
//! HTTP/1. One that was joined midway, or whose first bytes are missing, says it where a call begins
//! with a message of the one or with frames of the other.

use mop_common::Direction;

use crate::{
    context::{Context, End},
    exchange::Hole,
    http1,
    http2::{self, Beginning},
    per_direction::PerDirection,
    stamp::Stamp,
    stream::Chunk,
};

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of HTTP/1, and stay for hours: a place of its own for each, among what comes and goes with \
              calls, holds pages that could go back to the system"
)]
pub(crate) enum Session {
    /// What it speaks is not known yet.
    Opening(Box<Opening>),
    Http1(http1::Session),
    Http2(Box<http2::Session>),
}

/// A connection of which too little was seen.
#[derive(Debug)]
pub(crate) struct Opening {
    from_start: bool,
    /// The first bytes of each direction; at most as many as [`Beginning`] needs.
    held: PerDirection<Option<Held>>,
    /// What is missing at the start of each direction.
    missing: PerDirection<Option<Hole>>,
    /// Something of it was seen.
    has_begun: PerDirection<bool>,
}

/// Bytes that are too few to tell.
#[derive(Clone, Debug)]
struct Held {
    position: u64,
    bytes: Vec<u8>,
    at: Stamp,
}

impl Session {
    /// `from_start`: the first bytes of both streams begin messages.
    pub(crate) fn new(from_start: bool) -> Self {
        Self::Opening(Box::new(Opening {
            from_start,
            held: PerDirection::new(None, None),
            missing: PerDirection::default(),
            has_begun: PerDirection::default(),
        }))
    }

    fn http1(from_start: bool) -> Self {
        Self::Http1(http1::Session::new(from_start))
    }

    /// HTTP/2 whose client sends in this direction.
    fn from_client(requests: Direction) -> Self {
        Self::Http2(Box::new(http2::Session::from_start(requests)))
    }

    /// Reads the next bytes of one stream; returns how many were taken.
    pub(crate) fn feed(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> usize {
        match self {
            Self::Http1(session) => {
                let taken = session.feed(direction, chunk, cx);
                if let Some(upgrade) = session.take_upgrade(cx) {
                    *self = Self::Http2(Box::new(http2::Session::upgraded(upgrade)));
                    cx.stats.http2_connections += 1;
                }
                taken
            }
            Self::Http2(session) => session.feed(direction, chunk, cx),
            Self::Opening(opening) => match opening.tell(direction, chunk) {
                Some(session) => {
                    self.begin(session, cx);
                    self.feed(direction, chunk, cx)
                }
                None => {
                    opening.hold(direction, chunk, cx);
                    chunk.bytes.len()
                }
            },
        }
    }

    /// Goes over bytes of one stream that will never come.
    pub(crate) fn hole(&mut self, direction: Direction, hole: Hole, cx: &mut Context<'_>) {
        match self {
            Self::Http1(session) => session.hole(direction, hole, cx),
            Self::Http2(session) => session.hole(direction, hole, cx),
            Self::Opening(opening) => {
                opening.drop_held(direction, cx);
                opening.missing.of_mut(direction).get_or_insert(hole);
            }
        }
    }

    /// Takes note that one stream carries no further byte.
    pub(crate) fn end(&mut self, direction: Direction, how: End, cx: &mut Context<'_>) {
        if let Self::Opening(opening) = self
            && opening.held.of(direction).is_some()
        {
            // The beginning of a request, as far as anybody can tell.
            let session = Self::http1(opening.from_start);
            self.begin(session, cx);
        }
        match self {
            Self::Http1(session) => session.end(direction, how, cx),
            Self::Http2(session) => session.end(direction, cx),
            Self::Opening(_) => {}
        }
    }

    /// Ends both streams and reports what is left.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        for direction in self.order() {
            self.end(direction, how, cx);
        }
        match self {
            Self::Http1(session) => session.finish(how, cx),
            Self::Http2(session) => session.finish(how, cx),
            Self::Opening(_) => {}
        }
    }

    /// Reports what waited for the watermark to come this far.
    pub(crate) fn proceed(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http2(session) => session.proceed(cx),
            Self::Opening(_) | Self::Http1(_) => {}
        }
    }

    /// True when the watermark may move something on.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::Http2(session) => session.waits(),
            Self::Opening(_) | Self::Http1(_) => false,
        }
    }

    /// Gives up kept content, to make room.
    pub(crate) fn forget_content(&mut self) {
        match self {
            Self::Http1(session) => session.forget_content(),
            Self::Http2(session) => session.forget_content(),
            Self::Opening(_) => {}
        }
    }

    /// Both directions, that of the requests first.
    pub(crate) fn order(&self) -> [Direction; 2] {
        match self {
            Self::Http1(session) => session.order(),
            Self::Http2(session) => session.order(),
            Self::Opening(_) => Direction::ALL,
        }
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Http1(session) => session.buffered(),
            Self::Http2(session) => session.buffered(),
            Self::Opening(opening) => {
                let held = |it: &Option<Held>| it.as_ref().map_or(0, |it| it.bytes.capacity());
                size_of::<Opening>() + opening.held.all().into_iter().map(held).sum::<usize>()
            }
        }
    }

    /// Goes on as this session, with what was held.
    fn begin(&mut self, session: Self, cx: &mut Context<'_>) {
        let Self::Opening(opening) = std::mem::replace(self, session) else { return };
        let Opening { held, missing, .. } = *opening;
        if matches!(self, Self::Http2(_)) {
            cx.stats.http2_connections += 1;
        }
        for direction in self.order() {
            if let Some(hole) = missing.of(direction) {
                self.hole(direction, *hole, cx);
            }
            let Some(Held { position, bytes, at }) = held.of(direction) else { continue };
            let (position, at) = (*position, *at);
            let chunk = Chunk { position, bytes, at, call_start: true };
            let taken = self.feed(direction, chunk, cx);
            cx.stats.skip((bytes.len() - taken) as u64);
        }
    }
}

impl Opening {
    /// The session that these bytes call for, once they say.
    fn tell(&self, direction: Direction, chunk: Chunk<'_>) -> Option<Session> {
        if self.from_start && self.missing.of(direction).is_none() {
            let held = self.held.of(direction).as_ref().map_or(&[][..], |held| &held.bytes);
            let bytes = held.iter().chain(chunk.bytes).copied();
            return match Beginning::of(bytes) {
                Beginning::Unknown => None,
                Beginning::Client => Some(Session::from_client(direction)),
                Beginning::Server => Some(Session::from_client(direction.opposite())),
                Beginning::Other => Some(Session::http1(true)),
            };
        }
        if !chunk.call_start && *self.has_begun.of(direction) {
            return None;
        }
        if http1::begins_message(chunk.bytes) {
            return Some(Session::http1(self.from_start));
        }
        match Beginning::of(chunk.bytes.iter().copied()) {
            Beginning::Client => Some(Session::from_client(direction)),
            _ if !http2::begins_frames(chunk.bytes) => None,
            _ => Some(Session::Http2(Box::new(http2::Session::joined()))),
        }
    }

    /// Keeps the first bytes, or skips what says nothing.
    fn hold(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        *self.has_begun.of_mut(direction) = true;
        if !self.from_start || self.missing.of(direction).is_some() {
            cx.stats.skip(chunk.bytes.len() as u64);
            return;
        }
        let Chunk { position, bytes, at, call_start: _ } = chunk;
        let new = || Held { position, bytes: Vec::new(), at };
        let held = self.held.of_mut(direction).get_or_insert_with(new);
        held.bytes.extend_from_slice(bytes);
    }

    fn drop_held(&mut self, direction: Direction, cx: &mut Context<'_>) {
        if let Some(held) = self.held.of_mut(direction).take() {
            cx.stats.skip(held.bytes.len() as u64);
        }
    }
}
