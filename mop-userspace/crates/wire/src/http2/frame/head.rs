//! The first nine bytes of every frame (RFC 9113 section 4.1).

use super::{Flags, FrameError, Kind, StreamId};

/// What a frame is, and how long.
///
/// ```text
/// | Length (24)                    |
/// | Type (8)       | Flags (8)     |
/// | R | Stream Identifier (31)     |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of the payload; `payload_bytes < 2^24`.
    pub payload_bytes: u32,
    /// The type.
    pub kind: Kind,
    /// All flags, also those that mean nothing for the type.
    pub flags: Flags,
    /// The stream, or the connection.
    pub stream: StreamId,
}

impl FrameHead {
    /// How long it is itself.
    pub const BYTES: usize = 9;

    /// Any nine bytes are a head; [`check`](Self::check) says whether they are a good one.
    #[must_use]
    pub fn parse(bytes: [u8; Self::BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            payload_bytes: u32::from_be_bytes([0, l0, l1, l2]),
            kind: Kind::from(kind),
            flags: Flags(flags),
            stream: StreamId::from_bits(u32::from_be_bytes([s0, s1, s2, s3])),
        }
    }

    /// The head at the beginning of the bytes, and what is behind it; none if it is not whole.
    #[must_use]
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_first_chunk()?;
        Some((Self::parse(*head), rest))
    }

    /// What can be wrong without a look at the payload: its length and the stream.
    ///
    /// # Errors
    ///
    /// When the frame is longer than `max_frame_bytes`, which is the `SETTINGS_MAX_FRAME_SIZE` of
    /// its receiver, or when length or stream do not fit the type.
    pub fn check(&self, max_frame_bytes: u32) -> Result<(), FrameError> {
        let Self { payload_bytes, kind, flags: _, stream } = *self;
        if payload_bytes > max_frame_bytes {
            return Err(FrameError::TooLarge);
        }
        let is_of_connection = stream == StreamId::CONNECTION;
        match kind {
            Kind::Data
            | Kind::Headers
            | Kind::Priority
            | Kind::ResetStream
            | Kind::PushPromise
            | Kind::Continuation
                if is_of_connection =>
            {
                return Err(FrameError::NotOfStream);
            }
            Kind::Settings | Kind::Ping | Kind::GoAway if !is_of_connection => {
                return Err(FrameError::NotOfConnection);
            }
            Kind::Data
            | Kind::Headers
            | Kind::Priority
            | Kind::ResetStream
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Continuation
            | Kind::Unknown(_) => {}
        }
        if self.has_possible_length() { Ok(()) } else { Err(FrameError::WrongLength) }
    }

    /// Bytes in front of the content or the header block: see [`Prefix`](super::Prefix).
    #[must_use]
    pub fn prefix_bytes(&self) -> usize {
        let own = match self.kind {
            Kind::Headers if self.has_priority() => PRIORITY_BYTES,
            Kind::PushPromise => STREAM_ID_BYTES,
            Kind::Data
            | Kind::Headers
            | Kind::Priority
            | Kind::ResetStream
            | Kind::Settings
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Continuation
            | Kind::Unknown(_) => 0,
        };
        own + usize::from(self.is_padded())
    }

    /// Its sender sends nothing more on the stream.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags.has(Flags::END_STREAM)
    }

    /// The header block ends with it.
    #[must_use]
    pub fn ends_headers(&self) -> bool {
        matches!(self.kind, Kind::Headers | Kind::PushPromise | Kind::Continuation)
            && self.flags.has(Flags::END_HEADERS)
    }

    /// It answers the same frame of the other end.
    #[must_use]
    pub fn is_acknowledgement(&self) -> bool {
        matches!(self.kind, Kind::Settings | Kind::Ping) && self.flags.has(Flags::ACK)
    }

    /// The payload begins with the length of a padding.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers | Kind::PushPromise)
            && self.flags.has(Flags::PADDED)
    }

    /// The payload says where the stream is among others.
    #[must_use]
    pub fn has_priority(&self) -> bool {
        self.kind == Kind::Headers && self.flags.has(Flags::PRIORITY)
    }

    fn has_possible_length(&self) -> bool {
        let bytes = self.payload_bytes as usize;
        match self.kind {
            Kind::Data | Kind::Headers | Kind::PushPromise => bytes >= self.prefix_bytes(),
            Kind::Priority => bytes == PRIORITY_BYTES,
            Kind::ResetStream | Kind::WindowUpdate => bytes == 4,
            Kind::Settings if self.is_acknowledgement() => bytes == 0,
            Kind::Settings => bytes.is_multiple_of(6),
            Kind::Ping => bytes == 8,
            Kind::GoAway => bytes >= 8,
            Kind::Continuation | Kind::Unknown(_) => true,
        }
    }
}

const PRIORITY_BYTES: usize = 5;

const STREAM_ID_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_by_section_4_1() {
        let bytes = b"\x01\x02\x03\x01\x25\xff\xff\xff\xffrest";
        let (head, rest) = FrameHead::split(bytes).unwrap();
        assert_eq!(head.payload_bytes, 0x01_0203);
        assert_eq!(head.kind, Kind::Headers);
        assert_eq!(head.stream.number(), u32::MAX >> 1, "the reserved bit is ignored");
        assert!(head.ends_stream() && head.ends_headers() && !head.is_padded());
        assert_eq!(head.prefix_bytes(), PRIORITY_BYTES);
        assert_eq!(rest, b"rest");
        assert_eq!(FrameHead::split(&bytes[..8]), None);
    }

    #[test]
    fn flags_of_other_types_mean_nothing() {
        for (kind, ends_stream, ends_headers, acknowledges, padded) in [
            (0x0, true, false, false, true),
            (0x1, true, true, false, true),
            (0x2, false, false, false, false),
            (0x4, false, false, true, false),
            (0x5, false, true, false, true),
            (0x6, false, false, true, false),
            (0x9, false, true, false, false),
            (0xff, false, false, false, false),
        ] {
            let head = FrameHead::parse([0, 0, 0, kind, 0xff, 0, 0, 0, 1]);
            let found = (
                head.ends_stream(),
                head.ends_headers(),
                head.is_acknowledgement(),
                head.is_padded(),
            );
            assert_eq!(found, (ends_stream, ends_headers, acknowledges, padded), "{kind:#x}");
        }
    }

    #[test]
    fn lengths_and_streams_by_type() {
        use FrameError::{NotOfConnection, NotOfStream, TooLarge, WrongLength};
        for (kind, flags, length, stream, expected) in [
            (0x0, 0x0, 0, 1, Ok(())),
            (0x0, 0x0, 16_384, 1, Ok(())),
            (0x0, 0x0, 16_385, 1, Err(TooLarge)),
            (0x0, 0x8, 0, 1, Err(WrongLength)),
            (0x0, 0x0, 0, 0, Err(NotOfStream)),
            (0x1, 0x28, 5, 1, Err(WrongLength)),
            (0x1, 0x28, 6, 1, Ok(())),
            (0x2, 0x0, 5, 1, Ok(())),
            (0x2, 0x0, 6, 1, Err(WrongLength)),
            (0x3, 0x0, 4, 1, Ok(())),
            (0x3, 0x0, 4, 0, Err(NotOfStream)),
            (0x4, 0x0, 0, 0, Ok(())),
            (0x4, 0x0, 12, 0, Ok(())),
            (0x4, 0x0, 13, 0, Err(WrongLength)),
            (0x4, 0x1, 6, 0, Err(WrongLength)),
            (0x4, 0x0, 6, 1, Err(NotOfConnection)),
            (0x5, 0x0, 3, 1, Err(WrongLength)),
            (0x5, 0x0, 4, 1, Ok(())),
            (0x6, 0x0, 8, 0, Ok(())),
            (0x6, 0x0, 7, 0, Err(WrongLength)),
            (0x7, 0x0, 7, 0, Err(WrongLength)),
            (0x7, 0x0, 9, 0, Ok(())),
            (0x8, 0x0, 4, 0, Ok(())),
            (0x8, 0x0, 4, 1, Ok(())),
            (0x8, 0x0, 5, 1, Err(WrongLength)),
            (0x9, 0x0, 0, 1, Ok(())),
            (0x9, 0x0, 0, 0, Err(NotOfStream)),
            (0xa, 0x0, 3, 0, Ok(())),
            (0xa, 0x0, 3, 1, Ok(())),
        ] {
            let [_, l0, l1, l2] = u32::to_be_bytes(length);
            let head = FrameHead::parse([l0, l1, l2, kind, flags, 0, 0, 0, stream]);
            assert_eq!(head.check(super::super::INITIAL_MAX_FRAME_BYTES), expected, "{head:?}");
        }
    }
}
