//! What kernel programs cost, as the kernel counts it while it is asked to.

use std::{
    fs,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use aya::sys::{Stats, enable_stats};

use crate::{ProbeError, error::causes};

/// What one program did while it was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramLoad {
    /// Its name in the object; at most 32 bytes.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long these runs took, on all processors together. What it takes the kernel to come to the
    /// program (the breakpoint of a uprobe, above all) is not part of it.
    pub time: Duration,
}

/// A measurement that goes on. The kernel reads the clock twice for each run of any program on the node
/// meanwhile, so it is to be kept short.
#[derive(Debug)]
pub struct Measurement {
    before: Vec<ProgramLoad>,
    began: Instant,
    /// `None` where the kernel counts for everybody, always.
    _statistics: Option<OwnedFd>,
}

impl Measurement {
    pub(crate) fn begin(programs: &[(&str, BorrowedFd<'_>)]) -> Result<Self, ProbeError> {
        let statistics = match enable_stats(Stats::RunTime) {
            Ok(statistics) => Some(statistics),
            Err(_refused) if is_always_counted() => None,
            Err(error) => return Err(ProbeError::Statistics { reason: causes(&error) }),
        };
        Ok(Self { before: totals(programs), began: Instant::now(), _statistics: statistics })
    }

    /// Ends it: how long it went on, and the programs that ran.
    pub(crate) fn end(self, programs: &[(&str, BorrowedFd<'_>)]) -> (Duration, Vec<ProgramLoad>) {
        let after = totals(programs);
        let lasted = self.began.elapsed();
        let loads = after.into_iter().filter_map(|now| {
            let before = self.before.iter().find(|before| before.program == now.program);
            let (runs, time) = before.map_or((0, Duration::ZERO), |it| (it.runs, it.time));
            let load = ProgramLoad {
                program: now.program,
                runs: now.runs.saturating_sub(runs),
                time: now.time.saturating_sub(time),
            };
            (load.runs > 0).then_some(load)
        });
        (lasted, loads.collect())
    }
}

/// What the programs that are loaded did since they were, as far as it was counted.
fn totals(programs: &[(&str, BorrowedFd<'_>)]) -> Vec<ProgramLoad> {
    let loaded = programs.iter().filter_map(|(name, program)| {
        let ProgramAccount { runs, time, misses: _ } = ProgramAccount::of(*program)?;
        Some(ProgramLoad { program: (*name).to_owned(), runs, time })
    });
    loaded.collect()
}

/// What the kernel says of a loaded program beside its descriptor. What a kernel does not say (left-out
/// runs before 5.12) counts as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramAccount {
    /// Counted only while that is asked for.
    pub(crate) runs: u64,
    pub(crate) time: Duration,
    /// Runs that the kernel left out.
    pub(crate) misses: u64,
}

impl ProgramAccount {
    pub(crate) fn of(program: BorrowedFd<'_>) -> Option<Self> {
        let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
        Some(Self::read(&fs::read_to_string(path).ok()?))
    }

    fn read(information: &str) -> Self {
        let number = |name: &str| {
            let line = information.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
        };
        Self {
            runs: number("run_cnt:"),
            time: Duration::from_nanos(number("run_time_ns:")),
            misses: number("recursion_misses:"),
        }
    }
}

/// The administrator of the node had it turned on, which takes no right to profit from.
fn is_always_counted() -> bool {
    fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_program_is_read_as_the_kernel_writes_it() {
        let text = "pos:\t0\nprog_type:\t26\nrun_time_ns:\t1500\nrun_cnt:\t3\n\
                    recursion_misses:\t425662\nverified_insns:\t7\n";
        let time = Duration::from_nanos(1_500);
        assert_eq!(ProgramAccount::read(text), ProgramAccount { runs: 3, time, misses: 425_662 });
        assert_eq!(ProgramAccount::read("pos:\t0\n"), ProgramAccount::default());
    }
}
