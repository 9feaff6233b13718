//! HTTP/2 (RFC 9113): frames and header compression, read without either end's help.
//!
//! [`frame`] tells the frames of a connection apart and reads their payloads; [`hpack`] takes the
//! compression off the header blocks that frames carry.

pub mod frame;
pub mod hpack;

mod beginning;
mod calls;
mod reader;
mod section;
mod session;
mod stream;
mod sync;

pub(crate) use beginning::Beginning;
pub(crate) use session::Session;
pub(crate) use sync::begins_frames;
