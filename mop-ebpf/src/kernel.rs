//! Reads from kernel structures at the offsets of the running kernel.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel},
    programs::BtfTracePointContext,
};

use crate::maps::{CodeFile, config};

/// Reads a value from kernel memory; `None` when the address is not readable.
#[inline(always)]
pub fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails on one that is not mapped.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// The running thread: its id in the low half, its process in the high half.
#[inline(always)]
pub fn thread_id() -> u64 {
    bpf_get_current_pid_tgid()
}

/// The process of a [`thread_id`].
#[inline(always)]
pub const fn process_of(thread: u64) -> u32 {
    (thread >> 32) as u32
}

/// `CLOCK_BOOTTIME` at which the running process started.
#[inline(always)]
pub fn process_start() -> u64 {
    // SAFETY: a helper without preconditions.
    let task = unsafe { bpf_get_current_task() };
    let Some(leader) = read::<u64>(task + u64::from(config!(offsets.task_group_leader))) else {
        return 0;
    };
    read(leader + u64::from(config!(offsets.task_start_boottime))).unwrap_or(0)
}

/// The kernel's TCP `struct sock` under a descriptor of the running process, by address.
///
/// `None` when the descriptor is not open, not a socket, or not TCP over IPv4 or IPv6.
#[inline(always)]
pub fn tcp_socket_of(descriptor: u64) -> Option<u64> {
    let socket = socket_of(descriptor)?;
    let family = read::<u16>(socket + u64::from(config!(offsets.sock_family)))?;
    let protocol = read::<u16>(socket + u64::from(config!(offsets.sock_protocol)))?;
    ((family == AF_INET || family == AF_INET6) && protocol == IPPROTO_TCP).then_some(socket)
}

/// As [`tcp_socket_of`], for any kind of socket.
#[inline(always)]
pub fn socket_of(descriptor: u64) -> Option<u64> {
    let file = file_of(descriptor)?;
    let inode = read::<u64>(file + u64::from(config!(offsets.file_inode)))?;
    let mode = read::<u16>(inode + u64::from(config!(offsets.inode_mode)))?;
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    let socket = read::<u64>(file + u64::from(config!(offsets.file_private_data)))?;
    let sock = read::<u64>(socket + u64::from(config!(offsets.socket_sk)))?;
    (sock != 0).then_some(sock)
}

/// The file behind a descriptor of the running process.
#[inline(always)]
pub fn code_file_of(descriptor: u64) -> Option<CodeFile> {
    let file = file_of(descriptor)?;
    let inode = read::<u64>(file + u64::from(config!(offsets.file_inode)))?;
    let superblock = read::<u64>(inode + u64::from(config!(offsets.inode_superblock)))?;
    Some(CodeFile {
        inode: read(inode + u64::from(config!(offsets.inode_number)))?,
        device: u64::from(read::<u32>(superblock + u64::from(config!(offsets.superblock_device)))?),
    })
}

/// Address of the kernel's `struct file` under a descriptor of the running process.
#[inline(always)]
fn file_of(descriptor: u64) -> Option<u64> {
    // A descriptor is an `int`: the upper half of the register is not part of it.
    let descriptor = descriptor & 0xffff_ffff;
    // SAFETY: a helper without preconditions.
    let task = unsafe { bpf_get_current_task() };
    let files = read::<u64>(task + u64::from(config!(offsets.task_files)))?;
    let table = read::<u64>(files + u64::from(config!(offsets.files_fdt)))?;
    let limit = read::<u32>(table + u64::from(config!(offsets.fdtable_max_fds)))?;
    if descriptor >= u64::from(limit) {
        return None;
    }
    let array = read::<u64>(table + u64::from(config!(offsets.fdtable_fd)))?;
    let file = read::<u64>(array + descriptor * 8)?;
    (file != 0).then_some(file)
}

/// Argument `n` of a typed tracepoint, as a number.
#[inline(always)]
pub fn argument(context: &BtfTracePointContext, n: usize) -> u64 {
    context.arg(n)
}

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
const S_IFMT: u16 = 0xf000;
const S_IFSOCK: u16 = 0xc000;
