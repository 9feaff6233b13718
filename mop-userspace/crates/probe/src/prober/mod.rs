//! How programs get to their places in files, and off them again.
//!
//! There are two ways, with one interface, [`Prober`]:
//!
//! - [`multi`]: one link for all places of a program in a file (`uprobe_multi`, Linux 6.6). A library is
//!   attached to with a handful of system calls, comes off as quickly, and it takes no `CAP_SYS_ADMIN`.
//! - [`perf_event`]: one perf event for each place. It works on every kernel that is supported, needs
//!   `CAP_SYS_ADMIN` since July 2025, and the kernel waits for all CPUs whenever one is closed.
//!
//! [`attach_plan`] asks the kernel which one it gives. The programs are the same, from the same object
//! and on the same maps; the kernel only wants to know at their loading which way they will be attached.

mod multi;
mod perf_event;
mod system_call;

use std::{fmt, os::fd::BorrowedFd, path::Path};

use aya::Ebpf;

use self::{multi::MultiProber, perf_event::PerfEventProber};
use crate::{AttachChoice, ProbeError, environment};

/// How programs are attached to functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMethod {
    /// One link for all places of a program in a file.
    UprobeMulti,
    /// A perf event for each place.
    PerfEvent,
}

impl AttachMethod {
    /// Its name in reports and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UprobeMulti => "uprobe_multi",
            Self::PerfEvent => "perf_event",
        }
    }
}

impl fmt::Display for AttachMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How programs are attached here, and why so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPlan {
    /// The way.
    pub method: AttachMethod,
    /// Why it is this one, in words.
    pub reason: String,
}

impl fmt::Display for AttachPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, reason } = self;
        write!(formatter, "{method}: {reason}")
    }
}

/// Which way this kernel gives to this process. It is tried, without an effect, and not concluded from
/// a version: distributions take features over, and rights differ.
#[must_use]
pub fn attach_plan(choice: AttachChoice) -> AttachPlan {
    let plan = |method, reason: &str| AttachPlan { method, reason: reason.to_owned() };
    if choice == AttachChoice::PerfEvent {
        return plan(AttachMethod::PerfEvent, ASKED_FOR);
    }
    match (multi::attempt(), choice) {
        (Ok(()), AttachChoice::UprobeMulti) => plan(AttachMethod::UprobeMulti, ASKED_FOR),
        (Ok(()), _) => plan(AttachMethod::UprobeMulti, "the kernel takes many places in one link"),
        (Err(refusal), AttachChoice::UprobeMulti) => {
            plan(AttachMethod::UprobeMulti, &format!("{ASKED_FOR}, but {refusal}"))
        }
        (Err(refusal), _) if cannot_tell() => {
            let reason = format!("the kernel should have it, but {refusal}");
            plan(AttachMethod::UprobeMulti, &reason)
        }
        (Err(refusal), _) => plan(AttachMethod::PerfEvent, &refusal),
    }
}

/// Whether a refusal is for want of rights. What the kernel would do with them follows from its version
/// then: nobody is to be told to grant more rights than it takes.
fn cannot_tell() -> bool {
    let missing = environment::missing_capabilities(AttachMethod::UprobeMulti);
    let may_not_try = missing.iter().any(|name| matches!(*name, "CAP_BPF" | "CAP_PERFMON"));
    may_not_try && environment::kernel_version() >= UPROBE_MULTI_SINCE
}

const UPROBE_MULTI_SINCE: (u32, u32) = (6, 6);

const ASKED_FOR: &str = "it was asked for";

/// A place at which a program is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Name of the program.
    pub(crate) program: &'static str,
    /// The function that the place is in, for messages.
    pub(crate) function: &'static str,
    /// Offset in the file.
    pub(crate) offset: u64,
    /// What the program is told about the place: [`mop_common::cookie`].
    pub(crate) cookie: u64,
    /// Whether a call is noted there, to be taken off again at another place.
    pub(crate) is_entry: bool,
}

/// Why nothing was attached to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The functions in question.
    pub(crate) functions: String,
    /// What the kernel said.
    pub(crate) reason: String,
}

/// Attaches programs, and holds what keeps them attached.
pub(crate) trait Prober: Send {
    /// Attaches to all of these places of a file or, when one is refused, to none. A program whose places
    /// come before those of another one is attached before it: entries stand behind all others.
    fn attach(&mut self, ebpf: &mut Ebpf, file: &Path, points: &[Point]) -> Result<(), Refusal>;

    /// Takes everything off, of a file the entries first: a call that is noted can still end.
    fn detach(&mut self);

    /// The programs that it has loaded itself, beside those that aya has.
    fn programs(&self) -> Vec<(&'static str, BorrowedFd<'_>)>;
}

/// Loads these programs for the way that is chosen, or that the kernel gives.
pub(crate) fn load(
    ebpf: &mut Ebpf,
    names: &[&'static str],
    choice: AttachChoice,
) -> Result<(Box<dyn Prober>, AttachPlan), ProbeError> {
    let mut plan = attach_plan(choice);
    if plan.method == AttachMethod::UprobeMulti {
        if choice == AttachChoice::UprobeMulti
            && let Err(reason) = multi::attempt()
        {
            return Err(ProbeError::NoUprobeMulti { reason });
        }
        match MultiProber::load(ebpf, names) {
            Ok(prober) => return Ok((Box::new(prober), plan)),
            Err(error) if choice == AttachChoice::Auto => {
                plan = AttachPlan { method: AttachMethod::PerfEvent, reason: error.to_string() };
            }
            Err(error) => return Err(error),
        }
    }
    Ok((Box::new(PerfEventProber::load(ebpf, names)?), plan))
}
