//! What is in front of content and header blocks (RFC 9113 sections 6.1, 6.2 and 6.6).

use super::{FrameError, FrameHead, Kind, StreamId};

/// The beginning of the payload of `DATA`, `HEADERS` or `PUSH_PROMISE`, which says where content or
/// header block are in the rest of it. All other frames have an empty one.
///
/// ```text
/// | Pad Length? (8) | E? | Stream Dependency? (31) | Weight? (8) |   HEADERS
/// | Pad Length? (8) | R  | Promised Stream ID (31) |               PUSH_PROMISE
/// | Pad Length? (8) |                                             DATA
/// | Data or Field Block Fragment ... | Padding ... |
/// ```
///
/// `prefix + content_bytes + padding_bytes == payload_bytes`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes of content, or of a header block, that follow the prefix.
    pub content_bytes: u32,
    /// Bytes of padding behind them.
    pub padding_bytes: u8,
    /// The priority in `HEADERS`.
    pub priority: Option<Priority>,
    /// The stream that a `PUSH_PROMISE` opens.
    pub promised: Option<StreamId>,
}

/// Where a stream is in the tree of RFC 7540 section 5.3, which RFC 9113 does no longer use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The stream that it depends on.
    pub dependency: StreamId,
    /// It alone depends on that stream.
    pub is_exclusive: bool,
    /// From 1 to 256.
    pub weight: u16,
}

impl Prefix {
    /// Reads the first [`prefix_bytes`](FrameHead::prefix_bytes) of the payload; more of it may
    /// follow them.
    ///
    /// # Errors
    ///
    /// When the bytes are not all there, when there is more padding than payload, or when the
    /// promised stream is none that a server can open.
    pub fn parse(head: &FrameHead, payload: &[u8]) -> Result<Self, FrameError> {
        let mut rest = payload;
        let padding_bytes = if head.is_padded() { byte(&mut rest)? } else { 0 };
        let mut priority = None;
        if head.has_priority() {
            priority = Some(Priority::parse(*chunk(&mut rest)?));
        }
        let mut promised = None;
        if head.kind == Kind::PushPromise {
            let stream = StreamId::from_bits(u32::from_be_bytes(*chunk(&mut rest)?));
            if !stream.is_of_server() {
                return Err(FrameError::PromisedStreamInvalid);
            }
            promised = Some(stream);
        }
        let content_bytes = head
            .payload_bytes
            .checked_sub(head.prefix_bytes() as u32)
            .ok_or(FrameError::WrongLength)?
            .checked_sub(u32::from(padding_bytes))
            .ok_or(FrameError::PaddingTooLong)?;
        Ok(Self { content_bytes, padding_bytes, priority, promised })
    }
}

impl Priority {
    pub(super) fn parse(bytes: [u8; 5]) -> Self {
        let [d0, d1, d2, d3, weight] = bytes;
        let dependency = u32::from_be_bytes([d0, d1, d2, d3]);
        Self {
            dependency: StreamId::from_bits(dependency),
            is_exclusive: dependency >> 31 == 1,
            weight: u16::from(weight) + 1,
        }
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8, FrameError> {
    chunk(rest).map(|[byte]| *byte)
}

fn chunk<'a, const BYTES: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; BYTES], FrameError> {
    let (chunk, behind) = rest.split_first_chunk().ok_or(FrameError::WrongLength)?;
    *rest = behind;
    Ok(chunk)
}
