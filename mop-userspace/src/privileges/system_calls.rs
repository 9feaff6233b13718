//! Seccomp: keeps a process to system calls.
//!
//! The **core** has a list of what it may call; everything else fails with `ENOSYS`. A list of what
//! is forbidden would have to be grown with every kernel. `ENOSYS`, and not `EPERM`, because that is
//! what libraries are written for: a call that a kernel does not have. The C library, for one,
//! falls back from `clone3`, whose flags no filter can see, to `clone`, whose flags this one
//! restricts to threads.
//!
//! The **prober** does what its rights are for, so its list is of what it must never do: run a
//! program, trace, load a module, speak to a network.
//!
//! Nothing is killed for calling: a library that tries something new must cost a feature, not the
//! observation.

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Keeps this process, which must have one thread, to what the core needs.
pub(super) fn keep_core() -> Result<(), seccompiler::Error> {
    let mut rules: Vec<(c_long, Vec<SeccompRule>)> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    rules.extend(restricted()?);
    install(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)
}

/// Forbids this process what the prober never does.
pub(super) fn keep_prober() -> Result<(), seccompiler::Error> {
    let rules = FORBIDDEN_TO_PROBER.iter().map(|&call| (call, Vec::new())).collect();
    install(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))
}

fn install(
    rules: Vec<(c_long, Vec<SeccompRule>)>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), seccompiler::Error> {
    let rules = rules.into_iter().collect();
    let filter = SeccompFilter::new(rules, otherwise, matched, TargetArch::x86_64)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)
}

/// Calls that are allowed with some arguments only: one of the rules must hold.
fn restricted() -> Result<Vec<(c_long, Vec<SeccompRule>)>, seccompiler::Error> {
    let own = u64::from(std::process::id());
    let thread = libc::CLONE_THREAD as u64;
    let write_and_run = |bit: i32| masked(2, bit as u64, 0);
    let family = |family: i32| equal(0, family as u64);
    let each = |values: &[u64], argument: u8| -> Result<Vec<SeccompRule>, seccompiler::Error> {
        values.iter().map(|&value| rule(vec![equal(argument, value)?])).collect()
    };
    Ok(vec![
        // Threads of this process, no new one.
        (libc::SYS_clone, vec![rule(vec![masked(0, thread, thread)?])?]),
        // Its own threads only: to abort.
        (libc::SYS_tgkill, vec![rule(vec![equal(0, own)?])?]),
        // Memory is written or run, never both, and what was written is never made to run.
        (
            libc::SYS_mmap,
            vec![
                rule(vec![write_and_run(libc::PROT_WRITE)?])?,
                rule(vec![write_and_run(libc::PROT_EXEC)?])?,
            ],
        ),
        (libc::SYS_mprotect, vec![rule(vec![write_and_run(libc::PROT_EXEC)?])?]),
        // IP, and of netlink what name resolution asks about addresses and routes. No Unix sockets
        // of others: behind them are daemons with rights.
        (
            libc::SYS_socket,
            vec![
                rule(vec![family(libc::AF_INET)?])?,
                rule(vec![family(libc::AF_INET6)?])?,
                rule(vec![family(libc::AF_NETLINK)?, equal(2, libc::NETLINK_ROUTE as u64)?])?,
            ],
        ),
        (libc::SYS_socketpair, vec![rule(vec![family(libc::AF_UNIX)?])?]),
        (libc::SYS_prctl, each(&PRCTL, 0)?),
        (libc::SYS_ioctl, each(&IOCTL, 1)?),
        // Its own limits only.
        (libc::SYS_prlimit64, vec![rule(vec![equal(0, 0)?])?]),
    ])
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(conditions)?)
}

/// The lower half of an argument is a value. All that is compared here is of type `int`, of which
/// the kernel looks at no more.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    let value = value & u64::from(u32::MAX);
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?)
}

/// Some bits of an argument are those of a value.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    let compare = SeccompCmpOp::MaskedEq(mask);
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Qword, compare, value)?)
}

/// Names of threads and of memory, and what the program was started with; nothing that changes a
/// right.
const PRCTL: [u64; 4] =
    [libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, libc::PR_SET_VMA as u64, PR_GET_AUXV];

/// Of include/uapi/linux/prctl.h.
const PR_GET_AUXV: u64 = 0x4155_5856;

/// Modes of descriptors, and what a terminal is like; nothing that types into one.
const IOCTL: [u64; 6] =
    [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::FIONCLEX, libc::TCGETS, libc::TIOCGWINSZ];

/// What a threaded program does that reads and writes files and speaks TCP and UDP.
const ALLOWED: &[c_long] = &[
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_munlock,
    libc::SYS_munmap,
    // threads and their waits
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // signals of its own
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // time
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_time,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_times,
    // descriptors
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup2,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_pipe,
    libc::SYS_pipe2,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_select,
    libc::SYS_signalfd4,
    // files
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_copy_file_range,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_open,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readlink,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_rmdir,
    libc::SYS_sendfile,
    libc::SYS_stat,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
    // sockets that are there
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    // facts about itself and the machine
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpgrp,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

const FORBIDDEN_TO_PROBER: &[c_long] = &[
    // programs
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fork,
    libc::SYS_vfork,
    // memory and descriptors of other processes
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_userfaultfd,
    // the kernel and the machine
    libc::SYS_acct,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    // namespaces, roots and keys
    libc::SYS_add_key,
    libc::SYS_chroot,
    libc::SYS_keyctl,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // networks: the pair that it speaks to the core over is there already
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_socket,
    // a queue of calls that no filter sees
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_call_is_listed_twice() {
        let restricted = restricted().expect("well-formed");
        let allowed: Vec<c_long> =
            ALLOWED.iter().copied().chain(restricted.iter().map(|(call, _)| *call)).collect();
        for list in [allowed.as_slice(), FORBIDDEN_TO_PROBER] {
            assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len());
        }
    }

    #[test]
    fn nothing_that_gives_rights_is_on_the_list_of_the_core() {
        let restricted = restricted().expect("well-formed");
        for call in FORBIDDEN_TO_PROBER.iter().chain(&[
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_mount,
            libc::SYS_setuid,
            libc::SYS_setresuid,
            libc::SYS_setgroups,
            libc::SYS_capset,
            libc::SYS_clone3,
            libc::SYS_kill,
            libc::SYS_memfd_create,
            libc::SYS_personality,
        ]) {
            // Sockets are what the prober is kept from and the core is for.
            let is_of_sockets = [
                libc::SYS_accept,
                libc::SYS_accept4,
                libc::SYS_bind,
                libc::SYS_connect,
                libc::SYS_listen,
                libc::SYS_socket,
            ]
            .contains(call);
            assert!(is_of_sockets || !ALLOWED.contains(call), "{call}");
            assert!(is_of_sockets || restricted.iter().all(|(other, _)| other != call), "{call}");
        }
    }

    #[test]
    fn a_core_still_resolves_names_and_speaks_to_servers() {
        use std::io::{Read as _, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut request = [0; 4096];
            let _ = client.read(&mut request);
            client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").expect("sent");
        });
        let answer = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).expect("always allowed");
            keep_core().expect("accepted");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let url = format!("http://localhost:{}/", address.port());
                // Made with the roots of the system, as for TLS.
                let client = reqwest::Client::builder().no_proxy().build().expect("a client");
                client.get(url).send().await.expect("sent").text().await.expect("an answer")
            })
        })
        .join()
        .expect("no panic");
        server.join().expect("no panic");
        assert_eq!(answer, "ok");
    }

    #[test]
    fn the_filters_are_accepted_by_the_kernel_and_hold() {
        let outcome = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("always allowed");
            keep_prober().expect("accepted");
            let prober = rustix::net::socket(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                None,
            );
            keep_core().expect("accepted");
            let thread = std::thread::Builder::new().spawn(|| 7).map(|thread| thread.join().ok());
            let program = std::process::Command::new("/bin/true").status();
            (prober.is_err(), thread.ok().flatten(), program.is_err())
        })
        .join()
        .expect("no panic");
        assert_eq!(outcome, (true, Some(7), true));
    }
}
