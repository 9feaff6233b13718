//! One direction of a connection, cut into frames (RFC 9113, section 4.1).
//!
//! The content of `DATA` is passed on as it comes, since a frame may have 16 MiB; every other frame
//! as a whole, since it is small or skipped.

use super::{
    frame::{self, FrameHead, Kind, PREFACE, Prefix},
    sync,
};
use crate::{exchange::Hole, limits, stream::Chunk};

#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// A frame that came in pieces, its head included.
    partial: Vec<u8>,
    /// What `partial` holds was passed on.
    is_given: bool,
    /// When the frame in `partial` began.
    start_ns: u64,
}

/// Where in its frames the stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes of the client's connection preface were seen (section 3.4).
    Preface(usize),
    /// A frame begins, or has begun and is in `partial`.
    Frame,
    /// The byte that says how much padding there is comes next.
    PadLength(FrameHead),
    Data(Data),
    /// So many bytes of a frame that nobody reads.
    Skip(u64),
    /// It is not known where a frame begins.
    Search,
    /// It carries no frames.
    Opaque,
}

/// What is left of a frame with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Data {
    stream: u32,
    content: u32,
    padding: u32,
    ends_stream: bool,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'c> {
    /// Nothing that can be told yet.
    Nothing,
    /// So many bytes that belong to no stream.
    Between(usize),
    /// A whole frame other than `DATA`.
    Frame { head: FrameHead, payload: &'c [u8], start_ns: u64 },
    /// Content of a stream, and how many bytes it took with what is around it. With `is_last`, its
    /// side ends.
    Data { stream: u32, content: &'c [u8], framed_bytes: usize, is_last: bool },
    /// A frame of fields that is too large to be kept is skipped.
    TooLarge(FrameHead),
    /// So many bytes in which no frame was found.
    OutOfStep(usize),
    /// Frames are found again.
    InStep,
    /// What came is no frame.
    Malformed,
}

/// What bytes that never come took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Nothing of a stream.
    Nothing,
    /// Content of a stream, as many bytes as this. With `is_last`, its side ends.
    Content { stream: u32, bytes: u64, is_last: bool },
    /// One frame, or a part of it.
    Frame(FrameHead),
    /// Where the next frame begins is not known any more.
    OutOfStep { stream: Option<u32> },
}

impl Reader {
    /// A client's stream from its first byte.
    pub(super) fn at_preface() -> Self {
        Self::new(State::Preface(0))
    }

    /// A stream that stands where a frame begins.
    pub(super) fn at_frame() -> Self {
        Self::new(State::Frame)
    }

    /// A stream that was joined midway.
    pub(super) fn joined() -> Self {
        Self::new(State::Search)
    }

    fn new(state: State) -> Self {
        Self { state, partial: Vec::new(), is_given: false, start_ns: 0 }
    }

    /// Nothing more is read.
    pub(super) fn stop(&mut self) {
        *self = Self::new(State::Opaque);
    }

    /// Bytes of a frame that is not whole, or of the one that was given last.
    pub(super) fn held(&self) -> usize {
        match self.state {
            State::PadLength(_) => FrameHead::BYTES,
            _ => self.partial.len(),
        }
    }

    /// Bytes of a frame that is not whole.
    pub(super) fn unfinished(&self) -> usize {
        if self.is_given { 0 } else { self.held() }
    }

    /// Memory held.
    pub(super) fn buffered(&self) -> usize {
        self.partial.capacity()
    }

    /// Reads as far as the next piece; says how many bytes that took. `chunk.bytes` is not empty.
    pub(super) fn next<'c>(&'c mut self, chunk: Chunk<'c>) -> (usize, Piece<'c>) {
        let bytes = chunk.bytes;
        if std::mem::take(&mut self.is_given) {
            self.partial.clear();
            if self.partial.capacity() > limits::MAX_IDLE_FRAME_BYTES {
                self.partial = Vec::new();
            }
        }
        match self.state {
            State::Opaque => (bytes.len(), Piece::Between(bytes.len())),
            State::Search if chunk.call_start && sync::begins_frames(bytes) => {
                self.state = State::Frame;
                (0, Piece::InStep)
            }
            State::Search => (bytes.len(), Piece::OutOfStep(bytes.len())),
            State::Preface(matched) => {
                let expected = PREFACE.get(matched..).unwrap_or_default();
                let take = expected.len().min(bytes.len());
                if bytes.get(..take) != expected.get(..take) {
                    return (0, Piece::Malformed);
                }
                let is_over = take == expected.len();
                self.state = if is_over { State::Frame } else { State::Preface(matched + take) };
                (take, Piece::Between(take))
            }
            State::Skip(left) => {
                let take = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.state = match left - take as u64 {
                    0 => State::Frame,
                    left => State::Skip(left),
                };
                (take, Piece::Between(take))
            }
            State::PadLength(head) => match Data::of(head, bytes) {
                Some(data) => (1, self.begin_data(data, FrameHead::BYTES + 1)),
                None => (0, Piece::Malformed),
            },
            State::Data(data) => self.content(data, bytes),
            State::Frame => self.frame(chunk),
        }
    }

    /// Goes over bytes that will never come.
    pub(super) fn pass_hole(&mut self, hole: Hole) -> Passed {
        match self.state {
            State::Opaque => return Passed::Nothing,
            State::Skip(left) if hole.bytes <= left => {
                self.state = match left - hole.bytes {
                    0 => State::Frame,
                    left => State::Skip(left),
                };
                return Passed::Nothing;
            }
            State::Data(data) => {
                let left = u64::from(data.content) + u64::from(data.padding);
                if hole.bytes <= left {
                    return self.skip_content(data, hole.bytes);
                }
                self.lose();
                return Passed::OutOfStep { stream: Some(data.stream) };
            }
            State::Frame => {
                // Its head is there, and says where it ends.
                let head = FrameHead::split(&self.partial).map(|(head, _)| head);
                if let Some(head) = head.filter(|_| !self.is_given) {
                    let whole = FrameHead::BYTES as u64 + u64::from(head.payload_bytes);
                    let left = whole.saturating_sub(self.partial.len() as u64);
                    if hole.bytes <= left {
                        self.partial.clear();
                        self.state = match left - hole.bytes {
                            0 => State::Frame,
                            left => State::Skip(left),
                        };
                        return Passed::Frame(head);
                    }
                }
            }
            State::Preface(_) | State::PadLength(_) | State::Skip(_) | State::Search => {}
        }
        self.lose();
        Passed::OutOfStep { stream: None }
    }

    fn lose(&mut self) {
        *self = Self::new(State::Search);
    }

    fn frame<'c>(&'c mut self, chunk: Chunk<'c>) -> (usize, Piece<'c>) {
        let bytes = chunk.bytes;
        if self.partial.is_empty() {
            self.start_ns = chunk.at.ktime_ns;
            if let Some((head, rest)) = FrameHead::split(bytes) {
                let length = head.payload_bytes as usize;
                if let Some(payload) = rest.get(..length).filter(|_| head.kind != Kind::Data) {
                    let start_ns = self.start_ns;
                    return (FrameHead::BYTES + length, Piece::Frame { head, payload, start_ns });
                }
            }
        }
        let missing = FrameHead::BYTES.saturating_sub(self.partial.len());
        if missing > 0 {
            let taken = bytes.get(..missing).unwrap_or(bytes);
            self.partial.extend_from_slice(taken);
            let Some(head) = FrameHead::split(&self.partial).map(|(head, _)| head) else {
                return (taken.len(), Piece::Nothing);
            };
            return (taken.len(), self.begin(head));
        }
        let Some(head) = FrameHead::split(&self.partial).map(|(head, _)| head) else {
            return (0, Piece::Malformed);
        };
        let whole = FrameHead::BYTES + head.payload_bytes as usize;
        let missing = whole.saturating_sub(self.partial.len());
        let taken = bytes.get(..missing).unwrap_or(bytes);
        self.partial.extend_from_slice(taken);
        if self.partial.len() < whole {
            return (taken.len(), Piece::Nothing);
        }
        self.is_given = true;
        let payload = self.partial.get(FrameHead::BYTES..).unwrap_or_default();
        (taken.len(), Piece::Frame { head, payload, start_ns: self.start_ns })
    }

    /// A frame of which only the head is there.
    fn begin(&mut self, head: FrameHead) -> Piece<'static> {
        let is_of_fields =
            matches!(head.kind, Kind::Headers | Kind::Continuation | Kind::PushPromise);
        match head.kind {
            _ if head.check(frame::MAX_FRAME_BYTES).is_err() => Piece::Malformed,
            Kind::Data if head.is_padded() => {
                self.partial.clear();
                self.state = State::PadLength(head);
                Piece::Nothing
            }
            Kind::Data => {
                self.partial.clear();
                match Data::of(head, &[]) {
                    Some(data) => self.begin_data(data, FrameHead::BYTES),
                    None => Piece::Malformed,
                }
            }
            _ if head.payload_bytes as usize > limits::MAX_FRAME_BYTES => {
                self.partial.clear();
                self.state = State::Skip(u64::from(head.payload_bytes));
                if is_of_fields { Piece::TooLarge(head) } else { Piece::Between(FrameHead::BYTES) }
            }
            _ if head.payload_bytes == 0 => {
                self.is_given = true;
                Piece::Frame { head, payload: &[], start_ns: self.start_ns }
            }
            _ => Piece::Nothing,
        }
    }

    fn begin_data(&mut self, data: Data, framed_bytes: usize) -> Piece<'static> {
        let is_over = data.content == 0 && data.padding == 0;
        self.state = if is_over { State::Frame } else { State::Data(data) };
        let is_last = is_over && data.ends_stream;
        Piece::Data { stream: data.stream, content: &[], framed_bytes, is_last }
    }

    fn content<'c>(&mut self, mut data: Data, bytes: &'c [u8]) -> (usize, Piece<'c>) {
        let content = bytes.get(..data.content as usize).unwrap_or(bytes);
        let behind = bytes.get(content.len()..).unwrap_or_default();
        data.content -= u32::try_from(content.len()).unwrap_or(data.content);
        let padding = if data.content == 0 { behind.len().min(data.padding as usize) } else { 0 };
        data.padding -= u32::try_from(padding).unwrap_or(data.padding);
        let is_over = data.content == 0 && data.padding == 0;
        self.state = if is_over { State::Frame } else { State::Data(data) };
        let is_last = is_over && data.ends_stream;
        let framed_bytes = content.len() + padding;
        (framed_bytes, Piece::Data { stream: data.stream, content, framed_bytes, is_last })
    }

    fn skip_content(&mut self, mut data: Data, missing: u64) -> Passed {
        let content = missing.min(u64::from(data.content));
        let padding = (missing - content).min(u64::from(data.padding));
        data.content -= u32::try_from(content).unwrap_or(data.content);
        data.padding -= u32::try_from(padding).unwrap_or(data.padding);
        let is_over = data.content == 0 && data.padding == 0;
        self.state = if is_over { State::Frame } else { State::Data(data) };
        let is_last = is_over && data.ends_stream;
        Passed::Content { stream: data.stream, bytes: content, is_last }
    }
}

impl Data {
    /// `None` when there is more padding than frame (section 6.1).
    fn of(head: FrameHead, pad_length: &[u8]) -> Option<Self> {
        let Prefix { content_bytes, padding_bytes, .. } = Prefix::parse(&head, pad_length).ok()?;
        Some(Self {
            stream: head.stream.number(),
            content: content_bytes,
            padding: u32::from(padding_bytes),
            ends_stream: head.ends_stream(),
        })
    }
}
