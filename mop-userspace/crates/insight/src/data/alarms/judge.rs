//! Judging of a window: what each engine says of it becomes an alarm that opens or closes.

use std::collections::{BTreeMap, BTreeSet};

use mop_wire::Role;

use super::{
    AlarmCounts, AlarmSignal, Alarms, BurnGauge, MAX_ORGANISATIONS, Scope, Severity, Subject,
    certificates::Holder,
    incidents::{Finding, Incidents, Topic},
    minute::Counted,
    objectives::Objectives,
    record::Span,
    spent::Spent,
};
use crate::{
    anomaly::{self, Alarm, Transition, Watch},
    data::{funnel::Side, metrics::ServiceLevel},
};

impl Alarms {
    /// Judges one window.
    pub(super) fn judge(&mut self, number: i64) {
        let start = number.saturating_mul(self.window_seconds);
        let window = Span { start, seconds: self.window_seconds };
        let minute = self.counting.remove(&number).unwrap_or_default();
        // The whole first: what it has is not told again of its parts.
        for (watch, counted) in
            [(&mut self.organisations, &minute.organisations), (&mut self.routes, &minute.routes)]
        {
            for alarm in feed(watch, counted, start.saturating_sub(BRASILIA)) {
                let worst = minute.worst(&alarm.key);
                tell(&mut self.incidents, alarm, worst, window, &mut self.counts);
            }
        }
        self.spend(&minute.spent, window);
        self.judge_budgets(window);
        for (client, end) in minute.certificates {
            self.certificates.see(Holder::Client(client), end, window.end());
        }
        let mut near = self.certificates.findings(window.end());
        let is_near: BTreeSet<Topic> = near.iter().map(|(topic, _)| topic.clone()).collect();
        let others = self.incidents.topics(AlarmSignal::CertificateExpiry).into_iter();
        near.extend(others.filter(|topic| !is_near.contains(topic)).map(|topic| (topic, None)));
        let fill = Topic { signal: AlarmSignal::OutboxFull, subject: Subject::node(OUTBOX) };
        near.push((fill, self.outbox.finding()));
        for (topic, finding) in near {
            self.incidents.hold(topic, finding, window, &mut self.counts);
        }
        self.incidents.settle(window, &mut self.counts);
    }

    /// Counts what a window spent. It is taken to be spent at its end, since the windows of burn rates
    /// may be shorter.
    fn spend(&mut self, spent: &BTreeMap<Subject, Spent>, window: Span) {
        for (whole, spent) in spent {
            if !self.objectives.contains_key(whole) {
                let fresh = Objectives::new(&self.demands).ok();
                let Some(fresh) = fresh.filter(|_| self.objectives.len() < MAX_ORGANISATIONS)
                else {
                    self.counts.beyond += 1;
                    continue;
                };
                self.objectives.insert(whole.clone(), fresh);
            }
            if let Some(objectives) = self.objectives.get_mut(whole) {
                objectives.count(window.end().saturating_sub(1), spent);
            }
        }
    }

    fn judge_budgets(&mut self, window: Span) {
        // The stretch of this time is included.
        let last = window.end().saturating_sub(1);
        let mut gauges = Vec::new();
        for (whole, objectives) in &self.objectives {
            for (signal, level, budget) in objectives.budgets() {
                let name = level.map_or(AVAILABILITY, level_name);
                let subject = whole.named(name);
                let burning = Topic { signal, subject: subject.clone() };
                self.incidents.hold(burning.clone(), budget.burn(last), window, &mut self.counts);
                // Whoever is told that it burns need not be told that it will be gone.
                let is_burning = self.incidents.is_open(&burning);
                let runs_out = budget.runs_out(last).filter(|_| !is_burning);
                let topic = Topic { signal: AlarmSignal::BudgetRunOut, subject };
                self.incidents.hold(topic, runs_out, window, &mut self.counts);
                gauges.extend(budget.hourly_rate(last).map(|rate| BurnGauge {
                    organisation: whole.organisation.clone(),
                    role: match whole.side {
                        Some(Side::Client) => Role::Client,
                        _ => Role::Server,
                    },
                    objective: name,
                    rate,
                }));
            }
        }
        self.burn_rates = gauges.into();
    }
}

/// Feeds a window to each subject that is watched or was called. Those that were silent the longest
/// come first, so that they are the ones that go when there is no room.
fn feed(
    watch: &mut Watch<Subject>,
    counted: &BTreeMap<Subject, Counted>,
    time: i64,
) -> Vec<Alarm<Subject>> {
    let nothing = Counted::default();
    let silent: Vec<Subject> =
        watch.keys().filter(|subject| !counted.contains_key(subject)).cloned().collect();
    let mut alarms = Vec::new();
    for subject in &silent {
        alarms.extend(watch.observe(subject, nothing.window(time)));
    }
    for (subject, counted) in counted {
        alarms.extend(watch.observe(subject, counted.window(time)));
    }
    alarms
}

/// What the watch says of a subject; `worst` is the route that has most of its failures.
fn tell(
    incidents: &mut Incidents,
    alarm: Alarm<Subject>,
    worst: Option<&Subject>,
    window: Span,
    counts: &mut AlarmCounts,
) {
    let Alarm { key, signal, mut reason, expected, seen, score, transition } = alarm;
    let is_failing = signal == anomaly::Signal::Errors && transition == Transition::Opened;
    if let Some(Subject { endpoint: Some(endpoint), client_organisation, .. }) =
        worst.filter(|_| is_failing && key.scope == Scope::Organisation)
    {
        let client = client_organisation.as_deref().unwrap_or("unknown");
        reason += &format!("; at least half of them are of client {client} to {endpoint}");
    }
    let is_whole = key.scope == Scope::Organisation;
    let is_outage = match signal {
        anomaly::Signal::Calls => seen < expected,
        anomaly::Signal::Errors => true,
        anomaly::Signal::Latency => false,
    };
    let is_urgent = is_whole && is_outage && score >= URGENT_SCORE;
    let severity = if is_urgent { Severity::Page } else { Severity::Ticket };
    let topic = Topic { signal: signal.into(), subject: key };
    let score = score.clamp(0.0, 1.0);
    let finding = Finding { severity, degree: 1, score, expected, seen, reason };
    match transition {
        Transition::Opened => incidents.open(topic, finding, window, counts),
        Transition::Closed => incidents.close(&topic, finding, window, counts),
    }
}

fn level_name(level: ServiceLevel) -> &'static str {
    match level {
        ServiceLevel::High => "high",
        ServiceLevel::Medium => "medium",
        ServiceLevel::Administrative => "administrative",
    }
}

/// Seconds from UTC; without summer time since 2019 (decree 9,772).
const BRASILIA: i64 = 3 * 3600;
/// Above it an alarm of an organisation as a whole is looked at now.
const URGENT_SCORE: f64 = 0.8;
const AVAILABILITY: &str = "availability";
const OUTBOX: &str = "outbox";
