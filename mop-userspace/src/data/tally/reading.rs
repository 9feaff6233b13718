//! All counts as of one moment, whoever writes them meanwhile.

use std::{io, path::Path};

use jiff::{Timestamp, civil::Date};
use mop_insight::data::reconciliation::{Entry, Fate, tally::Tally};
use mop_outbox::Reader;

use super::{
    LANE, MADE, SENT, load,
    made::MadeState,
    repair::{acknowledged, cut},
    sent::SentState,
    subject_of,
};

/// What was read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Counts of both tallies and of the outbox.
    pub(crate) entries: Vec<Entry>,
    /// Since when calls are counted.
    pub(crate) since: Timestamp,
    /// The first day of which everything is still there, once days were dropped.
    pub(crate) kept_from: Option<Date>,
}

impl Reading {
    /// Reads everything; `None` when nothing was ever counted. `progress` is told after each record of
    /// the outbox.
    pub(crate) fn of(outbox: &Path, mut progress: impl FnMut()) -> io::Result<Option<Self>> {
        let reader = Reader::open(outbox)?;
        let mut tries = TRIES;
        loop {
            let Some((mut made, made_state)) = load::<MadeState>(outbox, MADE) else {
                return Ok(None);
            };
            // Before `sent`, which is never behind it; when it is, what was settled is not known, and must
            // not be taken for what waits.
            let acknowledged = acknowledged(&reader)?;
            let (sent, sent_state) = load::<SentState>(outbox, SENT).unwrap_or_default();
            let mut waiting = Tally::default();
            let cut = cut(&reader, &made_state)?;
            reader.entries_after(LANE, cut.min(sent_state.settled), |entry| {
                progress();
                if let Some(subject) = subject_of(&entry.kind, &entry.payload) {
                    if entry.sequence > cut {
                        made.add(&subject, &Fate::Observed);
                        made.add(&subject, &Fate::Reported);
                    }
                    if entry.sequence > sent_state.settled.max(acknowledged) {
                        waiting.add(&subject, &Fate::Waiting);
                        if entry.sequence <= sent_state.sent {
                            waiting.add(&subject, &Fate::Sent);
                        }
                    }
                }
                true
            })?;
            tries -= 1;
            // What was settled meanwhile may be gone from the outbox.
            let now = load::<SentState>(outbox, SENT).map(|(_, state)| state).unwrap_or_default();
            if now.settled == sent_state.settled || tries == 0 {
                return Ok(Some(Self {
                    kept_from: made.kept_from().max(sent.kept_from()),
                    since: made_state.since,
                    entries: [made, sent, waiting].iter().flat_map(Tally::entries).collect(),
                }));
            }
        }
    }
}

/// Gives each record that waits for the sink.
pub(crate) fn each_waiting(
    outbox: &Path,
    mut visit: impl FnMut(&mop_outbox::Entry),
) -> io::Result<()> {
    let reader = Reader::open(outbox)?;
    reader.entries_after(LANE, acknowledged(&reader)?, |entry| {
        visit(&entry);
        true
    })
}

/// A sink settles a batch a minute, or several a second after a trouble; then the figures of the day
/// that goes on are not worth more.
const TRIES: u32 = 5;
