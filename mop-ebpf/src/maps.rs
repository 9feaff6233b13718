//! Maps and the read-only configuration.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use mop_common::{
    Counters, KernelConfig,
    lane::{self, LaneState},
    limits,
};

use crate::{
    connection::Connection,
    emit::Cursor,
    go::{Goroutine, GoroutineKey},
    objects::{TlsKey, TlsSlot},
    tls::Thread,
};

/// Filled in by user space before the programs are loaded.
#[unsafe(no_mangle)]
static CONFIG: KernelConfig = KernelConfig {
    offsets: mop_common::Offsets {
        task_files: 0,
        task_group_leader: 0,
        task_start_boottime: 0,
        files_fdt: 0,
        fdtable_max_fds: 0,
        fdtable_fd: 0,
        file_inode: 0,
        file_private_data: 0,
        inode_mode: 0,
        inode_number: 0,
        inode_superblock: 0,
        superblock_device: 0,
        socket_sk: 0,
        sock_family: 0,
        sock_remote_port: 0,
        sock_local_port: 0,
        sock_remote_v4: 0,
        sock_local_v4: 0,
        sock_remote_v6: 0,
        sock_local_v6: 0,
        sock_protocol: 0,
    },
    own_tgid: 0,
    lanes: 1,
    elements: 1,
    capacity: 0,
    wake_at_bytes: 0,
    has_loop: 0,
    probes_only: 0,
};

/// Reads one field of the configuration; the verifier knows the value as a constant.
macro_rules! config {
    ($($field:ident).+) => {{
        // SAFETY: a read of an initialised static; volatile, because user space patches it after
        // the compiler has seen its initial value.
        unsafe { core::ptr::read_volatile(&raw const crate::maps::config_table().$($field).+) }
    }};
}
pub(crate) use config;

/// The table behind [`config!`].
#[inline(always)]
pub fn config_table() -> &'static KernelConfig {
    &CONFIG
}

/// Elements of all lanes, one lane after the other; user space has them mapped and sets their
/// number.
#[map]
pub static LANES: Array<Element> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Where the lanes stand.
#[map]
pub static LANE_STATES: Array<LaneState> =
    Array::with_max_entries(limits::MAX_LANES, BPF_F_MMAPABLE);

/// Memory of one element of a lane.
#[repr(C, align(8))]
pub struct Element(pub [u8; lane::ELEMENT_STRIDE]);

/// Control events.
#[map]
pub static CONTROL: RingBuf = RingBuf::with_byte_size(CONTROL_RING_BYTES, 0);

/// Room for about 7,000 events: what 10,000 new connections a second make in half a second.
const CONTROL_RING_BYTES: u32 = 1 << 20;

/// Counters of each CPU.
#[map]
pub static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// The cursor of a system call that returns. Per CPU: tracepoints run with preemption off. In a map
/// and not on the stack, because the verifier follows every value on a stack through every round
/// of a loop.
#[map]
pub static CURSOR: PerCpuArray<Cursor> = PerCpuArray::with_max_entries(1, 0);

/// Threads that ever were inside a TLS call, each in the slot that follows from its id.
#[map]
pub static THREADS: Array<Thread> = Array::with_max_entries(limits::THREAD_SLOTS, 0);

/// Threads that found their slot taken, by pid and tgid.
#[map]
pub static OVERFLOW_THREADS: HashMap<u64, Thread> =
    HashMap::with_max_entries(limits::MAX_OVERFLOW_THREADS, 0);

/// Goroutines that ever were inside a TLS call, until their process ends.
#[map]
pub static GOROUTINES: HashMap<GoroutineKey, Goroutine> =
    HashMap::with_max_entries(limits::MAX_GOROUTINES, 0);

/// Processes that have goroutines there.
#[map]
pub static GO_PROCESSES: LruHashMap<u32, u8> =
    LruHashMap::with_max_entries(limits::MAX_GO_PROCESSES, 0);

/// TLS connections, each in the slot that follows from its process and object.
#[map]
pub static TLS: Array<TlsSlot> = Array::with_max_entries(limits::TLS_SLOTS, 0);

/// TLS connections that found their slot taken.
#[map]
pub static OVERFLOW_TLS: LruHashMap<TlsKey, Connection> =
    LruHashMap::with_max_entries(limits::MAX_OVERFLOW_TLS_CONNECTIONS, 0);

/// Keys of records by program and address: the socket of the connection that each is of, or 0.
#[map]
pub static AEAD_KEYS: LruHashMap<TlsKey, u64> =
    LruHashMap::with_max_entries(limits::MAX_AEAD_KEYS, 0);

/// 1 once a program is observed by its keys. User space sets it.
#[map]
pub static AEAD_PROGRAMS: Array<u32> = Array::with_max_entries(1, 0);

/// TCP sockets by address of the kernel's `struct sock`, removed when it is destroyed. The key
/// is the socket, not the descriptor, so that `dup`, `fork` and reuse of descriptors do not matter.
#[map]
pub static SOCKETS: LruHashMap<u64, Connection> =
    LruHashMap::with_max_entries(limits::MAX_SOCKETS, 0);

/// Files that were seen mapped as code; user space takes one out when it could not look into it.
#[map]
pub static CODE_FILES: LruHashMap<CodeFile, u8> =
    LruHashMap::with_max_entries(limits::MAX_CODE_FILES, 0);

/// Key of [`CODE_FILES`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CodeFile {
    /// Number of the inode.
    pub inode: u64,
    /// Device as the kernel numbers it.
    pub device: u64,
}
