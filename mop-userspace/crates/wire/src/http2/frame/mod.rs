//! Frames of HTTP/2 (RFC 9113 sections 4 and 6).
//!
//! A frame is a [`FrameHead`] and a payload. [`Payload`] reads one that is there as a whole; the
//! frames that carry content or header blocks can be read as they come instead: their [`Prefix`]
//! says how many bytes of content follow, and how many of padding.
//!
//! ```text
//! | Length (24) | Type (8) | Flags (8) | R | Stream Identifier (31) | Frame Payload ...
//! ```
//!
//! Rules that need more than one frame are not looked at here: that a header block is not
//! interrupted, states of streams, flow control.

mod error;
mod error_code;
mod flags;
mod head;
mod kind;
mod payload;
mod prefix;
mod settings;
mod stream_id;

pub use error::FrameError;
pub use error_code::ErrorCode;
pub use flags::Flags;
pub use head::FrameHead;
pub use kind::Kind;
pub use payload::Payload;
pub use prefix::{Prefix, Priority};
pub use settings::{Setting, Settings};
pub use stream_id::StreamId;

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `SETTINGS_MAX_FRAME_SIZE` before any `SETTINGS` (RFC 9113 section 6.5.2).
pub const INITIAL_MAX_FRAME_BYTES: u32 = 1 << 14;

/// The largest `SETTINGS_MAX_FRAME_SIZE`, and what the length of a frame can say.
pub const MAX_FRAME_BYTES: u32 = (1 << 24) - 1;
