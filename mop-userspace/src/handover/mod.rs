//! One observer after another without a gap: an upgrade misses no call and breaks none off.
//!
//! For a moment both observe. They agree on a time; calls whose request began before it are reported
//! by the one that goes, which waits for their ends, and all others by the one that comes, which keeps
//! what it sees until the files are its own:
//!
//! ```text
//! goes   ── observes ──────────────▶ T ── finishes what began before T ──▶ detaches, writes, ends
//! comes        attaches, keeps ────▶ │ ── keeps ─────────────────────────────────────────────────▶ opens, reports
//! ```
//!
//! Each has its own programs and maps in the kernel, so that any version may follow any other that
//! can do this. They meet in the folder of the outbox, in three files:
//!
//! ```text
//! observers/current       locked by the observer that the outbox belongs to
//! observers/next          locked by the one that waits for it
//! observers/handed-over   the time, written by the one that goes
//! ```
//!
//! Locks end with their process, however it ends: whoever waits for one that was killed takes over
//! with nothing handed to it, and reports all that it saw.
//!
//! Limits: both stamp the same system call with their own time, some microseconds apart; a request that
//! begins just then may be reported by both or by neither. A connection of HTTP/2 that stays open over
//! the change is joined midway by the second: header fields that refer to earlier ones are unknown until
//! the table has turned over.

mod arrival;
mod configuration;
mod files;
mod tenure;

use self::files::Claim;
pub(crate) use self::{
    arrival::{Arrival, Begun, Means},
    configuration::{HandoverConfiguration, Then},
    files::Post,
    tenure::Tenure,
};
