//! The scheduling policy of a thread, which rustix does not set.

use std::io;

/// Has this thread, and those that it starts, run as `SCHED_IDLE`: the kernel takes a processor that runs
/// nothing else for an idle one. Against threads of other CPU groups the weight of the own group counts as
/// before; within its group it has less weight than the highest `nice` value gives. Needs no right. See
/// `sched(7)`.
///
/// # Errors
///
/// When the kernel refuses.
pub fn run_when_idle() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a whole structure that outlives the call, which only reads it.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_that_gives_way_says_so() {
        // SAFETY: no memory is involved.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let inside = std::thread::spawn(move || super::run_when_idle().map(|()| policy()));
        assert!(matches!(inside.join(), Ok(Ok(libc::SCHED_IDLE))));
        assert_ne!(policy(), libc::SCHED_IDLE);
    }
}
