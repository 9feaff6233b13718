//! Landlock: keeps this process to the files and TCP ports that it needs.
//!
//! Rules name folders, and of files their folder: what is replaced by a new file of the same name,
//! as certificates and mounted secrets are, stays readable.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::Needs;

/// What the kernel took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The version of its interface; zero when it has none.
    pub(super) abi: i32,
}

impl Kept {
    /// True when it keeps to files.
    pub(super) fn to_files(self) -> bool {
        self.abi >= ABI::V1 as i32
    }

    /// True when it keeps to ports.
    pub(super) fn to_ports(self) -> bool {
        self.abi >= ABI::V4 as i32
    }

    /// True when it keeps signals inside.
    pub(super) fn to_own_signals(self) -> bool {
        self.abi >= ABI::V6 as i32
    }
}

/// Restricts this thread, and every one that it starts, as far as the kernel can.
pub(super) fn keep_to(needs: &Needs) -> Result<Kept, RulesetError> {
    let Needs { writable, readable, socket: _, connect, bind } = needs;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    for (ports, access) in [(connect, AccessNet::ConnectTcp), (bind, AccessNet::BindTcp)] {
        if ports.is_some() {
            ruleset = ruleset.handle_access(access)?;
        }
    }
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let system = if rustix::process::getuid().is_root() { SYSTEM_OF_ROOT } else { SYSTEM };
    let folders: Vec<PathBuf> = readable.iter().map(|path| folder_of(path)).collect();
    let mut ruleset = ruleset
        .create()?
        .add_rules(path_beneath_rules(system.iter().chain(SYSTEM_OF_ALL), read))?
        .add_rules(path_beneath_rules(folders, read))?
        .add_rules(path_beneath_rules(writable, read | write()))?;
    // Answers of name servers that do not fit a datagram come by TCP (RFC 7766).
    let names = connect.iter().flatten().next().map(|_any| NAME_SERVER_PORT);
    let connect = connect.iter().flatten().chain(&names);
    for (ports, access) in [
        (connect.collect::<Vec<_>>(), AccessNet::ConnectTcp),
        (bind.iter().flatten().collect(), AccessNet::BindTcp),
    ] {
        for &port in ports {
            ruleset = ruleset.add_rule(NetPort::new(port, access))?;
        }
    }
    let status = ruleset.restrict_self()?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. }
            if status.ruleset != RulesetStatus::NotEnforced =>
        {
            effective_abi as i32
        }
        _ => 0,
    };
    Ok(Kept { abi })
}

/// What writing records takes; no devices, no links, no sockets, nothing to run.
fn write() -> BitFlags<AccessFs> {
    AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// A folder itself; of a file, the folder that it is in.
fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The interface that this is written for and was tried on. Newer ones offer more, which the
/// library then leaves alone.
const NEWEST: ABI = ABI::V6;

const NAME_SERVER_PORT: u16 = 53;

/// What any core reads: the facts of processes, the libraries that name resolution loads, the time
/// zone, the number of processors.
const SYSTEM_OF_ALL: &[&str] = &[
    "/proc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/usr/local/share/ca-certificates",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
];

/// A user without rights may read all of it: what is secret there is root's alone, and what
/// resolves names is replaced while the core runs.
const SYSTEM: &[&str] = &["/etc"];

/// Root could read what is secret there, so the core that stays root is told file by file. When one
/// of them is replaced, it keeps the old one.
const SYSTEM_OF_ROOT: &[&str] = &[
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_file_its_folder_is_kept_readable() {
        assert_eq!(folder_of(Path::new("/no/such/file")), Path::new("/no/such"));
        assert_eq!(folder_of(Path::new("file-of-nowhere")), Path::new("."));
        assert_eq!(folder_of(Path::new("/proc")), Path::new("/proc"));
    }

    #[test]
    fn nothing_that_is_written_can_be_run() {
        assert!(!write().contains(AccessFs::Execute));
        assert!(!write().intersects(
            AccessFs::MakeSock | AccessFs::MakeSym | AccessFs::MakeChar | AccessFs::MakeBlock
        ));
    }

    #[test]
    fn the_kernel_keeps_a_thread_to_its_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let needs = Needs {
            writable: vec![folder.path().to_owned()],
            connect: Some(vec![]),
            bind: Some(vec![]),
            ..Needs::default()
        };
        let inside = folder.path().join("inside");
        let (kept, inside, outside, port) = std::thread::spawn(move || {
            let kept = keep_to(&needs).expect("kept");
            (
                kept,
                std::fs::write(inside, "x").is_ok(),
                std::fs::read_dir("/var").is_ok(),
                std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
            )
        })
        .join()
        .expect("no panic");
        if !kept.to_files() {
            eprintln!("SKIPPED: this kernel has no Landlock");
            return;
        }
        assert!(inside && !outside);
        assert_eq!(port, !kept.to_ports());
    }
}
