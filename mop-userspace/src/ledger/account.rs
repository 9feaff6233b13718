//! The counts of a ledger record, and the identities that they obey.

use std::collections::BTreeMap;

use mop_outbox::Lane;
use serde::{Deserialize, Serialize};

use crate::vitals::Captured;

/// All counts of one moment, since the outbox was opened.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Account {
    pub(crate) records: RecordsAccount,
    pub(crate) outbox: OutboxAccount,
    pub(crate) sinks: Vec<SinkAccount>,
    pub(crate) capture: CaptureAccount,
}

/// Records by lane, from where they are made into the outbox.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct RecordsAccount {
    pub(crate) produced: BTreeMap<String, u64>,
    /// Put into the outbox.
    pub(crate) accepted: BTreeMap<String, u64>,
    /// The outbox had no room.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The writer was behind.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// Records in the outbox.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct OutboxAccount {
    pub(crate) held_at_start: u64,
    pub(crate) held: u64,
    /// Dropped to make room for more important ones.
    pub(crate) shed: u64,
    /// Dropped because they were too old.
    pub(crate) expired: u64,
    /// Lost with damaged bytes.
    pub(crate) damaged: u64,
}

/// Records on their way to one sink.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct SinkAccount {
    pub(crate) name: String,
    pub(crate) spooled_at_start: u64,
    /// The other side has them.
    pub(crate) delivered: u64,
    /// Set aside.
    pub(crate) parked: u64,
    /// Of a kind that the sink does not take.
    pub(crate) passed: u64,
    /// In the outbox, not yet done with.
    pub(crate) spooled: u64,
    /// Dropped from the outbox before they were delivered.
    pub(crate) dropped: u64,
}

/// What was seen and what was not.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct CaptureAccount {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    /// Bytes that were not seen, by cause.
    pub(crate) lost_bytes: BTreeMap<String, u64>,
    pub(crate) exchanges: u64,
    pub(crate) incomplete_exchanges: u64,
}

impl RecordsAccount {
    /// From the counts by lane.
    pub(crate) fn new(
        accepted: [u64; Lane::ALL.len()],
        refused: [u64; Lane::ALL.len()],
        dropped: [u64; Lane::ALL.len()],
    ) -> Self {
        let mut produced = accepted;
        for (sum, (refused, dropped)) in produced.iter_mut().zip(refused.iter().zip(dropped)) {
            *sum += refused + dropped;
        }
        Self {
            produced: by_lane(produced),
            accepted: by_lane(accepted),
            refused: by_lane(refused),
            dropped: by_lane(dropped),
        }
    }
}

impl From<Captured> for CaptureAccount {
    fn from(captured: Captured) -> Self {
        let Captured { segments, bytes, lost_bytes, exchanges, incomplete_exchanges } = captured;
        let lost_bytes =
            lost_bytes.into_iter().map(|(cause, bytes)| (cause.to_owned(), bytes)).collect();
        Self { segments, bytes, lost_bytes, exchanges, incomplete_exchanges }
    }
}

impl Account {
    /// The identities that do not hold, in words.
    pub(crate) fn discrepancies(&self) -> Vec<String> {
        let mut found = Vec::new();
        let RecordsAccount { produced, accepted, refused, dropped } = &self.records;
        for lane in Lane::ALL {
            let of = |counts: &BTreeMap<String, u64>| counts.get(lane.name()).copied().unwrap_or(0);
            let sum = of(accepted).saturating_add(of(refused)).saturating_add(of(dropped));
            if of(produced) != sum {
                found.push(format!(
                    "lane {}: {} produced, but {sum} accepted, refused or dropped",
                    lane.name(),
                    of(produced)
                ));
            }
        }
        let forwarded: u64 = Lane::ALL
            .into_iter()
            .filter(|lane| lane.is_forwarded())
            .filter_map(|lane| accepted.get(lane.name()))
            .fold(0, |sum, count| sum.saturating_add(*count));
        for sink in &self.sinks {
            let into = sink.spooled_at_start.saturating_add(forwarded);
            let out = [sink.delivered, sink.parked, sink.passed, sink.spooled, sink.dropped]
                .into_iter()
                .fold(0, u64::saturating_add);
            if into != out {
                found.push(format!(
                    "sink {}: {into} to be delivered, {out} accounted for",
                    sink.name
                ));
            }
        }
        found
    }
}

fn by_lane(counts: [u64; Lane::ALL.len()]) -> BTreeMap<String, u64> {
    Lane::ALL
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(lane, count)| (lane.name().to_owned(), count))
        .collect()
}
