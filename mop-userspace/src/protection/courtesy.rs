//! Courtesy: all work of the observer gives way to what the node is for.
//!
//! An observer that runs like any other program is a bad neighbour beyond the processor time that it
//! takes: while one of its threads is on a processor, server and client that talk to each other are woken
//! on one processor together, and the kernel leaves them there, taking turns, while the other one is idle.
//! So threads that work on what was captured run as `SCHED_IDLE`: a processor that runs nothing else counts
//! as idle, whoever wakes goes there, and nothing that is observed moves because of it. They rest for a
//! moment after each burst, since the kernel looks only at every tick whether somebody else waits. What
//! empties the lanes must come in time and is short; it has the usual policy, and the least weight.
//!
//! Between CPU groups the weights of the groups count, whatever the policy inside. So this is done only
//! where the observer has a group for itself, as services and containers do: there it gets its share of a
//! busy node. Within a group it would get nothing beside others.
//!
//! What it gains and costs on a node without any processor to spare is measured: docs/benchmarks.md.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use mop_probe::scheduling;
use rustix::process::{Pid, getppid, getsid};

use crate::privileges;

/// Threads of this process are to give way.
static GIVES_WAY: AtomicBool = AtomicBool::new(false);

/// Gives way from now on, where that is possible; else, in words, why not. To be called while there is one
/// thread.
pub(crate) fn give_way() -> Result<(), String> {
    find_own_group(Path::new("/proc"))?;
    // Of threads with more weight in the same group, those that run as SCHED_IDLE would get too little.
    rustix::process::setpriority_process(None, LEAST_WEIGHT)
        .map_err(|error| format!("the kernel refuses: {error}"))?;
    GIVES_WAY.store(true, Ordering::Relaxed);
    Ok(())
}

/// The rests of a thread that gives way.
#[derive(Debug)]
pub(crate) struct Pace {
    gives_way: bool,
    began: Instant,
    /// Pieces of work since the clock was looked at.
    pieces: u32,
}

impl Pace {
    /// Of the calling thread, which gives way from now on if this process does.
    pub(crate) fn of_this_thread() -> Self {
        let gives_way = GIVES_WAY.load(Ordering::Relaxed) && scheduling::run_when_idle().is_ok();
        Self { gives_way, began: Instant::now(), pieces: 0 }
    }

    /// The thread had to wait: another burst begins.
    pub(crate) fn rested(&mut self) {
        if self.gives_way {
            self.began = Instant::now();
        }
    }

    /// A piece of work is done: rests when the burst is over. `backlog` is what waits, as a part of what
    /// may wait: the more it is, the longer the bursts, up to no rest at all.
    pub(crate) fn step(&mut self, backlog: impl FnOnce() -> f64) {
        if !self.gives_way {
            return;
        }
        self.pieces += 1;
        if self.pieces < PIECES_BETWEEN_LOOKS {
            return;
        }
        self.pieces = 0;
        let burst = self.began.elapsed();
        if burst < SHORTEST_BURST || longest_burst(backlog()).is_none_or(|longest| burst < longest)
        {
            return;
        }
        thread::sleep(REST);
        self.began = Instant::now();
    }
}

/// How long a thread may go on that has so much before it; `None`: as long as it has work.
fn longest_burst(backlog: f64) -> Option<Duration> {
    let doublings = BACKLOGS.iter().position(|most| backlog <= *most)?;
    Some(SHORTEST_BURST * (1 << doublings))
}

/// Whether this process is alone in its CPU group; if not, why.
fn find_own_group(proc: &Path) -> Result<(), String> {
    if let Some(group) = CpuGroup::of_this_process(proc)? {
        return match group.members().into_iter().find(|pid| !is_of_family(*pid, proc)) {
            Some(other) => {
                let CpuGroup { name, .. } = group;
                Err(format!("process {other} is in the same CPU group, {name}"))
            }
            None => Ok(()),
        };
    }
    let setting = proc.join("sys/kernel/sched_autogroup_enabled");
    let is_by_session = fs::read_to_string(setting).is_ok_and(|text| text.trim() == "1");
    let session = getsid(None).ok().and_then(number);
    if is_by_session && session.is_some_and(|leader| is_of_family(leader, proc)) {
        // Sessions are CPU groups here (sched(7), autogroup).
        return Ok(());
    }
    Err("it has no CPU group of its own, as a service or a container has".to_owned())
}

/// A group below the root, whose weight counts (`cgroups(7)`).
struct CpuGroup {
    name: String,
    folder: PathBuf,
}

impl CpuGroup {
    fn of_this_process(proc: &Path) -> Result<Option<Self>, String> {
        let read = |name: &str| {
            let path = proc.join("self").join(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (groups, mounts) = (read("cgroup")?, read("mountinfo")?);
        // Of both versions that may be there at once, the controller is in one.
        let candidates = groups.lines().filter_map(Membership::of);
        let mut found = candidates.filter_map(|membership| membership.folder(&mounts));
        Ok(found.find(|group| WEIGHTS.iter().any(|file| group.folder.join(file).exists())))
    }

    /// Of another PID namespace, 0.
    fn members(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }
}

/// A line of `/proc/self/cgroup`, of a hierarchy that may have the CPU controller.
struct Membership<'a> {
    is_v2: bool,
    path: &'a str,
}

impl<'a> Membership<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_v2 = number == "0" && controllers.is_empty();
        // The root of the first version has no weight, and no file that would say so.
        let is_v1 = controllers.split(',').any(|it| it == "cpu") && path != "/";
        (is_v2 || is_v1).then_some(Self { is_v2, path })
    }

    fn folder(&self, mounts: &str) -> Option<CpuGroup> {
        mounts.lines().find_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut mount = mount.split(' ').skip(3);
            let (root, point) = (mount.next()?, mount.next()?);
            let mut kind = kind.split(' ');
            let (name, options) = (kind.next()?, kind.nth(1).unwrap_or_default());
            let is_it = match name {
                "cgroup2" => self.is_v2,
                "cgroup" => !self.is_v2 && options.split(',').any(|option| option == "cpu"),
                _ => false,
            };
            let below = self.path.strip_prefix(root.trim_end_matches('/'))?;
            let folder = Path::new(point).join(below.trim_start_matches('/'));
            is_it.then(|| CpuGroup { name: self.path.to_owned(), folder })
        })
    }
}

/// Whether it is this process, the prober that it is the core of, or what began the container.
fn is_of_family(pid: u32, proc: &Path) -> bool {
    let is_first = pid == 1 && getppid().and_then(number) == Some(1);
    // One that has ended meanwhile is in nobody's way; those of other namespaces have no number.
    let is_gone = pid != 0 && !proc.join(pid.to_string()).exists();
    pid == process::id() || privileges::prober_of_core() == Some(pid) || is_first || is_gone
}

fn number(pid: Pid) -> Option<u32> {
    u32::try_from(pid.as_raw_nonzero().get()).ok()
}

/// Files of a group whose weight counts: of the second version, and of the first.
const WEIGHTS: [&str; 2] = ["cpu.weight", "cpu.shares"];

/// The highest `nice` value.
const LEAST_WEIGHT: i32 = 19;

/// Clients and servers answer each other within this time, and whoever waits for less is not moved by the
/// kernel to another processor (`migration_cost_ns`, half a millisecond).
const SHORTEST_BURST: Duration = Duration::from_micros(200);

/// Most pieces take a microsecond or less, and the clock takes some thirtieth of one. Where calls are judged
/// as well, so many are a tenth of a millisecond.
const PIECES_BETWEEN_LOOKS: u32 = 8;

/// With the slack that timers have by default, 50 µs, this is long enough for whoever waits to work and
/// wait again; a shorter one takes the processor back from it too early.
const REST: Duration = Duration::from_micros(1);

/// Up to each of these backlogs, bursts are twice as long as before. With the first at a fiftieth of what
/// may wait, a pause of some milliseconds made them long; with a quarter, a call of 256 KiB cost a tenth more,
/// and the queue ran full once where sizes changed.
const BACKLOGS: [f64; 4] = [0.06, 0.12, 0.25, 0.5];

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
32 23 0:28 /kubepods/pod1 /mnt/cpu rw shared:10 - cgroup cgroup rw,cpuset,cpu\n";

    fn folder(line: &str, mounts: &str) -> Option<PathBuf> {
        Membership::of(line)?.folder(mounts).map(|group| group.folder)
    }

    #[test]
    fn the_group_of_a_process_is_found() {
        let of = |line| folder(line, MOUNTS);
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(
            of("0::/system.slice/mop.service"),
            path("/sys/fs/cgroup/system.slice/mop.service")
        );
        assert_eq!(of("0::/"), path("/sys/fs/cgroup/"));
        assert_eq!(of("4:cpu,cpuacct:/mop"), path("/sys/fs/cgroup/cpu,cpuacct/mop"));
        assert_eq!(of("4:cpu,cpuacct:/"), None);
        assert_eq!(of("5:cpuset:/mop"), None);
        assert_eq!(of("nonsense"), None);
        let of_container = MOUNTS.lines().next_back().unwrap_or_default();
        assert_eq!(folder("4:cpu:/kubepods/pod1/mop", of_container), path("/mnt/cpu/mop"));
        assert_eq!(folder("4:cpu:/other", of_container), None);
    }

    #[test]
    fn bursts_grow_with_the_backlog() {
        let bursts: Vec<_> = [0.0, 0.1, 0.2, 0.4].map(longest_burst).into_iter().collect();
        let expected = [1, 2, 4, 8].map(|times| Some(SHORTEST_BURST * times));
        assert_eq!(bursts, expected);
        assert_eq!(longest_burst(0.6), None);
    }

    #[test]
    fn who_gives_no_way_never_rests() {
        let mut pace = Pace { gives_way: false, began: Instant::now(), pieces: 0 };
        pace.step(|| unreachable!("nobody asks"));
    }
}
