//! A connection: two byte streams, their positions, and whether they are worth observing.

use mop_common::{
    ControlKind, Counter, Direction, Layer, Protocol, limits,
    sniff::{SNIFF_BYTES, Sniff, sniff, sniff_midway},
};

use crate::{
    control::{self, Note},
    counters,
    emit::{self, Cursor},
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
    /// Calls without a sign of HTTP on a connection that was joined midway.
    calls: u16,
    /// [`UNDECIDED`], [`OBSERVED`] or [`IGNORED`].
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

    /// A call moved the `cursor.total_left` bytes that the cursor stands at: advances the stream,
    /// and emits them unless the connection is ignored.
    #[inline(always)]
    pub fn moved(&mut self, direction: Direction, cursor: &mut Cursor) {
        self.last_ns = cursor.ktime_ns;
        let position = self.advance(direction, cursor.total_left);
        if self.verdict == IGNORED {
            return;
        }
        if self.verdict == UNDECIDED && !self.decide(direction, position, cursor) {
            return;
        }
        cursor.connection = self.cookie;
        cursor.position = position;
        cursor.direction = direction as u8;
        emit::call(cursor);
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
        before == 1 && unsafe { core::ptr::read_volatile(&raw const self.is_closing) } != 0
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
                self.close();
                self.ignore();
                false
            }
        }
    }

    /// A connection that was under way when observation began is looked at anew with every call,
    /// for the start of a message.
    #[inline(always)]
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
