//! Seccomp: keeps a process to system calls.
//!
//! The **core** has a list of what it may call; everything else fails with `ENOSYS`. A list of what
//! is forbidden would have to be grown with every kernel. `ENOSYS`, and not `EPERM`, because that is
//! what libraries are written for: a call that a kernel does not have. The C library, for one,
//! falls back from `clone3`, whose flags no filter can see, to `clone`, whose flags this one
//! restricts to threads.
//!
//! The **prober** does what its rights are for, so its list is of what it must never do: run a
//! program, trace, load a module, speak to a network. Of sockets it may open the one that lists
//! sockets, and of namespaces enter those of networks, in which it lists them.
//!
//! Nothing is killed for calling: a library that tries something new must cost a feature, not the
//! observation.

mod lists;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use self::lists::{ALLOWED, FORBIDDEN_TO_PROBER};

/// Keeps this process, which must have one thread, to what the core needs.
pub(super) fn keep_core() -> Result<(), seccompiler::Error> {
    let mut rules: Vec<(c_long, Vec<SeccompRule>)> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    rules.extend(restricted()?);
    install(rules, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)
}

/// Forbids this process what the prober never does.
pub(super) fn keep_prober() -> Result<(), seccompiler::Error> {
    let mut rules: Vec<(c_long, Vec<SeccompRule>)> =
        FORBIDDEN_TO_PROBER.iter().map(|&call| (call, Vec::new())).collect();
    rules.extend(restricted_for_prober()?);
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
        // Its own threads may give way, each by itself, and nothing else.
        (
            libc::SYS_sched_setscheduler,
            vec![rule(vec![equal(0, 0)?, equal(1, libc::SCHED_IDLE as u64)?])?],
        ),
        // Its own limits only.
        (libc::SYS_prlimit64, vec![rule(vec![equal(0, 0)?])?]),
    ])
}

/// Calls that the prober may make with some arguments only: it is refused those for which one of the
/// rules holds. It lists the sockets of every network namespace, and does nothing else there.
fn restricted_for_prober() -> Result<Vec<(c_long, Vec<SeccompRule>)>, seccompiler::Error> {
    Ok(vec![
        (
            libc::SYS_socket,
            vec![
                rule(vec![other(0, libc::AF_NETLINK as u64)?])?,
                rule(vec![other(2, libc::NETLINK_SOCK_DIAG as u64)?])?,
            ],
        ),
        (libc::SYS_setns, vec![rule(vec![other(1, libc::CLONE_NEWNET as u64)?])?]),
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

/// Any value but one; compared as by [`equal`].
fn other(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    let value = value & u64::from(u32::MAX);
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)?)
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
            libc::SYS_setns,
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
    fn the_prober_lists_sockets_and_opens_no_other() {
        use rustix::{
            io::Errno,
            net::{AddressFamily, SocketType, netlink, socket},
            thread::{LinkNameSpaceType, move_into_link_name_space},
        };

        std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).expect("always allowed");
            keep_prober().expect("accepted");
            let open = |family, protocol| socket(family, SocketType::DGRAM, protocol).map(drop);
            assert_eq!(open(AddressFamily::NETLINK, Some(netlink::SOCK_DIAG)), Ok(()));
            for (family, protocol) in [
                (AddressFamily::INET, None),
                (AddressFamily::UNIX, None),
                (AddressFamily::NETLINK, None),
                (AddressFamily::NETLINK, Some(netlink::NETFILTER)),
            ] {
                assert_eq!(open(family, protocol), Err(Errno::PERM), "{family:?} {protocol:?}");
            }
            let file = tempfile::tempfile().expect("a file");
            let enter = |kind| move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind);
            // No namespace, which the kernel itself finds out.
            assert_eq!(enter(Some(LinkNameSpaceType::Network)), Err(Errno::INVAL));
            assert_eq!(enter(Some(LinkNameSpaceType::Mount)), Err(Errno::PERM));
            assert_eq!(enter(None), Err(Errno::PERM));
        })
        .join()
        .expect("no panic");
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
