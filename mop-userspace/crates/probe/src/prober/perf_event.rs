//! Uprobes as perf events, one for each place, by aya.

use std::{os::fd::BorrowedFd, path::Path};

use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};

use super::{Point, Prober, Refusal};
use crate::{
    ProbeError,
    error::{causes, refused},
    observer::program,
};

/// See [the module](self).
pub(super) struct PerfEventProber {
    links: Vec<UProbeLink>,
}

impl PerfEventProber {
    pub(super) fn load(ebpf: &mut Ebpf, names: &[&'static str]) -> Result<Self, ProbeError> {
        for name in names {
            let program: &mut UProbe = program(ebpf, name)?;
            program.load().map_err(|error| refused(name, &error))?;
        }
        Ok(Self { links: Vec::new() })
    }

    fn attach_point(
        &mut self,
        ebpf: &mut Ebpf,
        file: &Path,
        point: &Point,
    ) -> Result<(), ProbeError> {
        let Point { program: name, function: _, offset, cookie, is_entry: _ } = *point;
        let program: &mut UProbe = program(ebpf, name)?;
        let point = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(offset),
            cookie: Some(cookie),
        };
        let link = program
            .attach(point, file, UProbeScope::AllProcesses)
            .and_then(|link| program.take_link(link))
            .map_err(|error| refused(name, &error))?;
        self.links.push(link);
        Ok(())
    }

    fn keep(&mut self, links: usize) {
        while self.links.len() > links {
            self.links.pop();
        }
    }
}

impl Prober for PerfEventProber {
    fn attach(&mut self, ebpf: &mut Ebpf, file: &Path, points: &[Point]) -> Result<(), Refusal> {
        let before = self.links.len();
        for point in points {
            if let Err(error) = self.attach_point(ebpf, file, point) {
                self.keep(before);
                let reason = match error {
                    ProbeError::Load { reason, .. } => reason,
                    other => causes(&other),
                };
                return Err(Refusal { functions: point.function.to_owned(), reason });
            }
        }
        Ok(())
    }

    /// The kernel waits for all CPUs each time that one is closed, one after the other however many
    /// threads close them: about a tenth of a second a place.
    fn detach(&mut self) {
        self.keep(0);
    }

    fn programs(&self) -> Vec<(&'static str, BorrowedFd<'_>)> {
        Vec::new()
    }
}
