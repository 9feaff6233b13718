//! The kernel structure offsets that the programs need.

use mop_common::Offsets;

use crate::{ProbeError, btf::Btf};

/// Finds every field in the type information of the running kernel.
///
/// # Errors
///
/// [`ProbeError::MissingField`] names the first field that is not there.
pub fn resolve_offsets(btf: &Btf) -> Result<Offsets, ProbeError> {
    let find = |field: &'static str| {
        let path: Vec<&str> = field.split('.').collect();
        btf.field_offset(&path).ok_or(ProbeError::MissingField { field })
    };
    Ok(Offsets {
        task_files: find("task_struct.files")?,
        task_group_leader: find("task_struct.group_leader")?,
        // Named real_start_time before 5.5.
        task_start_boottime: find("task_struct.start_boottime")?,
        files_fdt: find("files_struct.fdt")?,
        fdtable_max_fds: find("fdtable.max_fds")?,
        fdtable_fd: find("fdtable.fd")?,
        file_inode: find("file.f_inode")?,
        file_private_data: find("file.private_data")?,
        inode_mode: find("inode.i_mode")?,
        inode_number: find("inode.i_ino")?,
        inode_superblock: find("inode.i_sb")?,
        superblock_device: find("super_block.s_dev")?,
        socket_sk: find("socket.sk")?,
        sock_family: find("sock.__sk_common.skc_family")?,
        sock_remote_port: find("sock.__sk_common.skc_dport")?,
        sock_local_port: find("sock.__sk_common.skc_num")?,
        sock_remote_v4: find("sock.__sk_common.skc_daddr")?,
        sock_local_v4: find("sock.__sk_common.skc_rcv_saddr")?,
        sock_remote_v6: find("sock.__sk_common.skc_v6_daddr")?,
        sock_local_v6: find("sock.__sk_common.skc_v6_rcv_saddr")?,
        sock_protocol: find("sock.sk_protocol")?,
    })
}
