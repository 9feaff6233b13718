//! One direction of a connection, put in order by position.
//!
//! Segments come from the lanes of several CPUs in any order. What is next in the stream is passed
//! on at once; the rest waits here, as pieces.
//!
//! Invariants: every piece starts at or after `next`; pieces do not overlap (of two that claim the
//! same bytes the first one to arrive keeps them); `buffered` is the sum of the bytes of all pieces.

use std::collections::BTreeMap;

use mop_common::HoleCause;

use crate::{exchange::Hole, limits, stamp::Stamp};

/// One direction's pieces and where it stands.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Position of the next byte to pass on; `None` until the stream's beginning is known.
    next: Option<u64>,
    pieces: BTreeMap<u64, Piece>,
    buffered: usize,
    end: Option<End>,
}

/// A run of bytes, or of bytes known to be missing, that waits for its turn.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Waiting),
    Missing { bytes: u64, cause: HoleCause, ktime_ns: u64 },
}

#[derive(Debug)]
pub(crate) struct Waiting {
    bytes: Box<[u8]>,
    /// Bytes of it that were passed on already; `used <= bytes.len()`.
    used: usize,
    at: Stamp,
    call_start: bool,
}

/// A borrowed run of bytes in its place in the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) position: u64,
    pub(crate) bytes: &'a [u8],
    /// The call that moved them.
    pub(crate) at: Stamp,
    /// The first byte is the first one that a call moved.
    pub(crate) call_start: bool,
}

/// Beyond this position the stream carries nothing.
#[derive(Clone, Copy, Debug)]
struct End {
    position: u64,
    at_ns: u64,
}

/// What is next in the stream.
#[derive(Debug)]
pub(crate) enum Ready {
    /// Nothing yet: either all is passed on or a gap may still be filled.
    Nothing,
    /// Bytes; what is not used of them goes back by [`Stream::put_back`].
    Bytes(Waiting),
    /// Bytes that will never come.
    Hole(Hole),
    /// The stream carries no further byte.
    End,
}

impl Stream {
    pub(crate) fn starting_at(position: u64) -> Self {
        Self { next: Some(position), ..Self::default() }
    }

    /// Takes note of the first position, when none is known.
    pub(crate) fn start_at(&mut self, position: u64) {
        self.next.get_or_insert(position);
    }

    /// Takes note that no byte follows `position`. The first such note stands.
    pub(crate) fn end_at(&mut self, position: u64, at_ns: u64) {
        self.end.get_or_insert(End { position, at_ns });
    }

    /// True when a chunk at this position can be passed on without waiting.
    pub(crate) fn is_next(&self, position: u64) -> bool {
        self.next == Some(position) && self.pieces.is_empty()
    }

    /// Takes note that bytes were passed on without being kept here.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.next = self.next.map(|next| next.saturating_add(bytes));
    }

    /// Keeps a copy of the bytes until their turn; returns how many were already there.
    pub(crate) fn insert(&mut self, chunk: Chunk<'_>) -> u64 {
        let mut duplicates = 0;
        let mut chunk = chunk;
        while !chunk.bytes.is_empty() {
            let (skip, take) = self.free_run(chunk.position, chunk.bytes.len() as u64);
            if skip + take == 0 {
                // Past the last position there is.
                return duplicates;
            }
            duplicates += skip;
            chunk = chunk.from(usize::try_from(skip).unwrap_or(usize::MAX));
            let take = usize::try_from(take).unwrap_or(usize::MAX);
            if let Some(bytes) = chunk.bytes.get(..take).filter(|bytes| !bytes.is_empty()) {
                self.buffered += bytes.len();
                let Chunk { position, bytes: _, at, call_start } = chunk;
                let waiting = Waiting { bytes: bytes.into(), used: 0, at, call_start };
                self.pieces.insert(position, Piece::Bytes(waiting));
            }
            chunk = chunk.from(take);
        }
        duplicates
    }

    /// Takes note of bytes that will never come.
    pub(crate) fn insert_missing(&mut self, hole: Hole, ktime_ns: u64) {
        let Hole { mut position, mut bytes, cause } = hole;
        while bytes > 0 {
            let (skip, take) = self.free_run(position, bytes);
            if skip + take == 0 {
                return;
            }
            position = position.saturating_add(skip);
            if take > 0 {
                self.pieces.insert(position, Piece::Missing { bytes: take, cause, ktime_ns });
            }
            position = position.saturating_add(take);
            bytes = bytes.saturating_sub(skip.saturating_add(take));
        }
    }

    /// What is next. A gap is a hole when the watermark has passed what stands behind it, or at
    /// once when `force` is set.
    pub(crate) fn take_ready(&mut self, watermark_ns: u64, force: bool) -> Ready {
        let Some(next) = self.next else {
            return match self.end {
                None => Ready::Nothing,
                Some(end) if end.position == 0 => Ready::End,
                // Nobody said where it begins, and nothing of it came: at most all of it is missing.
                // That may be what was moved before a join, and is no loss to raise an alarm for.
                Some(end) if end.at_ns < watermark_ns || force => {
                    self.next = Some(end.position);
                    let (bytes, cause) = (end.position, HoleCause::BeforeStart);
                    Ready::Hole(Hole { position: 0, bytes, cause })
                }
                Some(_) => Ready::Nothing,
            };
        };
        if let Some(first) = self.pieces.first_entry() {
            let position = *first.key();
            if position <= next {
                return match first.remove() {
                    Piece::Bytes(waiting) => {
                        self.buffered -= waiting.bytes.len();
                        Ready::Bytes(waiting)
                    }
                    Piece::Missing { bytes, cause, ktime_ns: _ } => {
                        self.advance(bytes);
                        Ready::Hole(Hole { position, bytes, cause })
                    }
                };
            }
            let ktime_ns = first.get().ktime_ns();
            return self.take_gap(next, position, ktime_ns < watermark_ns, force);
        }
        match self.end {
            Some(end) if end.position <= next => Ready::End,
            Some(end) => self.take_gap(next, end.position, end.at_ns < watermark_ns, force),
            None => Ready::Nothing,
        }
    }

    /// Gives back the unused part of bytes just taken. `used` counts from where they were taken.
    pub(crate) fn put_back(&mut self, mut waiting: Waiting, used: usize) {
        waiting.used = waiting.used.saturating_add(used);
        let Some(position) = self.next else { return };
        if waiting.used < waiting.bytes.len() {
            if used > 0 {
                waiting.call_start = false;
            }
            self.buffered += waiting.bytes.len();
            self.pieces.insert(position, Piece::Bytes(waiting));
        }
    }

    /// True when pieces wait, or an end whose bytes have not all come.
    pub(crate) fn waits(&self) -> bool {
        !self.pieces.is_empty() || self.end.is_some_and(|end| self.next.unwrap_or(0) < end.position)
    }

    /// Bytes that wait, without those that are missing.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let bytes = |piece: &Piece| match piece {
            Piece::Bytes(_) => piece.len(),
            Piece::Missing { .. } => 0,
        };
        self.pieces.values().map(bytes).sum()
    }

    pub(crate) fn is_over_limit(&self) -> bool {
        self.buffered > limits::MAX_REORDER_BYTES || self.pieces.len() > limits::MAX_REORDER_PIECES
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffered + self.pieces.len() * size_of::<(u64, Piece)>()
    }

    /// When the first of what waits was moved; `None` when nothing waits.
    pub(crate) fn first_ns(&self) -> Option<u64> {
        self.pieces.first_key_value().map(|(_, piece)| piece.ktime_ns())
    }

    /// True when bytes are missing in front of what waits.
    pub(crate) fn is_gapped(&self) -> bool {
        let first = self.pieces.first_key_value().map(|(position, _)| *position);
        first.is_some_and(|first| self.next.is_some_and(|next| first > next))
    }

    /// The position that the next byte will have.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    fn take_gap(&mut self, from: u64, to: u64, passed: bool, force: bool) -> Ready {
        let cause = if passed {
            HoleCause::RingFull
        } else if force {
            HoleCause::ReorderLimit
        } else {
            return Ready::Nothing;
        };
        self.next = Some(to);
        Ready::Hole(Hole { position: from, bytes: to - from, cause })
    }

    /// How many of the `bytes` from `position` are taken already, and how many are free after
    /// those.
    fn free_run(&self, position: u64, bytes: u64) -> (u64, u64) {
        let end = position.saturating_add(bytes);
        let mut start = position.max(self.next.unwrap_or(0));
        if let Some((at, piece)) = self.pieces.range(..=start).next_back() {
            start = start.max(at.saturating_add(piece.len()));
        }
        let start = start.min(end);
        let stop = self.pieces.range(start..end).next().map_or(end, |(at, _)| *at);
        (start - position, stop - start)
    }
}

impl Piece {
    /// Stream bytes that it stands for, from its key on.
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(waiting) => (waiting.bytes.len() - waiting.used) as u64,
            Self::Missing { bytes, .. } => *bytes,
        }
    }

    fn ktime_ns(&self) -> u64 {
        match self {
            Self::Bytes(waiting) => waiting.at.ktime_ns,
            Self::Missing { ktime_ns, .. } => *ktime_ns,
        }
    }
}

impl Waiting {
    /// The bytes not yet passed on, which stand at `position`.
    pub(crate) fn chunk(&self, position: u64) -> Chunk<'_> {
        Chunk {
            position,
            bytes: self.bytes.get(self.used..).unwrap_or_default(),
            at: self.at,
            call_start: self.call_start,
        }
    }
}

impl Chunk<'_> {
    /// The rest after the first `bytes`.
    pub(crate) fn from(self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes.len());
        Self {
            position: self.position.saturating_add(bytes as u64),
            bytes: self.bytes.get(bytes..).unwrap_or_default(),
            at: self.at,
            call_start: self.call_start && bytes == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(position: u64, bytes: &[u8]) -> Chunk<'_> {
        Chunk { position, bytes, at: Stamp::at(10), call_start: true }
    }

    fn drain(stream: &mut Stream, watermark_ns: u64) -> String {
        let mut text = String::new();
        loop {
            let position = stream.next().unwrap_or(0);
            match stream.take_ready(watermark_ns, false) {
                Ready::Bytes(waiting) => {
                    let bytes = waiting.chunk(position).bytes;
                    text.push_str(std::str::from_utf8(bytes).unwrap());
                    stream.advance(bytes.len() as u64);
                }
                Ready::Hole(hole) => {
                    text.push_str(&format!("[{}:{}]", hole.bytes, hole.cause.name()))
                }
                Ready::Nothing => return text,
                Ready::End => return text + ".",
            }
        }
    }

    #[test]
    fn order_is_restored_and_overlaps_keep_the_first() {
        let mut stream = Stream::starting_at(0);
        assert_eq!(stream.insert(chunk(4, b"efgh")), 0);
        assert_eq!(stream.insert(chunk(2, b"CDEFGHIJ")), 4);
        assert_eq!(drain(&mut stream, 0), "");
        assert_eq!(stream.insert(chunk(0, b"abc")), 1);
        assert_eq!(drain(&mut stream, 0), "abCDefghIJ");
        assert_eq!(stream.insert(chunk(3, b"zzz")), 3);
        assert_eq!(stream.buffered(), 0);
    }

    #[test]
    fn a_gap_waits_for_the_watermark() {
        let mut stream = Stream::starting_at(0);
        stream.insert(chunk(3, b"d"));
        stream.end_at(6, 20);
        assert_eq!(drain(&mut stream, 10), "");
        assert_eq!(drain(&mut stream, 11), "[3:ring_full]d");
        assert!(stream.waits());
        assert_eq!(drain(&mut stream, 21), "[2:ring_full].");
    }

    #[test]
    fn missing_bytes_are_known_at_once() {
        let mut stream = Stream::starting_at(0);
        stream.insert(chunk(5, b"f"));
        stream.insert(chunk(0, b"a"));
        stream.insert_missing(Hole { position: 1, bytes: 7, cause: HoleCause::Fault }, 10);
        assert_eq!(drain(&mut stream, 0), "a[4:fault]f[2:fault]");
    }

    #[test]
    fn positions_at_the_end_of_the_number_line_do_not_overflow() {
        let mut stream = Stream::starting_at(0);
        stream.insert(chunk(u64::MAX - 1, b"abc"));
        stream.insert_missing(Hole { position: u64::MAX, bytes: 5, cause: HoleCause::Fault }, 1);
        drain(&mut stream, u64::MAX);
    }
}
