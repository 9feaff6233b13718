//! The capture file format `.mopcap`: what the kernel side delivered, in the order of delivery.
//!
//! Sans-IO: [`Encoder`] appends to a buffer, [`Decoder`] takes bytes in any split. All numbers are
//! little-endian.
//!
//! ```text
//! file     = header *record
//! header   = "MOPCAP\r\n" version:u16 zero:u16 zero:u32                            16 bytes
//! record   = kind:u8 zero:u8*3 length:u32 crc32:u32 payload:u8*length              12 + length
//!
//! kind  1  segment    connection:u64 position:u64 ktime_ns:u64 cpu_sequence:u64
//!                     len_total:u32 len_captured:u32 cpu:u16 direction:u8 cause:u8
//!                     flags:u16 caller:u16 bytes:u8*
//!                     (flags: bit 0, the first bytes of a call; bit 1, the bytes are the certificate
//!                     that the peer showed, in DER, and none of a stream; bit 2, the bytes are
//!                     cipher text of a socket, with the hello of a TLS handshake; caller: calls of a
//!                     connection with the same number, which is not 0, were made by one thread; 0 in
//!                     captures of earlier versions)
//!       2  control    ktime_ns:u64 connection:u64 process_start_ns:u64 cgroup:u64
//!                     positions:u64*2 library:u64 tgid:u32 local_port:u16 remote_port:u16
//!                     kind:u8 layer:u8 family:u8 direction:u8 protocol:u8 from_start:u8
//!                     zero:u8*2 local:u8*16 remote:u8*16 command:u8*16 [socket:u64]
//!                     (the last field is missing in captures of earlier versions)
//!       3  watermark  ktime_ns:u64
//!       4  clock      utc_minus_monotonic_ns:i64
//!       5  library    id:u64 name:utf-8*
//! ```
//!
//! The CRC-32 (IEEE) covers kind, zeros, length and payload, so that a damaged length is noticed
//! before it is believed. It guards against damage, not against forgery. `length` is at most
//! [`crate::limits::MAX_CAPTURE_RECORD_BYTES`]. A record of an unknown kind whose sum is right is
//! skipped: it comes from a later version. A file that ends inside a record was cut while it was
//! written; everything before is good.

mod crc32;
mod decode;
mod encode;
mod payload;

pub use decode::{DecodeError, Decoder, Fault};
pub use encode::{EncodeError, Encoder};

use mop_common::{ControlEvent, SegmentHead};

/// One record of a capture, with its payload owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A segment and its bytes.
    Segment {
        /// What stands before the bytes.
        head: SegmentHead,
        /// The captured bytes.
        bytes: Vec<u8>,
    },
    /// A control event.
    Control(ControlEvent),
    /// Every segment stamped before this time was delivered.
    Watermark {
        /// `CLOCK_MONOTONIC`, in nanoseconds.
        ktime_ns: u64,
    },
    /// How to turn `CLOCK_MONOTONIC` into UTC from here on.
    Clock {
        /// Nanoseconds to add.
        utc_minus_monotonic_ns: i64,
    },
    /// The name behind a library cookie.
    Library {
        /// As in [`ControlEvent::library`].
        id: u64,
        /// Path or name of the library.
        name: String,
    },
}

/// First bytes of every capture. The line ending shows a transfer that changed line endings.
const MAGIC: [u8; 8] = *b"MOPCAP\r\n";

/// Version of the format that is written, and the only one that is read.
const VERSION: u16 = 1;

const HEADER_BYTES: usize = 16;

const RECORD_HEAD_BYTES: usize = 12;

/// Bytes of the record head that the sum covers: all but the sum.
const SUMMED_HEAD_BYTES: usize = 8;

const KIND_SEGMENT: u8 = 1;
const KIND_CONTROL: u8 = 2;
const KIND_WATERMARK: u8 = 3;
const KIND_CLOCK: u8 = 4;
const KIND_LIBRARY: u8 = 5;
