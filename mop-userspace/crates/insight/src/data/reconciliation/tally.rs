//! Counts of fates by day, side and endpoint, and their form on disk.
//!
//! ```json
//! {"version":1,"state":{…},"days":{"2026-11-27":[
//!   {"side":"server","endpoint":"/open-insurance/…","observed":9,"reported":8,
//!    "not_reportable":{"consent_unknown":1}}]}}
//! ```
//!
//! `state` is whatever its writer needs to go on: how far it has counted. Members that are zero are
//! left out. Bounds: [`KEPT_DAYS`] days, of which the oldest go; [`MAX_ROWS`] rows and
//! [`MAX_REASONS`] reasons of each, beyond which counts are added up under [`OTHERS`].

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Counts, Entry, Fate, MAX_ENDPOINT_BYTES, MAX_REASONS, OTHERS, Reason, member};
use crate::data::funnel::Side;

/// Where a call or step belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The day on which it happened.
    pub day: Date,
    /// The side that reports it.
    pub side: Side,
    /// Path template, or the name of a step.
    pub endpoint: String,
}

/// Counts that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    days: BTreeMap<Date, BTreeMap<(Side, String), Counts>>,
}

/// Why bytes are no tally.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// Longer than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not of the form of a tally.
    #[error("it is no tally of what became of events")]
    Form(#[source] serde_json::Error),
    /// Written by another version.
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
    /// More than is kept, or a row twice.
    #[error("it contradicts the limits under which it is written")]
    Limits,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<S> {
    version: u32,
    state: S,
    days: BTreeMap<Date, Vec<Line>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    side: Side,
    endpoint: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    observed: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    reported: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    not_reportable: BTreeMap<Reason, u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    sent: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    accepted: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    discarded: BTreeMap<Reason, u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    parked: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    waiting: u64,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, subject: &Subject, fate: &Fate) {
        self.counts(subject).add(fate, 1);
        while self.days.len() > KEPT_DAYS {
            self.days.pop_first();
        }
    }

    /// Takes one back that has another fate now. False when there is none.
    pub fn take_back(&mut self, subject: &Subject, fate: &Fate) -> bool {
        let counts = self.counts(subject);
        let count = match fate {
            Fate::Accepted => &mut counts.accepted,
            Fate::Discarded(reason) => member(&mut counts.discarded, reason),
            Fate::NotReportable(reason) => member(&mut counts.not_reportable, reason),
            Fate::Observed => &mut counts.observed,
            Fate::Parked => &mut counts.parked,
            Fate::Reported => &mut counts.reported,
            Fate::Sent => &mut counts.sent,
            Fate::Waiting => &mut counts.waiting,
        };
        let is_there = *count > 0;
        *count = count.saturating_sub(1);
        counts.discarded.retain(|_, count| *count > 0);
        counts.not_reportable.retain(|_, count| *count > 0);
        is_there
    }

    /// The first day that it still has, once days before it may have been dropped.
    #[must_use]
    pub fn kept_from(&self) -> Option<Date> {
        self.days.keys().next().copied().filter(|_| self.days.len() >= KEPT_DAYS)
    }

    /// All counts.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.days.iter().flat_map(|(day, rows)| {
            rows.iter().flat_map(|((side, endpoint), counts)| {
                let entry = |(fate, count)| Entry {
                    day: *day,
                    side: *side,
                    endpoint: endpoint.clone(),
                    fate,
                    count,
                };
                fates(counts).into_iter().filter(|(_, count)| *count > 0).map(entry)
            })
        })
    }

    /// As bytes, always the same for the same counts.
    ///
    /// # Errors
    ///
    /// That of a `state` which is not JSON.
    pub fn write<S: Serialize>(&self, state: &S) -> Result<Vec<u8>, serde_json::Error> {
        let days = self
            .days
            .iter()
            .map(|(day, rows)| (*day, rows.iter().map(Line::of).collect()))
            .collect();
        serde_json::to_vec(&File { version: VERSION, state, days })
    }

    /// What was written, and the state of its writer.
    ///
    /// # Errors
    ///
    /// [`TallyError`].
    pub fn parse<S: DeserializeOwned>(bytes: &[u8]) -> Result<(Self, S), TallyError> {
        if bytes.len() > MAX_BYTES {
            return Err(TallyError::TooLong);
        }
        let file: File<S> = serde_json::from_slice(bytes).map_err(TallyError::Form)?;
        if file.version != VERSION {
            return Err(TallyError::Version(file.version));
        }
        let rows: usize = file.days.values().map(Vec::len).sum();
        if file.days.len() > KEPT_DAYS || rows > MAX_ROWS + KEPT_DAYS * Side::ALL.len() {
            return Err(TallyError::Limits);
        }
        let mut days = BTreeMap::new();
        for (day, lines) in file.days {
            let count = lines.len();
            let rows: BTreeMap<_, _> = lines.into_iter().map(Line::into_row).collect();
            let is_kept = |((_, endpoint), counts): (&(Side, String), &Counts)| {
                endpoint.len() <= MAX_ENDPOINT_BYTES
                    && counts.discarded.len() <= MAX_REASONS + 1
                    && counts.not_reportable.len() <= MAX_REASONS + 1
            };
            if rows.len() != count || !rows.iter().all(is_kept) {
                return Err(TallyError::Limits);
            }
            days.insert(day, rows);
        }
        Ok((Self { days }, file.state))
    }

    fn counts(&mut self, subject: &Subject) -> &mut Counts {
        let Subject { day, side, endpoint } = subject;
        let rows: usize = self.days.values().map(BTreeMap::len).sum();
        let of_day = self.days.entry(*day).or_default();
        let mut key = (*side, endpoint.clone());
        let is_room = rows < MAX_ROWS || of_day.contains_key(&key);
        if endpoint.len() > MAX_ENDPOINT_BYTES || !is_room {
            OTHERS.clone_into(&mut key.1);
        }
        of_day.entry(key).or_default()
    }
}

impl Line {
    fn of(((side, endpoint), counts): (&(Side, String), &Counts)) -> Self {
        let Counts {
            observed,
            reported,
            not_reportable,
            sent,
            accepted,
            discarded,
            parked,
            waiting,
        } = counts.clone();
        Self {
            side: *side,
            endpoint: endpoint.clone(),
            observed,
            reported,
            not_reportable,
            sent,
            accepted,
            discarded,
            parked,
            waiting,
        }
    }

    fn into_row(self) -> ((Side, String), Counts) {
        let Self {
            side,
            endpoint,
            observed,
            reported,
            not_reportable,
            sent,
            accepted,
            discarded,
            parked,
            waiting,
        } = self;
        let counts = Counts {
            observed,
            reported,
            not_reportable,
            sent,
            accepted,
            discarded,
            parked,
            waiting,
        };
        ((side, endpoint), counts)
    }
}

fn fates(counts: &Counts) -> Vec<(Fate, u64)> {
    let Counts { observed, reported, not_reportable, sent, accepted, discarded, parked, waiting } =
        counts;
    let mut fates = vec![
        (Fate::Observed, *observed),
        (Fate::Reported, *reported),
        (Fate::Sent, *sent),
        (Fate::Accepted, *accepted),
        (Fate::Parked, *parked),
        (Fate::Waiting, *waiting),
    ];
    let of = |reasons: &BTreeMap<Reason, u64>, fate: fn(Reason) -> Fate| -> Vec<(Fate, u64)> {
        reasons.iter().map(|(reason, count)| (fate(reason.clone()), *count)).collect()
    };
    fates.extend(of(not_reportable, Fate::NotReportable));
    fates.extend(of(discarded, Fate::Discarded));
    fates
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

const VERSION: u32 = 1;
/// A month that is looked at in the middle of the next one.
pub const KEPT_DAYS: usize = 45;
/// Of all days: 328 endpoints, unlisted ones and 30 steps on two sides would be 32,000; a
/// participant has a tenth of that. Some 200 bytes each.
pub const MAX_ROWS: usize = 20_000;
/// Far above [`MAX_ROWS`] usual rows; no file of this program is as long.
pub const MAX_BYTES: usize = 64 << 20;
