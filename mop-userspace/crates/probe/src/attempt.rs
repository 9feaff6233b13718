//! Tries of what only rights allow, each without an effect, for whoever wants to know that a process
//! has none.

use std::{io, ptr};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Makes a BPF map, and closes it.
///
/// # Errors
///
/// What the kernel says.
pub fn make_map() -> io::Result<()> {
    // `struct { map_type, key_size, value_size, max_entries, … }` of `union bpf_attr`: an array of
    // one number.
    let mut attributes = [0u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
    // SAFETY: BPF_MAP_CREATE (0) reads so many bytes of attributes, which live through the call,
    // and writes none.
    let descriptor =
        unsafe { libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes)) };
    close(descriptor)
}

/// Opens an event that counts over all processes of a CPU, and closes it.
///
/// # Errors
///
/// What the kernel says.
pub fn open_event_of_all() -> io::Result<()> {
    // `struct perf_event_attr` as it was first: type software (1), size 64, event dummy (9).
    let mut attributes = [0u32; 16];
    attributes[..4].copy_from_slice(&[1, 64, 9, 0]);
    // SAFETY: reads as many bytes of attributes as their size field says, which live through the
    // call, and writes none.
    let descriptor = unsafe {
        libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), -1, 0, -1, CLOSE_ON_EXEC)
    };
    close(descriptor)
}

/// Maps memory that can be written and run, and unmaps it.
///
/// # Errors
///
/// What the kernel says.
pub fn map_writable_code() -> io::Result<()> {
    let protection = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
    // SAFETY: new memory at an address that the kernel chooses; nobody else knows it, and it is
    // given back at once.
    unsafe {
        let start = mmap_anonymous(ptr::null_mut(), PAGE_BYTES, protection, MapFlags::PRIVATE)?;
        munmap(start, PAGE_BYTES)?;
    }
    Ok(())
}

/// Takes the descriptor that a system call gave, or its error.
fn close(descriptor: libc::c_long) -> io::Result<()> {
    use std::os::fd::{FromRawFd as _, OwnedFd};
    match i32::try_from(descriptor) {
        Ok(descriptor) if descriptor >= 0 => {
            // SAFETY: the kernel just made it, and nobody else has it.
            drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
            Ok(())
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_long = 1 << 3;
const PAGE_BYTES: usize = 4096;
