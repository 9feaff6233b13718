//! How far the hello of a TLS handshake reaches.
//!
//! A direction that carries TLS begins with a record of 5 bytes of head, in which the message begins
//! with 4 bytes of its own (RFC 8446, sections 5.1 and 4):
//!
//! ```text
//! 22  3 x  length:u16 | kind:u8 = 1 or 2  length:u24  ...
//! ```
//!
//! Most libraries read the head of a record by itself, and then the rest; others read what is there.
//! Sums of lengths are all that is needed here: user space reads the message.

use aya_ebpf::helpers::bpf_probe_read_user;
use mop_common::limits::{HELLO_SLACK_BYTES, MAX_HELLO_BYTES};

use crate::emit::Cursor;

/// The bytes are of no hello.
pub const NO_HELLO: u64 = u64::MAX;

/// Where the hello ends that the bytes at the cursor are of, which are at this position of their
/// direction: 0 when it needs more bytes to tell, [`NO_HELLO`] when they are of none.
#[inline(never)]
pub fn end_of_hello(cursor: &mut Cursor, position: u64) -> u64 {
    let (word, bytes) = cursor.peek();
    if position == RECORD_HEAD_BYTES && bytes == 4 {
        return end(u64::from(word.swap_bytes()), cursor.total_left);
    }
    if position != 0 {
        // Whatever pieces they are: as much as may be.
        return MAX_HELLO_BYTES;
    }
    if bytes == 0 || word & 0xff != HANDSHAKE || (bytes > 1 && word >> 8 & 0xff != MAJOR_VERSION) {
        return NO_HELLO;
    }
    if cursor.total_left < BOTH_HEADS_BYTES {
        return 0;
    }
    if cursor.left < BOTH_HEADS_BYTES {
        // One call with several buffers writes whole records.
        return at_most(cursor.total_left);
    }
    // SAFETY: the helper checks the address.
    let heads = unsafe { bpf_probe_read_user(cursor.base.wrapping_add(1) as *const u64) };
    let heads = u64::from_be(heads.unwrap_or(0));
    end(heads & 0xffff_ffff, heads >> 32 & 0xffff)
}

/// The end of a message by its head, when its first record carries so many bytes.
#[inline(always)]
fn end(head: u64, carried: u64) -> u64 {
    let kind = head >> 24;
    if kind != CLIENT_HELLO && kind != SERVER_HELLO {
        return NO_HELLO;
    }
    let length = MESSAGE_HEAD_BYTES + (head & 0xff_ffff);
    let slack = if length > carried { HELLO_SLACK_BYTES } else { 0 };
    at_most(RECORD_HEAD_BYTES + length + slack)
}

#[inline(always)]
fn at_most(end: u64) -> u64 {
    if end > MAX_HELLO_BYTES { MAX_HELLO_BYTES } else { end }
}

const RECORD_HEAD_BYTES: u64 = 5;
const MESSAGE_HEAD_BYTES: u64 = 4;
const BOTH_HEADS_BYTES: u64 = RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES;

const HANDSHAKE: u32 = 22;
const MAJOR_VERSION: u32 = 3;
const CLIENT_HELLO: u64 = 1;
const SERVER_HELLO: u64 = 2;
