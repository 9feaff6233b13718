//! What this kernel and this node allow.

use std::{fs, path::Path};

use crate::AttachMethod;

/// Where the kernel shows its type information.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The oldest kernel that is supported: it has attach cookies and atomic operations for programs.
pub const OLDEST_KERNEL: (u32, u32) = (5, 15);

/// Whether this kernel preempts programs on the return of system calls, and leaves out other runs of
/// the same program meanwhile. Programs on perf events run there as they always did.
#[must_use]
pub fn skips_preempted_runs() -> bool {
    kernel_version() >= PREEMPTS_SINCE
}

/// Found by running MOP on it; 7.1 does not.
const PREEMPTS_SINCE: (u32, u32) = (7, 2);

/// Whether a return probe ends processes under seccomp here: Linux 6.11 made the way back from one a
/// system call, which filters refuse that do not know it, and 6.14 lets it pass by them.
#[must_use]
pub fn return_probes_end_processes() -> bool {
    cfg!(target_arch = "x86_64") && filters_return_probes(&kernel_release())
}

fn filters_return_probes(release: &str) -> bool {
    let mut numbers = release.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (6, 11, _) => true,
        // The stable versions that took the change over.
        (6, 12, patch) => patch < 14,
        (6, 13, patch) => patch < 3,
        _ => false,
    }
}

/// Major and minor version of the running kernel; zeros when it does not say.
#[must_use]
pub fn kernel_version() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    parse_version(&release)
}

/// Release of the running kernel, as `uname -r` prints it.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn parse_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// True when process ids here are those that the kernel programs see.
#[must_use]
pub fn in_initial_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid")
        .is_ok_and(|link| link.to_string_lossy() == INITIAL_PID_NAMESPACE)
}

/// The kernel's lockdown mode: `none`, `integrity` or `confidentiality`; `None` when it does not
/// tell.
#[must_use]
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode.to_owned())
}

/// Effective capabilities of this process, as the kernel's bit mask.
#[must_use]
pub fn capabilities() -> u64 {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}

/// Capabilities that observing needs, by bit and name. Perf-event uprobes have asked for
/// `CAP_SYS_ADMIN` since July 2025, `uprobe_multi` does not; the others load programs and look into
/// processes.
#[must_use]
pub fn needed_capabilities(method: AttachMethod) -> &'static [(u32, &'static str)] {
    match method {
        AttachMethod::UprobeMulti => &NEEDED_CAPABILITIES[1..],
        AttachMethod::PerfEvent => &NEEDED_CAPABILITIES,
    }
}

const NEEDED_CAPABILITIES: [(u32, &str); 4] = [
    (SYS_ADMIN, "CAP_SYS_ADMIN"),
    (19, "CAP_SYS_PTRACE"),
    (BPF, "CAP_BPF"),
    (PERFMON, "CAP_PERFMON"),
];

/// Bits of include/uapi/linux/capability.h.
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// The needed capabilities that this process does not have.
#[must_use]
pub fn missing_capabilities(method: AttachMethod) -> Vec<&'static str> {
    missing_of(capabilities(), method)
}

fn missing_of(held: u64, method: AttachMethod) -> Vec<&'static str> {
    let has = |bit: u32| held & 1 << bit != 0;
    // The kernel takes the general right where these are asked for.
    let is_implied = |bit: u32| matches!(bit, BPF | PERFMON) && has(SYS_ADMIN);
    needed_capabilities(method)
        .iter()
        .filter(|(bit, _)| !has(*bit) && !is_implied(*bit))
        .map(|(_, name)| *name)
        .collect()
}

/// Whether this process has `CAP_SYS_ADMIN`.
#[must_use]
pub fn may_administer() -> bool {
    capabilities() & 1 << SYS_ADMIN != 0
}

/// Gives memory that was freed back to the system. The type information of a kernel fills some 20
/// MiB while it is read, once, and the allocator would keep them for the life of the process.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Keeps every descriptor of this process but the standard ones from programs that it starts: also
/// those that it was itself started with and knows nothing of.
///
/// # Errors
///
/// When the kernel refuses.
pub fn close_descriptors_on_exec() -> std::io::Result<()> {
    // SAFETY: only sets a flag on descriptors, and takes no pointer.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// True when the kernel takes uprobes as perf events, without tracefs.
#[must_use]
pub fn has_uprobe_events() -> bool {
    Path::new("/sys/bus/event_source/devices/uprobe/type").exists()
}

/// True when tracefs is mounted at one of its usual places.
#[must_use]
pub fn has_tracefs() -> bool {
    TRACEFS.iter().any(|place| Path::new(place).join("uprobe_events").exists())
}

/// Whether programs are attached by way of tracefs here: uprobes of older kernels, or the return of
/// system calls where [`skips_preempted_runs`] says so.
#[must_use]
pub fn needs_tracefs() -> bool {
    !has_uprobe_events() || skips_preempted_runs()
}

/// Mounts tracefs where it is needed and not mounted. True when something was mounted.
///
/// # Errors
///
/// When the kernel refuses the mount.
pub fn ensure_tracefs() -> std::io::Result<bool> {
    if !needs_tracefs() || has_tracefs() {
        return Ok(false);
    }
    rustix::mount::mount(
        "tracefs",
        "/sys/kernel/tracing",
        "tracefs",
        rustix::mount::MountFlags::empty(),
        None,
    )?;
    Ok(true)
}

const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Of include/uapi/linux/close_range.h.
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

/// `PROC_PID_INIT_INO` of include/linux/proc_ns.h.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_any_release() {
        assert_eq!(parse_version("6.18.44-cloud"), (6, 18));
        assert_eq!(parse_version("5.15+"), (5, 15));
        assert_eq!(parse_version("6.1-rc3"), (6, 1));
        assert_eq!(parse_version("strange"), (0, 0));
    }

    #[test]
    fn kernels_that_refuse_the_way_back_are_known() {
        for (release, filters) in [
            ("6.10.11-amd64", false),
            ("6.11.2", true),
            ("6.12.6-amd64", true),
            ("6.12.38+deb13", false),
            ("6.13.0-rc1", true),
            ("6.13.4", false),
            ("6.18.44", false),
            ("7.1.0", false),
            ("strange", false),
        ] {
            assert_eq!(filters_return_probes(release), filters, "{release}");
        }
    }

    #[test]
    fn one_link_for_many_places_takes_fewer_rights() {
        let held = |bits: &[u32]| bits.iter().fold(0, |held, bit| held | 1 << bit);
        let few = held(&[19, BPF, PERFMON]);
        assert_eq!(missing_of(few, AttachMethod::UprobeMulti), [""; 0]);
        assert_eq!(missing_of(few, AttachMethod::PerfEvent), ["CAP_SYS_ADMIN"]);
        let general = held(&[19, SYS_ADMIN]);
        assert_eq!(missing_of(general, AttachMethod::PerfEvent), [""; 0]);
        let all = ["CAP_SYS_PTRACE", "CAP_BPF", "CAP_PERFMON"];
        assert_eq!(missing_of(0, AttachMethod::UprobeMulti), all);
    }
}
