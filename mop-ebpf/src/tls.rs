//! Plain text at the border of the OpenSSL family.
//!
//! A call is noted when it begins and emitted when it ends, as far as its return value says, so
//! that `WANT_READ`, `WANT_WRITE`, partial writes and retries need no special care. While a call is
//! in progress, [`crate::syscalls`] notes which socket the thread touches: that is the socket under
//! the TLS object.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    bindings::pt_regs,
    helpers::{
        bpf_probe_read_user,
        generated::{bpf_get_attach_cookie, bpf_ktime_get_ns},
    },
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use mop_common::{Counter, Direction, HoleCause, Layer, limits};

use crate::{
    aead::{self, Records},
    arch,
    cipher_text::{self, Expectation},
    connection::Connection,
    counters,
    emit::Cursor,
    kernel,
    maps::{OVERFLOW_THREADS, SOCKETS, THREADS, config},
    objects::{self, TlsKey},
};

/// A thread that calls into TLS libraries.
///
/// Calls nest when one TLS connection runs inside another: the inner call is the second slot.
///
/// The counts are the thread's own, without atomic operations, and are part of the counters of the
/// node: user space adds them up.
#[repr(C)]
pub struct Thread {
    /// [`Counter::TlsEntries`]
    entries: u64,
    /// [`Counter::TlsExits`]
    exits: u64,
    /// The thread, or 0 when the slot is free.
    owner: u64,
    /// 1 once a thread found this slot taken: from then on a look into the overflow is needed.
    overflowed: u64,
    /// 1 once a goroutine was inside a TLS call on it: then what it does may be a goroutine's.
    goroutines: u64,
    /// What it moves between TLS objects and sockets by itself.
    pub expectation: Expectation,
    /// What it does with records of rustls.
    pub records: Records,
    outer: Call,
    inner: Call,
}

const _: () = assert!(size_of::<Thread>() == limits::THREAD_STATE_BYTES);

/// A call in progress.
#[repr(C)]
pub struct Call {
    /// 1 while the call is in progress.
    pub active: u64,
    /// The TLS object.
    pub object: u64,
    /// The caller's buffer.
    pub buffer: u64,
    /// Where `*_ex` functions put the number of bytes.
    pub count: u64,
    /// Stack pointer at entry: a call that entered with a higher one has ended or was abandoned.
    pub stack: u64,
    /// The socket that the thread touched during the call; 0 for none.
    pub socket: u64,
    /// 1 when it touched more than one.
    ambiguous: u64,
    /// Go: cookie of the connection that counts this call as in progress; 0 for none.
    pub counted: u64,
    /// [`UNKNOWN`], [`WANTED`] or [`BOUND`]: whether its socket still is to be looked at.
    binding: u64,
    /// For emission, and who makes the call; here because a uprobe has no stack for it.
    pub cursor: Cursor,
}

static NEW_THREAD: Thread = Thread {
    entries: 0,
    exits: 0,
    owner: 0,
    overflowed: 0,
    goroutines: 0,
    expectation: cipher_text::NOTHING,
    records: aead::NO_RECORDS,
    outer: NO_CALL,
    inner: NO_CALL,
};

/// A call with every field zero.
pub const NO_CALL: Call = Call {
    active: 0,
    object: 0,
    buffer: 0,
    count: 0,
    stack: 0,
    socket: 0,
    ambiguous: 0,
    counted: 0,
    binding: UNKNOWN,
    cursor: Cursor::EMPTY,
};

/// What an attachment says about its site: the library in the upper bits, and the function.
#[derive(Clone, Copy)]
pub struct Cookie(pub u64);

impl Cookie {
    #[inline(always)]
    fn direction(self) -> Direction {
        if self.0 & mop_common::cookie::WRITES != 0 { Direction::Write } else { Direction::Read }
    }

    #[inline(always)]
    fn has_count(self) -> bool {
        self.0 & mop_common::cookie::COUNT_BY_POINTER != 0
    }

    #[inline(always)]
    fn is_unseen(self) -> bool {
        self.0 & mop_common::cookie::UNSEEN != 0
    }

    #[inline(always)]
    fn is_handshake(self) -> bool {
        self.0 & mop_common::cookie::HANDSHAKE != 0
    }

    /// Number of the library.
    #[inline(always)]
    pub fn library(self) -> u64 {
        self.0 >> mop_common::cookie::LIBRARY_SHIFT
    }
}

/// At the entry site of `SSL_read`, `SSL_read_ex`, `SSL_write`, `SSL_write_ex`, `SSL_sendfile` and
/// `SSL_do_handshake`.
#[uprobe]
pub fn tls_enter(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        enter(&context);
    }
    0
}

/// At the exit site of the same functions.
#[uprobe]
pub fn tls_exit(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        exit(context.as_ptr());
    }
    0
}

/// At the return of the same functions, where they have no usable exit site.
#[uretprobe]
pub fn tls_return(context: RetProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        exit(context.as_ptr());
    }
    0
}

/// At the entry of functions after which a TLS object is another conversation: `SSL_free`,
/// `SSL_clear`, `SSL_set_bio`, `SSL_set0_rbio`.
#[uprobe]
pub fn tls_forget(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        let thread = kernel::thread_id();
        let object = context.arg::<u64>(0).unwrap_or(0);
        forget(object, thread);
    }
    0
}

/// The call that the running thread is in.
#[inline(always)]
pub fn call_in_progress(thread: u64) -> Option<&'static mut Call> {
    state_of(thread)?.call_in_progress()
}

/// Notes that the running thread runs goroutines that use TLS. Where there is no room, sockets stay
/// unknown for longer.
#[inline(always)]
pub fn runs_goroutines(thread: u64) {
    if let Some(state) = state_or_settle(thread) {
        state.goroutines = 1;
    }
}

/// Forgets a thread that ended; its counts stay.
#[inline(always)]
pub fn forget_thread(thread: u64) {
    let Some(state) = state_of(thread) else { return };
    counters::add(Counter::TlsEntries, state.entries);
    counters::add(Counter::TlsExits, state.exits);
    state.entries = 0;
    state.exits = 0;
    state.goroutines = 0;
    state.expectation = cipher_text::NOTHING;
    state.records = aead::NO_RECORDS;
    state.outer.active = 0;
    state.inner.active = 0;
    if state.owner == thread {
        state.owner = 0;
    } else {
        let _ = OVERFLOW_THREADS.remove(&thread);
    }
}

#[inline(always)]
fn slot_of(thread: u64) -> Option<&'static mut Thread> {
    let state = THREADS.get_ptr_mut(thread as u32 & (limits::THREAD_SLOTS - 1))?;
    // SAFETY: the pointer comes from the map; only the owner changes more than `overflowed`.
    Some(unsafe { &mut *state })
}

/// What is remembered of a thread.
#[inline(always)]
pub fn state_of(thread: u64) -> Option<&'static mut Thread> {
    let slot = slot_of(thread)?;
    if slot.owner == thread {
        return Some(slot);
    }
    if slot.overflowed == 0 {
        return None;
    }
    overflow_of(thread)
}

/// What is remembered of a thread, from now on if nothing was. `None` when there is no room.
#[inline(always)]
pub fn state_or_settle(thread: u64) -> Option<&'static mut Thread> {
    match state_of(thread) {
        Some(state) => Some(state),
        None => settle(thread),
    }
}

#[inline(never)]
fn overflow_of(thread: u64) -> Option<&'static mut Thread> {
    let state = OVERFLOW_THREADS.get_ptr_mut(&thread)?;
    // SAFETY: the pointer comes from the map; only this thread uses its entry.
    Some(unsafe { &mut *state })
}

/// A place for a thread that has none.
#[inline(never)]
fn settle(thread: u64) -> Option<&'static mut Thread> {
    let slot = slot_of(thread)?;
    // SAFETY: an aligned number in a map value.
    if unsafe { counters::replace_zero(&raw mut slot.owner, thread) } {
        return Some(slot);
    }
    slot.overflowed = 1;
    let _ = OVERFLOW_THREADS.insert(&thread, &NEW_THREAD, 0);
    overflow_of(thread)
}

impl Thread {
    /// True when what it does may be a goroutine's.
    #[inline(always)]
    pub fn runs_goroutines(&self) -> bool {
        self.goroutines != 0
    }

    /// True when its system calls are of use although it is in no TLS call.
    #[inline(always)]
    pub fn is_of_use_beside_calls(&self) -> bool {
        self.goroutines | self.expectation.watches != 0
    }

    /// It moved bytes between a socket and this buffer, beside its TLS calls.
    #[inline(never)]
    pub fn cipher_text(&mut self, thread: u64, socket: u64, direction: Direction, buffer: u64) {
        self.expectation.cipher_text(thread, socket, direction, buffer);
        self.records.moved(thread, socket, direction, buffer);
    }

    /// A cursor to emit with outside of any call of its own: one is in use only while something is
    /// emitted.
    #[inline(always)]
    pub fn spare_cursor(&mut self) -> &mut Cursor {
        &mut self.inner.cursor
    }

    /// The innermost call that it is in.
    #[inline(always)]
    pub fn call_in_progress(&mut self) -> Option<&mut Call> {
        if self.inner.active != 0 {
            Some(&mut self.inner)
        } else if self.outer.active != 0 {
            Some(&mut self.outer)
        } else {
            None
        }
    }
}

impl Call {
    /// Notes a call.
    #[inline(always)]
    pub fn begin(&mut self, object: u64, buffer: u64, count: u64, stack: u64, caller: u32) {
        // A socket that was found stays found while the caller works on the same object.
        if self.binding != BOUND || self.object != object {
            self.binding = UNKNOWN;
        }
        self.object = object;
        self.buffer = buffer;
        self.count = count;
        self.stack = stack;
        self.cursor.caller = u64::from(caller);
        self.socket = 0;
        self.ambiguous = 0;
        self.active = 1;
    }

    /// Its object is a new one at the same address.
    #[inline(always)]
    pub fn looks_anew(&mut self) {
        self.binding = UNKNOWN;
        self.socket = 0;
        self.ambiguous = 0;
    }

    /// True when the socket under the TLS object is known to be known.
    #[inline(always)]
    pub fn is_bound(&self) -> bool {
        self.binding == BOUND
    }

    /// True while the socket under the TLS object is not known, or its hello may be under way. Asked at every system call inside a
    /// TLS call, most of which are on objects whose socket was found long ago.
    #[inline(always)]
    pub fn wants_socket(&mut self, thread: u64) -> bool {
        if self.binding == UNKNOWN {
            let key = TlsKey { object: self.object, tgid: u64::from(kernel::process_of(thread)) };
            let bound = objects::find(&key).is_some_and(|it| it.is_settled());
            self.binding = if bound { BOUND } else { WANTED };
        }
        self.binding == WANTED
    }

    /// The thread touched this socket during the call.
    #[inline(always)]
    pub fn touches(&mut self, socket: u64) {
        if self.socket == 0 {
            self.socket = socket;
        } else if self.socket != socket {
            self.ambiguous = 1;
        }
    }
}

#[inline(always)]
fn enter(context: &ProbeContext) {
    let thread = kernel::thread_id();
    if kernel::process_of(thread) == config!(own_tgid) {
        return;
    }
    let state = match state_of(thread) {
        Some(state) => state,
        None => {
            // The first call of this thread.
            let Some(state) = settle(thread) else {
                counters::add(Counter::ThreadsFull, 1);
                return;
            };
            state
        }
    };
    state.entries += 1;
    let stack = arch::stack_pointer(context.as_ptr().cast::<pt_regs>());
    // Deeper in the stack than a call in progress: inside it. Otherwise that call is over, however
    // it ended.
    let call = if state.outer.active != 0 && stack < state.outer.stack {
        &mut state.inner
    } else {
        state.inner.active = 0;
        &mut state.outer
    };
    let argument = |number| context.arg(number).unwrap_or(0);
    call.begin(argument(0), argument(1), argument(3), stack, thread as u32);
}

#[inline(always)]
fn exit(context: *mut c_void) {
    let thread = kernel::thread_id();
    if kernel::process_of(thread) == config!(own_tgid) {
        return;
    }
    let Some(state) = state_of(thread) else { return };
    // Counted also when no call is in progress: an exit too many must show.
    state.exits += 1;
    let Some(call) = state.call_in_progress() else { return };
    call.active = 0;
    let result = arch::function_result(context.cast::<pt_regs>()) as i32;
    // SAFETY: the context is the program's own.
    let cookie = Cookie(unsafe { bpf_get_attach_cookie(context) });
    finish(call, thread, cookie, i64::from(result));
    if call.binding == UNKNOWN && call.socket == 0 && call.count != 0 {
        cipher_text::follow(call, thread, cookie.direction());
    }
}

/// Emits what a call moved that has ended with this result. Leaves in [`Call::count`] how many bytes
/// these were.
#[inline(always)]
pub fn finish(call: &mut Call, thread: u64, cookie: Cookie, result: i64) {
    if call.ambiguous != 0 {
        counters::add(Counter::AmbiguousSockets, 1);
        call.socket = 0;
    }
    if result <= 0 && call.socket == 0 {
        call.count = 0;
        return;
    }
    let bytes = if result <= 0 || cookie.is_handshake() {
        0
    } else if cookie.has_count() {
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_user(call.count as *const u64) }.unwrap_or(0)
    } else {
        result as u64
    };
    call.count = bytes;
    let found = connection_of(call.object, call.socket, thread, cookie.library());
    let Some(connection) = found else { return };
    if connection.library == 0 {
        // It was made where a certificate was read, which says nothing of the library.
        connection.library = cookie.library();
    }
    if connection.socket == 0 {
        // The object may be a new one at the address of an old one.
        call.binding = UNKNOWN;
        if call.socket != 0 {
            connection.bind(call.socket);
        }
    } else {
        call.binding = if bytes != 0 || connection.is_settled() { BOUND } else { WANTED };
    }
    if bytes == 0 {
        return;
    }
    if cookie.is_unseen() {
        call.cursor.flags = mop_common::flags::CALL_START;
        let cause = HoleCause::ZeroCopy as u8;
        connection.moved_unseen(cookie.direction(), bytes, &mut call.cursor, cause);
    } else {
        call.cursor.at_buffer(call.buffer, bytes);
        connection.moved(cookie.direction(), &mut call.cursor);
    }
}

/// The connection of a TLS object, made when it is new.
#[inline(never)]
pub fn connection_of(
    object: u64,
    socket: u64,
    thread: u64,
    library: u64,
) -> Option<&'static mut Connection> {
    let key = TlsKey { object, tgid: u64::from(kernel::process_of(thread)) };
    if let Some(connection) = objects::find(&key) {
        return Some(connection);
    }
    let connection = objects::settle(&key)?;
    connection.begin(Layer::Tls, socket, library, is_from_start(socket));
    // So that its slot is free again some time even when it never moves a byte.
    // SAFETY: a helper without preconditions.
    connection.last_ns = unsafe { bpf_ktime_get_ns() };
    Some(connection)
}

/// The connection of a TLS object, when there is one.
#[inline(always)]
pub fn known(object: u64, thread: u64) -> Option<&'static mut Connection> {
    objects::find(&TlsKey { object, tgid: u64::from(kernel::process_of(thread)) })
}

/// Observes a TLS object no more: bytes of it will be missed without a trace.
#[inline(never)]
pub fn give_up(object: u64, thread: u64) {
    if let Some(connection) = connection_of(object, 0, thread, 0) {
        connection.give_up();
    }
}

/// True when the connection under a TLS object was established while being observed.
#[inline(always)]
fn is_from_start(socket: u64) -> bool {
    let Some(connection) = SOCKETS.get_ptr(&socket) else { return false };
    // SAFETY: the pointer comes from the map.
    unsafe { (*connection).from_start != 0 }
}

/// What comes from this object now is another conversation.
#[inline(never)]
pub fn forget(object: u64, thread: u64) {
    let key = TlsKey { object, tgid: u64::from(kernel::process_of(thread)) };
    objects::forget(&key);
    if let Some(state) = state_of(thread) {
        state.outer.binding = UNKNOWN;
        state.inner.binding = UNKNOWN;
    }
}

const UNKNOWN: u64 = 0;
const WANTED: u64 = 1;
const BOUND: u64 = 2;
