//! Plain text at the border of Go's `crypto/tls`.
//!
//! As in [`crate::tls`], a call is noted when it begins and emitted when it ends. What differs is Go:
//!
//! - A call belongs to a goroutine, which threads run in turns. It is known by the address of its
//!   `runtime.g`, which is in a register at every call (Go's internal ABI, since 1.17), and which is
//!   still there when a system call returns: that tells which socket is under the TLS object.
//! - The runtime moves the stack of a goroutine that grows. So a place on it is kept by its distance
//!   from the top, and a return is never probed at its address: user space finds the `ret`
//!   instructions.
//! - One goroutine reads while another writes, and either may close the object before the call of the
//!   other one has returned. The connection ends when all have.
//! - TLS objects are memory that is used again, and not every one is closed. A handshake begins a
//!   conversation; it is the first that any object does, and it does it once.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    bindings::pt_regs,
    helpers::{
        bpf_probe_read_user,
        generated::{bpf_for_each_map_elem, bpf_get_attach_cookie},
    },
    macros::uprobe,
    programs::ProbeContext,
};
use mop_common::Counter;

use crate::{
    arch, certificate, counters, kernel,
    maps::{GO_PROCESSES, GOROUTINES, config},
    tls::{self, Call, Cookie, NO_CALL},
};

/// A goroutine of a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct GoroutineKey {
    /// Address of its `runtime.g`.
    pub goroutine: u64,
    /// Process.
    pub tgid: u64,
}

/// Calls of a goroutine that are in progress. They nest when one TLS connection runs inside another.
///
/// [`Call::stack`] is the distance from the top of the stack with every bit turned over, so that a
/// deeper call has a lower number, as on a stack that stays in its place. [`Call::count`] is the
/// distance of the buffer when that is on the stack, else 0.
#[repr(C)]
pub struct Goroutine {
    /// The object whose handshake it does, until it reads or writes; 0 for none.
    handshake: u64,
    /// Where the last certificate lay that the cache was asked for in that handshake; 0 for none.
    cached: u64,
    outer: Call,
    inner: Call,
}

static NEW_GOROUTINE: Goroutine =
    Goroutine { handshake: 0, cached: 0, outer: NO_CALL, inner: NO_CALL };

/// At the entry of `(*Conn).Read` and `(*Conn).Write`.
#[uprobe]
pub fn go_enter(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        enter(context.as_ptr().cast());
    }
    0
}

/// At every `ret` of the same functions.
#[uprobe]
pub fn go_exit(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        exit(context.as_ptr().cast());
    }
    0
}

/// At the entry of `(*Conn).clientHandshake` and `(*Conn).serverHandshake`: whatever was at this
/// address is over.
#[uprobe]
pub fn go_begin(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        begin(context.as_ptr().cast());
    }
    0
}

/// At the entry of `(*Conn).Close`.
#[uprobe]
pub fn go_forget(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        close(context.as_ptr().cast());
    }
    0
}

/// At the entry of `crypto/x509.ParseCertificate(der []byte)`, and of the cache in front of it, whose
/// receiver is the first argument.
#[uprobe]
pub fn go_certificate(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        parsed(context.as_ptr().cast());
    }
    0
}

/// The innermost call of a goroutine, for system calls that it makes.
#[inline(always)]
pub fn call_in_progress(goroutine: u64, thread: u64) -> Option<&'static mut Call> {
    let goroutine = find(goroutine, thread)?;
    if goroutine.inner.active != 0 {
        Some(&mut goroutine.inner)
    } else if goroutine.outer.active != 0 {
        Some(&mut goroutine.outer)
    } else {
        None
    }
}

/// Forgets the goroutines of a process that ended.
#[inline(always)]
pub fn forget_process(tgid: u32) {
    if GO_PROCESSES.remove(tgid).is_err() {
        return;
    }
    let mut tgid = u64::from(tgid);
    // SAFETY: the callback has the signature that the helper calls, and gets this context. Elements of
    // a hash table may be removed meanwhile.
    unsafe {
        bpf_for_each_map_elem(
            (&raw const GOROUTINES).cast_mut().cast(),
            forget_goroutine as *mut c_void,
            (&raw mut tgid).cast(),
            0,
        );
    }
}

unsafe extern "C" fn forget_goroutine(
    _map: *mut c_void,
    key: *mut GoroutineKey,
    _value: *mut c_void,
    tgid: *mut u64,
) -> u64 {
    // SAFETY: the helper passes a key of the map and the context of `forget_process`.
    unsafe {
        if (*key).tgid == *tgid {
            let _ = GOROUTINES.remove(&*key);
        }
    }
    0
}

#[inline(always)]
fn find(goroutine: u64, thread: u64) -> Option<&'static mut Goroutine> {
    let key = GoroutineKey { goroutine, tgid: u64::from(kernel::process_of(thread)) };
    let goroutine = GOROUTINES.get_ptr_mut(key)?;
    // SAFETY: the pointer comes from the map; one thread at a time runs a goroutine.
    Some(unsafe { &mut *goroutine })
}

/// A place for a goroutine that has none.
#[inline(never)]
fn settle(goroutine: u64, thread: u64) -> Option<&'static mut Goroutine> {
    let tgid = kernel::process_of(thread);
    let _ = GO_PROCESSES.insert(tgid, 1, 0);
    let key = GoroutineKey { goroutine, tgid: u64::from(tgid) };
    let _ = GOROUTINES.insert(key, &NEW_GOROUTINE, 0);
    find(goroutine, thread)
}

#[inline(always)]
fn enter(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    if kernel::process_of(thread) == config!(own_tgid) {
        return;
    }
    counters::add(Counter::TlsEntries, 1);
    tls::runs_goroutines(thread);
    let goroutine = arch::goroutine(registers);
    let found = match find(goroutine, thread) {
        Some(found) => Some(found),
        None => settle(goroutine, thread),
    };
    let (Some(state), Some(top)) = (found, top_of_stack(goroutine)) else {
        // What this call moves will not be known, so nothing behind it would be right.
        counters::add(Counter::ThreadsFull, 1);
        tls::give_up(arch::go_argument::<0>(registers), thread);
        return;
    };
    let stack = depth(registers, top);
    if state.outer.active == 0 || stack >= state.outer.stack {
        // A call that is as deep or deeper was abandoned by a panic.
        state.inner.active = 0;
        state.handshake = 0;
        note(&mut state.outer, registers, stack, top);
        return;
    }
    if state.inner.active != 0 && stack < state.inner.stack {
        // A connection inside one inside another: its end would be mistaken.
        tls::give_up(state.inner.object, thread);
    }
    note(&mut state.inner, registers, stack, top);
}

#[inline(always)]
fn note(call: &mut Call, registers: *const pt_regs, stack: u64, top: u64) {
    // Two of a process lie apart by less than what is left out here: 32 GiB.
    let caller = (arch::goroutine(registers) >> 3) as u32;
    let buffer = arch::go_argument::<1>(registers);
    let is_on_stack = buffer >= arch::stack_pointer(registers) && buffer < top;
    let distance = if is_on_stack { top - buffer } else { 0 };
    call.begin(arch::go_argument::<0>(registers), buffer, distance, stack, caller);
    count_begin(call, kernel::thread_id());
}

#[inline(always)]
fn exit(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    if kernel::process_of(thread) == config!(own_tgid) {
        return;
    }
    counters::add(Counter::TlsExits, 1);
    tls::runs_goroutines(thread);
    let goroutine = arch::goroutine(registers);
    let Some(state) = find(goroutine, thread) else { return };
    let Some(top) = top_of_stack(goroutine) else { return };
    let is_inner = depth(registers, top) < state.outer.stack;
    if !is_inner {
        state.handshake = 0;
    }
    let call = if is_inner { &mut state.inner } else { &mut state.outer };
    if call.active == 0 {
        return;
    }
    call.active = 0;
    if call.count != 0 {
        // Where the stack is now.
        call.buffer = top.wrapping_sub(call.count);
    }
    let moved = arch::function_result(registers) as i64;
    // SAFETY: the context is the program's own.
    let cookie = unsafe { bpf_get_attach_cookie(registers.cast_mut().cast()) };
    tls::finish(call, thread, Cookie(cookie), moved);
    count_end(call, thread);
}

/// The connection of an object counts a call that begins.
#[inline(never)]
fn count_begin(call: &mut Call, thread: u64) {
    call.counted = 0;
    if let Some(connection) = tls::known(call.object, thread) {
        call.counted = connection.cookie;
        connection.call_begins();
    }
}

/// The same when it has ended: it may have been the last that a closed object waited for.
#[inline(never)]
fn count_end(call: &mut Call, thread: u64) {
    if let Some(connection) = tls::known(call.object, thread)
        && connection.cookie == call.counted
        && connection.call_ends()
    {
        tls::forget(call.object, thread);
    }
}

#[inline(always)]
fn close(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let object = arch::go_argument::<0>(registers);
    if let Some(connection) = tls::known(object, thread)
        && connection.closes()
    {
        tls::forget(object, thread);
    }
}

#[inline(always)]
fn begin(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    if kernel::process_of(thread) == config!(own_tgid) {
        return;
    }
    let object = arch::go_argument::<0>(registers);
    tls::forget(object, thread);
    // SAFETY: the context is the program's own.
    let cookie = Cookie(unsafe { bpf_get_attach_cookie(registers.cast_mut().cast()) });
    let Some(connection) = tls::connection_of(object, 0, thread, cookie.library()) else { return };
    connection.from_start = 1;
    let goroutine = arch::goroutine(registers);
    // A handshake inside a read or write: that call looks for the socket anew.
    if let Some(call) = call_in_progress(goroutine, thread) {
        call.looks_anew();
    }
    let found = match find(goroutine, thread) {
        Some(found) => Some(found),
        None => settle(goroutine, thread),
    };
    if let Some(state) = found {
        state.handshake = object;
        state.cached = 0;
    }
}

/// A certificate is taken only on the goroutine that does a handshake, and only from where one lies in
/// a Certificate message, or in a session ticket, which has the same form.
///
/// Tickets have the peer's certificate first and then the chains that it was verified by, whose
/// certificates lie in lists of their own. All of these pass the cache, so of what passes it only the
/// first counts; what it does not have it parses.
#[inline(always)]
fn parsed(registers: *const pt_regs) {
    let thread = kernel::thread_id();
    let Some(state) = find(arch::goroutine(registers), thread) else { return };
    if state.handshake == 0 {
        return;
    }
    // SAFETY: the context is the program's own.
    let cookie = unsafe { bpf_get_attach_cookie(registers.cast_mut().cast()) };
    let first = arch::go_argument::<0>(registers);
    let second = arch::go_argument::<1>(registers);
    let third = arch::go_argument::<2>(registers);
    let is_method = cookie & mop_common::cookie::METHOD != 0;
    let (at, length) = if is_method { (second, third) } else { (first, second) };
    let cached = state.cached;
    if is_method {
        state.cached = at;
    }
    if at == cached || (is_method && cached != 0) {
        return;
    }
    if certificate::is_of_peer(at, length) {
        // A cursor is in use only while a call is being emitted.
        state.inner.cursor.at_buffer(at, length);
        certificate::show(state.handshake, 0, thread, &mut state.inner.cursor);
    }
}

/// How deep in its stack a goroutine is, see [`Goroutine`].
#[inline(always)]
fn depth(registers: *const pt_regs, top: u64) -> u64 {
    !top.wrapping_sub(arch::stack_pointer(registers))
}

/// `runtime.g` begins with the bounds of its stack, lower one first; so in every version.
#[inline(always)]
fn top_of_stack(goroutine: u64) -> Option<u64> {
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(goroutine.wrapping_add(8) as *const u64) }.ok()
}
