//! Finds the connection of a TLS object.
//!
//! A connection lies in the slot that follows from its key, which costs a fraction of a look-up in a
//! hash table. One whose slot is taken goes to the overflow table.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use mop_common::{Counter, limits};

use crate::{
    connection::{Connection, EMPTY},
    counters,
    maps::{OVERFLOW_TLS, TLS},
};

/// A TLS object of a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TlsKey {
    /// Address of the TLS object in the process.
    pub object: u64,
    /// Process.
    pub tgid: u64,
}

/// A slot for one connection.
///
/// Invariants: the key is not zero only while `taken` is 1; once `overflowed` is 1, connections of
/// this slot may also be in the overflow table.
#[repr(C)]
pub struct TlsSlot {
    key: TlsKey,
    taken: u64,
    overflowed: u64,
    connection: Connection,
}

/// The connection of an object, when there is one.
#[inline(always)]
pub fn find(key: &TlsKey) -> Option<&'static mut Connection> {
    let slot = slot_of(key)?;
    if slot.key.object == key.object && slot.key.tgid == key.tgid {
        return Some(&mut slot.connection);
    }
    if slot.overflowed == 0 {
        return None;
    }
    overflow_of(key)
}

/// A place for the connection of an object that has none, zeroed.
#[inline(never)]
pub fn settle(key: &TlsKey) -> Option<&'static mut Connection> {
    let slot = slot_of(key)?;
    // SAFETY: an aligned number in a map value.
    if slot.is_stale() || unsafe { counters::replace_zero(&raw mut slot.taken, 1) } {
        slot.connection.clear();
        slot.key.tgid = key.tgid;
        slot.key.object = key.object;
        return Some(&mut slot.connection);
    }
    slot.overflowed = 1;
    let _ = OVERFLOW_TLS.insert(key, &EMPTY, 0);
    let connection = overflow_of(key);
    if connection.is_none() {
        counters::add(Counter::ConnectionsFull, 1);
    }
    connection
}

/// Ends the connection of an object.
#[inline(always)]
pub fn forget(key: &TlsKey) {
    let Some(connection) = find(key) else { return };
    connection.close();
    let Some(slot) = slot_of(key) else { return };
    if slot.key.object == key.object && slot.key.tgid == key.tgid {
        // The key first: who takes the slot next must not be mistaken for this one.
        slot.key.object = 0;
        slot.key.tgid = 0;
        slot.taken = 0;
    } else {
        let _ = OVERFLOW_TLS.remove(key);
    }
}

impl TlsSlot {
    /// True when the connection in the slot was silent for so long that it is given up. It is
    /// closed then, and its slot is still taken.
    #[inline(always)]
    fn is_stale(&mut self) -> bool {
        // SAFETY: a helper without preconditions.
        let now = unsafe { bpf_ktime_get_ns() };
        let last = self.connection.last_ns;
        if self.taken == 0 || last == 0 || now.wrapping_sub(last) < limits::TLS_SLOT_IDLE_NS {
            return false;
        }
        self.connection.close();
        true
    }
}

#[inline(always)]
fn slot_of(key: &TlsKey) -> Option<&'static mut TlsSlot> {
    // Objects lie some kilobytes apart and at multiples of 16; the multiplication by 2^64 divided
    // by the golden ratio spreads all that over the upper bits.
    let mixed = (key.object ^ key.tgid << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = TLS.get_ptr_mut((mixed >> 40) as u32 & (limits::TLS_SLOTS - 1))?;
    // SAFETY: the pointer comes from the map. Calls on one TLS object do not overlap: the library
    // does not allow it.
    Some(unsafe { &mut *slot })
}

#[inline(never)]
fn overflow_of(key: &TlsKey) -> Option<&'static mut Connection> {
    let connection = OVERFLOW_TLS.get_ptr_mut(key)?;
    // SAFETY: as in `slot_of`.
    Some(unsafe { &mut *connection })
}
