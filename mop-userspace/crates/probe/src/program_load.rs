//! What kernel programs cost, as the kernel counts it while it is asked to.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    sys::{Stats, enable_stats},
};

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
    _statistics: OwnedFd,
}

impl Measurement {
    pub(crate) fn begin(ebpf: &Ebpf) -> Result<Self, ProbeError> {
        let statistics = enable_stats(Stats::RunTime)
            .map_err(|error| ProbeError::Statistics { reason: causes(&error) })?;
        Ok(Self { before: totals(ebpf), began: Instant::now(), _statistics: statistics })
    }

    /// Ends it: how long it went on, and the programs that ran.
    pub(crate) fn end(self, ebpf: &Ebpf) -> (Duration, Vec<ProgramLoad>) {
        let after = totals(ebpf);
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
fn totals(ebpf: &Ebpf) -> Vec<ProgramLoad> {
    let loaded = ebpf.programs().filter_map(|(name, program)| {
        let information = program.info().ok()?;
        Some(ProgramLoad {
            program: name.to_owned(),
            runs: information.run_count(),
            time: information.run_time(),
        })
    });
    loaded.collect()
}
