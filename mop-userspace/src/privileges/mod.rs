//! The privilege split: a small prober with rights, and a core without any that does the work.
//!
//! Observing needs rights that hostile bytes must never come near: loading kernel programs and
//! looking into every process. So `mop observe` is two processes of one program.
//!
//! - The **prober** is the process that was started. It makes the core, loads and attaches the
//!   kernel programs, finds TLS libraries, and reads counters. It never maps the lanes: no byte of
//!   a message is ever in its memory.
//! - The **core** runs as another user from its first instruction, without capabilities, and takes
//!   from itself what is left: new privileges, being traced, most system calls (seccomp), all files
//!   but those that the configuration names and TCP ports that it does not (Landlock). It maps the
//!   lanes from descriptors that it is handed, and does everything else: parsing, judging,
//!   recording, forwarding, serving.
//!
//! They talk over one `SOCK_SEQPACKET` pair in messages of bounded size, see [`message`]; each end
//! takes the other for hostile. The core can ask for one thing: that a process be looked into, which
//! the prober does for any process by itself, at a bounded rate. Its first and last words are
//! "begin" and "stop".
//!
//! ```text
//!   operator ── starts ──▶ prober ── fork, setuid, exec of itself ──▶ core
//!                            │  ◀───── begin, look into, stop ─────── │
//!                            │  ──── descriptors, names, counters ──▶ │
//!               programs, probes                                lanes ──▶ workers, output, sinks
//! ```
//!
//! Why a second `exec`, and not only a fork: the core starts with a fresh address space, so nothing
//! that the prober knew is in it, and the kernel itself takes the rights away on the way; no line of
//! this program runs in the core with a right that it must give back.
//!
//! **Ends.** Whoever ends first, nothing stays attached: programs and probes belong to descriptors
//! of the prober alone. A signal to either ends both in order: the prober detaches, the core drains
//! what is in the lanes and finishes, and the exit code is the core's. A prober that is gone closes
//! its end of the pair, and the core ends in order with a failure; a core that is gone does the same
//! to the prober.
//!
//! **Fewer layers.** What a kernel or a machine does not give is left out and said, in one line at
//! the start and by `mop doctor`; see [`Layers`]. Without root, or when it is turned off, one
//! process does all.

mod attempts;
mod channel;
mod core;
mod files;
mod layers;
mod message;
mod needs;
mod prober;
mod probing;
mod rehearsal;
mod socket;
mod split;
mod system_calls;
mod user;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    layers::Layers,
    needs::Needs,
    probing::{Attachment, Outlook, Probing, Running},
    rehearsal::{RehearsalArguments, Rehearsed, rehearse, run_rehearsal},
    split::{Role, prober_of_core, take_role},
};

/// Its section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PrivilegesConfiguration {
    /// Two processes, where the machine allows it.
    pub(crate) split: bool,
    /// Whom the core runs as: a name of `/etc/passwd`, or a number.
    pub(crate) user: String,
    /// Whether the core is kept to the system calls that it needs.
    pub(crate) seccomp: bool,
    /// Whether the core is kept to the files and ports that it needs.
    pub(crate) landlock: bool,
}

impl Default for PrivilegesConfiguration {
    fn default() -> Self {
        Self { split: true, user: DEFAULT_USER.to_owned(), seccomp: true, landlock: true }
    }
}

/// What container images call `nonroot`. It needs no entry in `/etc/passwd`, and unlike `nobody` it
/// is shared with no other service of a distribution.
const DEFAULT_USER: &str = "65532";
