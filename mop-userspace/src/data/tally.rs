//! What became of events, counted where it happens and kept beside the outbox.
//!
//! ```text
//! insight/made   observed, reported, not reportable: written by the data module
//! insight/sent   sent, accepted, discarded, parked: written by the sink `pcm`
//! the outbox     waiting: what lies behind the place up to which `sent` has counted
//! ```
//!
//! Each file has one writer, who replaces it as a whole. What holds after a crash:
//!
//! - `made` is written late: it says what was counted some seconds before, when all of it was in the
//!   outbox. Records behind the last one that it counted are read from the outbox, at the next start
//!   ([`repair`]) and by whoever reads meanwhile ([`Reading`]).
//! - `sent` is written before the outbox is told that a record is done with, and `made` before that.
//!   `sent` says up to which place it has counted; what is sent again from before that place is not
//!   counted again.
//! - So every record that reached the disk of the outbox is counted once on both sides. A record that
//!   was made and never reached it, or was dropped from it, is counted on one: the report does not
//!   balance by exactly those, and must not.
//! - Calls of which no event could be made leave nothing behind: those of the last seconds before a
//!   crash are counted on neither side.

mod made;
mod reading;
mod repair;
mod sent;

use std::{borrow::Cow, io, path::Path};

use jiff::Timestamp;
use mop_insight::data::{
    funnel::Side,
    reconciliation::{
        Fate, Reason,
        calendar::day_of,
        tally::{Subject, Tally},
    },
};
use mop_outbox::Lane;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::state::{FOLDER, replace};

pub(crate) use self::{
    made::{Made, SharedMade},
    reading::{Reading, each_waiting},
    repair::repair,
    sent::Sent,
};

/// What is read of a record in the outbox.
#[derive(Deserialize)]
struct Read<'r> {
    side: Side,
    #[serde(borrow)]
    event: ReadEvent<'r>,
}

#[derive(Deserialize)]
struct ReadEvent<'r> {
    #[serde(borrow)]
    endpoint: Option<Cow<'r, str>>,
    #[serde(borrow)]
    step: Option<Cow<'r, str>>,
    timestamp: Timestamp,
}

/// Where a record is counted; `None` for one that holds no event.
pub(super) fn subject_of(kind: &str, payload: &[u8]) -> Option<Subject> {
    if !matches!(kind, CALL | FUNNEL) {
        return None;
    }
    let Read { side, event } = serde_json::from_slice(payload).ok()?;
    let ReadEvent { endpoint, step, timestamp } = event;
    let endpoint = if kind == CALL { endpoint } else { step }?.into_owned();
    Some(Subject { day: day_of(timestamp), side, endpoint })
}

/// What a record is that was set aside for this reason.
fn fate_of_parked(reason: &str) -> Fate {
    if reason.starts_with(DISCARDED) { Fate::Discarded(Reason::new(reason)) } else { Fate::Parked }
}

/// Reads one of the files; `None` when there is none, or it is of no use, which is said.
fn load<S: DeserializeOwned>(outbox: &Path, name: &str) -> Option<(Tally, S)> {
    let path = outbox.join(FOLDER).join(name);
    let told = |error: &dyn std::fmt::Display| {
        eprintln!("mop: {}: {error}; what became of events is counted anew", path.display());
    };
    match std::fs::read(&path) {
        Ok(bytes) => Tally::parse(&bytes).inspect_err(|error| told(error)).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            told(&error);
            None
        }
    }
}

fn store<S: Serialize>(outbox: &Path, name: &str, tally: &Tally, state: &S) -> io::Result<()> {
    write(outbox, name, &tally.write(state)?)
}

fn write(outbox: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = outbox.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    replace(&folder.join(name), bytes)
}

/// The files, in the folder of the state.
const MADE: &str = "made";
const SENT: &str = "sent";
/// The sink that the figures are of.
const SINK: &str = "pcm";
/// Where its events lie.
const LANE: Lane = Lane::Data;
const CALL: &str = "data.call";
const FUNNEL: &str = "data.funnel";
/// Begins every reason for which the platform refused a single event.
const DISCARDED: &str = "discarded";

#[cfg(test)]
mod tests;
