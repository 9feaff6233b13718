//! Alarms that are open, and the records of those that open and close.
//!
//! An alarm is opened once and closed once. While the calls of an organisation as a whole are
//! alarming, the same signal of its routes is not told: it is the same incident. A route whose alarm
//! outlives that of its organisation by [`PATIENCE`] windows is one of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    AlarmCounts, AlarmSignal, AlarmState, AnomalyRecord, Scope, Severity, Subject,
    record::{self, RECORD_KIND, RECORD_SCHEMA_VERSION, Span, rounded, timestamp},
};

/// What speaks for an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// How far it has come; one that is greater is told anew.
    pub(super) degree: u8,
    pub(super) score: f64,
    pub(super) expected: f64,
    pub(super) seen: f64,
    pub(super) reason: String,
}

/// What an alarm is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) signal: AlarmSignal,
    pub(super) subject: Subject,
}

/// An alarm that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incident {
    since: i64,
    finding: Finding,
    /// Windows in a row without a finding.
    calm: u8,
    /// It is not told: windows that its organisation must be without an alarm before it is.
    covered: Option<u8>,
}

/// All that are open.
#[derive(Debug)]
pub(super) struct Incidents {
    node: String,
    silenced: BTreeSet<AlarmSignal>,
    open: BTreeMap<Topic, Incident>,
    told: Vec<AnomalyRecord>,
}

impl Incidents {
    pub(super) fn new(node: String, silenced: BTreeSet<AlarmSignal>) -> Self {
        Self { node, silenced, open: BTreeMap::new(), told: Vec::new() }
    }

    /// Opens an alarm; one that is open already stays as it is.
    pub(super) fn open(
        &mut self,
        topic: Topic,
        finding: Finding,
        window: Span,
        counts: &mut AlarmCounts,
    ) {
        if self.open.contains_key(&topic) {
            return;
        }
        let covered = self.is_covered(&topic).then_some(PATIENCE);
        let incident = Incident { since: window.start, finding, calm: 0, covered };
        if covered.is_none() {
            self.tell(AlarmState::Opened, &topic, &incident, window, counts);
        } else {
            counts.covered += 1;
        }
        self.open.insert(topic, incident);
    }

    /// Closes an alarm, if it is open; `calm` says how it is now.
    pub(super) fn close(
        &mut self,
        topic: &Topic,
        calm: Finding,
        window: Span,
        counts: &mut AlarmCounts,
    ) {
        let Some(mut incident) = self.open.remove(topic) else { return };
        if incident.covered.is_none() {
            // Whoever opened it decides under which name it closes.
            let (severity, degree) = (incident.finding.severity, incident.finding.degree);
            incident.finding = Finding { severity, degree, ..calm };
            self.tell(AlarmState::Closed, topic, &incident, window, counts);
        }
    }

    /// Opens an alarm when there is a finding, and closes it after [`CALM_WINDOWS`] without one. A
    /// finding of a greater degree is another alarm, which takes the place of the one before.
    pub(super) fn hold(
        &mut self,
        topic: Topic,
        finding: Option<Finding>,
        window: Span,
        counts: &mut AlarmCounts,
    ) {
        let Some(incident) = self.open.get_mut(&topic) else {
            if let Some(finding) = finding {
                self.open(topic, finding, window, counts);
            }
            return;
        };
        match finding {
            Some(finding) if finding.degree > incident.finding.degree => {
                let reason = "it has become more urgent, and is told anew".to_owned();
                self.close(&topic, Finding { reason, ..finding.clone() }, window, counts);
                self.open(topic, finding, window, counts);
            }
            Some(_) => incident.calm = 0,
            None if incident.calm + 1 < CALM_WINDOWS => incident.calm += 1,
            None => {
                let reason = "it is over".to_owned();
                let calm = Finding { reason, score: 0.0, ..incident.finding.clone() };
                self.close(&topic, calm, window, counts);
            }
        }
    }

    /// At the end of a window: tells what is no longer part of something greater.
    pub(super) fn settle(&mut self, window: Span, counts: &mut AlarmCounts) {
        let covered: Vec<Topic> = self
            .open
            .iter()
            .filter(|(_, it)| it.covered.is_some())
            .map(|(it, _)| it.clone())
            .collect();
        for topic in covered {
            let is_covered = self.is_covered(&topic);
            let Some(incident) = self.open.get_mut(&topic) else { continue };
            incident.covered = match incident.covered {
                _ if is_covered => Some(PATIENCE),
                Some(left) if left > 1 => Some(left - 1),
                _ => None,
            };
            if incident.covered.is_none() {
                let incident = incident.clone();
                self.tell(AlarmState::Opened, &topic, &incident, window, counts);
            }
        }
    }

    /// Records since the last time.
    pub(super) fn take_told(&mut self) -> Vec<AnomalyRecord> {
        std::mem::take(&mut self.told)
    }

    /// Topics of a signal that are open, told or not.
    pub(super) fn topics(&self, signal: AlarmSignal) -> Vec<Topic> {
        self.open.keys().filter(|topic| topic.signal == signal).cloned().collect()
    }

    pub(super) fn is_open(&self, topic: &Topic) -> bool {
        self.open.contains_key(topic)
    }

    /// How many are open and told, by signal.
    pub(super) fn told_open(&self) -> BTreeMap<AlarmSignal, u64> {
        let mut counts: BTreeMap<_, u64> = AlarmSignal::ALL.map(|signal| (signal, 0)).into();
        for (topic, incident) in &self.open {
            if incident.covered.is_none() && !self.silenced.contains(&topic.signal) {
                *counts.entry(topic.signal).or_default() += 1;
            }
        }
        counts
    }

    pub(super) fn state(&self) -> Vec<(Topic, Incident)> {
        self.open.iter().map(|(topic, incident)| (topic.clone(), incident.clone())).collect()
    }

    pub(super) fn restore(&mut self, state: Vec<(Topic, Incident)>) {
        self.open = state.into_iter().collect();
    }

    fn is_covered(&self, topic: &Topic) -> bool {
        topic.subject.scope == Scope::Route
            && self.is_open(&Topic { signal: topic.signal, subject: topic.subject.whole() })
    }

    fn tell(
        &mut self,
        state: AlarmState,
        topic: &Topic,
        incident: &Incident,
        window: Span,
        counts: &mut AlarmCounts,
    ) {
        let Topic { signal, subject } = topic;
        if self.silenced.contains(signal) {
            return;
        }
        let Incident { since, finding, .. } = incident;
        let count = match state {
            AlarmState::Opened => &mut counts.opened,
            AlarmState::Closed => &mut counts.closed,
        };
        *count.entry(*signal).or_default() += 1;
        let name = record::incident(&self.node, *signal, subject, finding.degree, *since);
        self.told.push(AnomalyRecord {
            kind: RECORD_KIND.to_owned(),
            schema_version: RECORD_SCHEMA_VERSION,
            id: format!("{name}/{}", state.name()),
            incident: name,
            ts: timestamp(window.end()),
            state,
            signal: *signal,
            subject: subject.clone(),
            severity: finding.severity,
            score: rounded(finding.score),
            expected: rounded(finding.expected),
            seen: rounded(finding.seen),
            unit: signal.unit().to_owned(),
            reason: finding.reason.clone(),
            since: timestamp(*since),
            window: window.record(),
        });
    }
}

impl Incident {
    /// Whether its numbers can be told.
    pub(super) fn is_sound(&self) -> bool {
        let Finding { score, expected, seen, reason, .. } = &self.finding;
        [score, expected, seen].into_iter().all(|number| number.is_finite())
            && (0.0..=1.0).contains(score)
            && reason.len() <= MAX_REASON_BYTES
    }
}

/// An alarm does not flutter.
const CALM_WINDOWS: u8 = 5;
/// A route that goes on for so long when the whole has recovered has a trouble of its own; slow ones
/// close some windows later than the whole.
const PATIENCE: u8 = 10;
/// A sentence or two.
const MAX_REASON_BYTES: usize = 1024;
