//! Memory that is shared with the kernel: that of BPF maps.
//!
//! Mapping needs the descriptor of a map and no right: so the reader of lanes and rings can be a
//! process that may not call `bpf()`.

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::AtomicU64,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Memory of a map from an offset on, mapped into this process.
pub(crate) struct SharedMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the value alone and is not bound to a thread.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// Maps `length` bytes from a page-aligned `offset` on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn map(
        map: &impl AsFd,
        length: usize,
        offset: u64,
        protection: ProtFlags,
    ) -> io::Result<Self> {
        let flags = MapFlags::SHARED;
        // SAFETY: a new shared mapping, at an address that the kernel chooses.
        let start = unsafe { mmap(ptr::null_mut(), length, protection, flags, map, offset) }?;
        NonNull::new(start.cast())
            .map(|start| Self { start, length })
            .ok_or_else(|| io::Error::other("mapped at address zero"))
    }

    /// The number at an offset; that at the start for an offset beyond the end.
    pub(crate) fn number(&self, offset: usize) -> &AtomicU64 {
        let is_inside = offset.checked_add(size_of::<u64>()).is_some_and(|end| end <= self.length);
        let offset = if is_inside && offset.is_multiple_of(8) { offset } else { 0 };
        // SAFETY: inside the mapping, which lives as long as `self` and is page-aligned, at a
        // multiple of the size; both sides use the number only atomically or with single loads
        // and stores of its full width.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// Bytes of a record. The kernel side does not write to them until the record is released.
    pub(crate) fn bytes(&self, offset: usize, length: usize) -> Option<&[u8]> {
        if offset.checked_add(length)? > self.length {
            return None;
        }
        // SAFETY: inside the mapping, which lives as long as `self`. Only the record itself is
        // read, which is committed: the kernel side writes to it no more. Bytes behind it, which a
        // producer may be writing, are in the slice but are never read.
        Some(unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) })
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: unmaps what `map` mapped, once.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
