//! What became of every call and step that was observed: the report by which a participant can show
//! that nothing is missing, or where it is.
//!
//! Two identities must hold for each day, side and endpoint:
//!
//! ```text
//! observed = reported + not reportable (by reason)
//! reported = accepted + discarded (by reason) + parked + waiting
//! ```
//!
//! and of what was sent, `accepted + discarded <= sent <= reported`: an answer is one to something
//! that was sent. The program counts the members of both sides at different places, so a difference
//! is a defect of the program or of its state, and the report says where.
//!
//! Memory: at most [`MAX_ROWS`] rows of [`MAX_REASONS`] reasons; what is beyond is added up under
//! [`OTHERS`], never left out.

use std::{collections::BTreeMap, fmt};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::funnel::Side;

pub mod calendar;
pub mod tally;

/// A number of calls or steps that shared a fate. Several entries of the same are added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The day on which they happened.
    pub day: Date,
    /// The side that reports them.
    pub side: Side,
    /// Path template, or the name of a step.
    pub endpoint: String,
    /// What became of them.
    pub fate: Fate,
    /// How many.
    pub count: u64,
}

/// What became of a call or step; it has several fates in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The platform took it.
    Accepted,
    /// The platform refused it.
    Discarded(Reason),
    /// It is not one that is reported, or not yet.
    NotReportable(Reason),
    /// It was seen.
    Observed,
    /// It was given up for now, and kept.
    Parked,
    /// An event was made of it.
    Reported,
    /// It was sent at least once.
    Sent,
    /// It is to be sent, or an answer is to come.
    Waiting,
}

/// A reason: a word of this program, at most [`MAX_REASON_BYTES`] of `a-z`, `0-9` and `_`. Free
/// text, such as the platform's messages, could repeat what was sent and is [`Reason::other`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Reason(String);

/// The counts of one day, side and endpoint, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seen.
    pub observed: u64,
    /// Made into an event.
    pub reported: u64,
    /// Not made into one, by reason.
    pub not_reportable: BTreeMap<Reason, u64>,
    /// Sent at least once.
    pub sent: u64,
    /// Taken by the platform.
    pub accepted: u64,
    /// Refused by it, by reason.
    pub discarded: BTreeMap<Reason, u64>,
    /// Kept, and given up for now.
    pub parked: u64,
    /// Not sent or not answered yet.
    pub waiting: u64,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The day.
    pub day: Date,
    /// The side.
    pub side: Side,
    /// The endpoint or step.
    pub endpoint: String,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// What is wrong with them; empty when nothing is.
    pub differences: Vec<Imbalance>,
}

/// An identity that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "identity", rename_all = "snake_case")]
pub enum Imbalance {
    /// `observed = reported + not reportable`.
    Observed {
        /// Left side.
        observed: u64,
        /// Right side.
        accounted: u64,
    },
    /// `reported = accepted + discarded + parked + waiting`.
    Reported {
        /// Left side.
        reported: u64,
        /// Right side.
        accounted: u64,
    },
    /// `accepted + discarded <= sent <= reported`.
    Sent {
        /// What was sent.
        sent: u64,
        /// What was answered.
        answered: u64,
        /// What could have been sent.
        reported: u64,
    },
}

/// The report. As JSON its schema is `rules/schemas/data.reconciliation.schema.json`; as text it is
/// a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Always [`RECORD_KIND`].
    pub kind: &'static str,
    /// [`RECORD_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Whether both identities hold in every row.
    pub is_balanced: bool,
    /// Of all rows.
    pub total: Counts,
    /// By day, side and endpoint.
    pub rows: Vec<Row>,
}

impl Report {
    /// Adds up the entries of the days from one to another, both included.
    #[must_use]
    pub fn of(entries: impl IntoIterator<Item = Entry>, from: Date, to: Date) -> Self {
        let mut rows: BTreeMap<(Date, Side, String), Counts> = BTreeMap::new();
        let mut total = Counts::default();
        for Entry { day, side, endpoint, fate, count } in entries {
            if day < from || day > to {
                continue;
            }
            let mut key = (day, side, endpoint);
            let is_new = !rows.contains_key(&key);
            if key.2.len() > MAX_ENDPOINT_BYTES || (is_new && rows.len() >= MAX_ROWS) {
                OTHERS.clone_into(&mut key.2);
                // All of the rest is one row, so that their number is bounded.
                key.0 = if rows.len() >= MAX_ROWS { from } else { day };
                key.1 = if rows.len() >= MAX_ROWS { Side::Client } else { side };
            }
            total.add(&fate, count);
            rows.entry(key).or_default().add(&fate, count);
        }
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|((day, side, endpoint), counts)| {
                let differences = counts.differences();
                Row { day, side, endpoint, counts, differences }
            })
            .collect();
        let is_balanced = rows.iter().all(|row| row.differences.is_empty());
        let (kind, schema_version) = (RECORD_KIND, RECORD_SCHEMA_VERSION);
        Self { kind, schema_version, from, to, is_balanced, total, rows }
    }
}

impl Counts {
    fn add(&mut self, fate: &Fate, count: u64) {
        let member = match fate {
            Fate::Accepted => &mut self.accepted,
            Fate::Discarded(reason) => member(&mut self.discarded, reason),
            Fate::NotReportable(reason) => member(&mut self.not_reportable, reason),
            Fate::Observed => &mut self.observed,
            Fate::Parked => &mut self.parked,
            Fate::Reported => &mut self.reported,
            Fate::Sent => &mut self.sent,
            Fate::Waiting => &mut self.waiting,
        };
        *member = member.saturating_add(count);
    }

    /// Identities that do not hold.
    #[must_use]
    pub fn differences(&self) -> Vec<Imbalance> {
        let (observed, reported, sent) = (self.observed, self.reported, self.sent);
        let discarded = sum(self.discarded.values());
        let answered = self.accepted.saturating_add(discarded);
        let mut differences = Vec::new();
        let accounted = reported.saturating_add(sum(self.not_reportable.values()));
        if observed != accounted {
            differences.push(Imbalance::Observed { observed, accounted });
        }
        let accounted = sum(&[answered, self.parked, self.waiting]);
        if reported != accounted {
            differences.push(Imbalance::Reported { reported, accounted });
        }
        if answered > sent || sent > reported {
            differences.push(Imbalance::Sent { sent, answered, reported });
        }
        differences
    }
}

impl Reason {
    /// A word of this program; other text is [`Self::other`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        let is_letter = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
        let is_word = (1..=MAX_REASON_BYTES).contains(&text.len()) && text.bytes().all(is_letter);
        if is_word { Self(text.to_owned()) } else { Self::other() }
    }

    /// Any other reason.
    #[must_use]
    pub fn other() -> Self {
        Self("other".to_owned())
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.endpoint.len()).max().unwrap_or(0).max(8);
        let numbers = |counts: &Counts| {
            [
                counts.observed,
                counts.reported,
                sum(counts.not_reportable.values()),
                counts.sent,
                counts.accepted,
                sum(counts.discarded.values()),
                counts.parked,
                counts.waiting,
            ]
        };
        let line = |f: &mut fmt::Formatter<'_>, head: [&str; 3], counts: &Counts, note: &str| {
            let [day, side, endpoint] = head;
            write!(f, "{day:<10} {side:<6} {endpoint:<width$}")?;
            numbers(counts).iter().try_for_each(|number| write!(f, " {number:>9}"))?;
            writeln!(f, "  {note}")
        };
        write!(f, "{:<10} {:<6} {:<width$}", "day", "side", "endpoint")?;
        HEADS.iter().try_for_each(|head| write!(f, " {head:>9}"))?;
        writeln!(f, "  balance")?;
        for row in &self.rows {
            let note = if row.differences.is_empty() { "ok" } else { "WRONG" };
            let day = row.day.to_string();
            line(f, [&day, row.side.name(), &row.endpoint], &row.counts, note)?;
        }
        let note = if self.is_balanced { "ok" } else { "WRONG" };
        line(f, ["total", "", ""], &self.total, note)?;
        for (title, reasons) in
            [("not reportable", &self.total.not_reportable), ("discarded", &self.total.discarded)]
        {
            for (reason, count) in reasons {
                writeln!(f, "{title}: {count} {}", reason.as_str())?;
            }
        }
        for row in &self.rows {
            for difference in &row.differences {
                let (day, side, endpoint) = (row.day, row.side.name(), &row.endpoint);
                writeln!(f, "wrong: {day} {side} {endpoint}: {difference}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed { observed, accounted } => {
                write!(f, "{observed} were observed, {accounted} were reported or could not be")
            }
            Self::Reported { reported, accounted } => write!(
                f,
                "{reported} were reported, {accounted} were accepted, discarded, parked or wait"
            ),
            Self::Sent { sent, answered, reported } => {
                write!(f, "{sent} were sent, {answered} were answered, {reported} were reported")
            }
        }
    }
}

/// The count of a reason; beyond [`MAX_REASONS`] that of all others.
fn member<'a>(reasons: &'a mut BTreeMap<Reason, u64>, reason: &Reason) -> &'a mut u64 {
    let fits = reasons.contains_key(reason) || reasons.len() < MAX_REASONS;
    let reason = if fits { reason.clone() } else { Reason::other() };
    reasons.entry(reason).or_default()
}

fn sum<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u64 {
    counts.into_iter().fold(0, |sum, count| sum.saturating_add(*count))
}

const HEADS: [&str; 8] =
    ["observed", "reported", "not_rep.", "sent", "accepted", "discarded", "parked", "waiting"];
/// `kind` of the report as JSON.
pub const RECORD_KIND: &str = "data.reconciliation";
/// Version of its schema.
pub const RECORD_SCHEMA_VERSION: u32 = 1;
/// Stands for endpoints beyond [`MAX_ROWS`], or with names that are too long.
pub const OTHERS: &str = "(others)";
/// Half a year of 328 endpoints on two sides, of which no participant has all.
pub const MAX_ROWS: usize = 120_000;
/// Reasons are words of this program, which has a few tens.
pub const MAX_REASONS: usize = 64;
/// Longer than any of them.
pub const MAX_REASON_BYTES: usize = 64;
/// The longest template of the published documents has 122.
const MAX_ENDPOINT_BYTES: usize = 256;
