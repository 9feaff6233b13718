//! Plain text at the border of AWS-LC's AEAD, with which rustls seals and opens its records.
//!
//! rustls has no function that every byte passes with a fixed signature. But each of its records passes
//! `EVP_AEAD_CTX_seal`, `EVP_AEAD_CTX_seal_scatter` or `EVP_AEAD_CTX_open`, whose additional data says
//! that it is one (RFC 8446, section 5.2; RFC 5246, section 6.2.3.3):
//!
//! ```text
//! TLS 1.3   23 3 3 length:u16                         the plain text ends with its type: 23 is data
//! TLS 1.2   sequence:u64 type:u8 3 3 length:u16       type 23 is data
//! ```
//!
//! A key is for one direction, stays where it is, and is made on the thread that has just read from the
//! socket what the key follows from. Only a socket whose handshake was seen and that has carried no data
//! yet gets keys that way. All four of TLS 1.3 (two of the handshake, two of the data), or both of TLS 1.2,
//! must have come so, or something was missed, and the connection counts as joined midway.
//!
//! A key that was made before observation began shows its socket by its records: those that it opens lie
//! where the thread's last read put them, and those that it seals are what the thread writes next. A
//! connection of such keys is observed once both are known: with one of them, answers would be taken for
//! those to other requests. Where a key changes later (RFC 8446, section 4.6.3), or a record shows that it
//! was taken for one of another connection, that connection is given up.

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
use mop_common::{Direction, Layer};

use crate::{
    arch,
    connection::Connection,
    kernel,
    maps::{AEAD_KEYS, AEAD_PROGRAMS, SOCKETS, config},
    objects::{self, TlsKey},
    tls::{self, Cookie, Thread},
};

/// What a thread did last with sockets and records, of which the other half is to come.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Records {
    /// Socket that it read from last; 0 for none.
    socket: u64,
    /// Where the bytes of that read lie.
    at: u64,
    /// How many they are.
    bytes: u64,
    /// Key that `EVP_AEAD_CTX_init` was called for last; 0 once it has passed that on.
    made: u64,
    /// Key of the first record that was sealed since the thread wrote last; 0 for none.
    sealer: u64,
    /// Where the cipher text of that record begins.
    sealed: u64,
    /// Key of the record that is being opened; 0 for none.
    opener: u64,
    /// Where its plain text will lie.
    opened: u64,
    /// Bytes of it.
    length: u64,
    /// [`TLS12`] or [`TLS13`].
    version: u64,
}

/// With every field zero.
pub const NO_RECORDS: Records = Records {
    socket: 0,
    at: 0,
    bytes: 0,
    made: 0,
    sealer: 0,
    sealed: 0,
    opener: 0,
    opened: 0,
    length: 0,
    version: NO_RECORD,
};

/// At the entry of `EVP_AEAD_CTX_init` and `EVP_AEAD_CTX_init_with_direction`.
#[uprobe]
pub fn aead_key(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        key_is_made(context.as_ptr().cast());
    }
    0
}

/// At the entry of `EVP_AEAD_CTX_seal` and `EVP_AEAD_CTX_seal_scatter`.
#[uprobe]
pub fn aead_seal(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        seals(context.as_ptr().cast());
    }
    0
}

/// At the entry of `EVP_AEAD_CTX_open`.
#[uprobe]
pub fn aead_open(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        opens(context.as_ptr().cast());
    }
    0
}

/// At the return of `EVP_AEAD_CTX_open`.
#[uretprobe]
pub fn aead_opened(context: RetProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        opened(context.as_ptr().cast());
    }
    0
}

/// A system call outside of TLS calls read these bytes from a socket that carries TLS: where a program is
/// observed here, the thread is watched from now on.
#[inline(never)]
pub fn has_read(thread: u64, socket: u64, at: u64, bytes: u64) {
    let is_used = AEAD_PROGRAMS.get(0).is_some_and(|used| *used != 0);
    if !is_used || tls::state_of(thread).is_some_and(|state| state.expectation.watches != 0) {
        return;
    }
    if let Some(state) = watched(thread) {
        state.records.brought(bytes);
        state.records.moved(thread, socket, Direction::Read, at);
    }
}

/// The socket ceases to exist.
#[inline(always)]
pub fn forget(socket: u64) {
    objects::forget(&over(socket));
}

impl Records {
    /// How many bytes a read brought, of which [`Self::moved`] is to be told: a function takes five
    /// arguments.
    #[inline(always)]
    pub fn brought(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// A system call moved bytes between a socket and this buffer.
    #[inline(always)]
    pub fn moved(&mut self, thread: u64, socket: u64, direction: Direction, at: u64) {
        match direction {
            Direction::Read => {
                self.socket = socket;
                self.at = at;
            }
            Direction::Write if self.sealer != 0 => self.wrote(thread, socket, at),
            Direction::Write => {}
        }
    }

    /// Only the write that follows tells whose record was sealed.
    #[inline(always)]
    fn wrote(&mut self, thread: u64, socket: u64, at: u64) {
        let sealer = self.sealer;
        self.sealer = 0;
        let head = self.sealed.wrapping_sub(at);
        let is_its = head == RECORD_HEAD || head == RECORD_HEAD + EXPLICIT_NONCE;
        if is_its && socket_of(sealer, thread) != socket {
            bind(sealer, thread, socket, Direction::Write);
        }
    }

    /// Whether the last read brought the end of the record that was opened.
    #[inline(always)]
    fn holds_opened(&self) -> bool {
        let end = self.opened.wrapping_add(self.length + TAG).wrapping_sub(self.at);
        self.socket != 0 && end != 0 && end <= self.bytes
    }
}

/// What is remembered of a thread, whose system calls are looked at from now on.
#[inline(always)]
fn watched(thread: u64) -> Option<&'static mut Thread> {
    if kernel::process_of(thread) == config!(own_tgid) {
        return None;
    }
    let state = tls::state_or_settle(thread)?;
    state.expectation.watches = 1;
    Some(state)
}

#[inline(always)]
fn key_is_made(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let Some(state) = watched(thread) else { return };
    let (key, cookie) = (arch::argument::<0>(registers), cookie(registers));
    if cookie & mop_common::cookie::PASSED_ON == 0 {
        state.records.made = key;
    } else if state.records.made == key {
        state.records.made = 0;
        return;
    }
    let mut socket = state.records.socket;
    if socket != 0 && !note(socket, Cookie(cookie).library()) {
        socket = 0;
    }
    remember(key, thread, socket);
}

/// A key was made after a read from this socket. False when it is none of its handshake.
#[inline(never)]
fn note(socket: u64, library: u64) -> bool {
    let Some(under) = SOCKETS.get_ptr(&socket) else { return false };
    // SAFETY: the pointer comes from the map.
    if !unsafe { (*under).has_begun_with_hello() } {
        return false;
    }
    let Some(connection) = connection_over(socket, library, true) else { return false };
    if connection.has_moved() {
        return false;
    }
    // A peer may change its key as often as it likes; whoever has done so once has too many.
    if connection.keys & KEYS <= KEYS_TLS13 {
        connection.keys += 1;
    }
    true
}

#[inline(always)]
fn seals(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let cookie = cookie(registers);
    let version = read_record(registers, cookie & mop_common::cookie::SCATTER, thread);
    if version == NO_RECORD {
        return;
    }
    let Some(state) = watched(thread) else { return };
    let (key, at) = (arch::argument::<0>(registers), state.records.opened);
    let length = data_bytes(&state.records, state.records.length);
    if length == 0 {
        return;
    }
    if length == PADDED {
        give_up(socket_of(key, thread));
        return;
    }
    if state.records.sealer == 0 {
        state.records.sealer = key;
        state.records.sealed = arch::argument::<1>(registers);
    }
    let socket = socket_of(key, thread);
    if socket == 0 {
        return;
    }
    let library = Cookie(cookie).library();
    let found = observed(socket, Direction::Write, version, library);
    let Some(connection) = found else { return };
    let cursor = state.spare_cursor();
    cursor.at_buffer(at, length);
    cursor.caller = thread;
    connection.moved(Direction::Write, cursor);
}

#[inline(always)]
fn opens(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let version = read_record(registers, 0, thread);
    if version == NO_RECORD {
        return;
    }
    let Some(state) = watched(thread) else { return };
    let records = &mut state.records;
    if records.length < TAG {
        return;
    }
    records.length -= TAG;
    records.opened = arch::argument::<1>(registers);
    records.opener = arch::argument::<0>(registers);
}

#[inline(always)]
fn opened(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let Some(state) = tls::state_of(thread) else { return };
    let key = state.records.opener;
    state.records.opener = 0;
    if key == 0 || arch::function_result(registers) as u32 != 1 {
        return;
    }
    let length = data_bytes(&state.records, state.records.length);
    if length == 0 {
        return;
    }
    let mut socket = socket_of(key, thread);
    if state.records.holds_opened() && state.records.socket != socket {
        socket = state.records.socket;
        bind(key, thread, socket, Direction::Read);
    }
    if socket == 0 {
        return;
    }
    if length == PADDED {
        give_up(socket);
        return;
    }
    let library = Cookie(cookie(registers)).library();
    let found = observed(socket, Direction::Read, state.records.version, library);
    let Some(connection) = found else { return };
    let at = state.records.opened;
    let cursor = state.spare_cursor();
    cursor.at_buffer(at, length);
    cursor.caller = thread;
    connection.moved(Direction::Read, cursor);
}

/// The version of the record that a call on a key is about, or [`NO_RECORD`]. Leaves in what is
/// remembered of the thread where the call's input lies and how long it is; a function that is told more
/// has its arguments further up.
#[inline(never)]
fn read_record(registers: *const pt_regs, scatters: u64, thread: u64) -> u64 {
    // Behind the return address; `seal_scatter` has one argument more in front, and two more behind.
    let (input, additional) = if scatters != 0 { (16, 48) } else { (8, 24) };
    let stack = arch::stack_pointer(registers);
    // SAFETY: the helper checks the address.
    let found = unsafe { bpf_probe_read_user((stack + additional) as *const [u64; 2]) };
    let [at, length] = found.unwrap_or([0, 0]);
    let version = match length {
        ADDITIONAL_TLS13 if says_data(at) => TLS13,
        ADDITIONAL_TLS12 if says_data(at + 8) => TLS12,
        _ => return NO_RECORD,
    };
    let Some(state) = watched(thread) else { return NO_RECORD };
    // SAFETY: the helper checks the address.
    let found = unsafe { bpf_probe_read_user((stack + input) as *const [u64; 2]) };
    let [at, length] = found.unwrap_or([0, 0]);
    state.records.opened = at;
    state.records.length = length;
    state.records.version = version;
    version
}

/// Whether the head of a record at this address says that it carries data.
#[inline(always)]
fn says_data(at: u64) -> bool {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(at as *const [u8; 3]) }.is_ok_and(|head| head == APPLICATION_DATA)
}

/// How many bytes of data the plain text has; 0 when it is something else.
#[inline(always)]
fn data_bytes(records: &Records, length: u64) -> u64 {
    if length == 0 || length > MAX_INNER_PLAIN_TEXT {
        return 0;
    }
    if records.version == TLS12 {
        return length;
    }
    let last = records.opened.wrapping_add(length - 1);
    // SAFETY: the helper checks the address.
    match unsafe { bpf_probe_read_user(last as *const u8) } {
        Ok(DATA) => length - 1,
        Ok(0) => PADDED,
        _ => 0,
    }
}

/// The connection over a socket, when what it moves is to be told.
#[inline(never)]
fn observed(
    socket: u64,
    direction: Direction,
    version: u64,
    library: u64,
) -> Option<&'static mut Connection> {
    let connection = connection_over(socket, library, false)?;
    if connection.library == 0 {
        // It was made where a write showed its socket, which says nothing of the library.
        connection.library = library;
    }
    if !connection.has_moved() {
        let all = if version == TLS13 { KEYS_TLS13 } else { KEYS_TLS12 };
        if connection.keys & KEYS != all {
            connection.from_start = 0;
        }
    }
    if connection.from_start == 0 {
        connection.keys |= used(direction);
        if connection.keys & USED_BOTH != USED_BOTH {
            return None;
        }
    }
    Some(connection)
}

/// A record has shown the socket of its key, which was not known, or taken for another one.
#[inline(never)]
fn bind(key: u64, thread: u64, socket: u64, direction: Direction) {
    give_up(socket_of(key, thread));
    remember(key, thread, socket);
    let Some(connection) = connection_over(socket, 0, false) else { return };
    let is_another = connection.keys & used(direction) != 0;
    if is_another || connection.from_start != 0 && connection.has_moved() {
        // The key changed: what was sealed with it until now was missed.
        connection.give_up();
    }
    connection.from_start = 0;
    connection.keys |= used(direction);
}

/// The connection over a socket, made when it is new.
#[inline(never)]
fn connection_over(socket: u64, library: u64, from_start: bool) -> Option<&'static mut Connection> {
    let key = over(socket);
    if let Some(connection) = objects::find(&key) {
        return Some(connection);
    }
    let connection = objects::settle(&key)?;
    connection.begin(Layer::Tls, socket, library, from_start);
    // So that its slot is free again some time even when it never moves a byte.
    // SAFETY: a helper without preconditions.
    connection.last_ns = unsafe { bpf_ktime_get_ns() };
    Some(connection)
}

/// Observes the connection over a socket no more, if there is one.
#[inline(never)]
fn give_up(socket: u64) {
    // A free slot has a key of zeros.
    if socket != 0
        && let Some(connection) = objects::find(&over(socket))
    {
        connection.give_up();
    }
}

/// A key is of the connection over this socket.
#[inline(never)]
fn remember(key: u64, thread: u64, socket: u64) {
    let _ = AEAD_KEYS.insert(&key_of(key, thread), &socket, 0);
}

/// The socket of a key; 0 when it is not known.
#[inline(never)]
fn socket_of(key: u64, thread: u64) -> u64 {
    match AEAD_KEYS.get_ptr(&key_of(key, thread)) {
        // SAFETY: the pointer comes from the map.
        Some(socket) => unsafe { *socket },
        None => 0,
    }
}

#[inline(always)]
fn key_of(key: u64, thread: u64) -> TlsKey {
    TlsKey { object: key, tgid: u64::from(kernel::process_of(thread)) }
}

/// The key of a connection that is known by its socket, which no process has for itself.
#[inline(always)]
const fn over(socket: u64) -> TlsKey {
    TlsKey { object: socket, tgid: 0 }
}

#[inline(always)]
fn cookie(registers: *const pt_regs) -> u64 {
    // SAFETY: the context is the program's own.
    unsafe { bpf_get_attach_cookie(registers.cast_mut().cast()) }
}

#[inline(always)]
const fn used(direction: Direction) -> u32 {
    match direction {
        Direction::Read => USED_READ,
        Direction::Write => USED_WRITE,
    }
}

const NO_RECORD: u64 = 0;
const TLS12: u64 = 12;
const TLS13: u64 = 13;

/// Bytes of the additional data.
const ADDITIONAL_TLS12: u64 = 13;
const ADDITIONAL_TLS13: u64 = 5;

const DATA: u8 = 23;
/// Type and version, as every record since TLS 1.2 says.
const APPLICATION_DATA: [u8; 3] = [DATA, 3, 3];
const RECORD_HEAD: u64 = 5;
/// AES-GCM of TLS 1.2 (RFC 5288, section 3).
const EXPLICIT_NONCE: u64 = 8;
/// All AEADs of TLS but those of `CCM_8`, which rustls has not.
const TAG: u64 = 16;
/// A record carries no more (RFC 8446, section 5.2).
const MAX_INNER_PLAIN_TEXT: u64 = (1 << 14) + 1;
/// Zeros follow the type (RFC 8446, section 5.4), which no TLS library does by itself.
const PADDED: u64 = u64::MAX;

/// Of [`Connection::keys`]: how many were made in the handshake.
const KEYS: u32 = 0xffff;
const KEYS_TLS12: u32 = 2;
const KEYS_TLS13: u32 = 4;
/// The key of this direction is known.
const USED_READ: u32 = 1 << 16;
const USED_WRITE: u32 = 1 << 17;
const USED_BOTH: u32 = USED_READ | USED_WRITE;
