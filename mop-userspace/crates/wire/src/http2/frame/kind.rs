//! Types of frames (RFC 9113 section 6).

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Content of a message.
    Data,
    /// The beginning of a header block.
    Headers,
    /// Dependencies between streams, which are no longer used.
    Priority,
    /// One stream ends at once.
    ResetStream,
    /// What an end is able and willing to do.
    Settings,
    /// The beginning of the header block of a request that nobody sent.
    PushPromise,
    /// Asks whether the other end is there.
    Ping,
    /// The connection ends, after some streams.
    GoAway,
    /// More content may be sent.
    WindowUpdate,
    /// More of a header block.
    Continuation,
    /// Of an extension: ignored by those who do not know it (RFC 9113 section 5.5).
    Unknown(u8),
}

impl From<u8> for Kind {
    fn from(kind: u8) -> Self {
        match kind {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::ResetStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            0xa.. => Self::Unknown(kind),
        }
    }
}
