//! Which socket is under a TLS object whose program moves the cipher text itself.
//!
//! Node, and Python's `asyncio`, give the library memory in place of a socket: they read cipher text
//! from the socket, put it into memory and call `SSL_read`; and what `SSL_write` left in memory they
//! write to the socket. No socket is touched inside a TLS call then. But one thread does both, one
//! after the other, and a record of TLS says in clear how long it is (RFC 8446, section 5.1), which
//! is the length of the plain text and a few bytes more:
//!
//! ```text
//! read(7) = record of 117 bytes    SSL_read(object) = 100       object and socket 7 fit
//! SSL_write(object, 100)           write(7), record of 117      they fit again: bound
//! ```
//!
//! One fit may be chance, when many connections carry the same. Two on the same socket and none on
//! another in between bind. What is bound is only an address: the bytes are the library's own.

use aya_ebpf::helpers::bpf_probe_read_user;
use mop_common::Direction;

use crate::{
    arch::SyscallRegisters,
    kernel,
    objects::{self, TlsKey},
    tls::{self, Call},
};

/// What a thread moved last, of which the other half is to come.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Expectation {
    /// 1 once a TLS call on this thread moved bytes without any socket known.
    pub watches: u64,
    /// Object of the last write, until its cipher text goes to a socket.
    object: u64,
    /// Bytes of the last write.
    sent: u64,
    /// Socket of the last record that was read, until a TLS call reads it.
    socket: u64,
    /// Length of that record, as it says.
    received: u64,
}

/// With every field zero.
pub const NOTHING: Expectation =
    Expectation { watches: 0, object: 0, sent: 0, socket: 0, received: 0 };

/// A TLS call moved bytes of an object whose socket is not known, and touched none.
#[inline(never)]
pub fn follow(call: &Call, thread: u64, direction: Direction) {
    let Some(state) = tls::state_of(thread) else { return };
    let expectation = &mut state.expectation;
    expectation.watches = 1;
    match direction {
        Direction::Write => {
            expectation.object = call.object;
            expectation.sent = call.count;
        }
        Direction::Read => {
            let socket = expectation.socket;
            expectation.socket = 0;
            if socket != 0 && fits(expectation.received, call.count) {
                found(call.object, thread, socket);
            }
        }
    }
}

/// An object and a socket fit.
#[inline(always)]
fn found(object: u64, thread: u64, socket: u64) {
    let key = TlsKey { object, tgid: u64::from(kernel::process_of(thread)) };
    if let Some(connection) = objects::find(&key) {
        connection.may_be_over(socket);
    }
}

impl Expectation {
    /// A system call moved bytes between a socket and this buffer.
    #[inline(never)]
    pub fn cipher_text(&mut self, thread: u64, socket: u64, direction: Direction, buffer: u64) {
        let record = record_at(buffer);
        match direction {
            Direction::Read => {
                self.socket = if record == 0 { 0 } else { socket };
                self.received = record;
            }
            Direction::Write => {
                let (object, sent) = (self.object, self.sent);
                // Only the write that follows tells.
                self.object = 0;
                if object == 0 || !fits(record, sent) {
                    return;
                }
                found(object, thread, socket);
            }
        }
    }
}

/// The buffer of a system call of one buffer or more.
#[inline(always)]
pub fn buffer_of(registers: SyscallRegisters, has_vectors: bool) -> u64 {
    let at = registers.argument::<1>();
    if !has_vectors {
        return at;
    }
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(at as *const u64) }.unwrap_or(0)
}

/// Length of the record of application data that begins at an address; 0 when there is none.
#[inline(always)]
fn record_at(at: u64) -> u64 {
    // A record is longer than eight bytes.
    // SAFETY: the helper checks the address.
    let head = u64::from_be(unsafe { bpf_probe_read_user(at as *const u64) }.unwrap_or(0));
    if head >> 40 == APPLICATION_DATA { head >> 24 & 0xffff } else { 0 }
}

/// Whether a record of this length carries so many bytes of plain text, or the first of them.
#[inline(always)]
fn fits(record: u64, bytes: u64) -> bool {
    let bytes = if bytes > MAX_PLAIN_TEXT { MAX_PLAIN_TEXT } else { bytes };
    let more = record.wrapping_sub(bytes);
    more == TLS13 || more == GCM12 || more == CHACHA12
}

/// Type 23, version 3.3, as every record since TLS 1.2 says.
const APPLICATION_DATA: u64 = 0x17_03_03;
/// A record carries no more (RFC 8446, section 5.1).
const MAX_PLAIN_TEXT: u64 = 1 << 14;
/// Tag of 16 bytes and type of the content (RFC 8446, section 5.2).
const TLS13: u64 = 17;
/// Explicit nonce of 8 bytes and tag (RFC 5288, section 3).
const GCM12: u64 = 24;
/// Tag only (RFC 7905, section 2).
const CHACHA12: u64 = 16;
