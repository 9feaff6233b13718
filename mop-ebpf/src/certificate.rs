//! The certificate that the peer shows in a TLS handshake.
//!
//! From TLS 1.3 on it is encrypted on the wire, and no function hands it to the application unasked.
//! But the TLS library has it decoded, by `d2i_X509` of its own libcrypto, on the thread that is
//! inside `SSL_do_handshake` or a call that implies it: that gives the bytes, and [`crate::tls`] the
//! TLS object. A session that is taken up again has the certificate of its first handshake inside:
//! `d2i_SSL_SESSION` decodes it.
//!
//! Other certificates are decoded meanwhile too: those of an authority from a folder, one's own from
//! a file by name of the host. None of them is taken for the peer's, because what is taken must lie
//! where it lies in a Certificate message.

use aya_ebpf::{
    EbpfContext as _, bindings::pt_regs, helpers::bpf_probe_read_user, macros::uprobe,
    programs::ProbeContext,
};
use mop_common::limits;

use crate::{
    arch, emit, kernel,
    maps::config,
    tls::{self, Call},
};

/// At the entry of `d2i_X509(X509 **, const unsigned char **in, long length)`.
#[uprobe]
pub fn tls_certificate(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        decoded(&context);
    }
    0
}

/// At the entry of `d2i_SSL_SESSION(SSL_SESSION **, const unsigned char **in, long length)`.
#[uprobe]
pub fn tls_session(context: ProbeContext) -> u32 {
    if config!(probes_only) == 0 {
        resumed(&context);
    }
    0
}

#[inline(always)]
fn decoded(context: &ProbeContext) {
    let thread = kernel::thread_id();
    let Some(call) = call_around(context, thread) else { return };
    let Some((at, length)) = input(context) else { return };
    if is_of_peer(at, length) {
        call.cursor.at_buffer(at, length);
        show(call.object, call.socket, thread, &mut call.cursor);
    }
}

#[inline(always)]
fn resumed(context: &ProbeContext) {
    let thread = kernel::thread_id();
    let Some(call) = call_around(context, thread) else { return };
    let Some((at, length)) = input(context) else { return };
    if length > limits::MAX_SESSION_BYTES {
        return;
    }
    // The cursor carries place and rest: a uprobe has little stack.
    call.cursor.base = at;
    call.cursor.total_left = length;
    if find_in_session(&mut call.cursor) {
        let (at, length) = (call.cursor.base, call.cursor.left);
        call.cursor.at_buffer(at, length);
        show(call.object, call.socket, thread, &mut call.cursor);
    }
}

/// The TLS call that the running thread is in, when this function runs inside it.
#[inline(always)]
fn call_around(context: &ProbeContext, thread: u64) -> Option<&'static mut Call> {
    if kernel::process_of(thread) == config!(own_tgid) {
        return None;
    }
    let call = tls::call_in_progress(thread)?;
    let stack = arch::stack_pointer(context.as_ptr().cast::<pt_regs>());
    (stack < call.stack).then_some(call)
}

/// Where the bytes are, and how many.
#[inline(always)]
fn input(context: &ProbeContext) -> Option<(u64, u64)> {
    let pointer: u64 = context.arg(1)?;
    let length: u64 = context.arg(2)?;
    // SAFETY: the helper checks the address.
    let at = unsafe { bpf_probe_read_user(pointer as *const u64) }.ok()?;
    Some((at, length))
}

/// Whether a certificate at this address is the one that a peer showed.
#[inline(always)]
pub fn is_of_peer(at: u64, length: u64) -> bool {
    length >= limits::MIN_CERTIFICATE_BYTES
        && length <= limits::MAX_CERTIFICATE_BYTES
        && is_first_of_message(at, length)
}

/// Whether a certificate lies at the beginning of the list of a Certificate message (RFC 8446,
/// section 4.4.2; RFC 5246, section 7.4.2): behind the length of the list and its own, of three bytes
/// each. The first is the peer's own; those of its authorities follow.
#[inline(always)]
fn is_first_of_message(at: u64, length: u64) -> bool {
    // SAFETY: the helper checks the address.
    let Ok(before) = (unsafe { bpf_probe_read_user(at.wrapping_sub(8) as *const u64) }) else {
        return false;
    };
    let lengths = u64::from_be(before);
    let (own, list) = (lengths & 0xff_ffff, lengths >> 24 & 0xff_ffff);
    own == length && list >= own + 3 && list <= limits::MAX_CERTIFICATE_LIST_BYTES
}

/// Looks for field 3 of an `SSL_SESSION` in DER (`ssl/ssl_asn1.c` of OpenSSL): the peer's
/// certificate. Begins at the cursor's base; leaves base and length of the certificate.
#[inline(never)]
fn find_in_session(cursor: &mut emit::Cursor) -> bool {
    // Into the sequence.
    let Some((_, head, _)) = element(cursor.base) else { return false };
    cursor.base = cursor.base.wrapping_add(head);
    cursor.total_left = cursor.total_left.wrapping_sub(head);
    for _ in 0..limits::MAX_SESSION_FIELDS {
        let Some((tag, head, length)) = element(cursor.base) else { return false };
        if head + length > cursor.total_left {
            return false;
        }
        if tag == PEER {
            cursor.base = cursor.base.wrapping_add(head);
            cursor.left = length;
            return length >= limits::MIN_CERTIFICATE_BYTES
                && length <= limits::MAX_CERTIFICATE_BYTES;
        }
        cursor.base = cursor.base.wrapping_add(head + length);
        cursor.total_left -= head + length;
    }
    false
}

/// Tag, bytes of the head and of the content of the element at an address (X.690, section 8.1).
#[inline(always)]
fn element(at: u64) -> Option<(u64, u64, u64)> {
    // SAFETY: the helper checks the address.
    let begin = u64::from_be(unsafe { bpf_probe_read_user(at as *const u64) }.ok()?);
    let (tag, form) = (begin >> 56, begin >> 48 & 0xff);
    match form {
        0..=0x7f => Some((tag, 2, form)),
        0x81 => Some((tag, 3, begin >> 40 & 0xff)),
        0x82 => Some((tag, 4, begin >> 32 & 0xffff)),
        _ => None,
    }
}

/// Emits the certificate at the cursor for the connection of an object.
#[inline(always)]
pub fn show(object: u64, socket: u64, thread: u64, cursor: &mut emit::Cursor) {
    let found = tls::connection_of(object, socket, thread, UNKNOWN_LIBRARY);
    let Some(connection) = found else { return };
    cursor.connection = connection.cookie;
    emit::certificate(cursor, cursor.total_left);
}

/// `peer [3] EXPLICIT X509`.
const PEER: u64 = 0xa3;
/// The attachment is one to libcrypto, or may be: the TLS library says who it is later.
const UNKNOWN_LIBRARY: u64 = 0;
