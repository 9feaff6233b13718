//! What the core must not be able to do, tried: nothing proves a cage like rattling at it.
//!
//! Each attempt is without an effect where it succeeds. Refused is what fails for the want of a
//! right; any other error means that the kernel was willing.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{net::UnixDatagram, process::CommandExt as _},
    process::Command,
};

use rustix::{
    mount::MountFlags,
    net::{AddressFamily, SocketType, ipproto},
    process::Uid,
};
use serde::{Deserialize, Serialize};

/// What was tried, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    /// What the kernel said; `None` when it was willing.
    pub(crate) refused: Option<String>,
}

/// Tries everything.
pub(super) fn try_all() -> Vec<Attempt> {
    ATTEMPTS
        .iter()
        .map(|(name, attempt)| Attempt {
            name: (*name).to_owned(),
            refused: attempt().err().filter(is_refusal).map(|error| error.to_string()),
        })
        .collect()
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(libc::ENOSYS)
}

type Try = fn() -> io::Result<()>;

const ATTEMPTS: [(&str, Try); 18] = [
    ("read_password_hashes", || fs::File::open("/etc/shadow").map(drop)),
    ("list_home_of_root", || fs::read_dir("/root").map(drop)),
    ("list_tracefs", || fs::read_dir("/sys/kernel/tracing").map(drop)),
    ("write_elsewhere", write_elsewhere),
    ("read_memory_of_prober", || fs::File::open(of_parent("mem")?).map(drop)),
    ("read_environment_of_prober", || fs::read(of_parent("environ")?).map(drop)),
    ("signal_prober", || Ok(rustix::process::test_kill_process(parent()?)?)),
    ("run_program", || Command::new("/bin/true").status().map(drop)),
    ("become_program", || Err(Command::new("/no/such/program").exec())),
    ("become_root", become_root),
    ("make_bpf_map", mop_probe::attempt::make_map),
    ("open_event_of_all", mop_probe::attempt::open_event_of_all),
    ("map_writable_code", mop_probe::attempt::map_writable_code),
    ("mount", mount),
    ("raw_socket", || {
        rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
        Ok(())
    }),
    ("socket_of_daemons", || UnixDatagram::unbound().map(drop)),
    ("connect_elsewhere", || TcpStream::connect((Ipv4Addr::LOCALHOST, DISCARD_PORT)).map(drop)),
    ("listen_elsewhere", || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
];

fn write_elsewhere() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("mop-attempt-{}", std::process::id()));
    fs::write(&path, "")?;
    fs::remove_file(path)
}

fn mount() -> io::Result<()> {
    let nowhere = "/no/such/folder";
    Ok(rustix::mount::mount("none", nowhere, "tmpfs", MountFlags::empty(), None)?)
}

fn become_root() -> io::Result<()> {
    let root = Some(Uid::ROOT);
    Ok(rustix::thread::set_thread_res_uid(root, root, root)?)
}

fn parent() -> io::Result<rustix::process::Pid> {
    rustix::process::getppid().ok_or_else(|| io::Error::other("there is no parent"))
}

fn of_parent(file: &str) -> io::Result<String> {
    Ok(format!("/proc/{}/{file}", parent()?.as_raw_nonzero()))
}

/// Nobody listens there (RFC 863), and if somebody does, nothing is sent.
const DISCARD_PORT: u16 = 9;
