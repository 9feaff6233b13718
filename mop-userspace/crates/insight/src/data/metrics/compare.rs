//! Compares the figures that were computed here with those that the participant publishes.

use serde::{Deserialize, Serialize};

use super::{
    figures::{ByClass, Days, MetricsData, millionths},
    priority::PriorityClass,
};

/// Two figures that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The figure, as in `invocations.highPriority.previousDays[0]`.
    pub figure: String,
    /// Ours; rates in millionths. None when there is none.
    pub ours: Option<u64>,
    /// Theirs; none when it is missing, or no figure.
    pub published: Option<u64>,
}

/// How much may differ. A figure is the same if either holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// By so much: calls that were under way, seconds of clocks.
    pub absolute: u64,
    /// By so many hundredths of the larger one.
    pub percent: u64,
}

/// One figure of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) quantity: Quantity,
    /// Of how many days ago; none when it is of the whole period.
    pub(super) days_ago: Option<usize>,
    pub(super) ours: Option<u64>,
    pub(super) published: Option<u64>,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Mean number of calls in a second, over all classes.
    AverageRate,
    /// Calls of a class.
    Calls(PriorityClass),
    /// Answers, over all classes.
    Answers,
    /// Mean time of a class.
    MeanTime(PriorityClass),
    /// Most calls in a second, over all classes.
    Peak,
    /// Seconds of outages.
    Seconds,
    /// Millionths of the time.
    Share,
}

/// Every figure that differs by more than is tolerated, in the order of the document. Today's
/// figures go on changing: they are left out unless both were asked for at the same second.
#[must_use]
pub fn compare(
    ours: &MetricsData,
    published: &MetricsData,
    tolerance: Tolerance,
) -> Vec<Difference> {
    let is_same_time = ours.request_time == published.request_time;
    figures(ours, published)
        .into_iter()
        .filter(|it| it.days_ago != Some(0) || is_same_time)
        .filter(|it| match (it.ours, it.published) {
            (Some(ours), Some(published)) => !tolerance.holds(ours, published),
            (ours, published) => ours != published,
        })
        .map(Difference::from)
        .collect()
}

/// Every figure of ours beside theirs, in the order of the document.
pub(super) fn figures(ours: &MetricsData, published: &MetricsData) -> Vec<Figure> {
    let mut figures = Figures(Vec::new());
    figures.availability(ours, published);
    let (mine, theirs) = (&ours.invocations, &published.invocations);
    figures.classes("invocations", Quantity::Calls, mine, theirs);
    let (mine, theirs) = (&ours.average_response, &published.average_response);
    figures.classes("averageResponse", Quantity::MeanTime, mine, theirs);
    for (name, quantity, mine, theirs) in [
        ("averageTps", Quantity::AverageRate, &ours.average_tps, &published.average_tps),
        ("peakTps", Quantity::Peak, &ours.peak_tps, &published.peak_tps),
        ("errors", Quantity::Answers, &ours.errors, &published.errors),
        ("rejections", Quantity::Answers, &ours.rejections, &published.rejections),
    ] {
        figures.days(name, quantity, mine, theirs);
    }
    figures.0
}

struct Figures(Vec<Figure>);

impl Figures {
    fn availability(&mut self, ours: &MetricsData, published: &MetricsData) {
        let rate = |data: &MetricsData| millionths(&data.availability.uptime.general_uptime_rate);
        let name = "availability.uptime.generalUptimeRate";
        self.period(name.to_owned(), Quantity::Share, rate(ours), rate(published));
        let (mine, theirs) = (&ours.availability.downtime, &published.availability.downtime);
        for (name, ours, published) in [
            ("generalDowntime", mine.general_downtime, theirs.general_downtime),
            ("scheduledOutage", mine.scheduled_outage, theirs.scheduled_outage),
        ] {
            let name = format!("availability.downtime.{name}");
            self.period(name, Quantity::Seconds, Some(ours), Some(published));
        }
        for endpoint in &mine.endpoints {
            // Participants write a whole address, or a path.
            let same = theirs.endpoints.iter().find(|it| is_same_place(&it.url, &endpoint.url));
            let name = format!("availability.downtime.endpoints[{}]", endpoint.url);
            let published = same.map(|it| it.partial_downtime);
            self.period(name, Quantity::Seconds, Some(endpoint.partial_downtime), published);
        }
    }

    fn classes(
        &mut self,
        name: &str,
        quantity: fn(PriorityClass) -> Quantity,
        ours: &ByClass,
        published: &ByClass,
    ) {
        let ByClass { unauthenticated, high_priority, medium_priority, unattended } = ours;
        use PriorityClass::{HighPriority, MediumPriority, Unattended, Unauthenticated};
        for (name_of_class, class, ours, published) in [
            ("unauthenticated", Unauthenticated, unauthenticated, &published.unauthenticated),
            ("highPriority", HighPriority, high_priority, &published.high_priority),
            ("mediumPriority", MediumPriority, medium_priority, &published.medium_priority),
            ("unattended", Unattended, unattended, &published.unattended),
        ] {
            self.days(&format!("{name}.{name_of_class}"), quantity(class), ours, published);
        }
    }

    fn days(&mut self, name: &str, quantity: Quantity, ours: &Days, published: &Days) {
        self.0.push(Figure {
            name: format!("{name}.currentDay"),
            quantity,
            days_ago: Some(0),
            ours: Some(ours.current_day),
            published: Some(published.current_day),
        });
        // A day that was not observed here says nothing about theirs.
        for (position, mine) in ours.previous_days.iter().enumerate() {
            self.0.push(Figure {
                name: format!("{name}.previousDays[{position}]"),
                quantity,
                days_ago: Some(position + 1),
                ours: Some(*mine),
                published: published.previous_days.get(position).copied(),
            });
        }
    }

    fn period(
        &mut self,
        name: String,
        quantity: Quantity,
        ours: Option<u64>,
        published: Option<u64>,
    ) {
        self.0.push(Figure { name, quantity, days_ago: None, ours, published });
    }
}

impl Tolerance {
    /// Whether two figures are the same.
    pub(super) fn holds(self, ours: u64, published: u64) -> bool {
        let apart = u128::from(ours.abs_diff(published));
        let larger = u128::from(ours.max(published));
        apart <= u128::from(self.absolute) || apart * 100 <= larger * u128::from(self.percent)
    }
}

impl From<Figure> for Difference {
    fn from(figure: Figure) -> Self {
        let Figure { name, quantity: _, days_ago: _, ours, published } = figure;
        Self { figure: name, ours, published }
    }
}

/// Whether an address ends in a path.
fn is_same_place(address: &str, path: &str) -> bool {
    address == path || (path.starts_with('/') && address.ends_with(path))
}
