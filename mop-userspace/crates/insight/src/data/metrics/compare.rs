//! Compares the figures that were computed here with those that the participant publishes.

use serde::Serialize;

use super::figures::{ByClass, Days, MetricsData, millionths};

/// Two figures that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// Every figure that differs by more than is tolerated, in the order of the document. Today's
/// figures go on changing: they are left out unless both were asked for at the same second.
#[must_use]
pub fn compare(
    ours: &MetricsData,
    published: &MetricsData,
    tolerance: Tolerance,
) -> Vec<Difference> {
    let is_same_time = ours.request_time == published.request_time;
    let mut comparison = Comparison { tolerance, is_same_time, differences: Vec::new() };
    comparison.availability(ours, published);
    comparison.classes("invocations", &ours.invocations, &published.invocations);
    comparison.classes("averageResponse", &ours.average_response, &published.average_response);
    comparison.days("averageTps", &ours.average_tps, &published.average_tps);
    comparison.days("peakTps", &ours.peak_tps, &published.peak_tps);
    comparison.days("errors", &ours.errors, &published.errors);
    comparison.days("rejections", &ours.rejections, &published.rejections);
    comparison.differences
}

struct Comparison {
    tolerance: Tolerance,
    is_same_time: bool,
    differences: Vec<Difference>,
}

impl Comparison {
    fn availability(&mut self, ours: &MetricsData, published: &MetricsData) {
        let rate = |data: &MetricsData| millionths(&data.availability.uptime.general_uptime_rate);
        let name = "availability.uptime.generalUptimeRate";
        self.one(name.to_owned(), rate(ours), rate(published));
        let (mine, theirs) = (&ours.availability.downtime, &published.availability.downtime);
        let name = "availability.downtime.generalDowntime";
        self.one(name.to_owned(), Some(mine.general_downtime), Some(theirs.general_downtime));
        let name = "availability.downtime.scheduledOutage";
        self.one(name.to_owned(), Some(mine.scheduled_outage), Some(theirs.scheduled_outage));
        for endpoint in &mine.endpoints {
            // Participants write a whole address, or a path.
            let same = theirs.endpoints.iter().find(|it| is_same_place(&it.url, &endpoint.url));
            let name = format!("availability.downtime.endpoints[{}]", endpoint.url);
            let published = same.map(|it| it.partial_downtime);
            self.one(name, Some(endpoint.partial_downtime), published);
        }
    }

    fn classes(&mut self, name: &str, ours: &ByClass, published: &ByClass) {
        let ByClass { unauthenticated, high_priority, medium_priority, unattended } = ours;
        for (class, ours, published) in [
            ("unauthenticated", unauthenticated, &published.unauthenticated),
            ("highPriority", high_priority, &published.high_priority),
            ("mediumPriority", medium_priority, &published.medium_priority),
            ("unattended", unattended, &published.unattended),
        ] {
            self.days(&format!("{name}.{class}"), ours, published);
        }
    }

    fn days(&mut self, name: &str, ours: &Days, published: &Days) {
        if self.is_same_time {
            let figure = format!("{name}.currentDay");
            self.one(figure, Some(ours.current_day), Some(published.current_day));
        }
        // A day that was not observed here says nothing about theirs.
        for (position, mine) in ours.previous_days.iter().enumerate() {
            let theirs = published.previous_days.get(position).copied();
            self.one(format!("{name}.previousDays[{position}]"), Some(*mine), theirs);
        }
    }

    fn one(&mut self, figure: String, ours: Option<u64>, published: Option<u64>) {
        let is_same = match (ours, published) {
            (Some(ours), Some(published)) => {
                let apart = u128::from(ours.abs_diff(published));
                let larger = u128::from(ours.max(published));
                apart <= u128::from(self.tolerance.absolute)
                    || apart * 100 <= larger * u128::from(self.tolerance.percent)
            }
            (ours, published) => ours == published,
        };
        if !is_same {
            self.differences.push(Difference { figure, ours, published });
        }
    }
}

/// Whether an address ends in a path.
fn is_same_place(address: &str, path: &str) -> bool {
    address == path || (path.starts_with('/') && address.ends_with(path))
}
