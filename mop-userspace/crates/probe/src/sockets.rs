//! The node's TCP sockets: which process moves how many bytes, whether anybody can read them or not.
//!
//! [`Surveyor`] asks the kernel (`NETLINK_SOCK_DIAG`, as `ss` does) for every TCP socket of every
//! network namespace, with the bytes that it has carried so far, and finds the processes that hold
//! them. Between two surveys it hears of sockets that close, with their last counts, so that short
//! connections are not missed. It reads no byte of any connection.
//!
//! ```text
//!   processes ──▶ network namespaces ──▶ sockets and their bytes ─┐
//!        └──────▶ descriptors ──▶ owners of sockets ──────────────┼──▶ Survey
//!                 sockets that closed, as they close ─────────────┘
//! ```
//!
//! **Other namespaces** are entered by a thread of its own that opens a socket there and ends; the
//! socket goes on belonging to the namespace. A socket keeps its namespace alive, so it is given up
//! within [`WITNESS_EVERY`] of the last look at a process that lives there.
//!
//! **Limits.** All work of a survey is bounded; what is beyond a bound is counted in [`Unseen`].

mod link;
mod message;
mod namespaces;
mod owners;
mod survey;
mod surveyor;
mod talker;

pub use survey::{Owner, Survey, Traffic, Unseen};
pub use surveyor::{Surveyor, WITNESS_EVERY};
pub use talker::{MAX_LISTENERS, MAX_PATH_BYTES, MAX_PROGRAM_BYTES, Runtime, Talker};
