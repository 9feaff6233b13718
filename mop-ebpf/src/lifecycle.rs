//! When connections and processes begin and end.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use mop_common::{ControlKind, Direction};

use crate::{
    aead,
    control::{self, NO_WAKEUP, WAKEUP},
    go,
    kernel::{self, argument},
    maps::{CODE_FILES, SOCKETS, config},
    syscalls, tls,
};

/// A TCP socket changed its state: notes new connections, and the end of sending.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(context: BtfTracePointContext) -> i32 {
    let socket = argument(&context, 0);
    match argument(&context, 2) as u32 {
        TCP_ESTABLISHED => {
            if config!(probes_only) == 0 {
                syscalls::establish(socket, true);
            }
        }
        TCP_FIN_WAIT1 | TCP_LAST_ACK | TCP_CLOSING => {
            if let Some(connection) = SOCKETS.get_ptr(&socket) {
                // SAFETY: the pointer comes from the map.
                unsafe { (*connection).end(Direction::Write) };
            }
        }
        _ => {}
    }
    0
}

/// A TCP socket ceases to exist. Not before this is its last byte read: a socket whose own side
/// was closed first is already in the closed state while the process still reads from it.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn tcp_destroy_sock(context: BtfTracePointContext) -> i32 {
    let socket = argument(&context, 0);
    if let Some(connection) = SOCKETS.get_ptr(&socket) {
        // SAFETY: the pointer comes from the map.
        let connection = unsafe { &*connection };
        connection.close();
        // A number, which may be computed with, unlike the address that the verifier knows as one.
        let number = connection.socket;
        let _ = SOCKETS.remove(&socket);
        aead::forget(number);
    }
    0
}

/// A process replaced its program: user space looks for TLS libraries in it.
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(_context: BtfTracePointContext) -> i32 {
    control::process(ControlKind::Exec, [0; 2], WAKEUP);
    0
}

/// A thread ended.
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(_context: BtfTracePointContext) -> i32 {
    let thread = kernel::thread_id();
    tls::forget_thread(thread);
    if thread as u32 == kernel::process_of(thread) {
        go::forget_process(kernel::process_of(thread));
        control::process(ControlKind::Exit, [0; 2], NO_WAKEUP);
    }
    0
}

/// A process mapped a file as code: reported the first time that any process maps it, so that a
/// library is found before its first call, wherever it lies.
#[inline(always)]
pub fn mapped_code(descriptor: u64) {
    let Some(file) = kernel::code_file_of(descriptor) else { return };
    if CODE_FILES.get_ptr(&file).is_some() {
        return;
    }
    let _ = CODE_FILES.insert(&file, &1, 0);
    control::process(ControlKind::Map, [file.inode, file.device], WAKEUP);
}

// include/net/tcp_states.h
const TCP_ESTABLISHED: u32 = 1;
const TCP_FIN_WAIT1: u32 = 4;
const TCP_LAST_ACK: u32 = 9;
const TCP_CLOSING: u32 = 11;
