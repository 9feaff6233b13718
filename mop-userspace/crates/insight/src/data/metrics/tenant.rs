//! Figures of one organisation, by day.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    CallFigures, MAX_ENDPOINTS, Outages, Period, PollAnswer,
    day::{DAY_SECONDS, Day, DayBoundary, SLOT_SECONDS, Slots},
    figures::{
        Availability, ByClass, Days, Downtime, EndpointDowntime, EndpointUptime, MetricsData,
        Uptime, rate,
    },
    priority::PriorityClass,
    watch::Watch,
};
use crate::data::{endpoint::regulated_path, funnel::event::whole_seconds};

/// One organisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    /// Today and the days before that were observed; oldest first, each following on the one
    /// before, at most [`DAYS`].
    days: VecDeque<Day>,
    /// First second that was observed.
    begun: Option<i64>,
    /// Slots that each endpoint was down, by the same days.
    endpoints: BTreeMap<String, VecDeque<EndpointDay>>,
    /// Calls in each of the last seconds, by the second modulo [`SECONDS`].
    seconds: Vec<(i64, u64)>,
    /// Calls and polls of days that are not kept any more.
    late: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointDay {
    day: i64,
    down: Slots,
}

impl Tenant {
    pub(super) fn observe(
        &mut self,
        call: &CallFigures<'_>,
        limit_milliseconds: Option<u32>,
        boundary: DayBoundary,
        outages: Outages,
    ) {
        let second = call.at.as_second();
        let count = self.count_second(second);
        let Some(day) = self.day(second, boundary) else { return };
        day.add(call.priority, call.status, call.microseconds, limit_milliseconds);
        day.peak = day.peak.max(count);
        let slot = slot_of(second, boundary);
        let is_down = outages == Outages::PollsAndServerErrors
            && call.status.is_some_and(|it| (500..600).contains(&it))
            && call.priority.level.is_some()
            && !day.scheduled.has(slot);
        if is_down {
            day.general.mark(slot);
        }
        let number = day.day;
        let Some(endpoint) = call.endpoint.filter(|_| call.priority.level.is_some()) else {
            return;
        };
        if let Some(days) = self.endpoint(endpoint)
            && is_down
        {
            mark(days, number, slot);
        }
    }

    pub(super) fn poll(&mut self, second: i64, answer: PollAnswer<'_>, boundary: DayBoundary) {
        let slot = slot_of(second, boundary);
        let Some(day) = self.day(second, boundary) else { return };
        day.polls += 1;
        let number = day.day;
        let named: &[String] = match answer {
            PollAnswer::Ok => return,
            PollAnswer::ScheduledOutage => {
                day.scheduled.mark(slot);
                day.general.unmark(slot);
                self.endpoints.values_mut().flatten().for_each(|it| {
                    if it.day == number {
                        it.down.unmark(slot);
                    }
                });
                return;
            }
            PollAnswer::NoAnswer | PollAnswer::ServerError | PollAnswer::Unavailable => &[],
            PollAnswer::PartialFailure(named) => named,
        };
        if day.scheduled.has(slot) {
            return;
        }
        day.general.mark(slot);
        let is_named = |url: &str| named.iter().any(|name| is_part_of(name, url));
        for (url, days) in &mut self.endpoints {
            // One that is named and was never called is none of the others.
            if named.is_empty() || is_named(url) {
                mark(days, number, slot);
            }
        }
    }

    pub(super) fn data(
        &self,
        now: i64,
        period: Period,
        boundary: DayBoundary,
        watch: &Watch,
    ) -> MetricsData {
        let today = boundary.day_of(now);
        let class = |position: usize, figure: fn(&super::day::ClassFigures) -> u64| {
            self.figures(today, period, |day| day.classes.get(position).map_or(0, figure))
        };
        let by_class = |figure: fn(&super::day::ClassFigures) -> u64| ByClass {
            unauthenticated: class(PriorityClass::Unauthenticated as usize, figure),
            high_priority: class(PriorityClass::HighPriority as usize, figure),
            medium_priority: class(PriorityClass::MediumPriority as usize, figure),
            unattended: class(PriorityClass::Unattended as usize, figure),
        };
        MetricsData {
            request_time: whole_seconds(now).unwrap_or_default(),
            availability: self.availability(now, period, boundary, watch),
            invocations: by_class(|it| it.invocations),
            average_response: by_class(super::day::ClassFigures::mean_milliseconds),
            average_tps: self.figures(today, period, |day| {
                let seconds = self.observed_seconds(day.day, now, boundary, watch);
                (day.calls() + seconds / 2).checked_div(seconds).unwrap_or(0)
            }),
            peak_tps: self.figures(today, period, |day| day.peak),
            errors: self.figures(today, period, |day| day.errors),
            rejections: self.figures(today, period, |day| day.rejections),
        }
    }

    /// Days of a period, today first.
    pub(super) fn days(&self, today: i64, period: Period) -> impl Iterator<Item = &Day> {
        let oldest = match period {
            Period::All => today - PREVIOUS_DAYS,
            Period::Current => today,
        };
        self.days.iter().rev().filter(move |it| (oldest..=today).contains(&it.day))
    }

    pub(super) fn late(&self) -> u64 {
        self.late
    }

    /// Seconds of a day that were observed so far.
    pub(super) fn observed_seconds(
        &self,
        day: i64,
        now: i64,
        boundary: DayBoundary,
        watch: &Watch,
    ) -> u64 {
        let Some(begun) = self.begun else { return 0 };
        let begin = boundary.begin_of(day).max(begun);
        let end = boundary.begin_of(day).saturating_add(DAY_SECONDS).min(now.saturating_add(1));
        u64::try_from(end - begin).unwrap_or(0).saturating_sub(watch.missed_seconds(day))
    }

    /// Whether it was called or polled before or at a second.
    pub(super) fn is_known_since(&self, second: i64) -> bool {
        self.begun.is_some_and(|begun| begun <= second)
    }

    /// Whether it is one that this module can have made.
    pub(super) fn is_sound(&self) -> bool {
        let follow = |(left, right): (&Day, &Day)| left.day + 1 == right.day;
        let times = self.days.iter().flat_map(|day| &day.levels);
        self.days.len() <= DAYS
            && self.days.iter().zip(self.days.iter().skip(1)).all(follow)
            && times.into_iter().all(|it| it.times.is_sound())
            && self.endpoints.len() <= MAX_ENDPOINTS
            && self.endpoints.values().all(|days| days.len() <= DAYS)
            && self.seconds.len() <= SECONDS
    }

    fn availability(
        &self,
        now: i64,
        period: Period,
        boundary: DayBoundary,
        watch: &Watch,
    ) -> Availability {
        let today = boundary.day_of(now);
        let days: Vec<&Day> = self.days(today, period).collect();
        let observed: u64 =
            days.iter().map(|it| self.observed_seconds(it.day, now, boundary, watch)).sum();
        let scheduled: u64 = days.iter().map(|it| it.scheduled.seconds()).sum();
        let whole = observed.saturating_sub(scheduled);
        // A slot at the edge of what was observed may be longer than what was observed of it.
        let down = |seconds: u64| seconds.min(whole);
        let general = down(days.iter().map(|it| it.general.seconds()).sum());
        let (mut uptimes, mut downtimes) = (Vec::new(), Vec::new());
        for (url, of_days) in &self.endpoints {
            let mine = of_days.iter().filter(|it| days.iter().any(|day| day.day == it.day));
            let partial_downtime = down(mine.map(|it| it.down.seconds()).sum());
            let uptime_rate = rate(whole - partial_downtime, whole);
            uptimes.push(EndpointUptime { url: url.clone(), uptime_rate });
            downtimes.push(EndpointDowntime { url: url.clone(), partial_downtime });
        }
        Availability {
            uptime: Uptime {
                general_uptime_rate: rate(whole - general, whole),
                endpoints: uptimes,
            },
            downtime: Downtime {
                general_downtime: general,
                scheduled_outage: scheduled,
                endpoints: downtimes,
            },
        }
    }

    fn figures(&self, today: i64, period: Period, figure: impl Fn(&Day) -> u64) -> Days {
        let mut days = Days::default();
        for day in self.days(today, period) {
            // Days follow on each other, but the last may be before yesterday.
            let Ok(back) = usize::try_from(today - day.day) else { continue };
            if back == 0 {
                days.current_day = figure(day);
            } else {
                days.previous_days.resize(back - 1, 0);
                days.previous_days.push(figure(day));
            }
        }
        days
    }

    /// The day of a second; none when it is not kept any more.
    fn day(&mut self, second: i64, boundary: DayBoundary) -> Option<&mut Day> {
        let number = boundary.day_of(second);
        match self.days.back().map(|day| day.day) {
            None => self.days.push_back(Day::new(number)),
            Some(last) if number > last => {
                let first = (last + 1).max(number.saturating_sub(PREVIOUS_DAYS));
                if first > last + 1 {
                    self.days.clear();
                }
                self.days.extend((first..=number).map(Day::new));
                while self.days.len() > DAYS {
                    self.days.pop_front();
                }
            }
            Some(_) => {}
        }
        let first = self.days.front().map(|day| day.day)?;
        // Before the first day that was observed there may be room for one more: a call that ends
        // after another of the next day.
        if number == first - 1 && self.days.len() < DAYS {
            self.days.push_front(Day::new(number));
        }
        self.begun = Some(self.begun.map_or(second, |begun| begun.min(second)));
        let found = self.days.iter_mut().find(|day| day.day == number);
        if found.is_none() {
            self.late += 1;
        }
        found
    }

    fn endpoint(&mut self, url: &str) -> Option<&mut VecDeque<EndpointDay>> {
        if !self.endpoints.contains_key(url) {
            if self.endpoints.len() >= MAX_ENDPOINTS || url.len() > MAX_ENDPOINT_BYTES {
                return None;
            }
            self.endpoints.insert(url.to_owned(), VecDeque::new());
        }
        self.endpoints.get_mut(url)
    }

    /// Counts a call in its second; how many there were in it so far.
    fn count_second(&mut self, second: i64) -> u64 {
        if self.seconds.is_empty() {
            self.seconds.resize(SECONDS, (i64::MIN, 0));
        }
        let position = usize::try_from(second.rem_euclid(SECONDS as i64)).unwrap_or(0);
        let Some((of, count)) = self.seconds.get_mut(position) else { return 0 };
        if second > *of {
            (*of, *count) = (second, 0);
        }
        if second < *of {
            // So late that its second was given to another.
            return 0;
        }
        *count += 1;
        *count
    }
}

fn mark(days: &mut VecDeque<EndpointDay>, day: i64, slot: u16) {
    match days.iter_mut().find(|it| it.day == day) {
        Some(it) => it.down.mark(slot),
        None => {
            let mut down = Slots::default();
            down.mark(slot);
            days.push_back(EndpointDay { day, down });
            while days.len() > DAYS {
                days.pop_front();
            }
        }
    }
}

/// Which 30 seconds of its day a second is in.
fn slot_of(second: i64, boundary: DayBoundary) -> u16 {
    let of_day = second.saturating_sub(boundary.begin_of(boundary.day_of(second)));
    u16::try_from(of_day / SLOT_SECONDS as i64).unwrap_or(0)
}

/// Whether a name of `unavailableEndpoints` means an endpoint: it is its path, the first segments of it,
/// or one of its segments. The document's examples are an address and `electronic-channels`.
fn is_part_of(name: &str, url: &str) -> bool {
    let name = regulated_path(name).unwrap_or(name).trim_end_matches('/');
    let is_beginning =
        url.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !name.is_empty() && (is_beginning || url.split('/').any(|segment| segment == name))
}

/// `previousDays` has at most seven.
const PREVIOUS_DAYS: i64 = 7;
/// Today and those.
const DAYS: usize = 8;
/// Calls are counted when they end; none lasts longer than the time that clients wait.
const SECONDS: usize = 128;
/// The longest template of the published documents has 122.
const MAX_ENDPOINT_BYTES: usize = 256;
