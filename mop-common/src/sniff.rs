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
/// section 4) and `PRI ` the HTTP/2 connection preface (RFC 9113 section 3.4).
#[inline(always)]
#[must_use]
pub fn sniff(word: u32, length: usize) -> Sniff {
    if length >= SNIFF_BYTES {
        if word == PRI {
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
    if is_http1(word, mask) || word & mask == PRI & mask { Sniff::Maybe } else { Sniff::No }
}

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
        for first in
            [&b"\x16\x03\x01\x02"[..], b"SSH-", b"220 ", b"\x00\x00", b"X", b"AMQP", b"get "]
        {
            assert_eq!(sniff_slice(first), Sniff::No, "{first:?}");
        }
    }
}
