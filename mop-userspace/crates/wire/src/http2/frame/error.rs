//! What a single frame may break.

use super::ErrorCode;

/// Why a frame is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// `SETTINGS`, `PING` and `GOAWAY` are about the connection.
    #[error("a frame about the connection names a stream")]
    NotOfConnection,
    /// Every other frame but `WINDOW_UPDATE` is about a stream.
    #[error("a frame about a stream names none")]
    NotOfStream,
    /// There is more padding than payload (RFC 9113 section 6.1).
    #[error("the padding is longer than the payload")]
    PaddingTooLong,
    /// A server promises streams of its own, which have even numbers (RFC 9113 section 5.1.1).
    #[error("the promised stream is none of a server")]
    PromisedStreamInvalid,
    /// A value of a setting is outside its range (RFC 9113 section 6.5.2).
    #[error("a setting is out of range")]
    SettingOutOfRange,
    /// It is larger than its receiver allows (RFC 9113 section 4.2).
    #[error("the frame is larger than allowed")]
    TooLarge,
    /// The initial window is larger than flow control can handle (RFC 9113 section 6.5.2).
    #[error("the initial window is too large")]
    WindowTooLarge,
    /// A window that grows by nothing (RFC 9113 section 6.9).
    #[error("the window grows by nothing")]
    WindowUpdateOfZero,
    /// The length does not fit the type and its flags (RFC 9113 section 4.2).
    #[error("the length does not fit the type of the frame")]
    WrongLength,
}

impl FrameError {
    /// What a receiver answers.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooLarge | Self::WrongLength => ErrorCode::FRAME_SIZE_ERROR,
            Self::WindowTooLarge => ErrorCode::FLOW_CONTROL_ERROR,
            Self::NotOfConnection
            | Self::NotOfStream
            | Self::PaddingTooLong
            | Self::PromisedStreamInvalid
            | Self::SettingOutOfRange
            | Self::WindowUpdateOfZero => ErrorCode::PROTOCOL_ERROR,
        }
    }
}
