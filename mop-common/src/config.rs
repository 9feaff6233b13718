//! What user space tells the kernel programs when it loads them.

use crate::assert_no_padding;

/// Byte offsets of kernel structure fields, read from the running kernel's BTF at start-up.
///
/// Rust emits no CO-RE relocations, so the offsets are data: a constant table the verifier sees as
/// read-only.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `task_struct.files`
    pub task_files: u32,
    /// `task_struct.group_leader`
    pub task_group_leader: u32,
    /// `task_struct.start_boottime`
    pub task_start_boottime: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.max_fds`
    pub fdtable_max_fds: u32,
    /// `fdtable.fd`
    pub fdtable_fd: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `file.private_data`
    pub file_private_data: u32,
    /// `inode.i_mode`
    pub inode_mode: u32,
    /// `inode.i_ino`
    pub inode_number: u32,
    /// `inode.i_sb`
    pub inode_superblock: u32,
    /// `super_block.s_dev`
    pub superblock_device: u32,
    /// `socket.sk`
    pub socket_sk: u32,
    /// `sock.__sk_common.skc_family`
    pub sock_family: u32,
    /// `sock.__sk_common.skc_dport`
    pub sock_remote_port: u32,
    /// `sock.__sk_common.skc_num`
    pub sock_local_port: u32,
    /// `sock.__sk_common.skc_daddr`
    pub sock_remote_v4: u32,
    /// `sock.__sk_common.skc_rcv_saddr`
    pub sock_local_v4: u32,
    /// `sock.__sk_common.skc_v6_daddr`
    pub sock_remote_v6: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`
    pub sock_local_v6: u32,
    /// `sock.sk_protocol`
    pub sock_protocol: u32,
}

/// The read-only configuration of the kernel programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelConfig {
    /// Where fields are in this kernel.
    pub offsets: Offsets,
    /// The observer's own process: never observed.
    pub own_tgid: u32,
    /// Lanes in use, at least 1; CPU n writes to lane `n % lanes`.
    pub lanes: u32,
    /// Elements of a lane, a power of two.
    pub elements: u32,
    /// Bytes that may stand unread in a lane.
    pub capacity: u64,
    /// A lane that comes to hold more unread bytes than this wakes its reader.
    pub wake_at_bytes: u64,
    /// 1 when the kernel has `bpf_loop` (5.17): calls of any length are then captured whole.
    pub has_loop: u32,
    /// 1: programs return at once. It gives the floor that the benchmark compares with.
    pub probes_only: u32,
}

assert_no_padding!(KernelConfig, 21 * 4 + 4 + 4 + 4 + 8 + 8 + 4 + 4);
