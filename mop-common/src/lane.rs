//! Lanes: the way of segments from the kernel to user space.
//!
//! A lane is a ring in memory that both sides have mapped, one per CPU (beyond
//! [`crate::limits::MAX_LANES`] CPUs share one). It takes the place of the kernel's own ring buffer
//! for segments: that one takes a lock for every record, and ends each with an exchange that waits
//! until every copied byte has left the processor's store buffer. Under TLS load that was most of
//! what capture cost.
//!
//! Positions count bytes and only grow. A record at position `p` lies in element
//! `p / ELEMENT_BYTES % elements` of the lane, at offset `p % ELEMENT_BYTES`; every element has room
//! for one largest record beyond its end, so records never wrap.
//!
//! A producer claims room by adding to `head`, writes, and last of all stores `p + 1` as the
//! record's [`RecordHead::commit`]. No earlier lap of the ring has left that number there, so the
//! consumer, which stands at `tail`, sees by it alone whether the record is whole. Producers of one
//! lane may interrupt each other; the consumer then waits for the earlier one.
//!
//! Invariants: `tail <= head`; `head - tail <= elements * ELEMENT_BYTES`; positions are multiples of
//! [`RECORD_ALIGN`].

use crate::{SegmentHead, assert_no_padding, limits};

/// Where the two sides of a lane stand, on cache lines of their own.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct LaneState {
    /// Where the next record will be; written by the kernel side.
    pub head: u64,
    /// Always zero.
    pub reserved_head: [u64; 7],
    /// Everything before was read; written by user space.
    pub tail: u64,
    /// Always zero.
    pub reserved_tail: [u64; 7],
}

assert_no_padding!(LaneState, 16 * 8);

/// What stands before the bytes of a record in a lane.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RecordHead {
    /// Position of the record plus one, once it is whole.
    pub commit: u64,
    /// Bytes from this record to the next, a multiple of [`RECORD_ALIGN`].
    pub claimed: u64,
    /// The segment; its captured bytes follow.
    pub segment: SegmentHead,
}

assert_no_padding!(RecordHead, RECORD_ALIGN);

impl RecordHead {
    /// Bytes that a record with this payload claims.
    #[inline(always)]
    #[must_use]
    pub const fn claim(payload: u64) -> u64 {
        (payload + 2 * RECORD_ALIGN as u64 - 1) & !(RECORD_ALIGN as u64 - 1)
    }
}

/// Records begin on cache lines, and a head fills one.
pub const RECORD_ALIGN: usize = 64;

/// Bytes of positions in one element of a lane; the verifier bounds an offset by it.
pub const ELEMENT_BYTES: usize = 1 << 20;

/// Distance of two elements in memory: room for the largest record behind the last position, and
/// a multiple of the page size.
pub const ELEMENT_STRIDE: usize = ELEMENT_BYTES + limits::MAX_SEGMENT + 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_hold_head_and_payload_in_whole_lines() {
        assert_eq!(RecordHead::claim(0), 64);
        assert_eq!(RecordHead::claim(1), 128);
        assert_eq!(RecordHead::claim(64), 128);
        assert_eq!(RecordHead::claim(65), 192);
        let largest = RecordHead::claim(limits::MAX_SEGMENT as u64) as usize;
        assert!(ELEMENT_BYTES - RECORD_ALIGN + largest <= ELEMENT_STRIDE);
    }
}
