//! What is known of one consent, on both sides.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    event::{FunnelRecord, Identity, StepEvent, whole_seconds},
    rules::{FunnelRules, PermissionId},
    step::{Journey, Side},
    track::Track,
    waiting::{Held, Settings, Source, Unreported},
};
use crate::data::signal::{Act, MAX_PERMISSIONS, Parties, Signal};

/// A consent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consent {
    /// `urn:…`: the events have it.
    pub(crate) id: String,
    pub(crate) permissions: Permissions,
    pub(crate) parties: Parties,
    /// Second of its creation, when that was seen.
    pub(crate) created: Option<i64>,
    /// Second until which it is valid.
    pub(crate) expires: Option<i64>,
    /// Whether anything showed that the user gave it.
    pub(crate) was_given: bool,
    /// Whether the time to authorize, and the time that it is valid, were seen to run out.
    pub(crate) timers_fired: Timers,
    /// Client, server.
    pub(crate) tracks: [Option<Track>; 2],
    /// Second of the last thing that happened to it.
    pub(crate) touched: i64,
    /// Second at which it is to be looked at again.
    pub(crate) due: Option<i64>,
}

/// What a consent allows, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Permissions {
    #[default]
    Unknown,
    /// Of one journey; at least one, in the order in which they were asked for.
    Known(Journey, Vec<PermissionId>),
    /// Of several journeys, which the interface refuses (422).
    Mixed,
}

/// Which times were seen to run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timers {
    pub(crate) authorization: bool,
    pub(crate) validity: bool,
}

impl Consent {
    pub(crate) fn new(id: String) -> Self {
        Self {
            id,
            permissions: Permissions::Unknown,
            parties: Parties::default(),
            created: None,
            expires: None,
            was_given: false,
            timers_fired: Timers::default(),
            tracks: [None, None],
            touched: i64::MIN,
            due: None,
        }
    }

    /// Takes from a signal what it says of the consent as a whole; whether the permissions became
    /// known by it, and how many of them the platform does not take.
    pub(crate) fn learn(&mut self, signal: &Signal, rules: &FunnelRules) -> (bool, u64) {
        let Parties {
            client_organisation,
            client_software_statement,
            server_organisation,
            server_authorisation_server,
        } = &signal.parties;
        let mine = &mut self.parties;
        // The first that was seen stays: events of one consent must agree.
        complete(&mut mine.client_organisation, client_organisation.as_ref());
        complete(&mut mine.client_software_statement, client_software_statement.as_ref());
        complete(&mut mine.server_organisation, server_organisation.as_ref());
        complete(&mut mine.server_authorisation_server, server_authorisation_server.as_ref());
        let at = signal.at.as_second();
        self.touched = self.touched.max(at);
        match &signal.act {
            Act::ConsentCreated { permissions, expires, .. } => {
                // Both sides show it; the earlier is nearer to the event.
                self.created = Some(self.created.map_or(at, |known| known.min(at)));
                self.learn_expiry(*expires);
                self.learn_permissions(permissions, rules)
            }
            Act::ConsentRead { permissions, expires, .. } => {
                self.learn_expiry(*expires);
                self.learn_permissions(permissions, rules)
            }
            _ => (false, 0),
        }
    }

    pub(crate) fn track(&self, side: Side) -> Option<&Track> {
        let [client, server] = &self.tracks;
        match side {
            Side::Client => client.as_ref(),
            Side::Server => server.as_ref(),
        }
    }

    pub(crate) fn track_mut(&mut self, side: Side) -> &mut Option<Track> {
        let [client, server] = &mut self.tracks;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }

    /// Whether it was rejected, revoked or has expired, on either side.
    pub(crate) fn ended(&self) -> bool {
        self.tracks.iter().flatten().any(Track::ended)
    }

    /// Steps that wait.
    pub(crate) fn held(&self) -> usize {
        self.tracks.iter().flatten().map(|track| track.held.len()).sum()
    }

    /// Its journey, when it is known.
    pub(crate) fn journey(&self) -> Option<Journey> {
        match &self.permissions {
            Permissions::Known(journey, _) => Some(*journey),
            Permissions::Unknown | Permissions::Mixed => None,
        }
    }

    /// What keeps every step of it back.
    pub(crate) fn unknown(&self) -> Option<Unreported> {
        match self.permissions {
            Permissions::Unknown => Some(Unreported::PermissionsUnknown),
            Permissions::Mixed => Some(Unreported::PermissionsMixed),
            Permissions::Known(..) if self.known_parties().is_none() => {
                Some(Unreported::PartiesUnknown)
            }
            Permissions::Known(..) => None,
        }
    }

    /// The record of a step; `None` when something is not known, which [`Self::unknown`] tells.
    pub(crate) fn record(
        &self,
        held: &Held,
        side: Side,
        rules: &FunnelRules,
    ) -> Option<FunnelRecord> {
        let Permissions::Known(journey, permissions) = &self.permissions else { return None };
        let [client_org_id, client_ss_id, server_org_id, server_as_id] =
            self.known_parties()?.map(str::to_owned);
        let is_failure = super::order::Milestone::of(held.step, &held.info).is_failure;
        let correlation_id = Identity {
            consent: &self.id,
            side,
            step: held.step,
            is_failure,
            at: held.at,
            occurrence: held.occurrence,
        }
        .correlation();
        let names = permissions.iter().filter_map(|id| rules.permission_name(*id));
        let event = StepEvent {
            consent_id: self.id.clone(),
            step: held.step,
            correlation_id,
            additional_info: held.info.clone(),
            timestamp: whole_seconds(held.at)?,
            client_org_id,
            client_ss_id,
            server_org_id,
            server_as_id,
            permissions: names.map(str::to_owned).collect(),
        };
        let inferred = held.source == Source::Inferred;
        Some(FunnelRecord::new(journey.funnel(), side, event, inferred))
    }

    pub(crate) fn settings<'a>(
        &self,
        side: Side,
        rules: &'a FunnelRules,
        settle_seconds: i64,
        takes_over: bool,
    ) -> Settings<'a> {
        Settings {
            rules,
            side,
            journey: self.journey(),
            settle_seconds,
            takes_over,
            unknown: self.unknown(),
        }
    }

    /// All four parties, if each is an identifier that the platform takes.
    fn known_parties(&self) -> Option<[&str; 4]> {
        let Parties {
            client_organisation,
            client_software_statement,
            server_organisation,
            server_authorisation_server,
        } = &self.parties;
        Some([
            client_organisation.as_deref()?,
            client_software_statement.as_deref()?,
            server_organisation.as_deref()?,
            server_authorisation_server.as_deref()?,
        ])
    }

    fn learn_expiry(&mut self, expires: Option<Timestamp>) {
        if let Some(expires) = expires {
            self.expires = Some(expires.as_second());
        }
    }

    fn learn_permissions(&mut self, names: &[String], rules: &FunnelRules) -> (bool, u64) {
        if self.permissions != Permissions::Unknown {
            return (false, 0);
        }
        let (mut journey, mut ids, mut mixed, mut refused) = (None, Vec::new(), false, 0);
        for name in names.iter().take(MAX_PERMISSIONS) {
            let Some((id, of)) = rules.permission(name) else {
                refused += 1;
                continue;
            };
            mixed |= journey.is_some_and(|known| known != of);
            journey = Some(of);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let Some(journey) = journey else { return (false, refused) };
        self.permissions =
            if mixed { Permissions::Mixed } else { Permissions::Known(journey, ids) };
        (true, refused)
    }
}

/// Keeps the first that is an identifier of the directory.
fn complete(known: &mut Option<String>, seen: Option<&String>) {
    if known.is_none() {
        *known = seen.filter(|text| is_directory_id(text)).cloned();
    }
}

/// `^\w{8}-\w{4}-\w{4}-\w{4}-\w{12}$`, the platform's pattern of all four parties.
fn is_directory_id(text: &str) -> bool {
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    let parts = |part: &str| lengths.next() == Some(part.len()) && part.bytes().all(is_word);
    text.len() == 36 && text.split('-').all(parts)
}

#[cfg(test)]
mod tests {
    use super::is_directory_id;

    #[test]
    fn parties_are_identifiers_of_the_directory() {
        assert!(is_directory_id("1fb79963-4bff-4204-9370-93aceb8a2f0d"));
        assert!(!is_directory_id("1fb79963-4bff-4204-9370-93aceb8a2f0"));
        assert!(!is_directory_id("1fb799634bff-4204-9370-93aceb8a2f0d-"));
        assert!(!is_directory_id(""));
    }
}
