//! Emits the bytes of a call as segments.

use core::{
    ffi::c_void,
    ptr::{read_volatile, write_volatile},
    sync::atomic::{Ordering, compiler_fence},
};

use aya_ebpf::helpers::{
    bpf_probe_read_user,
    generated::{
        bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_loop, bpf_probe_read_user as read_user,
    },
};
use mop_common::{
    Counter, Direction, HoleCause, SegmentHead, flags,
    lane::{self, RecordHead},
    limits,
};

use crate::{
    control, counters,
    maps::{LANE_STATES, LANES, config},
};

/// Where in a call's buffers emission stands.
///
/// Invariant: the current buffer's `left` bytes at `base`, then `vectors_left` elements of an
/// `iovec` array at `vectors`; together they may hold more than `total_left`, the bytes that the
/// call really moved.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cursor {
    /// Cookie of the connection.
    pub connection: u64,
    /// Stream position of the next byte.
    pub position: u64,
    /// When the call returned.
    pub ktime_ns: u64,
    /// Next byte in user memory.
    pub base: u64,
    /// Bytes left in the current buffer.
    pub left: u64,
    /// Next `iovec` in user memory.
    pub vectors: u64,
    /// How many are left.
    pub vectors_left: u64,
    /// Bytes of the call that are not emitted yet.
    pub total_left: u64,
    /// Bits of [`flags`] for the next segment.
    pub flags: u16,
    /// [`mop_common::Direction`] as a number.
    pub direction: u8,
    /// 1 when the record being written fills the lane so far that its reader is to be woken.
    wakes: u8,
    /// Why bytes of the record being written are missing.
    cause: u8,
    /// Always zero.
    reserved: u8,
    /// Who made the call, as the connection numbers its callers; 0 when that is not known.
    pub number: u16,
    /// Who made the call: the thread, or the goroutine. Here, and not handed on to where it is needed, for the
    /// sake of the stack of uprobes.
    pub caller: u64,
    /// Stream bytes that the record being written stands for.
    stands_for: u64,
    /// What marks the record being written as whole.
    commit: u64,
    /// Where [`Cursor::peek`] looks.
    look: Place,
}

impl Cursor {
    /// A cursor with every field zero.
    pub const EMPTY: Self = Self {
        connection: 0,
        position: 0,
        ktime_ns: 0,
        base: 0,
        left: 0,
        vectors: 0,
        vectors_left: 0,
        total_left: 0,
        flags: 0,
        direction: 0,
        wakes: 0,
        cause: 0,
        reserved: 0,
        number: 0,
        caller: 0,
        stands_for: 0,
        commit: 0,
        look: Place::EMPTY,
    };

    /// Stands at the start of one buffer of which `total` bytes were moved.
    #[inline(always)]
    pub fn at_buffer(&mut self, base: u64, total: u64) {
        self.base = base;
        self.left = total;
        self.vectors = 0;
        self.vectors_left = 0;
        self.total_left = total;
        self.flags = flags::CALL_START;
        self.number = 0;
        // SAFETY: a helper without preconditions.
        self.ktime_ns = unsafe { bpf_ktime_get_ns() };
    }

    /// Stands at the start of an `iovec` array of which `total` bytes were moved.
    #[inline(always)]
    pub fn at_vectors(&mut self, vectors: u64, count: u64, total: u64) {
        self.at_buffer(0, total);
        self.left = 0;
        self.vectors = vectors;
        self.vectors_left = count;
    }

    /// The next bytes, at most four, as a little-endian number, and how many they are.
    #[inline(always)]
    pub fn peek(&mut self) -> (u32, u32) {
        if self.left >= 4 && self.total_left >= 4 {
            // SAFETY: the helper checks the address.
            return match unsafe { bpf_probe_read_user(self.base as *const u32) } {
                Ok(word) => (word, 4),
                Err(_) => (0, 0),
            };
        }
        self.peek_slowly()
    }

    /// As [`Self::peek`], over the borders of buffers.
    #[inline(never)]
    fn peek_slowly(&mut self) -> (u32, u32) {
        self.look = Place {
            base: self.base,
            left: self.left,
            vectors: self.vectors,
            vectors_left: self.vectors_left,
            word: 0,
            bytes: 0,
        };
        for _ in 0..PEEK_STEPS {
            if u64::from(self.look.bytes) >= self.total_left || !self.look.step() {
                break;
            }
        }
        (self.look.word, self.look.bytes)
    }
}

/// A place in an array of buffers, and the first bytes from there.
///
/// Part of the cursor, and not a variable, for the sake of the stack of uprobes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Place {
    base: u64,
    left: u64,
    vectors: u64,
    vectors_left: u64,
    word: u32,
    bytes: u32,
}

impl Place {
    const EMPTY: Self = Self { base: 0, left: 0, vectors: 0, vectors_left: 0, word: 0, bytes: 0 };

    /// Takes one byte, or goes to the next buffer; false when neither is to be had.
    #[inline(never)]
    fn step(&mut self) -> bool {
        if self.bytes >= 4 {
            return false;
        }
        if self.left == 0 {
            return self.next_buffer();
        }
        // SAFETY: the helper checks the address.
        let Ok(byte) = (unsafe { bpf_probe_read_user(self.base as *const u8) }) else {
            return false;
        };
        self.word |= u32::from(byte) << (8 * (self.bytes & 3));
        self.bytes += 1;
        self.base = self.base.wrapping_add(1);
        self.left -= 1;
        true
    }

    /// Goes to the next buffer; false when there is none, or its `iovec` cannot be read.
    #[inline(always)]
    fn next_buffer(&mut self) -> bool {
        if self.vectors_left == 0 {
            return false;
        }
        // SAFETY: the helper checks the address.
        let Ok(base) = (unsafe { bpf_probe_read_user(self.vectors as *const u64) }) else {
            return false;
        };
        self.base = base;
        self.vectors = self.vectors.wrapping_add(size_of::<u64>() as u64);
        // SAFETY: as above.
        let Ok(left) = (unsafe { bpf_probe_read_user(self.vectors as *const u64) }) else {
            return false;
        };
        self.left = left;
        self.vectors = self.vectors.wrapping_add(size_of::<u64>() as u64);
        self.vectors_left -= 1;
        true
    }
}

/// Emits the `total_left` bytes at the cursor.
#[inline(always)]
pub fn call(cursor: &mut Cursor) {
    if cursor.left >= cursor.total_left && cursor.total_left <= limits::MAX_SEGMENT as u64 {
        segment(cursor, cursor.total_left);
        return;
    }
    many(cursor);
}

/// A hole of `bytes` at the cursor's position.
#[inline(never)]
pub fn hole(cursor: &mut Cursor, bytes: u64, cause: u8) {
    let mut left = bytes;
    // One call moves at most 2^31 bytes (MAX_RW_COUNT), which a segment's length can say.
    if left > u64::from(u32::MAX) {
        left = u64::from(u32::MAX);
    }
    cursor.total_left = 0;
    // SAFETY: a helper without preconditions.
    cursor.ktime_ns = unsafe { bpf_ktime_get_ns() };
    let counter = match cause {
        CALL_TOO_LARGE => Counter::CallTooLargeBytes,
        FAULT => Counter::FaultBytes,
        _ => Counter::UnseenBytes,
    };
    counters::add(counter, left);
    cursor.stands_for = left;
    cursor.cause = cause;
    write(cursor, 0);
}

/// The `bytes` (at most [`limits::MAX_SEGMENT`]) at the cursor, which are none of a stream.
#[inline(never)]
pub fn certificate(cursor: &mut Cursor, bytes: u64) {
    cursor.position = 0;
    cursor.direction = Direction::Read as u8;
    cursor.flags = flags::CERTIFICATE;
    segment(cursor, bytes);
}

/// The `total_left` bytes at the cursor, which are of a hello. Of many buffers the first few are shown.
#[inline(always)]
pub fn hello(cursor: &mut Cursor) {
    cursor.flags = flags::HELLO;
    for _ in 0..HELLO_STEPS {
        if step(cursor) {
            break;
        }
    }
}

/// Index of the running CPU.
#[inline(always)]
pub fn current_cpu() -> u32 {
    // SAFETY: a helper without preconditions.
    unsafe { bpf_get_smp_processor_id() }
}

/// Emits a call that needs more than one segment.
#[inline(never)]
fn many(cursor: &mut Cursor) {
    if config!(has_loop) != 0 {
        // The loop's context must be on the stack, the cursor may be in a map.
        let mut context = core::ptr::from_mut(cursor);
        // SAFETY: the callback has the signature that `bpf_loop` calls and gets this context.
        unsafe {
            bpf_loop(
                limits::MAX_SEGMENTS_PER_CALL,
                step_callback as *mut c_void,
                (&raw mut context).cast(),
                0,
            );
        }
    } else {
        for _ in 0..SEGMENTS_WITHOUT_LOOP {
            if step(cursor) {
                break;
            }
        }
    }
    if cursor.total_left > 0 {
        hole(cursor, cursor.total_left, CALL_TOO_LARGE);
    }
}

unsafe extern "C" fn step_callback(_index: u64, context: *mut *mut Cursor) -> u64 {
    // SAFETY: `many` passes a pointer to a live pointer to the cursor.
    u64::from(step(unsafe { &mut **context }))
}

/// Emits one segment; true when nothing is left to do.
#[inline(always)]
fn step(cursor: &mut Cursor) -> bool {
    if cursor.total_left == 0 {
        return true;
    }
    if cursor.left == 0 {
        cursor.look.vectors = cursor.vectors;
        cursor.look.vectors_left = cursor.vectors_left;
        if !cursor.look.next_buffer() {
            hole(cursor, cursor.total_left, FAULT);
            return true;
        }
        cursor.vectors = cursor.look.vectors;
        cursor.vectors_left = cursor.look.vectors_left;
        cursor.base = cursor.look.base;
        cursor.left = cursor.look.left;
        return false;
    }
    let mut bytes = cursor.total_left;
    if bytes > cursor.left {
        bytes = cursor.left;
    }
    if bytes > limits::MAX_SEGMENT as u64 {
        bytes = limits::MAX_SEGMENT as u64;
    }
    next_segment(cursor, bytes);
    cursor.total_left == 0
}

/// [`segment`] inside a loop. Not inlined, for the sake of the stack of uprobes.
#[inline(never)]
fn next_segment(cursor: &mut Cursor, bytes: u64) {
    segment(cursor, bytes);
}

/// Emits the next `bytes` (at most [`limits::MAX_SEGMENT`]) of the current buffer.
#[inline(always)]
fn segment(cursor: &mut Cursor, bytes: u64) {
    cursor.stands_for = bytes;
    cursor.cause = 0;
    write(cursor, bytes);
    cursor.base = cursor.base.wrapping_add(bytes);
    cursor.position = cursor.position.wrapping_add(bytes);
    cursor.left = cursor.left.wrapping_sub(bytes);
    cursor.total_left = cursor.total_left.wrapping_sub(bytes);
    // What the bytes are holds for all of a call.
    cursor.flags &= flags::HELLO;
}

/// Puts one record into the lane of this CPU: a segment of `cursor.stands_for` stream bytes, of
/// which the first `bytes` are copied from the current buffer.
#[inline(never)]
fn write(cursor: &mut Cursor, bytes: u64) {
    let Some(record) = claim(cursor, bytes) else { return };
    // SAFETY: the record has room for the largest payload; the helper checks the user address.
    unsafe {
        (*record).segment = SegmentHead {
            connection: cursor.connection,
            position: cursor.position,
            ktime_ns: cursor.ktime_ns,
            cpu_sequence: cursor.commit,
            len_total: cursor.stands_for as u32,
            len_captured: bytes as u32,
            cpu: current_cpu() as u16,
            direction: cursor.direction,
            cause: cursor.cause,
            flags: cursor.flags,
            caller: cursor.number,
        };
        if bytes > 0 && bytes <= limits::MAX_SEGMENT as u64 {
            let payload = record.add(1).cast();
            if read_user(payload, bytes as u32, cursor.base as *const c_void) != 0 {
                (*record).segment.len_captured = 0;
                (*record).segment.cause = FAULT;
                counters::add(Counter::FaultBytes, bytes);
            }
        }
        // On x86 a later store is never seen before an earlier one; the compiler must not change
        // their order either.
        compiler_fence(Ordering::Release);
        write_volatile(&raw mut (*record).commit, cursor.commit);
    }
    if cursor.wakes != 0 {
        control::wake();
    }
}

/// Claims room for a payload in the lane of this CPU. What the record is to be marked with when it
/// is whole is left in the cursor.
#[inline(never)]
fn claim(cursor: &mut Cursor, bytes: u64) -> Option<*mut RecordHead> {
    // A plain remainder would bring a panic for zero along, which no program may contain.
    let lane = current_cpu().checked_rem(config!(lanes)).unwrap_or(0);
    let state = LANE_STATES.get_ptr_mut(lane)?;
    let claim = RecordHead::claim(bytes);
    // SAFETY: aligned numbers in a map value that both sides share.
    let unread = unsafe {
        read_volatile(&raw const (*state).head)
            .wrapping_sub(read_volatile(&raw const (*state).tail))
    };
    if unread.wrapping_add(claim) > config!(capacity) {
        // The stream goes on at the next position, so user space sees a hole of this size.
        counters::add(Counter::RingFullSegments, 1);
        counters::add(Counter::RingFullBytes, bytes);
        return None;
    }
    // A wake-up costs the observed process more than the copy does: only when the lane fills.
    cursor.wakes = u8::from(
        unread <= config!(wake_at_bytes) && unread.wrapping_add(claim) > config!(wake_at_bytes),
    );
    // SAFETY: as above.
    let at = unsafe { counters::fetch_add(&raw mut (*state).head, claim) };
    cursor.commit = at.wrapping_add(1);
    let element = (at >> ELEMENT_BITS) as u32 & config!(elements).wrapping_sub(1);
    let memory = LANES.get_ptr_mut(lane * config!(elements) + element)?;
    let offset = at as usize & (lane::ELEMENT_BYTES - 1) & !(lane::RECORD_ALIGN - 1);
    // SAFETY: the offset is inside the element, which has room for the largest record behind any
    // offset.
    unsafe {
        let record = memory.cast::<u8>().add(offset).cast::<RecordHead>();
        (*record).claimed = claim;
        Some(record)
    }
}

const ELEMENT_BITS: u32 = lane::ELEMENT_BYTES.trailing_zeros();

/// Segments of one call on kernels without `bpf_loop`: what their verifier can follow.
const SEGMENTS_WITHOUT_LOOP: u32 = 16;

/// Three buffers, each of which is one change and one segment: head and body of a record, and one more.
const HELLO_STEPS: u32 = 6;

/// Four bytes and four changes of buffer.
const PEEK_STEPS: u32 = 8;

const FAULT: u8 = HoleCause::Fault as u8;
const CALL_TOO_LARGE: u8 = HoleCause::CallTooLarge as u8;
