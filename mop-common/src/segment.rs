//! A segment: the bytes that one call moved, or a part of them, with their place in the stream.

use crate::assert_no_padding;

/// A run of stream bytes, as the kernel side describes it; the captured ones follow.
///
/// Invariants: `len_captured <= len_total`; the segment covers the stream bytes
/// `position .. position + len_total`; the captured bytes are the first `len_captured` of them and
/// the rest is a hole whose reason is `cause`. The next segment of the same direction starts at
/// `position + len_total`, so that a lost segment is a hole of exactly known place and size.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// The connection, minted by the kernel side; never used twice in a run.
    pub connection: u64,
    /// Offset of the first byte in this direction's stream.
    pub position: u64,
    /// `CLOCK_MONOTONIC` when the call returned, in nanoseconds.
    pub ktime_ns: u64,
    /// Place in the lane of the CPU: grows from segment to segment of one lane.
    pub cpu_sequence: u64,
    /// Stream bytes that this segment stands for.
    pub len_total: u32,
    /// Bytes that follow this head.
    pub len_captured: u32,
    /// The CPU that emitted the segment.
    pub cpu: u16,
    /// [`Direction`] as a number.
    pub direction: u8,
    /// [`HoleCause`] as a number; [`HoleCause::None`] when every byte was captured.
    pub cause: u8,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Who made the call, as a number of the connection's own; 0 when that is not known. Calls of one
    /// connection with the same number were made by the same thread, or the same goroutine: each had
    /// returned before the next was entered, so their times are in the order in which things happened.
    pub caller: u16,
}

assert_no_padding!(SegmentHead, 4 * 8 + 2 * 4 + 2 + 1 + 1 + 2 + 2);

impl SegmentHead {
    /// Bytes of the head in front of the payload.
    pub const SIZE: usize = size_of::<Self>();

    /// First stream position after this segment; saturates on hostile input.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.position.saturating_add(self.len_total as u64)
    }
}

/// Which way the bytes went, seen from the observed process.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The process received the bytes.
    Read = 0,
    /// The process sent the bytes.
    Write = 1,
}

impl Direction {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The direction with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Read),
            1 => Some(Self::Write),
            _ => None,
        }
    }

    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }

    /// Index into arrays of two, in the order of [`Direction::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Why bytes of a stream are missing.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoleCause {
    /// Nothing is missing.
    None = 0,
    /// The page that held the bytes could not be read when the call returned.
    Fault = 1,
    /// The lane had no room.
    RingFull = 2,
    /// The kernel moved the bytes without showing them to the process (`sendfile`, `splice`).
    ZeroCopy = 3,
    /// The call had more buffers than [`crate::limits::MAX_SEGMENTS_PER_CALL`] allows.
    CallTooLarge = 4,
    /// The process asked the kernel to throw the bytes away (`MSG_TRUNC`).
    Discarded = 5,
    /// User space had no room to queue the segment.
    QueueFull = 6,
    /// User space gave up waiting for the bytes: too much stood behind the gap.
    ReorderLimit = 7,
    /// The bytes were moved before observation of the connection began.
    BeforeStart = 8,
}

impl HoleCause {
    /// Every cause, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Fault,
        Self::RingFull,
        Self::ZeroCopy,
        Self::CallTooLarge,
        Self::Discarded,
        Self::QueueFull,
        Self::ReorderLimit,
        Self::BeforeStart,
    ];

    /// The cause with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        let number = number as usize;
        if number < Self::ALL.len() { Some(Self::ALL[number]) } else { None }
    }

    /// The name that records and metrics use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Fault => "fault",
            Self::RingFull => "ring_full",
            Self::ZeroCopy => "zero_copy",
            Self::CallTooLarge => "call_too_large",
            Self::Discarded => "discarded",
            Self::QueueFull => "queue_full",
            Self::ReorderLimit => "reorder_limit",
            Self::BeforeStart => "before_start",
        }
    }
}

/// Bits of [`SegmentHead::flags`].
pub mod flags {
    /// The segment holds the first bytes that its call moved. HTTP stacks start a message at the
    /// start of a call, so this is where a stream is looked at again after a hole.
    pub const CALL_START: u16 = 1;

    /// The bytes are none of a stream: the certificate that the peer showed in the TLS handshake, in
    /// DER. The position is 0 and means nothing.
    pub const CERTIFICATE: u16 = 2;

    /// The bytes are cipher text: the beginning of what a socket carried in this direction, with the
    /// hello of a TLS handshake. The connection is that of the socket, the position the place in its
    /// stream. The bytes end where the hello ends, as far as its first bytes tell.
    pub const HELLO: u16 = 4;
}
