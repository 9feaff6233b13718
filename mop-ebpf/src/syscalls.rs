//! Plain text at the socket, by system calls.
//!
//! One program on `sys_exit` is enough: when a call returns, the saved registers still hold its
//! arguments, and its result says how much was moved. That halves the cost of an observed call,
//! needs no memory of calls in progress, and sees calls that began before observation did.

use aya_ebpf::{
    EbpfContext as _,
    helpers::bpf_probe_read_user,
    macros::{btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};
use mop_common::{Counter, Direction, HoleCause, Layer};

use crate::{
    aead,
    arch::{SyscallRegisters, number},
    cipher_text,
    connection::{Connection, EMPTY},
    counters,
    emit::Cursor,
    go, kernel, lifecycle,
    maps::{CURSOR, SOCKETS, config},
    tls::{self, Call},
};

/// Return of every system call.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(context: BtfTracePointContext) -> i32 {
    if config!(probes_only) == 0 {
        returned(SyscallRegisters(context.arg(0)), context.arg(1));
    }
    0
}

/// The same by a perf event, for kernels on which [`sys_exit`] can be preempted: they leave out every
/// other run of it on a CPU meanwhile. A program on a perf event cannot be; each call costs more.
#[tracepoint]
pub fn sys_exit_by_perf(context: TracePointContext) -> u32 {
    if config!(probes_only) == 0 {
        // SAFETY: `raw_syscalls/sys_exit` has the result there, and the verifier allows the load.
        let result = unsafe { *context.as_ptr().cast::<i64>().add(RESULT_WORD) };
        returned(SyscallRegisters::current(), result);
    }
    0
}

/// The way of the calls that nobody cares about, and of those inside TLS calls on known sockets, is
/// kept short and in one place; everything else is a function call away.
#[inline(always)]
fn returned(registers: SyscallRegisters, result: i64) {
    let call = registers.number();
    if !number::is_transfer(call) {
        if call == number::MMAP {
            mapped(registers, result);
        }
        return;
    }
    // An error other than "nothing there yet" moves nothing and names no peer worth binding.
    if result < 0 && result != -EAGAIN {
        return;
    }
    let thread = kernel::thread_id();
    let may_be_plain_text = match tls::state_of(thread) {
        None => true,
        Some(state) => {
            let is_of_use = state.is_of_use_beside_calls();
            match state.call_in_progress() {
                Some(call) if call.is_bound() => false,
                Some(call) => {
                    inside_tls_call(call, thread, result);
                    false
                }
                None => !is_of_use || beside_tls_calls(thread, result),
            }
        }
    };
    if may_be_plain_text {
        outside_tls_calls(thread, result, registers);
    }
}

/// What a thread does that is in no TLS call itself: it may run a goroutine that is in one, or move
/// the cipher text of one. True when it may move plain text as well.
#[inline(never)]
fn beside_tls_calls(thread: u64, result: i64) -> bool {
    let registers = SyscallRegisters::current();
    let Some(state) = tls::state_of(thread) else { return true };
    if state.runs_goroutines()
        && let Some(call) = go::call_in_progress(registers.goroutine(), thread)
    {
        if !call.is_bound() {
            inside_tls_call(call, thread, result);
        }
        return false;
    }
    let (direction, has_vectors) = match Transfer::of(registers.number()) {
        Some(Transfer::Buffer(direction)) => (direction, false),
        Some(Transfer::Vectors(direction)) => (direction, true),
        _ => return true,
    };
    if state.expectation.watches == 0 || result <= 0 {
        return true;
    }
    let socket = socket_of_call();
    if socket != 0 {
        let buffer = cipher_text::buffer_of(registers, has_vectors);
        if direction == Direction::Read {
            state.records.brought(result as u64);
        }
        state.cipher_text(thread, socket, direction, buffer);
    }
    true
}

/// The TCP socket that the system call in progress is about; 0 for none. A function for itself, for the sake
/// of the stack.
#[inline(never)]
fn socket_of_call() -> u64 {
    kernel::tcp_socket_of(SyscallRegisters::current().argument::<0>()).unwrap_or(0)
}

/// Cipher text of the TLS object in progress: it tells which socket that object uses, and, at its
/// beginning, what both sides say in clear text.
#[inline(never)]
fn inside_tls_call(call: &mut Call, thread: u64, result: i64) {
    let registers = SyscallRegisters::current();
    if call.wants_socket(thread)
        && let Some(transfer) = Transfer::of(registers.number())
        && let Some(descriptor) = transfer.descriptor(registers)
        && let Some(socket) = kernel::tcp_socket_of(descriptor)
    {
        call.touches(socket);
        if result > 0 {
            moved_in_tls(socket, result as u64);
        }
    }
}

/// A call inside a TLS call moved bytes of the socket under the object: a hello may be among them.
#[inline(always)]
fn moved_in_tls(socket: u64, result: u64) {
    let Some(connection) = SOCKETS.get_ptr_mut(&socket) else { return };
    let Some(cursor) = cursor() else { return };
    let Some(direction) = place_in_tls(cursor, result) else { return };
    // SAFETY: the pointer comes from the map; fields that two threads can change are atomic.
    unsafe { (*connection).moved_in_tls(direction, cursor) };
}

/// Stands the cursor at the bytes that the call moved. No handshake comes by the calls that are left out,
/// nor by a look at the queue.
#[inline(never)]
fn place_in_tls(cursor: &mut Cursor, result: u64) -> Option<Direction> {
    let registers = SyscallRegisters::current();
    let call = registers.number();
    match Transfer::of(call)? {
        Transfer::Buffer(direction) => {
            let flags = if call == number::RECVFROM { registers.argument::<3>() } else { 0 };
            cursor.at_buffer(registers.argument::<1>(), result);
            (flags & NOT_OF_STREAM == 0).then_some(direction)
        }
        Transfer::Vectors(direction) => {
            cursor.at_vectors(registers.argument::<1>(), registers.argument::<2>(), result);
            Some(direction)
        }
        Transfer::Message(direction) => {
            let is_received = direction == Direction::Read;
            let flags = if is_received { registers.argument::<2>() } else { 0 };
            let message = registers.argument::<1>();
            // SAFETY: the helper checks the address.
            let buffers = unsafe { bpf_probe_read_user((message + MSGHDR_IOV) as *const [u64; 2]) };
            let [vectors, count] = buffers.unwrap_or([0, 0]);
            cursor.at_vectors(vectors, count, result);
            (flags & NOT_OF_STREAM == 0).then_some(direction)
        }
        Transfer::Messages | Transfer::SendFile | Transfer::Splice => None,
    }
}

#[inline(always)]
fn outside_tls_calls(thread: u64, result: i64, registers: SyscallRegisters) {
    let is_observed =
        result >= 0 && kernel::process_of(thread) != config!(own_tgid) && registers.is_native();
    if is_observed && let Some(transfer) = Transfer::of(registers.number()) {
        moved(transfer, registers, result as u64, thread);
    }
}

#[inline(always)]
fn mapped(registers: SyscallRegisters, result: i64) {
    let is_code = registers.argument::<2>() & PROT_EXEC != 0;
    let is_file = registers.argument::<3>() & MAP_ANONYMOUS == 0;
    // The last page of the address space holds errors.
    if is_code && is_file && !(-4095..0).contains(&result) && registers.is_native() {
        lifecycle::mapped_code(registers.argument::<4>());
    }
}

/// The kinds of system calls that move bytes through a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transfer {
    /// `read`, `write`, `recvfrom`, `sendto`: one buffer.
    Buffer(Direction),
    /// `readv`, `writev`, `preadv2`, `pwritev2`: an array of buffers.
    Vectors(Direction),
    /// `recvmsg`, `sendmsg`: an array of buffers behind a `msghdr`.
    Message(Direction),
    /// `recvmmsg`, `sendmmsg`: not decoded.
    Messages,
    /// `sendfile`: bytes that the process never holds.
    SendFile,
    /// `splice`: as `SendFile`, either way.
    Splice,
}

impl Transfer {
    #[inline(always)]
    fn of(call: u64) -> Option<Self> {
        match call {
            number::READ | number::RECVFROM => Some(Self::Buffer(Direction::Read)),
            number::WRITE | number::SENDTO => Some(Self::Buffer(Direction::Write)),
            number::READV | number::PREADV2 => Some(Self::Vectors(Direction::Read)),
            number::WRITEV | number::PWRITEV2 => Some(Self::Vectors(Direction::Write)),
            number::RECVMSG => Some(Self::Message(Direction::Read)),
            number::SENDMSG => Some(Self::Message(Direction::Write)),
            number::RECVMMSG | number::SENDMMSG => Some(Self::Messages),
            number::SENDFILE => Some(Self::SendFile),
            number::SPLICE => Some(Self::Splice),
            _ => None,
        }
    }

    /// The descriptor whose socket the call used; `None` for `splice`, where it may be either.
    #[inline(always)]
    fn descriptor(self, registers: SyscallRegisters) -> Option<u64> {
        match self {
            Self::Buffer(_)
            | Self::Vectors(_)
            | Self::Message(_)
            | Self::Messages
            | Self::SendFile => Some(registers.argument::<0>()),
            Self::Splice => None,
        }
    }
}

#[inline(always)]
fn moved(transfer: Transfer, registers: SyscallRegisters, result: u64, thread: u64) {
    match transfer {
        Transfer::Splice => {
            // From the socket, or to it: the other end is a pipe.
            if let Some(connection) = connection_of(registers.argument::<0>()) {
                unseen(connection, Direction::Read, result, HoleCause::ZeroCopy);
            }
            if let Some(connection) = connection_of(registers.argument::<2>()) {
                unseen(connection, Direction::Write, result, HoleCause::ZeroCopy);
            }
        }
        Transfer::SendFile => {
            if let Some(connection) = connection_of(registers.argument::<0>()) {
                unseen(connection, Direction::Write, result, HoleCause::ZeroCopy);
            }
        }
        Transfer::Messages => {
            if let Some(connection) = connection_of(registers.argument::<0>())
                && connection.opened != 0
            {
                counters::add(Counter::UndecodedCalls, 1);
                connection.give_up();
            }
        }
        Transfer::Buffer(direction) => {
            let Some(connection) = connection_of(registers.argument::<0>()) else { return };
            // `read` and `write` have no flags; their fourth register is noise.
            let call = registers.number();
            let flags = if call == number::RECVFROM { registers.argument::<3>() } else { 0 };
            let asked = registers.argument::<2>();
            received_or_sent(connection, direction, flags, result, asked, thread, |cursor| {
                cursor.at_buffer(registers.argument::<1>(), result);
            });
            if direction == Direction::Read && connection.has_begun_with_hello() {
                aead::has_read(thread, connection.socket, registers.argument::<1>(), result);
            }
        }
        Transfer::Vectors(direction) => {
            let Some(connection) = connection_of(registers.argument::<0>()) else { return };
            received_or_sent(connection, direction, 0, result, 1, thread, |cursor| {
                cursor.at_vectors(registers.argument::<1>(), registers.argument::<2>(), result);
            });
        }
        Transfer::Message(direction) => {
            let Some(connection) = connection_of(registers.argument::<0>()) else { return };
            let flags = match direction {
                Direction::Read => registers.argument::<2>(),
                Direction::Write => 0,
            };
            let message = registers.argument::<1>();
            // SAFETY: the helper checks the address.
            let buffers = unsafe { bpf_probe_read_user((message + MSGHDR_IOV) as *const [u64; 2]) };
            let [vectors, count] = buffers.unwrap_or([0, 0]);
            received_or_sent(connection, direction, flags, result, 1, thread, |cursor| {
                cursor.at_vectors(vectors, count, result);
            });
        }
    }
}

#[inline(always)]
fn received_or_sent(
    connection: &mut Connection,
    direction: Direction,
    flags: u64,
    result: u64,
    asked: u64,
    thread: u64,
    place: impl FnOnce(&mut Cursor),
) {
    // A look at the queue, or at its errors: the stream does not move.
    if flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return;
    }
    if result == 0 {
        if direction == Direction::Read && asked > 0 {
            connection.end(direction);
        }
        return;
    }
    if flags & MSG_TRUNC != 0 {
        unseen(connection, direction, result, HoleCause::Discarded);
        return;
    }
    let Some(cursor) = cursor() else { return };
    place(cursor);
    cursor.caller = thread;
    connection.moved(direction, cursor);
}

#[inline(always)]
fn unseen(connection: &mut Connection, direction: Direction, bytes: u64, cause: HoleCause) {
    if bytes == 0 {
        return;
    }
    let Some(cursor) = cursor() else { return };
    cursor.flags = mop_common::flags::CALL_START;
    connection.moved_unseen(direction, bytes, cursor, cause as u8);
}

#[inline(always)]
fn cursor() -> Option<&'static mut Cursor> {
    let cursor = CURSOR.get_ptr_mut(0)?;
    // SAFETY: the pointer comes from the map, and nothing else runs on this CPU meanwhile.
    Some(unsafe { &mut *cursor })
}

/// The connection of a descriptor's TCP socket, made when it is new.
#[inline(always)]
fn connection_of(descriptor: u64) -> Option<&'static mut Connection> {
    let socket = kernel::socket_of(descriptor)?;
    if let Some(connection) = SOCKETS.get_ptr_mut(&socket) {
        // SAFETY: the pointer comes from the map; fields that two threads can change are atomic.
        return Some(unsafe { &mut *connection });
    }
    // Known sockets were checked when they were inserted.
    let socket = kernel::tcp_socket_of(descriptor)?;
    establish(socket, false)
}

/// Remembers a socket.
#[inline(always)]
pub fn establish(socket: u64, from_start: bool) -> Option<&'static mut Connection> {
    let _ = SOCKETS.insert(&socket, &EMPTY, 0);
    let Some(connection) = SOCKETS.get_ptr_mut(&socket) else {
        counters::add(Counter::ConnectionsFull, 1);
        return None;
    };
    // SAFETY: the pointer comes from the map.
    let connection = unsafe { &mut *connection };
    connection.begin(Layer::Socket, socket, 0, from_start);
    Some(connection)
}

/// Behind the fields that all tracepoints have, and the number of the call.
const RESULT_WORD: usize = 2;

/// `struct user_msghdr.msg_iov`, followed by `msg_iovlen`.
const MSGHDR_IOV: u64 = 16;

const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;
const MSG_ERRQUEUE: u64 = 0x2000;
/// With any of these, nothing of the stream was read into the buffer, or it is read again.
const NOT_OF_STREAM: u64 = MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE;
const EAGAIN: i64 = 11;
const PROT_EXEC: u64 = 0x4;
const MAP_ANONYMOUS: u64 = 0x20;
