//! Flags of a frame (RFC 9113 section 4.1).

/// The flags byte. What a flag means depends on the type of the frame, so that two have the same
/// bit; [`FrameHead`](super::FrameHead) answers for its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Of `SETTINGS` and `PING`.
    pub const ACK: Self = Self(0x1);
    /// Of `DATA` and `HEADERS`.
    pub const END_STREAM: Self = Self(0x1);
    /// Of `HEADERS`, `PUSH_PROMISE` and `CONTINUATION`.
    pub const END_HEADERS: Self = Self(0x4);
    /// Of `DATA`, `HEADERS` and `PUSH_PROMISE`.
    pub const PADDED: Self = Self(0x8);
    /// Of `HEADERS`.
    pub const PRIORITY: Self = Self(0x20);

    /// True when all of these are set.
    #[must_use]
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}
