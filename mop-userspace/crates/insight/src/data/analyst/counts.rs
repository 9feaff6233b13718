//! What an analyst counts.

use std::collections::BTreeMap;

use mop_wire::Role;

use crate::data::{
    consent_join::JoinCounts,
    endpoint::NotListed,
    event::{Unreportable, rules::Exclusion},
    identity::Gap,
    once::OnceCounts,
    tokens::StoreCounts,
};

/// Counts since the start.
///
/// `calls = client_events + server_events + unreportable_calls + excluded + hops + flow + unlisted
/// + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalystCounts {
    /// Calls that came in.
    pub calls: u64,
    /// Events of the client's side.
    pub client_events: u64,
    /// Events of the server's side.
    pub server_events: u64,
    /// Calls of which no event can be made.
    pub unreportable_calls: u64,
    /// The same by reason; a call may have several.
    pub unreportable: BTreeMap<Unreportable, u64>,
    /// Calls that are left out.
    pub excluded: BTreeMap<Exclusion, u64>,
    /// Further sightings of calls.
    pub hops: u64,
    /// Steps of the authorization flow, which have no event.
    pub flow: u64,
    /// Calls to endpoints that the metrics platform does not list.
    pub unlisted: BTreeMap<NotListed, u64>,
    /// Calls on their way.
    pub held: u64,
    /// Identifiers of parties that are not known, by cause; hops are counted too.
    pub gaps: BTreeMap<Gap, u64>,
    /// How calls that need a consent got one.
    pub joins: JoinCounts,
    /// Signals.
    pub signals: u64,
    /// What happened to a consent that is not known.
    pub signals_unjoined: u64,
    /// What a client showed that is none of the participant's.
    pub signals_of_others: u64,
    /// Calls to resources whose kind of token is not known.
    pub token_kind_unknown: u64,
    /// Steps of the flow that build on one that was never seen.
    pub lessons_lost: u64,
    /// Digests of tokens that are known.
    pub tokens: u64,
    /// What happened to sightings.
    pub once: OnceCounts,
    /// What happened to digests of tokens.
    pub store: StoreCounts,
}

impl AnalystCounts {
    pub(super) fn event(&mut self, role: Role) {
        *match role {
            Role::Client => &mut self.client_events,
            Role::Server => &mut self.server_events,
        } += 1;
    }

    /// Whether every call is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.calls
            == self.client_events
                + self.server_events
                + self.unreportable_calls
                + self.excluded.values().sum::<u64>()
                + self.hops
                + self.flow
                + self.unlisted.values().sum::<u64>()
                + self.held
    }
}
