//! Counting, on the CPU's own set of counters.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

use mop_common::Counter;

use crate::maps::COUNTERS;

/// Adds to a counter and gives its value before.
///
/// Atomic although the set belongs to this CPU: a program on a uprobe can be preempted between
/// the load and the store.
#[inline(always)]
pub fn add(counter: Counter, amount: u64) -> u64 {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return 0 };
    let value = counters.cast::<u64>().wrapping_add(counter as usize);
    // SAFETY: the pointer comes from the map and the index is below `Counters::LEN`.
    unsafe { fetch_add(value, amount) }
}

/// Adds to a number in a map and gives its value before, in one instruction.
///
/// The target offers no `AtomicU64::fetch_add` (it claims no compare-and-swap), though the
/// instruction set has had the operation since 5.12.
///
/// # Safety
///
/// `value` is an aligned number in a map value.
#[inline(always)]
pub unsafe fn fetch_add(value: *mut u64, amount: u64) -> u64 {
    // SAFETY: by the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(value, amount) }
}

/// Puts a value where there is zero; false when there is something else.
///
/// # Safety
///
/// `place` is an aligned number in a map value.
#[inline(always)]
pub unsafe fn replace_zero(place: *mut u64, value: u64) -> bool {
    // SAFETY: by the caller's promise.
    let (_, is_replaced) = unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(place, 0, value)
    };
    is_replaced
}
