//! HTTP/1.0 and HTTP/1.1 (RFC 9112): two ordered byte streams to exchanges.
//!
//! [`session::Session`] owns a [`reader::Reader`] per direction, which finds the messages, and a
//! [`pairing::Pairing`], which decides which response answers which request.

mod body_reader;
mod chunked;
mod framing;
mod head;
mod outstanding;
mod pairing;
mod reader;
mod session;

pub(crate) use head::begins_message;
pub(crate) use session::{Session, Upgrade};
