//! The core's first steps: it takes from itself what the kernel did not take on the way.

use std::{fs, io, os::unix::net::UnixListener};

use rustix::{
    process::{DumpableBehavior, Pid, Signal},
    thread::{CapabilitySet, CapabilitySets},
};

use super::{
    Layers, Needs, PrivilegesConfiguration,
    channel::Channel,
    files::{self, Kept},
    layers::{Layer, LayerName},
    socket, system_calls,
};
use crate::failure::Failure;

/// The core, kept to what it needs.
pub(super) struct Core {
    pub(super) channel: Channel,
    pub(super) layers: Layers,
    pub(super) socket: Option<UnixListener>,
}

/// Whether this process was started as a core, and by whom.
pub(super) fn started_by() -> Option<String> {
    std::env::var(MARK).ok()
}

impl Core {
    /// Becomes the core. To be called while the process has one thread, before it reads anything
    /// from outside.
    pub(super) fn enter(
        prober: &str,
        configuration: &PrivilegesConfiguration,
        needs: &Needs,
    ) -> Result<Self, Failure> {
        let misplaced = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("{MARK} is for mop itself to set ({error}); unset it"))
        };
        let prober: Option<Pid> = prober.parse().ok().and_then(Pid::from_raw);
        let prober = prober.ok_or_else(|| misplaced(&"it names no process"))?;
        let channel = Channel::from_stdin().map_err(|error| misplaced(&error))?;
        // The library reads the auxiliary vector once, where from there will be no reading it.
        let _ = rustix::param::page_size();
        let refused = |what: &'static str| {
            move |error: rustix::io::Errno| Failure::runtime(format!("cannot {what}: {error}"))
        };
        rustix::thread::set_name(c"mop-core").map_err(refused("name the core"))?;
        // From here on the end of the prober ends the core. One that ended before is seen by the
        // closed channel. The kernel sends it once for each thread of the prober that was still there
        // when another one ended, so it must not be one whose repetition means haste.
        rustix::process::set_parent_process_death_signal(Some(Signal::USR2))
            .map_err(refused("bind the core to the prober"))?;
        if rustix::process::getppid() != Some(prober) {
            return Err(misplaced(&"its process is not the parent"));
        }
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(refused("keep the core's memory to itself"))?;
        rustix::thread::set_no_new_privs(true).map_err(refused("renounce new privileges"))?;
        let _ = rustix::thread::clear_ambient_capability_set();
        let none = CapabilitySet::empty();
        let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
        rustix::thread::set_capabilities(None, none).map_err(refused("renounce capabilities"))?;
        needs.check()?;
        let socket = needs.socket.as_deref().map(socket::listen).transpose()?;
        let dumpable = rustix::process::dumpable_behavior();
        let kept = restrict_files(configuration, needs);
        let seccomp = if configuration.seccomp {
            system_calls::keep_core().map_err(|error| format!("the kernel refuses it: {error}"))
        } else {
            Err("privileges.seccomp is false".to_owned())
        };
        let status = Status::read(dumpable).map_err(Failure::runtime)?;
        let layers = layers(&status, prober, &seccomp, &kept, needs);
        warn_of_hidden_processes(prober);
        Ok(Self { channel, layers, socket })
    }
}

/// The environment variable that makes a process a core. Its value is the id of the prober.
pub(super) const MARK: &str = "MOP_PRIVILEGES_CORE";

fn restrict_files(configuration: &PrivilegesConfiguration, needs: &Needs) -> Result<Kept, String> {
    if !configuration.landlock {
        return Err("privileges.landlock is false".to_owned());
    }
    files::keep_to(needs).map_err(|error| format!("the kernel refuses Landlock: {error}"))
}

/// What the kernel says about this process.
struct Status {
    user: u32,
    effective: u64,
    permitted: u64,
    bounding: u64,
    no_new_privileges: bool,
    no_dump: bool,
    seccomp: bool,
}

impl Status {
    /// `dumpable` is what it said of that, which it cannot be asked any more.
    fn read(dumpable: rustix::io::Result<DumpableBehavior>) -> io::Result<Self> {
        let text = fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .ok_or_else(|| io::Error::other(format!("/proc/self/status has no {name}")))
        };
        let mask = |name: &str| u64::from_str_radix(field(name)?, 16).map_err(io::Error::other);
        Ok(Self {
            user: rustix::process::geteuid().as_raw(),
            effective: mask("CapEff")?,
            permitted: mask("CapPrm")?,
            bounding: mask("CapBnd")?,
            no_new_privileges: field("NoNewPrivs")? == "1",
            no_dump: dumpable == Ok(DumpableBehavior::NotDumpable),
            seccomp: field("Seccomp").is_ok_and(|mode| mode == "2"),
        })
    }
}

fn layers(
    status: &Status,
    prober: Pid,
    seccomp: &Result<(), String>,
    kept: &Result<Kept, String>,
    needs: &Needs,
) -> Layers {
    let Status {
        user,
        effective,
        permitted,
        bounding,
        no_new_privileges,
        no_dump,
        seccomp: filtered,
    } = status;
    let unless = |in_force: bool, reason: &str| (!in_force).then(|| reason.to_owned());
    let landlock = |has: fn(Kept) -> bool, since: &str| match kept {
        Err(reason) => Some(reason.clone()),
        Ok(Kept { abi: 0 }) => Some("the kernel has no Landlock, or it is not enabled".to_owned()),
        Ok(kept) if has(*kept) => None,
        Ok(Kept { abi }) => {
            Some(format!("the kernel's Landlock has version {abi}; it comes with Linux {since}"))
        }
    };
    let is_other_user = *user != user_of(prober).unwrap_or(*user) && *user != 0;
    let missing = |name: LayerName| match name {
        LayerName::Process => None,
        LayerName::User => unless(is_other_user, "the prober may not change the user"),
        LayerName::Capabilities => {
            unless(*effective == 0 && *permitted == 0, "the kernel kept capabilities")
        }
        LayerName::BoundingSet => unless(
            *bounding == 0,
            "the prober may not empty it (it has no CAP_SETPCAP); no program can be run anyway",
        ),
        LayerName::NoNewPrivileges => unless(*no_new_privileges, "the kernel did not take it"),
        LayerName::NoDump => unless(*no_dump, "the kernel did not take it"),
        LayerName::Seccomp => {
            seccomp.clone().err().or_else(|| unless(*filtered, "the kernel was not built with it"))
        }
        LayerName::LandlockFiles => landlock(Kept::to_files, "5.13"),
        LayerName::LandlockTcp => landlock(Kept::to_ports, "6.7").or_else(|| {
            unless(
                needs.connect.is_some() && needs.bind.is_some(),
                "the configuration does not tell every port",
            )
        }),
        LayerName::LandlockSignals => landlock(Kept::to_own_signals, "6.12"),
    };
    Layers {
        who: format!(
            "core {} of prober {}, as user {user}",
            std::process::id(),
            prober.as_raw_nonzero()
        ),
        layers: LayerName::ALL.map(|name| Layer { name, missing: missing(name) }).to_vec(),
    }
}

fn user_of(process: Pid) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let folder = format!("/proc/{}", process.as_raw_nonzero());
    // A process that cannot be dumped belongs to root there, whoever runs it: look at its status.
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace()
        .nth(1)
        .and_then(|uid| uid.parse().ok())
        .or_else(|| fs::metadata(folder).ok().map(|facts| facts.uid()))
}

/// Containers are told by the cgroups of processes, which a `/proc` can hide from other users.
fn warn_of_hidden_processes(prober: Pid) {
    if fs::read(format!("/proc/{}/cgroup", prober.as_raw_nonzero())).is_err() {
        eprintln!(
            "mop: /proc hides the processes of others (hidepid) from the core: containers are not \
             named; mount it with gid= of a group and give that group to privileges.user"
        );
    }
}
