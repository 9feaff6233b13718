//! Kernel programs of MOP.
//!
//! They turn what processes send and receive in plain text into *segments* with exact stream
//! positions. [`tls`], [`go`] and [`aead`] see it at the border of a TLS library, [`syscalls`] at the socket. All
//! keep a [`connection::Connection`] per stream pair and hand the bytes to [`emit`]; [`lifecycle`] says
//! when connections and processes begin and end.
//!
//! Rules that hold here: nothing in an observed process is ever changed; every early return that
//! loses bytes is counted; programs on uprobes can be preempted, so they use no per-CPU scratch
//! memory and keep every frame below 64 bytes of stack (from 6.13 on, the kernel moves larger
//! frames of such programs to per-CPU memory, which a preempting task would overwrite).
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the target offers no other way to an atomic addition")]

mod aead;
mod arch;
mod certificate;
mod cipher_text;
mod connection;
mod control;
mod counters;
mod emit;
mod go;
mod hello;
mod kernel;
mod lifecycle;
mod maps;
mod objects;
mod syscalls;
mod tls;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses any program that could get here.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
