//! Makes the tallies agree with the outbox, before anybody writes into it.

use std::{collections::BTreeMap, io, path::Path};

use jiff::Timestamp;
use mop_insight::data::reconciliation::{Fate, tally::Tally};
use mop_outbox::{Entry, Reader};

use super::{
    LANE, MADE, SENT, SINK, fate_of_parked, load,
    made::MadeState,
    sent::{SentState, UNREADABLE},
    store, subject_of,
};

/// Counts what lies in the outbox and no tally knows: after a crash, a few records; the first time
/// ever, all that are on their way or set aside. To be called by who has the outbox's lock, while
/// nobody writes into it or sends from it.
pub(crate) fn repair(outbox: &Path, now: Timestamp) {
    if let Err(error) = try_repair(outbox, now) {
        eprintln!("mop: what became of events cannot be counted from the outbox: {error}");
    }
}

fn try_repair(outbox: &Path, now: Timestamp) -> io::Result<()> {
    let reader = Reader::open(outbox)?;
    let acknowledged = acknowledged(&reader)?;
    let mut made = load::<MadeState>(outbox, MADE);
    let sent = load::<SentState>(outbox, SENT);
    let cut = match &made {
        Some((_, state)) => cut(&reader, state)?,
        None => acknowledged,
    };
    let is_new = made.is_none();
    let (tally, state) = made.get_or_insert_with(|| (Tally::default(), MadeState::new(now)));
    let mut is_changed = is_new;
    let mut end = cut;
    let mut count = |entry: &Entry| {
        if let Some(subject) = subject_of(&entry.kind, &entry.payload) {
            tally.add(&subject, &Fate::Observed);
            tally.add(&subject, &Fate::Reported);
            is_changed = true;
        }
    };
    if is_new && sent.is_none() {
        reader.parked(SINK, |parked| {
            count(&parked.entry);
            true
        })?;
    }
    reader.entries_after(LANE, cut, |entry| {
        count(&entry);
        end = entry.sequence;
        true
    })?;
    if is_changed {
        *state = MadeState { from: end, since: state.since, ..MadeState::new(now) };
        store(outbox, MADE, tally, state)?;
    }
    repair_sent(outbox, &reader, sent, acknowledged)
}

fn repair_sent(
    outbox: &Path,
    reader: &Reader,
    sent: Option<(Tally, SentState)>,
    acknowledged: u64,
) -> io::Result<()> {
    let is_new = sent.is_none();
    let (mut tally, mut state) = sent.unwrap_or_default();
    if !is_new && state.settled >= acknowledged {
        return Ok(());
    }
    let mut count = |entry: &Entry, reason: Option<&str>| {
        let Some(subject) = subject_of(&entry.kind, &entry.payload) else { return };
        tally.add(&subject, &reason.map_or(Fate::Accepted, fate_of_parked));
        if reason != Some(UNREADABLE) {
            tally.add(&subject, &Fate::Sent);
        }
    };
    // Those that were set aside of what is to be counted, by sequence.
    let mut parked = BTreeMap::new();
    reader.parked(SINK, |found| {
        let entry = found.entry;
        if is_new {
            count(&entry, Some(&entry.note));
        } else if entry.sequence > state.settled {
            parked.insert(entry.sequence, entry.note);
        }
        true
    })?;
    if !is_new {
        reader.entries_after(LANE, state.settled, |entry| {
            let is_done = entry.sequence <= acknowledged;
            if is_done {
                count(&entry, parked.get(&entry.sequence).map(|reason| &**reason));
            }
            is_done
        })?;
    }
    state.settled = acknowledged;
    state.sent = state.sent.max(acknowledged);
    store(outbox, SENT, &tally, &state)
}

/// Up to where the sink is done with the lane.
pub(super) fn acknowledged(reader: &Reader) -> io::Result<u64> {
    let sinks = reader.sinks()?;
    let found = sinks.iter().find(|sink| sink.name == SINK);
    Ok(found.and_then(|sink| sink.acknowledged.get(LANE as usize)).copied().unwrap_or(0))
}

/// The last sequence that is among these counts. It is that of the last record counted; where none of the
/// last is in the outbox any more, times decide.
pub(super) fn cut(reader: &Reader, state: &MadeState) -> io::Result<u64> {
    let at = u64::try_from(state.at.as_millisecond()).unwrap_or(0);
    let mut end = u64::MAX;
    let mut counted = state.from;
    if state.last.is_empty() {
        return Ok(counted);
    }
    // What was counted last lies near the end.
    for start in reader.starts(LANE)?.into_iter().rev() {
        let mut last = None;
        let mut newest = None;
        reader.entries_after(LANE, start.saturating_sub(1), |entry| {
            if entry.sequence >= end {
                return false;
            }
            if state.last.iter().any(|id| **id == *entry.id) {
                last = last.max(Some(entry.sequence));
            }
            if entry.time_ms < at {
                counted = counted.max(entry.sequence);
            }
            newest = newest.max(Some(entry.time_ms));
            true
        })?;
        if let Some(last) = last {
            return Ok(last);
        }
        let is_old = newest.is_some_and(|newest| newest.saturating_add(LATE_MS) < at);
        if is_old || start <= state.from {
            break;
        }
        end = start;
    }
    Ok(counted)
}

/// No record takes so long from where it is counted into the outbox.
const LATE_MS: u64 = 60_000;
