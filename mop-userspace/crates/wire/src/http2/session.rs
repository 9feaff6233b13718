//! One connection's two ordered streams of bytes, read as HTTP/2.
//!
//! Each direction has a reader of frames and a decoder of field sections of its own; what they give
//! goes to the [`Calls`] that the streams of the connection carry. All bytes are taken at once: a
//! response is known by its stream, whatever else is under way.

use mop_common::Direction;

use super::{
    calls::{Calls, Content},
    frame::{self, FrameHead, Kind, Payload},
    hpack::{Decoder, Extent},
    reader::{Passed, Piece, Reader},
    section::Section,
};
use crate::{
    context::{Context, End},
    exchange::{Ending, Hole},
    http1::Upgrade,
    limits,
    per_direction::PerDirection,
    stream::Chunk,
};

#[derive(Debug)]
pub(crate) struct Session {
    ends: PerDirection<Endpoint>,
    calls: Calls,
}

/// What one direction sends.
#[derive(Debug)]
struct Endpoint {
    reader: Reader,
    decoder: Decoder,
    /// A field section that goes on in `CONTINUATION` frames.
    block: Option<Block>,
}

/// A field section in pieces.
#[derive(Debug)]
struct Block {
    /// The stream whose frames carry it.
    carrier: u32,
    /// The stream that it is of: another one where it is a promise.
    stream: u32,
    ends_stream: bool,
    start_ns: u64,
    fragments: Vec<u8>,
    /// Bytes of the frames that carried it.
    framed_bytes: usize,
}

impl Session {
    /// A connection that is seen from its first byte. `requests` is where the preface stands.
    pub(crate) fn from_start(requests: Direction) -> Self {
        let of = |direction| {
            let is_client = direction == requests;
            let reader = if is_client { Reader::at_preface() } else { Reader::at_frame() };
            Endpoint { reader, decoder: Decoder::from_start(), block: None }
        };
        let ends = PerDirection::new(of(Direction::Read), of(Direction::Write));
        Self { ends, calls: Calls::from_start(requests) }
    }

    /// A connection that spoke HTTP/1 up to here.
    pub(crate) fn upgraded(upgrade: Upgrade) -> Self {
        let Upgrade { requests, exchange, reported } = upgrade;
        let mut session = Self::from_start(requests);
        session.calls.adopt(exchange, reported);
        session
    }

    /// A connection that is joined midway.
    pub(crate) fn joined() -> Self {
        let of = || Endpoint {
            reader: Reader::joined(),
            decoder: Decoder::joined_midway(),
            block: None,
        };
        Self { ends: PerDirection::new(of(), of()), calls: Calls::joined() }
    }

    /// Reads the next bytes of one stream; returns how many were taken, which is all of them.
    pub(crate) fn feed(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> usize {
        let mut rest = chunk;
        while !rest.bytes.is_empty() {
            let Self { ends, calls } = self;
            let end = ends.of_mut(direction);
            let (taken, piece) = end.reader.next(rest);
            let ktime_ns = rest.at.ktime_ns;
            let is_good = match piece {
                Piece::Nothing => true,
                Piece::OutOfStep(bytes) => {
                    cx.stats.skip(bytes as u64);
                    calls.lose(direction, cx);
                    true
                }
                Piece::InStep => {
                    cx.stats.resynchronisations += 1;
                    true
                }
                Piece::Between(bytes) => {
                    cx.stats.skip(bytes as u64);
                    true
                }
                Piece::Data { stream, content: bytes, framed_bytes, is_last } => {
                    let content = Content { bytes, framed_bytes, is_last, ktime_ns };
                    calls.content(direction, stream, content, cx);
                    true
                }
                Piece::TooLarge(head) => {
                    end.forget(cx);
                    cx.stats.skip(FrameHead::BYTES as u64);
                    cx.stats.limit_reached += 1;
                    calls.lose_section(direction, head.stream.number(), cx);
                    true
                }
                Piece::Frame { head, payload, start_ns } => {
                    let frame = Frame { head, payload, start_ns, ktime_ns };
                    let Endpoint { decoder, block, .. } = end;
                    frame.take(direction, decoder, block, calls, cx).is_some()
                }
                Piece::Malformed => false,
            };
            if !is_good {
                // The frame may have begun in an earlier call.
                let end = self.ends.of_mut(direction);
                let earlier = end.reader.held().saturating_sub(taken);
                cx.stats.skip((earlier + rest.bytes.len()) as u64);
                self.malformed(direction, cx);
                break;
            }
            rest = rest.from(taken);
        }
        chunk.bytes.len()
    }

    /// Goes over bytes of one stream that will never come.
    pub(crate) fn hole(&mut self, direction: Direction, hole: Hole, cx: &mut Context<'_>) {
        let Self { ends, calls } = self;
        let end = ends.of_mut(direction);
        let unfinished = end.reader.unfinished();
        match end.reader.pass_hole(hole) {
            Passed::Nothing => {}
            Passed::Content { stream, bytes, is_last } => {
                calls.content_hole(direction, stream, Hole { bytes, ..hole }, is_last, cx);
            }
            Passed::Frame(head) => {
                cx.stats.skip(unfinished as u64);
                if is_of_fields(head) {
                    end.forget(cx);
                    calls.lose_section(direction, head.stream.number(), cx);
                } else if head.kind == Kind::ResetStream {
                    calls.lose_section(direction, head.stream.number(), cx);
                }
            }
            Passed::OutOfStep { stream } => {
                cx.stats.skip(unfinished as u64);
                end.forget(cx);
                if let Some(stream) = stream {
                    calls.hole_within(direction, stream, hole);
                }
                calls.lose(direction, cx);
            }
        }
    }

    /// Takes note that one stream carries no further byte.
    pub(crate) fn end(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let end = self.ends.of_mut(direction);
        cx.stats.skip(end.reader.unfinished() as u64);
        end.forget(cx);
        end.reader.stop();
    }

    /// Ends both streams and reports what is left.
    pub(crate) fn finish(&mut self, how: End, cx: &mut Context<'_>) {
        for direction in Direction::ALL {
            self.end(direction, cx);
        }
        self.calls.finish(how, cx);
    }

    /// Reports what waited for the time to come this far.
    pub(crate) fn proceed(&mut self, cx: &mut Context<'_>) {
        self.calls.proceed(cx);
    }

    /// True when the watermark may move something on.
    pub(crate) fn waits(&self) -> bool {
        self.calls.waits()
    }

    /// Gives up kept content, to make room.
    pub(crate) fn forget_content(&mut self) {
        self.calls.forget_content();
    }

    /// Both directions, that of the requests first.
    pub(crate) fn order(&self) -> [Direction; 2] {
        let first = self.calls.requests().unwrap_or(Direction::Read);
        [first, first.opposite()]
    }

    /// Memory held.
    pub(crate) fn buffered(&self) -> usize {
        let of = |end: &Endpoint| {
            let block = end.block.as_ref().map_or(0, |block| block.fragments.capacity());
            end.reader.buffered() + end.decoder.buffered() + block
        };
        size_of::<Self>()
            + self.ends.all().into_iter().map(of).sum::<usize>()
            + self.calls.buffered()
    }

    /// What one direction sends is no HTTP/2: its receiver ends the connection (section 5.4.1).
    fn malformed(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let end = self.ends.of_mut(direction);
        end.forget(cx);
        end.reader.stop();
        cx.stats.malformed += 1;
        self.calls.fail(direction, Ending::Malformed, cx);
    }
}

impl Endpoint {
    /// Field sections passed unseen, or a part of one.
    fn forget(&mut self, cx: &mut Context<'_>) {
        self.decoder.forget();
        if let Some(block) = self.block.take() {
            cx.stats.skip(block.framed_bytes as u64);
        }
    }
}

/// A whole frame other than `DATA`.
struct Frame<'f> {
    head: FrameHead,
    payload: &'f [u8],
    start_ns: u64,
    /// When its last byte was seen.
    ktime_ns: u64,
}

impl Frame<'_> {
    /// `None` when it breaks the protocol.
    fn take(
        self,
        direction: Direction,
        decoder: &mut Decoder,
        block: &mut Option<Block>,
        calls: &mut Calls,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let head = self.head;
        let framed_bytes = FrameHead::BYTES + self.payload.len();
        head.check(frame::MAX_FRAME_BYTES).ok()?;
        // Nothing stands between the pieces of a field section (section 6.10).
        if block.is_some() != (head.kind == Kind::Continuation) {
            // The beginning of the section may have been before the join, or in a hole.
            return (head.kind == Kind::Continuation && !decoder.is_whole())
                .then(|| cx.stats.skip(framed_bytes as u64));
        }
        let (stream, fragment) = match Payload::parse(&head, self.payload).ok()? {
            Payload::Headers { fragment, .. } => (head.stream.number(), fragment),
            Payload::PushPromise { promised, fragment } => (promised.number(), fragment),
            Payload::Continuation { fragment } => {
                let mut begun = block.take()?;
                let earlier = begun.framed_bytes as u64;
                if begun.carrier != head.stream.number() {
                    cx.stats.skip(earlier);
                    return None;
                }
                begun.framed_bytes += framed_bytes;
                if begun.fragments.len() + fragment.len() > limits::MAX_BLOCK_BYTES {
                    cx.stats.limit_reached += 1;
                    cx.stats.skip(begun.framed_bytes as u64);
                    decoder.forget();
                    calls.lose_section(direction, begun.stream, cx);
                    return Some(());
                }
                begun.fragments.extend_from_slice(fragment);
                if !head.ends_headers() {
                    *block = Some(begun);
                    return Some(());
                }
                let fragments = std::mem::take(&mut begun.fragments);
                let decoded =
                    begun.decode(&fragments, self.ktime_ns, direction, decoder, calls, cx);
                if decoded.is_none() {
                    cx.stats.skip(earlier);
                }
                return decoded;
            }
            Payload::ResetStream(_) => {
                let stream = head.stream.number();
                calls.reset(direction, stream, framed_bytes, self.ktime_ns, cx);
                return Some(());
            }
            Payload::Data { .. }
            | Payload::GoAway { .. }
            | Payload::Ping(_)
            | Payload::Priority(_)
            | Payload::Settings(_)
            | Payload::Unknown
            | Payload::WindowUpdate(_) => {
                cx.stats.skip(framed_bytes as u64);
                return Some(());
            }
        };
        let mut begun = Block {
            carrier: head.stream.number(),
            stream,
            // A promised request has no content (section 8.4).
            ends_stream: head.ends_stream() || head.kind == Kind::PushPromise,
            start_ns: self.start_ns,
            fragments: Vec::new(),
            framed_bytes,
        };
        if head.ends_headers() {
            return begun.decode(fragment, self.ktime_ns, direction, decoder, calls, cx);
        }
        begun.fragments = fragment.to_vec();
        *block = Some(begun);
        Some(())
    }
}

impl Block {
    /// Passes the whole section on. `None` when it breaks the rules of its compression.
    fn decode(
        self,
        fragments: &[u8],
        end_ns: u64,
        direction: Direction,
        decoder: &mut Decoder,
        calls: &mut Calls,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let mut section = Section::default();
        let extent = decoder.decode(fragments, |field| section.push(field)).ok()?;
        section.is_cut |= extent != Extent::Whole;
        let Self { carrier, stream, ends_stream, start_ns, framed_bytes: bytes, .. } = self;
        // A server promises the request that a client would have sent.
        let is_promise = carrier != stream;
        let direction = if is_promise { direction.opposite() } else { direction };
        let framed = Framed { bytes, start_ns, end_ns };
        calls.section(direction, stream, section, ends_stream, framed, cx);
        Some(())
    }
}

/// The frames that carried something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framed {
    pub(super) bytes: usize,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

fn is_of_fields(head: FrameHead) -> bool {
    matches!(head.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation)
}
