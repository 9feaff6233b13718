//! What a participant published, held against what was computed here: the record `data.metrics_check`.
//!
//! Wrong is worse than missing. A figure is only held against ours where ours can be right:
//! - a day that was observed whole ([`super::watch`]); today is none, since its figures move on;
//! - classes of which the documents say what they hold: not `unauthenticated` and `unattended`;
//! - figures over all classes (`averageTps`, `peakTps`, `errors`, `rejections`) from below only, since a
//!   participant may count what is not regulated too;
//! - all counts from below only, unless this node sees every call of the organisation ([`View`]); means
//!   and availability not at all then;
//! - availability when polls of `/discovery/status` were seen and every day of its period is whole.
//!
//! All else is `not_observed`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Period,
    compare::{Difference, Figure, Quantity, Tolerance, figures},
    day::{DAY_SECONDS, DayBoundary},
    figures::MetricsData,
    priority::PriorityClass,
};
use crate::data::funnel::event::whole_seconds;

/// What was published, held against ours. Its schema is
/// `rules/schemas/data.metrics_check.schema.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsCheck {
    /// Always [`CHECK_KIND`].
    pub kind: String,
    /// [`CHECK_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Follows from the exchange.
    pub id: String,
    /// The exchange whose answer it is.
    pub exchange: String,
    /// The organisation that published.
    pub organisation: String,
    /// Where a day begins here.
    pub day_boundary: DayBoundary,
    /// What was asked for; none when the request did not say.
    pub period: Option<Period>,
    /// `requestTime` of the answer, in whole seconds of UTC; none when it is no time.
    pub request_time: Option<String>,
    /// Whether every call was seen here, or a part.
    pub view: View,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// Figures that were held against ours.
    pub compared: u64,
    /// Of these, those that differ.
    pub differences: Vec<Difference>,
    /// Figures of which nothing can be said here.
    pub not_observed: Vec<String>,
}

/// How much of an organisation's calls is seen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// All of them.
    Every,
    /// Those of one node of several.
    #[default]
    Part,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// At least one figure differs.
    Different,
    /// Nothing could be held against ours.
    NotObserved,
    /// None of those that could be held against ours differs.
    Same,
    /// The answer is not of the form of the document, or was not seen whole.
    Unreadable,
}

/// What was published, and when.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// When its request began.
    pub at: Timestamp,
    /// `period` of the request.
    pub period: Option<Period>,
    /// The figures; none when they could not be read.
    pub data: Option<&'a MetricsData>,
}

/// What ours are, and how far they can be relied on.
pub(super) struct Ours<'a> {
    pub(super) organisation: &'a str,
    pub(super) boundary: DayBoundary,
    pub(super) view: View,
    /// Of the period that was asked for. None when it never was called.
    pub(super) data: Option<MetricsData>,
    /// By how many days ago, from today on: which days were observed whole.
    pub(super) whole: [bool; 8],
    /// Polls that were seen in the period.
    pub(super) polls: u64,
}

impl CheckOutcome {
    /// All.
    pub const ALL: [Self; 4] = [Self::Different, Self::NotObserved, Self::Same, Self::Unreadable];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::NotObserved => "not_observed",
            Self::Same => "same",
            Self::Unreadable => "unreadable",
        }
    }
}

impl MetricsCheck {
    pub(super) fn new(ours: &Ours<'_>, published: &Published<'_>) -> Self {
        let said = published.data.and_then(|it| it.request_time.parse::<Timestamp>().ok());
        let mut check = Self {
            kind: CHECK_KIND.to_owned(),
            schema_version: CHECK_SCHEMA_VERSION,
            id: format!("{}/metrics", published.exchange),
            exchange: published.exchange.to_owned(),
            organisation: ours.organisation.to_owned(),
            day_boundary: ours.boundary,
            period: published.period,
            request_time: said.and_then(|it| whole_seconds(it.as_second())),
            view: ours.view,
            outcome: CheckOutcome::Unreadable,
            compared: 0,
            differences: Vec::new(),
            not_observed: Vec::new(),
        };
        let Some(theirs) = published.data else { return check };
        let is_settled = is_settled(published.at, said, ours.boundary);
        for figure in ours.data.iter().flat_map(|data| figures(data, theirs)) {
            check.hold(figure, ours, is_settled);
        }
        check.outcome = match (check.compared, check.differences.len()) {
            (0, _) => CheckOutcome::NotObserved,
            (_, 0) => CheckOutcome::Same,
            _ => CheckOutcome::Different,
        };
        check
    }

    fn hold(&mut self, figure: Figure, ours: &Ours<'_>, is_settled: bool) {
        let is_observed = is_settled
            && match figure.days_ago {
                // Today moves on: nobody is accused and nothing is missing.
                Some(0) => return,
                Some(days_ago) => ours.whole.get(days_ago).copied().unwrap_or(false),
                None => self.is_period_observed(ours),
            };
        let bound = bound(figure.quantity, ours.view).filter(|_| is_observed);
        let (Some(bound), Some(mine)) = (bound, figure.ours) else {
            // Endpoints would fill the record, and share the fate of the others.
            if !figure.name.ends_with(']') || figure.days_ago.is_some() {
                self.not_observed.push(figure.name);
            }
            return;
        };
        let is_same = match figure.published {
            Some(theirs) => bound.holds(mine, theirs),
            // Of a period that includes it, and observed: it should be there. Endpoints may have
            // other names.
            None if self.period == Some(Period::All) && figure.days_ago.is_some() => false,
            None => return,
        };
        self.compared += 1;
        if !is_same {
            self.differences.push(figure.into());
        }
    }

    /// Whether all of what an availability stands for was observed.
    fn is_period_observed(&self, ours: &Ours<'_>) -> bool {
        let [today, ..] = ours.whole;
        ours.polls > 0
            && match self.period {
                Some(Period::All) => ours.whole.iter().all(|whole| *whole),
                Some(Period::Current) => today,
                None => false,
            }
    }
}

/// How far a figure of theirs may be from ours.
#[derive(Clone, Copy)]
enum Bound {
    /// Not less than ours.
    AtLeast(Tolerance),
    /// Neither less nor more.
    Equal(Tolerance),
}

impl Bound {
    fn holds(self, ours: u64, published: u64) -> bool {
        match self {
            Self::AtLeast(tolerance) => published >= ours || tolerance.holds(ours, published),
            Self::Equal(tolerance) => tolerance.holds(ours, published),
        }
    }
}

/// How far, or none when a quantity says nothing here.
fn bound(quantity: Quantity, view: View) -> Option<Bound> {
    use PriorityClass::{HighPriority, MediumPriority, Unattended, Unauthenticated};
    match (quantity, view) {
        (Quantity::Calls(Unattended | Unauthenticated), _)
        | (Quantity::MeanTime(Unattended | Unauthenticated), _)
        | (Quantity::MeanTime(_) | Quantity::Seconds | Quantity::Share, View::Part) => None,
        (Quantity::Calls(HighPriority | MediumPriority), View::Every) => Some(Bound::Equal(CALLS)),
        (Quantity::Calls(HighPriority | MediumPriority), View::Part) => Some(Bound::AtLeast(CALLS)),
        (Quantity::Answers, _) => Some(Bound::AtLeast(CALLS)),
        (Quantity::AverageRate | Quantity::Peak, _) => Some(Bound::AtLeast(RATES)),
        (Quantity::MeanTime(HighPriority | MediumPriority), View::Every) => {
            Some(Bound::Equal(TIMES))
        }
        (Quantity::Seconds, View::Every) => Some(Bound::Equal(SECONDS)),
        (Quantity::Share, View::Every) => Some(Bound::Equal(SHARES)),
    }
}

/// Whether both sides mean the same days: not around the beginning of a day, when a figure may still be
/// of the day before, and not when their clock has another day.
fn is_settled(at: Timestamp, said: Option<Timestamp>, boundary: DayBoundary) -> bool {
    let second = at.as_second();
    let day = boundary.day_of(second);
    let passed = second - boundary.begin_of(day);
    let is_same_day = said.is_none_or(|said| boundary.day_of(said.as_second()) == day);
    is_same_day && (SETTLING_SECONDS..DAY_SECONDS - CLOCK_SECONDS).contains(&passed)
}

/// `kind` of the record.
pub const CHECK_KIND: &str = "data.metrics_check";
/// Version of the record's schema.
pub const CHECK_SCHEMA_VERSION: u32 = 1;
/// Calls that are under way when a day ends, and calls to operations that one side counts elsewhere.
const CALLS: Tolerance = Tolerance { absolute: 5, percent: 2 };
/// Whole numbers; seconds of two clocks do not begin together.
const RATES: Tolerance = Tolerance { absolute: 2, percent: 25 };
/// Milliseconds: at the edge a call takes longer than inside of the program that answers.
const TIMES: Tolerance = Tolerance { absolute: 20, percent: 25 };
/// Slots of 30 s; four of them.
const SECONDS: Tolerance = Tolerance { absolute: 120, percent: 10 };
/// Millionths.
const SHARES: Tolerance = Tolerance { absolute: 5_000, percent: 0 };
/// Metrics are asked for every 30 min: figures that are made as often have turned by then.
const SETTLING_SECONDS: i64 = 1800;
/// Clocks that are followed differ by less.
const CLOCK_SECONDS: i64 = 60;
