//! The first handshake message of a stream, taken out of the records that carry it.
//!
//! ```text
//! record     type:u8 = 22  version:u16 = 3.x  length:u16  fragment               (RFC 8446, 5.1)
//! handshake  type:u8       length:u24         body                               (RFC 8446, 4)
//! ```
//!
//! A message may be spread over several records, and a record may hold several messages.

use std::borrow::Cow;

use super::HelloError;
use crate::limits::MAX_HELLO_BYTES;

/// A handshake message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// Its type.
    pub(super) kind: u8,
    /// What follows type and length; at most [`MAX_HELLO_BYTES`].
    pub(super) body: Cow<'a, [u8]>,
}

/// A record, and what follows it.
struct Record<'a> {
    fragment: &'a [u8],
    rest: &'a [u8],
}

/// The first message of a stream; `None` when more bytes are needed.
pub(super) fn first_message(stream: &[u8]) -> Result<Option<Message<'_>>, HelloError> {
    let Some(Record { fragment: first, mut rest }) = record(stream)? else { return Ok(None) };
    if let Some(body) = body_of(first)? {
        return Ok(Some(Message { kind: kind_of(first), body: Cow::Borrowed(body) }));
    }
    let mut gathered = first.to_vec();
    loop {
        let Some(next) = record(rest)? else { return Ok(None) };
        gathered.extend_from_slice(next.fragment);
        rest = next.rest;
        if let Some(body) = body_of(&gathered)? {
            let body = Cow::Owned(body.to_vec());
            return Ok(Some(Message { kind: kind_of(&gathered), body }));
        }
    }
}

/// The record at the front of a stream; `None` while it is not all there.
fn record(stream: &[u8]) -> Result<Option<Record<'_>>, HelloError> {
    let is_record = match stream {
        [kind, major, ..] => *kind == HANDSHAKE && *major == MAJOR_VERSION,
        [kind] => *kind == HANDSHAKE,
        [] => true,
    };
    if !is_record {
        return Err(HelloError::NotHandshake);
    }
    let Some(([_, _, _, high, low], rest)) = stream.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length == 0 || length > MAX_FRAGMENT_BYTES {
        return Err(HelloError::Malformed);
    }
    Ok(rest.split_at_checked(length).map(|(fragment, rest)| Record { fragment, rest }))
}

/// The body of the message at the front; `None` while it is not all there.
fn body_of(message: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    let Some(([_, high, middle, low], rest)) = message.split_first_chunk() else { return Ok(None) };
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_HELLO_BYTES {
        return Err(HelloError::TooLarge(length));
    }
    Ok(rest.get(..length))
}

fn kind_of(message: &[u8]) -> u8 {
    message.first().copied().unwrap_or_default()
}

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;

const HANDSHAKE: u8 = 22;
const MAJOR_VERSION: u8 = 3;

/// RFC 8446, section 5.1.
const MAX_FRAGMENT_BYTES: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    fn records(message: &[u8], piece: usize) -> Vec<u8> {
        let mut stream = Vec::new();
        for piece in message.chunks(piece) {
            stream.extend_from_slice(&[22, 3, 1]);
            stream.extend_from_slice(&u16::try_from(piece.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(piece);
        }
        stream
    }

    #[test]
    fn a_message_is_the_same_in_any_number_of_records() {
        let mut message = vec![1, 0, 1, 44];
        message.extend((0..300).map(|number| u8::try_from(number % 251).unwrap()));
        for piece in [1, 2, 3, 4, 5, 100, 303, 304] {
            let stream = records(&message, piece);
            for cut in 0..stream.len() {
                assert_eq!(first_message(&stream[..cut]), Ok(None), "{piece} {cut}");
            }
            let read = first_message(&stream).unwrap().unwrap();
            assert_eq!((read.kind, &*read.body), (1, &message[4..]), "{piece}");
        }
    }

    #[test]
    fn what_is_no_handshake_is_refused_at_its_first_bytes() {
        for stream in [&b"GET /"[..], &[0x80, 46, 1, 3], &[22, 2], &[23, 3, 3], &[21, 3, 3, 0, 2]] {
            assert_eq!(first_message(stream), Err(HelloError::NotHandshake), "{stream:?}");
        }
        assert_eq!(first_message(&[22, 3, 1, 0, 0]), Err(HelloError::Malformed));
        assert_eq!(first_message(&[22, 3, 1, 0x40, 1]), Err(HelloError::Malformed));
        let long = records(&[1, 1, 0, 0], 4);
        assert_eq!(first_message(&long), Err(HelloError::TooLarge(1 << 16)));
        // The second record is one of another type.
        let mut stream = records(&[1, 0, 0, 9, 7], 5);
        stream.extend_from_slice(&[21, 3, 3, 0, 2, 2, 40]);
        assert_eq!(first_message(&stream), Err(HelloError::NotHandshake));
    }
}
