//! The calls that the streams of a connection carry.
//!
//! A side of a stream is *lossy* from the moment on when frames of it may have passed unseen: a hole
//! was longer than the frame that it began in, or frames were looked for. A request that was not
//! read is lossy as well, unless it is still to come. A head makes a side whole again, since all that
//! follows a head is seen. A call is reported when both sides are over; a lossy side counts as over,
//! since its end may have been among what was not seen.

use std::collections::BTreeMap;

use mop_common::Direction;

use super::{
    section::{Kind, Section},
    session::Framed,
    stream::{Half, Side, Stream},
};
use crate::{
    context::{Context, End},
    exchange::{Ending, Exchange, Hole, Role},
    limits,
    stamp::Stamp,
};

#[derive(Debug)]
pub(super) struct Calls {
    /// The direction that carries requests, once known.
    requests: Option<Direction>,
    /// By identifier, those that were not reported. In their order, so that the oldest is found at
    /// once when there are too many.
    streams: BTreeMap<u32, Stream>,
    /// Which requests were seen, of clients and of promises: each numbers its own (section 5.1.1).
    seen: [SeenRequests; 2],
    /// Over, but for what may still come from another lane.
    waiting: Vec<u32>,
    /// The watermark up to which these were looked at.
    looked_ns: u64,
    reported: u64,
    /// Memory that the streams hold; asked for with every segment.
    held: usize,
}

/// Which requests of one end were seen, by the identifiers of their streams.
#[derive(Clone, Copy, Debug)]
struct SeenRequests {
    /// The newest stream of which a request was seen.
    last: u32,
    /// The oldest stream since whose request none can have passed unseen.
    certain_from: u32,
}

impl SeenRequests {
    /// Whether the request of this stream was seen.
    fn has(self, id: u32) -> bool {
        (self.certain_from..=self.last).contains(&id)
    }

    /// Whether this stream is newer than all requests that were read, so that its own is not read yet.
    fn is_coming(self, id: u32) -> bool {
        let is_continuous = self.certain_from <= self.last || self.certain_from == 0;
        is_continuous && id > self.last
    }
}

/// The stream of a request that asked for HTTP/2.
const UPGRADED_STREAM: u32 = 1;

/// A piece of a frame with content.
#[derive(Clone, Copy)]
pub(super) struct Content<'c> {
    pub(super) bytes: &'c [u8],
    /// What the stream of bytes moved on by, with what is around the content.
    pub(super) framed_bytes: usize,
    /// Its side of the stream ends.
    pub(super) is_last: bool,
    pub(super) ktime_ns: u64,
}

impl Calls {
    pub(super) fn from_start(requests: Direction) -> Self {
        let seen = [SeenRequests { last: 0, certain_from: 0 }; 2];
        Self { requests: Some(requests), seen, ..Self::joined() }
    }

    /// Takes over the request that asked for HTTP/2, which is the first stream.
    pub(super) fn adopt(&mut self, exchange: Exchange, reported: u64) {
        self.reported = reported;
        self.seen_of(UPGRADED_STREAM).last = UPGRADED_STREAM;
        self.streams.insert(UPGRADED_STREAM, Stream::of_request(exchange));
        self.recount();
    }

    pub(super) fn joined() -> Self {
        Self {
            requests: None,
            streams: BTreeMap::new(),
            seen: [SeenRequests { last: 0, certain_from: u32::MAX }; 2],
            waiting: Vec::new(),
            looked_ns: 0,
            reported: 0,
            held: 0,
        }
    }

    pub(super) fn requests(&self) -> Option<Direction> {
        self.requests
    }

    /// Takes a field section that one direction carried.
    pub(super) fn section(
        &mut self,
        direction: Direction,
        id: u32,
        section: Section,
        is_last: bool,
        framed: Framed,
        cx: &mut Context<'_>,
    ) {
        let requests = match section.kind() {
            Kind::Request => Some(direction),
            Kind::Response | Kind::Interim(_) => Some(direction.opposite()),
            Kind::Trailers | Kind::Unknown => None,
        };
        self.requests = self.requests.or(requests);
        if requests.is_some() && requests != self.requests {
            // An end that says what only the other may say is not believed which it is.
            cx.stats.skip(framed.bytes as u64);
            cx.stats.malformed += 1;
            if let Some(half) = self.half(direction, id) {
                half.fail(Ending::Malformed);
                self.settle(id, cx);
            }
            return;
        }
        let begins = !matches!(section.kind(), Kind::Trailers);
        let Some(side) = self.side(direction) else {
            cx.stats.skip(framed.bytes as u64);
            return;
        };
        if !self.streams.contains_key(&id) {
            let was_reported = self.seen_of(id).has(id);
            if !begins || was_reported {
                cx.stats.skip(framed.bytes as u64);
                return;
            }
            self.open(id, side, cx);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.buffered();
        let half = stream.half(side);
        half.begin(framed.start_ns);
        if section.kind() == Kind::Response {
            // Interim responses came before.
            half.message.start = Stamp::at(framed.start_ns);
        }
        half.message.frame(framed.bytes, Stamp::at(framed.end_ns));
        stream.section(side, section, is_last, cx.options);
        self.held = (self.held + stream.buffered()).saturating_sub(before);
        self.settle(id, cx);
    }

    /// Takes content.
    pub(super) fn content(
        &mut self,
        direction: Direction,
        id: u32,
        content: Content<'_>,
        cx: &mut Context<'_>,
    ) {
        let Content { bytes, framed_bytes, is_last, ktime_ns } = content;
        let Some(half) = self.half(direction, id) else {
            cx.stats.skip(framed_bytes as u64);
            return;
        };
        half.begin(ktime_ns);
        half.message.frame(framed_bytes.saturating_sub(bytes.len()), Stamp::at(ktime_ns));
        let before = half.message.buffered();
        let to_come = half.content_to_come(bytes.len());
        half.message.content(bytes, to_come, Stamp::at(ktime_ns), cx.options);
        let after = half.message.buffered();
        self.held = (self.held + after).saturating_sub(before);
        self.end_if(is_last, direction, id, cx);
    }

    /// Takes note of content that will never come.
    pub(super) fn content_hole(
        &mut self,
        direction: Direction,
        id: u32,
        hole: Hole,
        is_last: bool,
        cx: &mut Context<'_>,
    ) {
        let Some(half) = self.half(direction, id) else { return };
        if hole.bytes > 0 {
            half.message.content_hole(hole);
        }
        self.end_if(is_last, direction, id, cx);
    }

    /// Either end gave up a stream (RFC 9113, section 5.4.2).
    pub(super) fn reset(
        &mut self,
        direction: Direction,
        id: u32,
        framed_bytes: usize,
        ktime_ns: u64,
        cx: &mut Context<'_>,
    ) {
        let Some(half) = self.half(direction, id) else {
            cx.stats.skip(framed_bytes as u64);
            return;
        };
        half.message.frame(framed_bytes, Stamp::at(ktime_ns));
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.request.fail(Ending::Reset);
            stream.response.fail(Ending::Reset);
        }
        self.settle(id, cx);
    }

    /// A field section of a stream was not seen, or not all of it.
    pub(super) fn lose_section(&mut self, direction: Direction, id: u32, cx: &mut Context<'_>) {
        let Some(side) = self.side(direction) else { return };
        if side == Side::Request && !self.streams.contains_key(&id) {
            self.open(id, side, cx);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.half(side).lose();
            self.recount();
            self.settle(id, cx);
        }
    }

    /// A hole began in a frame of this stream, and went on behind it.
    pub(super) fn hole_within(&mut self, direction: Direction, id: u32, hole: Hole) {
        if let Some(half) = self.half(direction, id) {
            half.message.hole(hole);
        }
    }

    /// Frames of one direction passed unseen, or may have, of any stream.
    pub(super) fn lose(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let Some(side) = self.side(direction) else { return };
        if side == Side::Request {
            self.seen.iter_mut().for_each(|seen| seen.certain_from = u32::MAX);
        }
        for stream in self.streams.values_mut() {
            stream.half(side).lose();
        }
        self.recount();
        self.settle_all(cx);
    }

    /// Nothing that one direction carries from here on can be read.
    pub(super) fn fail(&mut self, direction: Direction, ending: Ending, cx: &mut Context<'_>) {
        let Some(side) = self.side(direction) else { return };
        for stream in self.streams.values_mut() {
            stream.half(side).fail(ending);
        }
        self.settle_all(cx);
    }

    /// Reports what is left.
    pub(super) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        for id in self.in_order() {
            let Some(mut stream) = self.remove(id) else { continue };
            stream.close(cx.options);
            let ending = match (how, stream.ending()) {
                (End::Stopped, None) => Ending::ObserverStopped,
                _ => stream.ending_with_connection(),
            };
            self.report(stream, ending, cx);
        }
        self.waiting.clear();
    }

    /// Reports what waited, where the time has come this far.
    pub(super) fn proceed(&mut self, cx: &mut Context<'_>) {
        if self.looked_ns == cx.watermark_ns {
            return;
        }
        self.looked_ns = cx.watermark_ns;
        for id in std::mem::take(&mut self.waiting) {
            self.settle(id, cx);
        }
    }

    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn forget_content(&mut self) {
        self.streams.values_mut().for_each(Stream::forget_content);
        self.recount();
    }

    /// Memory held.
    pub(super) fn buffered(&self) -> usize {
        debug_assert_eq!(self.held, self.streams.values().map(Stream::buffered).sum());
        self.held
    }

    fn recount(&mut self) {
        self.held = self.streams.values().map(Stream::buffered).sum();
    }

    fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        self.held = self.held.saturating_sub(stream.buffered());
        Some(stream)
    }

    fn side(&self, direction: Direction) -> Option<Side> {
        let requests = self.requests?;
        Some(if requests == direction { Side::Request } else { Side::Response })
    }

    fn half(&mut self, direction: Direction, id: u32) -> Option<&mut Half> {
        let side = self.side(direction)?;
        self.streams.get_mut(&id).map(|stream| stream.half(side))
    }

    fn end_if(&mut self, is_last: bool, direction: Direction, id: u32, cx: &mut Context<'_>) {
        if is_last && let Some(half) = self.half(direction, id) {
            let before = half.message.buffered();
            half.end(crate::Headers::default(), cx.options);
            let after = half.message.buffered();
            self.held = (self.held + after).saturating_sub(before);
            self.settle(id, cx);
        }
    }

    fn seen_of(&mut self, id: u32) -> &mut SeenRequests {
        let [promised, asked] = &mut self.seen;
        if id.is_multiple_of(2) { promised } else { asked }
    }

    fn open(&mut self, id: u32, side: Side, cx: &mut Context<'_>) {
        if self.streams.len() >= limits::MAX_STREAMS
            && let Some(oldest) = self.streams.first_key_value().map(|(id, _)| *id)
            && let Some(stream) = self.remove(oldest)
        {
            cx.stats.limit_reached += 1;
            self.report(stream, Ending::LimitReached, cx);
        }
        let seen = self.seen_of(id);
        let is_lossy = side == Side::Response && !seen.is_coming(id);
        if side == Side::Request {
            seen.last = seen.last.max(id);
            seen.certain_from = seen.certain_from.min(id);
        }
        let stream = Stream::new(is_lossy);
        self.held += stream.buffered();
        self.streams.insert(id, stream);
    }

    fn settle_all(&mut self, cx: &mut Context<'_>) {
        for id in self.in_order() {
            self.settle(id, cx);
        }
    }

    /// Reports a call that is over.
    fn settle(&mut self, id: u32, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get(&id) else { return };
        let Some(ending) = stream.ending() else { return };
        // What the other direction carried until then may still be on its way, from another lane.
        let is_early = matches!(ending, Ending::RequestUnseen | Ending::Reset);
        if is_early && cx.watermark_ns <= stream.last_ns() && !cx.force {
            if !self.waiting.contains(&id) {
                self.waiting.push(id);
            }
            return;
        }
        if let Some(mut stream) = self.remove(id) {
            stream.close(cx.options);
            let ending = stream.ending().unwrap_or(ending);
            self.report(stream, ending, cx);
        }
    }

    fn in_order(&self) -> Vec<u32> {
        self.streams.keys().copied().collect()
    }

    fn report(&mut self, stream: Stream, ending: Ending, cx: &mut Context<'_>) {
        let role = match self.requests {
            Some(Direction::Write) => Role::Client,
            Some(Direction::Read) | None => Role::Server,
        };
        let exchange = stream.into_exchange(cx.connection, role, ending);
        cx.report(exchange, &mut self.reported);
    }
}
