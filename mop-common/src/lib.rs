//! The contract between the kernel programs and user space.
//!
//! Everything that crosses the lanes and the control ring, or is handed to the kernel at load time,
//! is declared here once, as `repr(C)` types of fixed size, and used by both sides. The crate is
//! `no_std` and has no dependency on the kernel side.
//!
//! Layout rule: every shared type is free of implicit padding, so that no uninitialised kernel
//! byte ever reaches user space. [`assert_no_padding`] checks it when the crate is compiled.
#![no_std]
#![forbid(unsafe_code)]

mod config;
mod control;
pub mod cookie;
mod counters;
pub mod lane;
pub mod limits;
mod segment;
pub mod sniff;

pub use config::{KernelConfig, Offsets};
pub use control::{ControlEvent, ControlKind, Layer, Protocol};
pub use counters::{COUNTER_NAMES, Counter, Counters};
pub use segment::{Direction, HoleCause, SegmentHead, flags};

/// Fails the build when the fields of a shared type do not add up to its size.
#[macro_export]
macro_rules! assert_no_padding {
    ($type:ty, $bytes:expr) => {
        const _: () = assert!(core::mem::size_of::<$type>() == $bytes, "implicit padding");
        const _: () = assert!(core::mem::size_of::<$type>() % 8 == 0, "not a multiple of 8");
    };
}
