//! Payloads of frames that are there as a whole (RFC 9113 section 6).

use super::{ErrorCode, FrameError, FrameHead, Kind, Prefix, Priority, Settings, StreamId};

/// What a frame says; borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Section 6.1.
    Data {
        /// Without the padding.
        content: &'a [u8],
    },
    /// Section 6.2.
    Headers {
        /// Sent with the flag of that name.
        priority: Option<Priority>,
        /// Of a header block.
        fragment: &'a [u8],
    },
    /// Section 6.3.
    Priority(Priority),
    /// Section 6.4.
    ResetStream(ErrorCode),
    /// Section 6.5; empty when it is an acknowledgement.
    Settings(Settings<'a>),
    /// Section 6.6.
    PushPromise {
        /// The stream that will carry the response.
        promised: StreamId,
        /// Of the header block of the request.
        fragment: &'a [u8],
    },
    /// Section 6.7.
    Ping([u8; 8]),
    /// Section 6.8.
    GoAway {
        /// The last stream of the other end that was or may be processed.
        last_stream: StreamId,
        /// Why.
        code: ErrorCode,
        /// For people; may have anything in it.
        debug_data: &'a [u8],
    },
    /// Section 6.9: how many bytes more may be sent; `0 < bytes < 2^31`.
    WindowUpdate(u32),
    /// Section 6.10.
    Continuation {
        /// Of a header block.
        fragment: &'a [u8],
    },
    /// Of an extension.
    Unknown,
}

impl<'a> Payload<'a> {
    /// Reads a payload whose [head is good](FrameHead::check).
    ///
    /// # Errors
    ///
    /// When the payload is not what the head says, or breaks a rule of its type.
    pub fn parse(head: &FrameHead, payload: &'a [u8]) -> Result<Self, FrameError> {
        if payload.len() != head.payload_bytes as usize {
            return Err(FrameError::WrongLength);
        }
        let parsed = match head.kind {
            Kind::Data => Self::Data { content: content(head, payload)?.1 },
            Kind::Headers => {
                let (prefix, fragment) = content(head, payload)?;
                Self::Headers { priority: prefix.priority, fragment }
            }
            Kind::Priority => Self::Priority(Priority::parse(*exactly(payload)?)),
            Kind::ResetStream => Self::ResetStream(ErrorCode(number(payload)?)),
            Kind::Settings if head.is_acknowledgement() && !payload.is_empty() => {
                return Err(FrameError::WrongLength);
            }
            Kind::Settings => Self::Settings(Settings::parse(payload)?),
            Kind::PushPromise => {
                let (prefix, fragment) = content(head, payload)?;
                let promised = prefix.promised.ok_or(FrameError::WrongLength)?;
                Self::PushPromise { promised, fragment }
            }
            Kind::Ping => Self::Ping(*exactly(payload)?),
            Kind::GoAway => {
                let (fixed, debug_data) =
                    payload.split_first_chunk::<8>().ok_or(FrameError::WrongLength)?;
                let [s0, s1, s2, s3, c0, c1, c2, c3] = *fixed;
                Self::GoAway {
                    last_stream: StreamId::from_bits(u32::from_be_bytes([s0, s1, s2, s3])),
                    code: ErrorCode(u32::from_be_bytes([c0, c1, c2, c3])),
                    debug_data,
                }
            }
            Kind::WindowUpdate => match number(payload)? & (u32::MAX >> 1) {
                0 => return Err(FrameError::WindowUpdateOfZero),
                bytes => Self::WindowUpdate(bytes),
            },
            Kind::Continuation => Self::Continuation { fragment: payload },
            Kind::Unknown(_) => Self::Unknown,
        };
        Ok(parsed)
    }
}

/// The prefix of a payload, and what is between it and the padding.
fn content<'a>(head: &FrameHead, payload: &'a [u8]) -> Result<(Prefix, &'a [u8]), FrameError> {
    let prefix = Prefix::parse(head, payload)?;
    let start = head.prefix_bytes();
    let content = payload.get(start..start + prefix.content_bytes as usize);
    Ok((prefix, content.ok_or(FrameError::WrongLength)?))
}

fn number(payload: &[u8]) -> Result<u32, FrameError> {
    exactly(payload).copied().map(u32::from_be_bytes)
}

fn exactly<const BYTES: usize>(payload: &[u8]) -> Result<&[u8; BYTES], FrameError> {
    payload.as_array().ok_or(FrameError::WrongLength)
}
