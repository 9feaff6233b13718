//! Makes two processes of one, or says why it stays one.

use std::{
    io,
    os::unix::{net::UnixListener, process::CommandExt as _},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

use mop_probe::{AttachMethod, environment};
use rustix::{
    process::DumpableBehavior,
    thread::{CapabilitySet, CapabilitySets},
};

use super::{
    Layers, Needs, PrivilegesConfiguration, Probing, channel::Channel, core, core::Core, prober,
    socket, system_calls, user::User,
};
use crate::{cli::KernelArguments, failure::Failure};

/// What this process is to be.
pub(crate) enum Role {
    /// It observes: with rights of its own, or as a core whose prober has them. With the socket that
    /// it needs.
    Observer(Probing, Layers, Option<UnixListener>),
    /// It was the prober, and all is over.
    Over(ExitCode),
}

/// The prober that started this process as its core.
pub(crate) fn prober_of_core() -> Option<u32> {
    core::started_by()?.parse().ok()
}

/// Splits the process where that is possible. To be called while it has one thread, before it reads
/// anything from outside.
pub(crate) fn take_role(
    arguments: &KernelArguments,
    configuration: &PrivilegesConfiguration,
    needs: &Needs,
) -> Result<Role, Failure> {
    if let Some(prober) = core::started_by() {
        let Core { channel, layers, socket } = Core::enter(&prober, configuration, needs)?;
        return Ok(Role::Observer(Probing::there(channel), layers, socket));
    }
    let whole = |reason: &str| {
        let socket = needs.socket.as_deref().map(socket::listen).transpose()?;
        Ok(Role::Observer(Probing::here(arguments), Layers::none(reason), socket))
    };
    if let Some(reason) = refusal(configuration) {
        return whole(reason);
    }
    let kept = prober_capabilities(arguments);
    let started = SpawnedCore::start(configuration, needs, kept, |command| {
        command.args(std::env::args_os().skip(1));
    })?;
    match started {
        Err(reason) => whole(&reason),
        Ok(core) => prober::run(arguments, core).map(Role::Over),
    }
}

/// Why there is nothing to split.
pub(super) fn refusal(configuration: &PrivilegesConfiguration) -> Option<&'static str> {
    if !configuration.split {
        return Some("the split is turned off");
    }
    has_no_rights().then_some("it has no rights that a core could be kept from")
}

/// None of those that observing needs. With some of them it may be possible, on some kernels.
fn has_no_rights() -> bool {
    // The shorter list is a part of the longer one.
    let method = AttachMethod::PerfEvent;
    let needed = environment::needed_capabilities(method);
    environment::missing_capabilities(method).len() == needed.len()
}

/// A core that was started, and the prober's end of the channel.
pub(super) struct SpawnedCore {
    pub(super) child: Child,
    pub(super) channel: Channel,
}

impl SpawnedCore {
    /// Starts this program again as a core and gives up what a prober does not need. The inner error
    /// says why the machine does not allow it; nothing was given up then but the bounding set.
    pub(super) fn start(
        configuration: &PrivilegesConfiguration,
        needs: &Needs,
        kept: CapabilitySet,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Result<Self, String>, Failure> {
        let user = if may_change_user() { Some(User::of(&configuration.user)?) } else { None };
        if let Some(user) = user {
            needs.writable.iter().try_for_each(|folder| user.take_folder(folder))?;
            let folder = needs.socket.as_deref().and_then(Path::parent);
            folder.map_or(Ok(()), |folder| user.take_folder(folder))?;
        }
        let (channel, other) = match Channel::pair() {
            Ok(pair) => pair,
            Err(error) => return Ok(Err(format!("no channel can be made ({error})"))),
        };
        if let Err(error) = environment::close_descriptors_on_exec() {
            return Ok(Err(format!("descriptors cannot be kept from it ({error})")));
        }
        empty_bounding_set();
        // The link opens the file itself, also when its path is gone or not for the core's user.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("mop");
        prepare(&mut command);
        command.env(core::MARK, std::process::id().to_string()).stdin(Stdio::from(other));
        if let Some(User { uid, gid }) = user {
            // It also empties the supplementary groups, since this process is root.
            command.uid(uid).gid(gid);
        }
        Ok(match command.spawn() {
            Ok(child) => {
                keep_prober(kept);
                Ok(Self { child, channel })
            }
            Err(error) => Err(unstartable(user, &error)),
        })
    }
}

fn unstartable(user: Option<User>, error: &io::Error) -> String {
    match user {
        Some(User { uid, .. }) => {
            format!("this program cannot be started as the user {uid} ({error})")
        }
        None => format!("this program cannot be started again ({error})"),
    }
}

/// Root with the rights to become another user. Who is not root already keeps its user: it is no
/// more than the operator chose.
fn may_change_user() -> bool {
    let wanted = CapabilitySet::SETUID | CapabilitySet::SETGID;
    rustix::process::getuid().is_root()
        && rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// So that no program that is started from here on can get a capability. Without `CAP_SETPCAP` it
/// stays, which the core then tells.
fn empty_bounding_set() {
    for bit in 0..MAX_CAPABILITIES {
        let _ = rustix::thread::remove_capability_from_bounding_set(
            CapabilitySet::from_bits_retain(1 << bit),
        );
    }
    let _ = rustix::thread::set_no_new_privs(true);
}

/// Gives up what observing does not need. What the kernel refuses leaves the prober with more than
/// it needs and changes nothing else.
fn keep_prober(wanted: CapabilitySet) {
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Ok(CapabilitySets { effective, permitted, inheritable: _ }) =
        rustix::thread::capabilities(None)
    {
        let kept = CapabilitySets {
            effective: effective & wanted,
            permitted: permitted & wanted,
            inheritable: CapabilitySet::empty(),
        };
        let _ = rustix::thread::set_capabilities(None, kept);
    }
    let _ = system_calls::keep_prober();
}

/// What a prober is left with. The most general right only while something asks for it: perf events,
/// tracefs that is to be mounted, or what the configuration wants beside probes.
fn prober_capabilities(arguments: &KernelArguments) -> CapabilitySet {
    let is_by_event =
        mop_probe::attach_plan(arguments.attach.into()).method == AttachMethod::PerfEvent;
    let mounts = environment::needs_tracefs() && !environment::has_tracefs();
    if is_by_event || mounts || arguments.wants_administration {
        PROBER_CAPABILITIES | CapabilitySet::SYS_ADMIN
    } else {
        PROBER_CAPABILITIES
    }
}

/// What observing needs ([`environment::needed_capabilities`]), reading files of all users to find
/// libraries in them, opening files of which only a mapping is left, and ending the core.
pub(super) const PROBER_CAPABILITIES: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHECKPOINT_RESTORE)
    .union(CapabilitySet::KILL);

/// The kernel has some 41; the sets have 64 places.
const MAX_CAPABILITIES: u32 = 64;
