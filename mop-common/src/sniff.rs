//! What the first bytes of a connection say about its protocol.
//!
//! Kernel programs and user space ask the same question with the same code.

use crate::Protocol;

/// Bytes that [`sniff`] looks at.
pub const SNIFF_BYTES: usize = 4;

/// What the bytes seen so far allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// They begin a message of this protocol.
    Is(Protocol),
    /// They are too few to tell, and nothing speaks against HTTP.
    Maybe,
    /// They begin no message of an observed protocol.
    No,
}

/// Looks at the first `length` (at most four) bytes of a stream, as a little-endian number.
///
/// The methods are those of RFC 9110 section 9 and RFC 5789; `HTTP` begins a status line (RFC 9112
/// section 4) and `PRI ` the HTTP/2 connection preface (RFC 9113 section 3.4). A server of HTTP/2 may
/// speak first, and begins with `SETTINGS` of its own.
#[inline(always)]
#[must_use]
pub fn sniff(word: u32, length: usize) -> Sniff {
    if length >= SNIFF_BYTES {
        if word == PRI || begins_frame(word) && frame_type(word) == SETTINGS {
            return Sniff::Is(Protocol::Http2);
        }
        return if is_http1(word, u32::MAX) { Sniff::Is(Protocol::Http1) } else { Sniff::No };
    }
    let mask = match length {
        0 => return Sniff::Maybe,
        1 => 0xff,
        2 => 0xffff,
        _ => 0xff_ffff,
    };
    let is_http2 = word & mask == PRI & mask || word & mask & 0xffff == 0;
    if is_http1(word, mask) || is_http2 { Sniff::Maybe } else { Sniff::No }
}

/// Looks at the first four bytes that a call moved on a connection that was under way when
/// observation began.
///
/// A frame of HTTP/2 begins with 24 bits of length and 8 of type (RFC 9113 section 4.1); its first
/// byte is 0 unless a receiver asked for frames of more than 64 KiB. What looks so by chance is
/// recognised in user space, which sees more of it.
#[inline(always)]
#[must_use]
pub fn sniff_midway(word: u32, length: usize) -> Sniff {
    if length >= SNIFF_BYTES && begins_frame(word) {
        return Sniff::Is(Protocol::Http2);
    }
    sniff(word, length)
}

/// Whether four bytes are a length of less than 64 KiB that the type behind it may have.
#[inline(always)]
fn begins_frame(word: u32) -> bool {
    let [first, high, low, _] = word.to_le_bytes();
    let length = u32::from(high) << 8 | u32::from(low);
    let is_possible = match frame_type(word) {
        0 | 1 | 5 | 9 => true,
        2 => length == 5,
        3 | 8 => length == 4,
        // Each setting has six bytes; nobody sends more than a few.
        SETTINGS => length <= 96 && length % 6 == 0,
        6 => length == 8,
        7 => length >= 8,
        _ => false,
    };
    first == 0 && is_possible
}

#[inline(always)]
const fn frame_type(word: u32) -> u8 {
    (word >> 24) as u8
}

const SETTINGS: u8 = 4;

/// [`sniff`] for a slice.
#[must_use]
pub fn sniff_slice(bytes: &[u8]) -> Sniff {
    let mut word = [0; SNIFF_BYTES];
    let length = bytes.len().min(SNIFF_BYTES);
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    sniff(u32::from_le_bytes(word), length)
}

#[inline(always)]
fn is_http1(word: u32, mask: u32) -> bool {
    let masked = word & mask;
    masked == GET & mask
        || masked == POST & mask
        || masked == HTTP & mask
        || masked == PUT & mask
        || masked == PATCH & mask
        || masked == DELETE & mask
        || masked == HEAD & mask
        || masked == OPTIONS & mask
        || masked == CONNECT & mask
        || masked == TRACE & mask
}

const GET: u32 = u32::from_le_bytes(*b"GET ");
const POST: u32 = u32::from_le_bytes(*b"POST");
const HTTP: u32 = u32::from_le_bytes(*b"HTTP");
const PUT: u32 = u32::from_le_bytes(*b"PUT ");
const PATCH: u32 = u32::from_le_bytes(*b"PATC");
const DELETE: u32 = u32::from_le_bytes(*b"DELE");
const HEAD: u32 = u32::from_le_bytes(*b"HEAD");
const OPTIONS: u32 = u32::from_le_bytes(*b"OPTI");
const CONNECT: u32 = u32::from_le_bytes(*b"CONN");
const TRACE: u32 = u32::from_le_bytes(*b"TRAC");
const PRI: u32 = u32::from_le_bytes(*b"PRI ");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_the_status_line_are_http1() {
        for first in [
            "GET /",
            "POST /",
            "PUT /",
            "PATCH /",
            "DELETE /",
            "HEAD /",
            "OPTIONS *",
            "CONNECT a",
            "TRACE /",
            "HTTP/1.1 200",
        ] {
            assert_eq!(sniff_slice(first.as_bytes()), Sniff::Is(Protocol::Http1), "{first}");
            for cut in 0..SNIFF_BYTES {
                assert_eq!(sniff_slice(&first.as_bytes()[..cut]), Sniff::Maybe, "{first} {cut}");
            }
        }
    }

    #[test]
    fn other_protocols_are_refused_at_their_first_bytes() {
        assert_eq!(sniff_slice(b"PRI * HTTP/2.0"), Sniff::Is(Protocol::Http2));
        for first in [
            &b"\x16\x03\x01\x02"[..],
            b"SSH-",
            b"220 ",
            b"\x00\x01",
            b"\x00\x00\x00\x08",
            b"X",
            b"AMQP",
            b"get ",
        ] {
            assert_eq!(sniff_slice(first), Sniff::No, "{first:?}");
        }
    }

    #[test]
    fn a_server_of_http2_may_speak_first() {
        assert_eq!(sniff_slice(b"\x00\x00\x12\x04\x00"), Sniff::Is(Protocol::Http2));
        assert_eq!(sniff_slice(b"\x00\x00\x00\x04\x00"), Sniff::Is(Protocol::Http2));
        assert_eq!(sniff_slice(b"\x00\x00"), Sniff::Maybe);
        assert_eq!(sniff_slice(b"\x00\x00\x13\x04"), Sniff::No);
        assert_eq!(sniff_slice(b"\x00\x00\x12\x01"), Sniff::No);
    }

    #[test]
    fn frames_are_recognised_midway() {
        let midway = |first: &[u8; 4]| sniff_midway(u32::from_le_bytes(*first), 4);
        for first in [b"\x00\x40\x00\x00", b"\x00\x00\x21\x01", b"\x00\x00\x04\x08"] {
            assert_eq!(midway(first), Sniff::Is(Protocol::Http2), "{first:?}");
        }
        for first in [b"\x01\x00\x00\x00", b"\x00\x00\x05\x08", b"\x00\x00\x05\x0a"] {
            assert_eq!(midway(first), Sniff::No, "{first:?}");
        }
        assert_eq!(midway(b"GET "), Sniff::Is(Protocol::Http1));
        assert_eq!(sniff_midway(0, 3), Sniff::Maybe);
    }
}
