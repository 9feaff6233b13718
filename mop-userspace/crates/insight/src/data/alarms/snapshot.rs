//! The state as bytes, so that a restart costs nothing of what was learnt: JSON with a version.
//!
//! It holds what was learnt and which alarms are open; windows that were being counted are left out,
//! since what is missing of them was not observed. Some 7 KB a subject.

use serde::{Deserialize, Serialize};

use super::{
    Alarms, MAX_ORGANISATIONS, Scope, Subject,
    incidents::{Incident, Topic},
    objectives::Objectives,
    outbox::OutboxFill,
};
use crate::anomaly::KeyState;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    window_seconds: i64,
    /// The one first that was called least recently.
    organisations: Vec<(Subject, KeyState)>,
    routes: Vec<(Subject, KeyState)>,
    objectives: Vec<(Subject, Objectives)>,
    outbox: OutboxFill,
    /// Whether it is a client's, whose, end, last seen.
    certificates: Vec<(bool, String, i64, i64)>,
    incidents: Vec<(Topic, Incident)>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AlarmsSnapshotError {
    /// Longer than [`MAX_SNAPSHOT_BYTES`].
    #[error("it is longer than {MAX_SNAPSHOT_BYTES} bytes")]
    TooLong,
    /// Not of the form of a snapshot.
    #[error("it cannot be read")]
    Form(#[source] serde_json::Error),
    /// Written by another version.
    #[error("it is of version {0}, not {SNAPSHOT_VERSION}")]
    Version(u32),
    /// What is usual in a window says nothing of windows of another length.
    #[error("it was learnt with windows of {0} s")]
    Window(i64),
    /// More than is kept, or what no program writes.
    #[error("it contradicts the limits under which it is written")]
    Limits,
}

impl Alarms {
    /// The state, always the same for the same state.
    ///
    /// # Errors
    ///
    /// None that a state can bring about.
    pub fn snapshot(&self) -> Result<Vec<u8>, AlarmsSnapshotError> {
        let states = |watch: &crate::anomaly::Watch<Subject>| {
            watch.states().map(|(subject, state)| (subject.clone(), state.clone())).collect()
        };
        let state = State {
            version: SNAPSHOT_VERSION,
            window_seconds: self.window_seconds,
            organisations: states(&self.organisations),
            routes: states(&self.routes),
            objectives: self.objectives.iter().map(|(of, it)| (of.clone(), it.clone())).collect(),
            outbox: self.outbox.clone(),
            certificates: self.certificates.state(),
            incidents: self.incidents.state(),
        };
        serde_json::to_vec(&state).map_err(AlarmsSnapshotError::Form)
    }

    /// Goes on from a state. What there is no room for any more is forgotten.
    ///
    /// # Errors
    ///
    /// [`AlarmsSnapshotError`]; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), AlarmsSnapshotError> {
        if bytes.len() > MAX_SNAPSHOT_BYTES {
            return Err(AlarmsSnapshotError::TooLong);
        }
        let Head { version } = serde_json::from_slice(bytes).map_err(AlarmsSnapshotError::Form)?;
        if version != SNAPSHOT_VERSION {
            return Err(AlarmsSnapshotError::Version(version));
        }
        let state: State = serde_json::from_slice(bytes).map_err(AlarmsSnapshotError::Form)?;
        if state.window_seconds != self.window_seconds {
            return Err(AlarmsSnapshotError::Window(state.window_seconds));
        }
        if !state.is_sound() {
            return Err(AlarmsSnapshotError::Limits);
        }
        let State { organisations, routes, objectives, outbox, certificates, incidents, .. } =
            state;
        let skipped = routes.len().saturating_sub(self.routes.most_keys());
        for (subject, state) in organisations {
            self.organisations.restore(&subject, state);
        }
        for (subject, state) in routes.into_iter().skip(skipped) {
            self.routes.restore(&subject, state);
        }
        // Other demands have other budgets.
        self.objectives = objectives.into_iter().filter(|(_, it)| it.fit(&self.demands)).collect();
        self.outbox = outbox;
        self.certificates.restore(certificates);
        let watched = |topic: &Topic| match topic.subject.scope {
            Scope::Route => self.routes.contains(&topic.subject),
            Scope::Organisation if topic.subject.name.is_none() => {
                self.organisations.contains(&topic.subject)
            }
            Scope::Organisation => self.objectives.contains_key(&topic.subject.whole()),
            Scope::Client | Scope::Node => true,
        };
        // What is not watched any more would never close.
        let incidents = incidents.into_iter().filter(|(topic, _)| watched(topic)).collect();
        self.incidents.restore(incidents);
        self.interrupted();
        Ok(())
    }
}

/// The begin of a state of any version.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl State {
    fn is_sound(&self) -> bool {
        let subjects = (self.organisations.iter().chain(&self.routes))
            .map(|(subject, _)| subject)
            .chain(self.objectives.iter().map(|(subject, _)| subject))
            .chain(self.incidents.iter().map(|(topic, _)| &topic.subject));
        let most = [self.organisations.len(), self.objectives.len()].into_iter().max();
        most.is_some_and(|most| most <= MAX_ORGANISATIONS)
            && self.routes.len() <= crate::anomaly::MAX_KEYS
            && self.organisations.iter().all(|(it, _)| it.scope == Scope::Organisation)
            && self.routes.iter().all(|(it, _)| it.scope == Scope::Route)
            && self.incidents.iter().all(|(_, incident)| incident.is_sound())
            && self.certificates.iter().all(|(_, name, _, _)| name.len() <= MAX_NAME_BYTES)
            && subjects.into_iter().all(Subject::is_short)
    }
}

/// Of the form of a snapshot.
pub const SNAPSHOT_VERSION: u32 = 1;
/// As many routes as a configuration allows, and room to spare.
pub const MAX_SNAPSHOT_BYTES: usize = 256 << 20;
/// Identifiers of the directory have 36, keys of the configuration some more.
const MAX_NAME_BYTES: usize = 128;
