//! The outbox: records on their way out, on disk, and how far each sink has come.
//!
//! A record is in it, delivered to every sink, or counted as lost. One process writes, through
//! [`Outbox`]; each sink reads through its own [`Feed`] and says how far it is.
//!
//! ```text
//! folder/lock                                 locked by the process that writes
//! folder/epoch                                the number of its last opening
//! folder/durable                              the last sequence of each lane that was committed
//! folder/<lane>/<first sequence>.segment      records, in order; 20 digits
//! folder/<lane>/….segment.damaged             a segment whose header cannot be read, kept for a while
//! folder/cursors/<sink>                       how far a sink is
//! folder/parked/<sink>/<first place>.segment  records that were set aside for a sink
//! ```
//!
//! The bytes of a segment are drawn in `format.rs`, those of a cursor in `cursor.rs`.
//!
//! # What holds
//!
//! - **A lane is an order.** Sequences count up by one in a lane, over all openings. With the epoch,
//!   which grows with every opening, they name a record for ever and make every gap visible.
//! - **A commit is durable.** [`Outbox::commit`] writes what waits and syncs it; a feed gives nothing
//!   before that. After a crash all committed records are there, none is altered, none has changed
//!   its place; those given and not acknowledged are given again.
//! - **Only the end of a file grows**, and an opening begins new files. What a crash tore is behind
//!   the last committed record.
//! - **After a failed sync nothing is believed.** What was not synced is kept in memory until it is,
//!   and written again, into another segment. While the disk refuses, records stay in bounded memory
//!   and feeds get them from there; every few seconds it is tried again.
//! - **No room** costs the least important lane first, its oldest segment first; a record that finds
//!   nothing less important to drop is refused. All of it is counted, per lane and per sink.
//! - **Damage** costs the records that it hit: reading goes on with the next one whose checksum is
//!   right. Sequences tell how many are lost, and, at the end of a lane, the file `durable` does: it
//!   is written after each commit, so it is never ahead of what was synced.
//! - **Ages** are told by a clock that does not leap (`age.rs`).
//! - **A lane keeps at least one file**, whose name tells the next sequence after a restart.
//!
//! A second process may read all of it at any time with a [`Reader`], without the lock.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::panic, clippy::expect_used))]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod age;
mod cursor;
mod entry;
mod feed;
mod format;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod lane;
mod opening;
mod outbox;
mod parked;
mod reader;
mod recovery;
mod repair;
mod room;
mod scan;
mod shared;
mod state;
mod stats;
mod storage;
#[cfg(test)]
mod tests;

pub use entry::{Draft, Entry, Lane};
pub use feed::{Feed, ParkedEntry};
pub use outbox::{Admission, Keep, Options, Outbox, OutboxError};
pub use reader::{Damage, Log, LogReport, Reader, SegmentReport, SinkReport};
pub use repair::{Repair, repair};
pub use stats::Stats;
