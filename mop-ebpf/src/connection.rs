//! A connection: two byte streams, their positions, and whether they are worth observing.

use core::ptr::{read_volatile, write_volatile};

use mop_common::{
    ControlKind, Counter, Direction, Layer, Protocol, limits,
    sniff::{SNIFF_BYTES, Sniff, sniff, sniff_midway},
};

use crate::{
    control::{self, Note},
    counters,
    emit::{self, Cursor},
    hello::{NO_HELLO, end_of_hello},
};

/// State of one connection, in [`crate::maps::TLS`] or [`crate::maps::SOCKETS`].
///
/// `positions` count every byte that a call moved, whether it was emitted or not.
#[repr(C)]
pub struct Connection {
    /// Its identity in everything that is emitted.
    pub cookie: u64,
    /// Next stream position per [`Direction`].
    pub positions: [u64; 2],
    /// TLS: address of the `struct sock` underneath, 0 when unknown. Sockets: their own.
    pub socket: u64,
    /// TLS: cookie of the attachment that saw it. Sockets: 0.
    pub library: u64,
    /// First bytes per direction while the verdict is open, little-endian.
    prefix: [u32; 2],
    /// How many bytes of `prefix` are there, at most [`SNIFF_BYTES`].
    prefix_bytes: [u8; 2],
    /// Calls without a sign of HTTP on a connection that was joined midway; calls in which a hello was
    /// shown.
    calls: u16,
    /// [`UNDECIDED`], [`OBSERVED`], [`IGNORED`] or [`GREETING`].
    verdict: u8,
    /// 1 when the connection was seen from its first byte.
    pub from_start: u8,
    /// 1 when user space knows the connection.
    pub opened: u8,
    /// [`Layer`] as a number.
    pub layer: u8,
    /// When a call last moved bytes.
    pub last_ns: u64,
    /// TLS: a socket that may be the one underneath; 0 for none.
    candidate: u64,
    /// Go: calls in progress that were noted.
    in_progress: u64,
    /// Go: 1 when the object was closed while a call was in progress.
    is_closing: u64,
    /// rustls: which keys are known; see [`crate::aead`].
    pub keys: u32,
    reserved: u32,
    /// How many numbers were given to callers.
    callers: u64,
    /// The caller that moved bytes last, in the upper half, and its number: both in one place, since two
    /// threads may come by at the same time.
    caller: u64,
    /// Sockets: where the hello of TLS ends per direction; 0 while that is not known.
    hello_ends: [u64; 2],
}

/// A connection with every field zero, to insert into a map: too large for a uprobe's stack.
pub static EMPTY: Connection = Connection {
    cookie: 0,
    positions: [0; 2],
    socket: 0,
    library: 0,
    prefix: [0; 2],
    prefix_bytes: [0; 2],
    calls: 0,
    verdict: UNDECIDED,
    from_start: 0,
    opened: 0,
    layer: 0,
    last_ns: 0,
    candidate: 0,
    in_progress: 0,
    is_closing: 0,
    keys: 0,
    reserved: 0,
    callers: 0,
    caller: 0,
    hello_ends: [0; 2],
};

impl Connection {
    /// Makes a state as [`EMPTY`] is.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.positions = [0; 2];
        self.prefix = [0; 2];
        self.prefix_bytes = [0; 2];
        self.calls = 0;
        self.verdict = UNDECIDED;
        self.opened = 0;
        self.last_ns = 0;
        self.candidate = 0;
        self.in_progress = 0;
        self.is_closing = 0;
        self.keys = 0;
        self.callers = 0;
        self.caller = 0;
        self.hello_ends = [0; 2];
    }

    /// Gives a new identity to a state that is as [`EMPTY`] is.
    #[inline(always)]
    pub fn begin(&mut self, layer: Layer, socket: u64, library: u64, from_start: bool) {
        self.cookie = mint();
        self.layer = layer as u8;
        self.socket = socket;
        self.library = library;
        self.from_start = u8::from(from_start);
    }

    /// A call of `cursor.caller` moved the `cursor.total_left` bytes that the cursor stands at: advances the
    /// stream, and emits them unless the connection is ignored.
    #[inline(always)]
    pub fn moved(&mut self, direction: Direction, cursor: &mut Cursor) {
        self.last_ns = cursor.ktime_ns;
        let position = self.advance(direction, cursor.total_left);
        if self.verdict == IGNORED {
            return;
        }
        if self.verdict != OBSERVED {
            if self.verdict == GREETING {
                self.greet(direction, position, cursor);
                return;
            }
            if !self.decide(direction, position, cursor) {
                return;
            }
        }
        cursor.connection = self.cookie;
        cursor.position = position;
        cursor.direction = direction as u8;
        cursor.number = self.number_of(cursor.caller as u32);
        emit::call(cursor);
    }

    /// A call on the socket under a TLS object, inside a call on that object, moved the
    /// `cursor.total_left` bytes at the cursor: only a hello is of use.
    #[inline(always)]
    pub fn moved_in_tls(&mut self, direction: Direction, cursor: &mut Cursor) {
        if self.verdict == UNDECIDED {
            let is_new = self.from_start != 0 && self.opened == 0;
            if !is_new || end_of_hello(cursor, self.positions[direction.index()]) == NO_HELLO {
                return;
            }
            self.verdict = GREETING;
        }
        if self.verdict == GREETING {
            let position = self.advance(direction, cursor.total_left);
            self.greet(direction, position, cursor);
        }
    }

    /// TLS: the socket underneath is known, and bytes were moved: the handshake is over.
    #[inline(always)]
    pub fn is_settled(&self) -> bool {
        self.socket != 0 && self.has_moved()
    }

    /// Bytes were moved.
    #[inline(always)]
    pub fn has_moved(&self) -> bool {
        self.positions[0] | self.positions[1] != 0
    }

    /// A socket that was seen from its first byte, which began a TLS handshake.
    #[inline(always)]
    pub fn has_begun_with_hello(&self) -> bool {
        let [read, write] = self.hello_ends;
        let is_hello = |end: u64| end != 0 && end != NO_HELLO;
        self.from_start != 0 && (is_hello(read) || is_hello(write))
    }

    /// A call moved bytes that nobody can show: a hole of known length.
    #[inline(always)]
    pub fn moved_unseen(
        &mut self,
        direction: Direction,
        bytes: u64,
        cursor: &mut Cursor,
        cause: u8,
    ) {
        let position = self.advance(direction, bytes);
        if self.opened == 0 {
            return;
        }
        cursor.connection = self.cookie;
        cursor.position = position;
        cursor.direction = direction as u8;
        cursor.number = 0;
        emit::hole(cursor, bytes, cause);
    }

    /// Stops observing: what comes now cannot be followed.
    #[inline(always)]
    pub fn give_up(&mut self) {
        if self.verdict != IGNORED {
            self.close();
            self.ignore();
        }
    }

    /// One direction carries no further byte.
    #[inline(always)]
    pub fn end(&self, direction: Direction) {
        if self.opened != 0 {
            self.notify(ControlKind::End, direction as u8, 0, self.positions);
        }
    }

    /// The connection carries no further byte.
    #[inline(always)]
    pub fn close(&self) {
        if self.opened != 0 {
            self.notify(ControlKind::Close, 0, 0, self.positions);
        }
    }

    /// The socket underneath is known now.
    #[inline(always)]
    pub fn bind(&mut self, socket: u64) {
        self.socket = socket;
        if self.opened != 0 {
            self.notify(ControlKind::Bind, 0, 0, self.positions);
        }
    }

    /// A call begins whose end will be noted.
    #[inline(always)]
    pub fn call_begins(&mut self) {
        // SAFETY: the field is an aligned number of a map value.
        unsafe { counters::fetch_add(&raw mut self.in_progress, 1) };
    }

    /// Such a call has ended. True when it was the last one that its closed object waited for.
    ///
    /// This takes off first and then looks, and [`Self::closes`] notes first and then looks: of the
    /// two at least one sees the other.
    #[inline(always)]
    pub fn call_ends(&mut self) -> bool {
        // SAFETY: as above.
        let before = unsafe { counters::fetch_add(&raw mut self.in_progress, u64::MAX) };
        // SAFETY: a field of a map value.
        before == 1 && unsafe { read_volatile(&raw const self.is_closing) } != 0
    }

    /// The object was closed. True when no call is in progress, whose bytes would still come.
    #[inline(always)]
    pub fn closes(&mut self) -> bool {
        // SAFETY: aligned numbers of a map value.
        unsafe {
            counters::fetch_add(&raw mut self.is_closing, 1);
            counters::fetch_add(&raw mut self.in_progress, 0) == 0
        }
    }

    /// This may be the socket underneath: it is when the last one that might be was the same.
    #[inline(always)]
    pub fn may_be_over(&mut self, socket: u64) {
        if self.socket != 0 {
            return;
        }
        if self.candidate == socket {
            self.bind(socket);
        }
        self.candidate = socket;
    }

    /// The number of a caller: of a thread, or of a goroutine, whose name is not 0. No two have the same
    /// one; who comes by again after another did has a new one.
    #[inline(always)]
    fn number_of(&mut self, caller: u32) -> u16 {
        // SAFETY: an aligned number of a map value.
        let last = unsafe { read_volatile(&raw const self.caller) };
        if last >> 32 == u64::from(caller) {
            return last as u16;
        }
        self.number_anew(caller)
    }

    #[inline(never)]
    fn number_anew(&mut self, caller: u32) -> u16 {
        // SAFETY: an aligned number of a map value.
        let mut number = unsafe { counters::fetch_add(&raw mut self.callers, 1) }.wrapping_add(1);
        if number > u64::from(u16::MAX) {
            // None is given twice.
            number = 0;
        }
        // SAFETY: as above.
        unsafe { write_volatile(&raw mut self.caller, u64::from(caller) << 32 | number) };
        number as u16
    }

    #[inline(always)]
    fn advance(&mut self, direction: Direction, bytes: u64) -> u64 {
        let position = &mut self.positions[direction.index()];
        if self.layer == Layer::Tls as u8 {
            // TLS libraries do not allow two calls on one object at the same time.
            let before = *position;
            *position = before.wrapping_add(bytes);
            before
        } else {
            // Two threads may write to one socket.
            // SAFETY: the field is an aligned number of a map value.
            unsafe { counters::fetch_add(position, bytes) }
        }
    }

    /// True when the bytes at the cursor are to be emitted.
    #[inline(never)]
    fn decide(&mut self, direction: Direction, position: u64, cursor: &mut Cursor) -> bool {
        if self.from_start == 0 {
            return self.decide_midway(direction, position, cursor);
        }
        let have = self.prefix_bytes[direction.index()];
        if have < SNIFF_BYTES as u8 {
            let (word, bytes) = cursor.peek();
            self.prefix[direction.index()] |= word << (8 * u32::from(have & 3));
            let sum = have + bytes as u8;
            self.prefix_bytes[direction.index()] =
                if sum > SNIFF_BYTES as u8 { SNIFF_BYTES as u8 } else { sum };
        }
        let seen = self.prefix_bytes[direction.index()];
        match sniff(self.prefix[direction.index()], seen as usize) {
            Sniff::Is(protocol) => {
                self.verdict = OBSERVED;
                self.open(protocol, [0, 0])
            }
            Sniff::Maybe => self.open(Protocol::Http1, [0, 0]),
            Sniff::No => {
                self.refuse(direction, cursor);
                false
            }
        }
    }

    /// No HTTP begins so; a TLS handshake on a socket may, and is refused at its first byte.
    #[inline(never)]
    fn refuse(&mut self, direction: Direction, cursor: &mut Cursor) {
        self.close();
        self.ignore();
        if self.layer == Layer::Socket as u8 {
            self.verdict = GREETING;
            self.greet(direction, 0, cursor);
        }
    }

    /// Shows what is of a hello among the bytes at the cursor, while both directions of a socket may
    /// begin with one. Whatever contradicts that ends it.
    #[inline(never)]
    fn greet(&mut self, direction: Direction, position: u64, cursor: &mut Cursor) {
        self.calls = self.calls.saturating_add(1);
        let mut end = self.hello_ends[direction.index()];
        if end == 0 {
            end = end_of_hello(cursor, position);
            self.hello_ends[direction.index()] = end;
        }
        let is_over = self.has_greeted(Direction::Read) && self.has_greeted(Direction::Write);
        if is_over || end == NO_HELLO || self.calls > limits::MAX_HELLO_CALLS {
            self.verdict = IGNORED;
        }
        if end == NO_HELLO || end != 0 && position >= end {
            return;
        }
        // Where the end is not known, they are the few bytes of a head.
        if end != 0 && cursor.total_left > end - position {
            cursor.total_left = end - position;
        }
        cursor.connection = self.cookie;
        cursor.position = position;
        cursor.direction = direction as u8;
        emit::hello(cursor);
    }

    /// All of the hello of this direction was moved.
    #[inline(always)]
    fn has_greeted(&self, direction: Direction) -> bool {
        let end = self.hello_ends[direction.index()];
        end != 0 && self.positions[direction.index()] >= end
    }

    /// A connection that was under way when observation began is looked at anew with every call,
    /// for the start of a message. Not inlined, for the sake of the stack of uprobes.
    #[inline(never)]
    fn decide_midway(&mut self, direction: Direction, position: u64, cursor: &mut Cursor) -> bool {
        let (word, bytes) = cursor.peek();
        match sniff_midway(word, bytes as usize) {
            Sniff::Is(protocol) => {
                self.verdict = OBSERVED;
                let mut origins = self.positions;
                origins[direction.index()] = position;
                self.open(protocol, origins)
            }
            Sniff::Maybe | Sniff::No => {
                self.calls = self.calls.saturating_add(1);
                if self.calls > limits::SNIFF_CALLS_MIDWAY {
                    self.ignore();
                }
                false
            }
        }
    }

    /// Tells user space of the connection, once. When the control ring is full the event is lost
    /// and counted; user space then opens the connection at its first segment, without names.
    #[inline(always)]
    fn open(&mut self, protocol: Protocol, origins: [u64; 2]) -> bool {
        if self.opened == 0 {
            self.notify(ControlKind::Open, 0, protocol as u8, origins);
            self.opened = 1;
        }
        true
    }

    #[inline(always)]
    fn ignore(&mut self) {
        self.verdict = IGNORED;
        self.opened = 0;
        counters::add(Counter::Ignored, 1);
    }

    #[inline(always)]
    fn notify(&self, kind: ControlKind, direction: u8, protocol: u8, positions: [u64; 2]) {
        control::connection(self, self.socket, &Note { kind, direction, protocol, positions });
    }
}

/// A number that no other connection of this run has: the CPU and its own count.
#[inline(always)]
fn mint() -> u64 {
    let count = counters::add(Counter::Connections, 1) + 1;
    (u64::from(emit::current_cpu()) << COOKIE_COUNT_BITS) | (count & COOKIE_COUNT_MASK)
}

/// 2^48 connections a CPU last for centuries at a million a second.
const COOKIE_COUNT_BITS: u32 = 48;
const COOKIE_COUNT_MASK: u64 = (1 << COOKIE_COUNT_BITS) - 1;

const UNDECIDED: u8 = 0;
const OBSERVED: u8 = 1;
const IGNORED: u8 = 2;
/// A socket that may begin with a TLS handshake: of what it carries only that is shown.
const GREETING: u8 = 3;
